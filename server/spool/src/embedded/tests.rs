#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod extents;
mod faults;
mod format;
mod opening;
mod power;

use std::path::Path;
use std::sync::Arc;

use postern_message::{MessageId, RecipientState};

use super::*;
use crate::contract::{self, Rig};
use crate::sample::{
    commit, content, due, files, files_in, message, new, open, open_on, options, read, time,
};
use crate::{Due, MessageUpdate, NewMessage, RecipientChange, Stage};

/// A store in a folder of its own.
struct InFolder(tempfile::TempDir);

impl Rig for InFolder {
    fn open(&self) -> Box<dyn Store> {
        Box::new(open(self.0.path()))
    }
}

contract::every_driver_does!(InFolder(tempfile::tempdir().unwrap()));

/// Files go in the background; closing waits for it.
fn reopen(spool: Embedded, path: &Path) -> Embedded {
    drop(spool);
    open(path)
}

#[tokio::test]
async fn removal_takes_row_and_file_but_not_a_shared_one() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let content = content(300_000, 1);
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
    spool.commit(batch, &[]).await.unwrap();
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
                let id = commit(&*spool, &content(32 * 1024, seed * 1000 + round)).await;
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

/// One update of a thousand recipients weighs as much as they do, and new mail does not wait behind four hundred of them.
#[tokio::test]
async fn new_mail_overtakes_a_flood_of_results() {
    const FLOOD: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let spool = Arc::new(open(folder.path()));
    let body = content(500, 1);
    let mut many = new(&*spool, &body).await;
    many.message = Arc::new(message(&body, 1000));
    let id = many.message.id;
    let recipients: Vec<_> = many.message.recipients.iter().map(|one| one.id).collect();
    spool.insert(many).await.unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let flood = (0..FLOOD).map(|attempts| {
        let (spool, done) = (Arc::clone(&spool), Arc::clone(&done));
        let mut update = MessageUpdate::new(id);
        update.recipients = recipients
            .iter()
            .map(|id| RecipientChange {
                id: *id,
                state: RecipientState::Pending {
                    attempts: attempts as u32,
                    due: Some(time(60)),
                    last: None,
                },
            })
            .collect();
        tokio::spawn(async move {
            spool.update(update).await.unwrap();
            done.fetch_add(1, Ordering::Relaxed);
        })
    });
    let flood: Vec<_> = flood.collect();
    let late = new(&*spool, &content(500, 2)).await;
    // All of them are on their way to the writer.
    tokio::task::yield_now().await;
    spool.insert(late).await.unwrap();
    let before = done.load(Ordering::Relaxed);
    assert!(before < FLOOD as u64 / 2, "{before} of {FLOOD} were first");
    for update in flood {
        update.await.unwrap();
    }
}

#[tokio::test]
async fn a_content_is_on_its_way_until_its_commit_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let on_their_way = || spool.shared.coming.count();
    let broken_off = spool.receive(Purpose::Mail).unwrap();
    let whole = new(&spool, &content(50_000, 1)).await;
    assert_eq!(on_their_way(), 2);
    drop(broken_off);
    assert_eq!(on_their_way(), 1);
    let batch = Batch {
        insert: vec![whole],
        ..Batch::default()
    };
    spool.commit(batch, &[]).await.unwrap();
    assert_eq!(on_their_way(), 0);
}
