#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod faults;
mod format;
mod opening;

use std::path::Path;
use std::sync::Arc;

use postern_message::{Message, MessageId, RecipientState, Status, Version};

use super::*;
use crate::contract::{self, Rig};
use crate::sample::{
    commit, content, due, files, files_in, message, new, open, open_on, options, read, time,
};
use crate::{Due, MessageUpdate, NewMessage, RecipientChange, Rendered, Stage};

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
