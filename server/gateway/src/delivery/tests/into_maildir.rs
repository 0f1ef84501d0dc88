//! Deliveries into Maildirs on a real file system.

use std::fs;
use std::time::SystemTime;

use bytes::Bytes;
use postern_smtp::address::{ForwardPath, ReversePath};

use super::{in_memory, message};
use crate::delivery::{ContentReader, Maildir, MaildirError};

const CONTENT: &[u8] = b"Subject: x\r\n\r\n.\r\nFrom here\r\n";

async fn deliver(template: &str, to: &str, content: ContentReader) -> Result<String, MaildirError> {
    let sender = ReversePath::parse(b"<from@sender.test>", false).unwrap();
    let recipient = ForwardPath::parse(format!("<{to}>").as_bytes(), true).unwrap();
    Maildir::new(template.into(), "mx.test")
        .deliver(&sender, &recipient, content)
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
    let head = b"Return-Path: <from@sender.test>\r\nDelivered-To: joe@Example.test\r\n";
    assert_eq!(found, [&head[..], CONTENT].concat());
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
