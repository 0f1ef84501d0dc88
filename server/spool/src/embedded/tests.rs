#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod model;
mod opening;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use postern_message::{Message, MessageId, RecipientState, Status, Version};

use super::*;
use crate::sample::{commit, content, files, files_in, message, new, open, options, read, time};
use crate::{Due, MessageUpdate, NewMessage, RecipientChange, Rendered, Stage};

fn status(text: &str) -> Status {
    Status {
        at: time(5),
        code: Some(450),
        enhanced: Some((4, 2, 0)),
        text: text.to_owned(),
        remote: None,
    }
}

fn nobody() -> HashSet<MessageId> {
    HashSet::new()
}

/// Files go in the background; closing waits for it.
fn reopen(spool: Embedded, path: &Path) -> Embedded {
    drop(spool);
    open(path)
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    let mut sent = Vec::new();
    for size in [0, 1, 200, 32 * 1024, 32 * 1024 + 1, 300_000, 1_500_000] {
        let content = content(size, size as u64);
        let new = new(&spool, &content).await;
        let message = Arc::clone(&new.message);
        spool.commit(new).await.unwrap();
        sent.push((message, content));
    }
    for _ in 0..2 {
        for (message, content) in &sent {
            let loaded = spool.load(message.id).await.unwrap().unwrap();
            assert_eq!(&loaded.message, message);
            assert_eq!(loaded.due, Due::At(time(0)));
            assert_eq!(loaded.stage, Stage::Submit { from_binding: None });
            assert_eq!(read(&*loaded.content).await, *content);
        }
        spool = reopen(spool, folder.path());
        assert_eq!((spool.swept(), spool.set_aside()), (0, None));
        assert_eq!(spool.counts().await.unwrap().submit, sent.len() as u64);
    }
    assert!(spool.load(MessageId::new()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_version_is_read_as_it_is_to_be_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for size in [1000, 100_000] {
        let content = content(size, 2);
        let mut new = new(&spool, &content).await;
        let trace = bytes::Bytes::from_static(b"Received: now\r\n");
        let version: Version = new.message.version.put_trace(trace, 0).unwrap();
        new.message = Arc::new(Message {
            version,
            ..(*new.message).clone()
        });
        let id = new.message.id;
        spool.commit(new).await.unwrap();
        let loaded = spool.load(id).await.unwrap().unwrap();
        let rendered = Rendered::new(&loaded.message.version, loaded.content).unwrap();
        let expected = [b"Received: now\r\n", content.as_ref()].concat();
        assert_eq!(rendered.size(), expected.len() as u64);
        assert_eq!(read(&rendered).await, expected);
    }
}

#[tokio::test]
async fn stage_due_time_and_recipients_change_apart() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = commit(&spool, &content(500, 1)).await;
    let before = spool.load(id).await.unwrap().unwrap().message;
    let held = Stage::Held {
        event: "transport.submit".to_owned(),
        binding: "b".to_owned(),
        since: time(9),
        attempts: 2,
    };
    let state = RecipientState::Pending {
        attempts: 1,
        due: Some(time(60)),
        last: Some(status("later")),
    };
    let mut update = MessageUpdate::new(id);
    update.stage = Some(held.clone());
    update.due = Some(Due::At(time(60)));
    update.recipients = vec![RecipientChange {
        id: before.recipients[1].id,
        state: state.clone(),
    }];
    spool.update(update).await.unwrap();
    let after = spool.load(id).await.unwrap().unwrap();
    assert_eq!(after.stage, held);
    assert_eq!(after.due, Due::At(time(60)));
    assert_eq!(after.message.recipients[0], before.recipients[0]);
    assert_eq!(after.message.recipients[1].state, state);
    let counts = spool.counts().await.unwrap();
    assert_eq!((counts.submit, counts.held), (0, 1));

    // A new record is the whole truth about the recipients.
    let mut update = MessageUpdate::new(id);
    update.message = Some(Arc::clone(&before));
    update.due = Some(Due::Never);
    spool.update(update).await.unwrap();
    let after = spool.load(id).await.unwrap().unwrap();
    assert_eq!(after.message, before);
    assert_eq!(after.due, Due::Never);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let (first, second, third) = (
        new(&spool, &content(40_000, 1)).await,
        new(&spool, &content(40_000, 2)).await,
        new(&spool, &content(40_000, 3)).await,
    );
    let ids = [&first, &second, &third].map(|new| new.message.id);
    let mut stranger = MessageUpdate::new(MessageId::new());
    stranger.due = Some(Due::Never);
    let unknown = stranger.id;
    let bad = Batch {
        insert: vec![second],
        update: vec![stranger],
        remove: Vec::new(),
    };
    // Asked at once, so that they meet in one transaction.
    let (a, b, c) = tokio::join!(
        spool.commit(first),
        spool.commit_many(bad),
        spool.commit(third)
    );
    assert!(a.is_ok() && c.is_ok());
    assert!(matches!(b, Err(SpoolError::Unknown(id)) if id == unknown));
    assert!(spool.load(ids[0]).await.unwrap().is_some());
    assert!(spool.load(ids[1]).await.unwrap().is_none());
    assert!(spool.load(ids[2]).await.unwrap().is_some());
    assert_eq!(files(folder.path()).len(), 2);
    assert_eq!(spool.counts().await.unwrap().submit, 2);
}

#[tokio::test]
async fn a_notification_comes_with_the_failure_that_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = commit(&spool, &content(500, 1)).await;
    let dsn = new(&spool, &content(600, 2)).await;
    let dsn_id = dsn.message.id;
    let recipient = spool.load(id).await.unwrap().unwrap().message.recipients[0].id;
    let mut update = MessageUpdate::new(id);
    update.recipients = vec![RecipientChange {
        id: recipient,
        state: RecipientState::Failed(status("no")),
    }];
    update.insert = vec![dsn];
    let batch = Batch {
        update: vec![update],
        remove: vec![id],
        ..Batch::default()
    };
    spool.commit_many(batch).await.unwrap();
    assert!(spool.load(id).await.unwrap().is_none());
    assert!(spool.load(dsn_id).await.unwrap().is_some());
}

#[tokio::test]
async fn an_id_is_committed_once() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let new = new(&spool, &content(500, 1)).await;
    let again = NewMessage {
        message: Arc::clone(&new.message),
        body: new.body.clone(),
        stage: Stage::Deliver,
        due: Due::Never,
    };
    let id = new.message.id;
    spool.commit(new).await.unwrap();
    let result = spool.commit(again).await;
    assert!(matches!(result, Err(SpoolError::Duplicate(twice)) if twice == id));
}

#[tokio::test]
async fn a_message_whose_content_still_arrives_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut new = new(&spool, &content(500, 1)).await;
    let mut parser = postern_message::HeaderParser::new(Default::default());
    let section = parser.feed(&content(500, 1)).unwrap().unwrap();
    new.message = Arc::new(Message {
        version: Version::original(&section, None),
        ..message(b"", 1)
    });
    let result = spool.commit(new).await;
    assert!(matches!(result, Err(SpoolError::Incomplete(_))));
}

#[tokio::test]
async fn messages_are_due_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut ids = Vec::new();
    for seconds in [30, 10, 20] {
        let mut new = new(&spool, &content(100, seconds)).await;
        new.due = Due::At(time(seconds));
        ids.push(new.message.id);
        spool.commit(new).await.unwrap();
    }
    let mut never = new(&spool, &content(100, 9)).await;
    never.due = Due::Never;
    spool.commit(never).await.unwrap();
    let due = async |seconds, limit, exclude| {
        let exclude = HashSet::from_iter(exclude);
        spool.due(time(seconds), limit, &exclude).await.unwrap()
    };
    assert_eq!(due(9, 9, vec![]).await, []);
    assert_eq!(due(20, 9, vec![]).await, [ids[1], ids[2]]);
    assert_eq!(due(99, 9, vec![ids[1]]).await, [ids[2], ids[0]]);
    assert_eq!(due(99, 2, vec![]).await, [ids[1], ids[2]]);
    let next = spool.next_due(&nobody()).await.unwrap();
    assert_eq!(next, Some(time(10)));
    let next = spool.next_due(&HashSet::from_iter(ids)).await.unwrap();
    assert_eq!(next, None);
}

#[tokio::test]
async fn removal_takes_row_and_file_but_not_a_shared_one() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let content = content(100_000, 1);
    let first = new(&spool, &content).await;
    let fork = NewMessage {
        message: Arc::new(message(&content, 1)),
        body: first.body.clone(),
        stage: Stage::Deliver,
        due: Due::Never,
    };
    let (one, two) = (first.message.id, fork.message.id);
    let batch = Batch {
        insert: vec![first, fork],
        ..Batch::default()
    };
    spool.commit_many(batch).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    spool.remove(one).await.unwrap();
    let spool = reopen(spool, folder.path());
    assert_eq!(files(folder.path()).len(), 1);
    let left = spool.load(two).await.unwrap().unwrap();
    assert_eq!(read(&*left.content).await, content);
    spool.remove(two).await.unwrap();
    // Once more is no error.
    spool.remove(two).await.unwrap();
    let spool = reopen(spool, folder.path());
    assert_eq!(files(folder.path()).len(), 0);
    assert_eq!(spool.counts().await.unwrap(), Default::default());
    // Who was reading it goes on.
    assert_eq!(read(&*left.content).await, content);
}

#[tokio::test(flavor = "current_thread")]
async fn the_wal_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Arc::new(open(folder.path()));
    // 100 MiB go through, with the writer never at rest.
    let submitters = (0..20).map(|seed| {
        let spool = Arc::clone(&spool);
        tokio::spawn(async move {
            for round in 0..160 {
                let id = commit(&spool, &content(32 * 1024, seed * 1000 + round)).await;
                spool.remove(id).await.unwrap();
            }
        })
    });
    for submitter in submitters.collect::<Vec<_>>() {
        submitter.await.unwrap();
    }
    let wal = std::fs::metadata(folder.path().join("spool.db-wal")).unwrap();
    assert!(wal.len() < 80 << 20, "{} octets", wal.len());
    assert_eq!(spool.counts().await.unwrap(), Default::default());
}
