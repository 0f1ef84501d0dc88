//! Deliveries into Maildirs on a real file system.

use std::fs;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_message::{MessageId, RecipientId};
use postern_smtp::address::{ForwardPath, ReversePath};

use crate::testing::{in_memory, message};
use crate::{ContentReader, Maildir, MaildirError, Occasion};

const CONTENT: &[u8] = b"Subject: x\r\n\r\n.\r\nFrom here\r\n";

async fn deliver(template: &str, to: &str, content: ContentReader) -> Result<String, MaildirError> {
    let occasion = Occasion {
        message: MessageId::new(),
        recipient: RecipientId::new(),
        received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000),
        again: false,
    };
    deliver_on(template, to, occasion, content).await
}

async fn deliver_on(
    template: &str,
    to: &str,
    occasion: Occasion,
    content: ContentReader,
) -> Result<String, MaildirError> {
    let sender = ReversePath::parse(b"<from@sender.test>", false).unwrap();
    let recipient = ForwardPath::parse(format!("<{to}>").as_bytes(), true).unwrap();
    Maildir::new(template.into(), "mx.test")
        .deliver(&sender, &recipient, occasion, content)
        .await
}

fn reader() -> ContentReader {
    let content = Bytes::from_static(CONTENT);
    let message = message(&content, &[], SystemTime::UNIX_EPOCH);
    ContentReader::new(&message.version, in_memory(&content))
}

#[tokio::test]
async fn a_message_appears_whole_in_new() {
    let root = tempfile::tempdir().unwrap();
    let template = format!("{}/{{domain}}/{{user}}", root.path().display());
    let first = deliver(&template, "joe@Example.test", reader())
        .await
        .unwrap();
    let second = deliver(&template, "joe@example.test", reader())
        .await
        .unwrap();
    assert_ne!(first, second);
    let folder = root.path().join("example.test/joe");
    let found = fs::read(folder.join("new").join(&first)).unwrap();
    // Lines end as the files of a Maildir do.
    let lines = "Return-Path: <from@sender.test>\nDelivered-To: joe@Example.test\nSubject: x\n\n.\nFrom here\n";
    assert_eq!(String::from_utf8(found).unwrap(), lines);
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder.join("new")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_content_that_ends_too_early_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let template = format!("{}/{{user}}", root.path().display());
    let content = Bytes::from_static(CONTENT);
    let version = message(&content, &[], SystemTime::UNIX_EPOCH).version;
    let cut = ContentReader::new(&version, in_memory(&content.slice(..20)));
    let error = deliver(&template, "joe@example.test", cut)
        .await
        .unwrap_err();
    assert!(matches!(error, MaildirError::Content(_)) && !error.is_permanent());
    for part in ["tmp", "new"] {
        assert_eq!(
            fs::read_dir(root.path().join("joe").join(part))
                .unwrap()
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn addresses_that_lead_elsewhere_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let template = format!("{}/{{user}}", root.path().display());
    let error = deliver(&template, "\"../x\"@example.test", reader())
        .await
        .unwrap_err();
    assert!(error.is_permanent());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

/// The process died between the delivery and its record, at any of the places where it can.
#[tokio::test]
async fn a_delivery_that_is_made_again_leaves_one_file() {
    let root = tempfile::tempdir().unwrap();
    let template = format!("{}/{{user}}", root.path().display());
    let folder = root.path().join("joe");
    let mut occasion = Occasion {
        message: MessageId::new(),
        recipient: RecipientId::new(),
        received_at: SystemTime::UNIX_EPOCH,
        again: false,
    };
    let name = deliver_on(&template, "joe@example.test", occasion, reader())
        .await
        .unwrap();
    occasion.again = true;
    let all = || {
        let names = |part: &str| {
            let entries = fs::read_dir(folder.join(part)).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name())
                .collect::<Vec<_>>()
        };
        (names("tmp").len(), names("new").len(), names("cur").len())
    };
    // It is in `new`, or a reader has taken it, seen or not.
    for (there, expected) in [
        (format!("new/{name}"), (0, 1, 0)),
        (format!("cur/{name}:2,"), (0, 0, 1)),
        (format!("cur/{name}:2,RS"), (0, 0, 1)),
        (format!("cur/{name}"), (0, 0, 1)),
        // It was cut off while it was written.
        (format!("tmp/{name}"), (0, 1, 0)),
    ] {
        for part in ["tmp", "new", "cur"] {
            for entry in fs::read_dir(folder.join(part)).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        fs::write(folder.join(&there), b"there").unwrap();
        let again = deliver_on(&template, "joe@example.test", occasion, reader())
            .await
            .unwrap();
        assert_eq!(again, name, "{there}");
        assert_eq!(all(), expected, "{there}");
    }
    // Another recipient of the message is another delivery.
    occasion.recipient = RecipientId::new();
    deliver_on(&template, "joe@example.test", occasion, reader())
        .await
        .unwrap();
    assert_eq!(all(), (0, 2, 0));
}

#[tokio::test]
async fn spellings_that_differ_in_case_are_one_mailbox() {
    let root = tempfile::tempdir().unwrap();
    let template = format!("{}/{{domain}}/{{user}}", root.path().display());
    for to in [
        "joe@example.test",
        "JOE@Example.Test",
        "\"Joe\"@EXAMPLE.test",
    ] {
        deliver(&template, to, reader()).await.unwrap();
    }
    let new = root.path().join("example.test/joe/new");
    assert_eq!(fs::read_dir(new).unwrap().count(), 3);
    assert_eq!(
        fs::read_dir(root.path().join("example.test"))
            .unwrap()
            .count(),
        1
    );
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_made_only_where_that_was_said() {
    let root = tempfile::tempdir().unwrap();
    let template = format!("{}/{{user}}", root.path().display());
    fs::create_dir(root.path().join("ann")).unwrap();
    let deliver = async |to: &str| {
        let occasion = Occasion {
            message: MessageId::new(),
            recipient: RecipientId::new(),
            received_at: SystemTime::UNIX_EPOCH,
            again: false,
        };
        let sender = ReversePath::parse(b"<from@sender.test>", false).unwrap();
        let recipient = ForwardPath::parse(format!("<{to}>").as_bytes(), true).unwrap();
        Maildir::new(template.clone().into(), "mx.test")
            .creating(false)
            .deliver(&sender, &recipient, occasion, reader())
            .await
    };
    let error = deliver("bob@example.test").await.unwrap_err();
    // It was there when its mail was accepted: its volume may be away.
    assert!(!error.is_permanent() && error.status() == (1, 1), "{error}");
    assert!(!root.path().join("bob").exists());
    // Its folders are made in one that is there, and the postmaster always has one.
    for to in ["Ann@example.test", "postmaster@example.test"] {
        deliver(to).await.unwrap();
    }
    for user in ["ann", "postmaster"] {
        assert_eq!(
            fs::read_dir(root.path().join(user).join("new"))
                .unwrap()
                .count(),
            1
        );
    }
}
