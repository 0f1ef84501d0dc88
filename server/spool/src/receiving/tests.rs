#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::sample::{content, files, open, read};
use crate::{Purpose, SpoolError, Store};

#[tokio::test]
async fn digests_are_of_the_whole_and_of_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for size in [40, 5_000, 400_000] {
        let content = content(size, 7);
        let body_at = content.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let mut incoming = spool.receive(Purpose::Mail).unwrap();
        incoming.want_digests();
        incoming.body_starts_at(body_at as u64);
        for piece in content.chunks(999) {
            incoming.write(content.slice_ref(piece)).await.unwrap();
        }
        let stored = incoming.finish().await.unwrap();
        let digests = *stored.digests().unwrap();
        let of = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
        assert_eq!(digests.whole, of(&content));
        assert_eq!(digests.body, Some(of(&content[body_at..])));
        assert_eq!(stored.size(), size as u64);
    }
}

#[tokio::test]
async fn what_arrives_can_be_read_at_once_and_by_a_laggard() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let content = content(2_000_000, 3);
    let mut incoming = spool.receive(Purpose::Mail).unwrap();
    let (quick, slow) = (incoming.reader(), incoming.reader());
    let follow = tokio::spawn(async move {
        let mut got = Vec::new();
        while quick.wait_beyond(got.len() as u64).await {
            got.extend_from_slice(&quick.read_at(got.len() as u64, 64 * 1024).await.unwrap());
        }
        got
    });
    for piece in content.chunks(30_011) {
        incoming.write(content.slice_ref(piece)).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(!slow.is_complete());
    let body = incoming.finish().await.unwrap();
    assert_eq!(follow.await.unwrap(), content);
    assert!(slow.is_complete());
    drop(body);
    // Never committed, the file goes; who reads it can go on.
    gone(folder.path()).await;
    assert_eq!(read(&*slow).await, content);
}

#[tokio::test]
async fn octets_that_come_one_by_one_are_gathered_though_somebody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let content = content(20_000, 3);
    let mut incoming = spool.receive(Purpose::Mail).unwrap();
    let reader = incoming.reader();
    let mut got = Vec::new();
    for piece in content.chunks(1) {
        incoming.write(content.slice_ref(piece)).await.unwrap();
        got.extend_from_slice(&reader.read_at(got.len() as u64, 10).await.unwrap());
    }
    assert_eq!(got, content);
    let pieces = incoming.content.window().len();
    assert!(pieces < 10, "{pieces} pieces");
}

/// What blocks does so on the blocking pool, not on the thread that all sessions share.
#[test]
fn a_file_is_not_removed_on_the_thread_that_gives_it_up() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path());
        let body = crate::sample::receive(&spool, &content(300_000, 1)).await;
        // The pool is busy until we say so.
        let (free, busy) = std::sync::mpsc::channel::<()>();
        let held = tokio::task::spawn_blocking(move || busy.recv());
        drop(body);
        assert_eq!(files(folder.path()).len(), 1);
        drop(free);
        assert!(held.await.unwrap().is_err());
        gone(folder.path()).await;
    });
}

/// Waits until no content file is there.
async fn gone(folder: &std::path::Path) {
    while !files(folder).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut incoming = spool.receive(Purpose::Mail).unwrap();
    let reader = incoming.reader();
    let content = content(600_000, 3);
    incoming.write(content.clone()).await.unwrap();
    let waiting = Arc::clone(&reader);
    let waiting = tokio::spawn(async move { waiting.wait_beyond(600_000).await });
    tokio::task::yield_now().await;
    drop(incoming);
    assert!(!waiting.await.unwrap());
    assert!(reader.read_at(0, 1).await.is_err());
    assert!(!reader.is_complete());
    drop(reader);
    drop(spool);
    // A write that was going on may have ended after the drop: the next start finds nothing.
    let spool = open(folder.path());
    assert_eq!(files(folder.path()).len(), 0);
    drop(spool);
}

#[tokio::test]
async fn small_contents_make_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let small = crate::sample::receive(&spool, &content(256 * 1024 - 1, 1)).await;
    assert_eq!(files(folder.path()).len(), 0);
    let large = crate::sample::receive(&spool, &content(256 * 1024, 1)).await;
    assert_eq!(files(folder.path()).len(), 1);
    drop((small, large));
    gone(folder.path()).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_loses_the_content_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut incoming = spool.receive(Purpose::Mail).unwrap();
    std::fs::remove_dir_all(folder.path().join("content")).unwrap();
    std::fs::write(folder.path().join("content"), b"in the way").unwrap();
    incoming.write(Bytes::from(vec![0; 300_000])).await.unwrap();
    let again = incoming.write(Bytes::from(vec![0; 300_000])).await;
    assert!(matches!(again, Err(SpoolError::Io { .. })), "{again:?}");
    assert!(matches!(incoming.finish().await, Err(SpoolError::Closed)));
}
