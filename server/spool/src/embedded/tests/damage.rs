use std::fs;

use rusqlite::Connection;

use super::*;

/// Commits three messages, damages the second, and looks at what comes of it.
async fn damaged(size: usize, damage: impl FnOnce(&Path, MessageId)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut ids = Vec::new();
    for seed in 0..3 {
        let size = if seed == 1 { size } else { 700 };
        ids.push(commit(&spool, &content(size, seed)).await);
    }
    drop(spool);
    damage(folder.path(), ids[1]);
    let spool = open(folder.path());
    assert_eq!(spool.set_aside(), None);
    let mut what = String::new();
    for _ in 0..2 {
        what = match spool.load(ids[1]).await {
            Err(SpoolError::Damaged { id, what }) if id == ids[1] => what,
            other => panic!("{:?}", other.map(|found| found.is_some())),
        };
    }
    // It is listed and not due any more; the others go on.
    let list = spool.damaged().await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].id, ids[1]);
    let due = due(&spool, time(99), 9).await;
    assert_eq!(due, [ids[0], ids[2]]);
    assert!(spool.load(ids[0]).await.unwrap().is_some());
    let counts = spool.counts().await.unwrap();
    assert_eq!((counts.submit, counts.damaged), (2, 1));
    // A restart forgets nothing of it, and a person may remove it.
    let spool = reopen(spool, folder.path());
    assert_eq!(spool.counts().await.unwrap().damaged, 1);
    spool.remove(ids[1]).await.unwrap();
    assert_eq!(spool.damaged().await.unwrap(), []);
    assert_eq!(spool.counts().await.unwrap().damaged, 0);
    what
}

fn sql(folder: &Path, id: MessageId, statement: &str) {
    let connection = Connection::open(folder.join("spool.db")).unwrap();
    let changed = connection.execute(statement, [id.as_bytes()]).unwrap();
    assert_eq!(changed, 1);
}

#[tokio::test]
async fn a_changed_record_is_found() {
    let what = damaged(500, |folder, id| {
        let connection = Connection::open(folder.join("spool.db")).unwrap();
        let key = id.as_bytes();
        let read = "SELECT record FROM message WHERE id = ?1";
        let mut record: Vec<u8> = connection.query_row(read, [key], |row| row.get(0)).unwrap();
        record[40] ^= 1;
        let write = "UPDATE message SET record = ?2 WHERE id = ?1";
        assert_eq!(connection.execute(write, (key, record)).unwrap(), 1);
    });
    assert!(what.await.contains("record"));
}

#[tokio::test]
async fn a_changed_stage_is_found() {
    let what = damaged(500, |folder, id| {
        sql(
            folder,
            id,
            "UPDATE message SET stage = x'0100' WHERE id = ?1",
        );
    });
    assert!(what.await.contains("stage"));
}

#[tokio::test]
async fn a_record_of_another_type_is_found() {
    let what = damaged(500, |folder, id| {
        sql(
            folder,
            id,
            "UPDATE message SET record = 'text' WHERE id = ?1",
        );
    });
    assert!(!what.await.is_empty());
}

#[tokio::test]
async fn changed_content_is_found() {
    let what = damaged(500, |folder, id| {
        let cut = "UPDATE body SET content = zeroblob(500) \
                   WHERE seq = (SELECT body FROM message WHERE id = ?1)";
        sql(folder, id, cut);
    });
    assert!(what.await.contains("checksum"));
}

#[tokio::test]
async fn content_that_is_gone_is_found() {
    let what = damaged(500, |folder, id| {
        let delete = "DELETE FROM body WHERE seq = (SELECT body FROM message WHERE id = ?1)";
        sql(folder, id, delete);
    });
    assert!(what.await.contains("not there"));
}

#[tokio::test]
async fn a_torn_file_is_found() {
    let what = damaged(300_000, |folder, _| {
        let file = files(folder).pop().unwrap();
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        file.set_len(150_000).unwrap();
    });
    assert!(what.await.contains("file"));
}

#[tokio::test]
async fn a_changed_head_of_a_file_is_found() {
    let what = damaged(300_000, |folder, _| {
        let file = files(folder).pop().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes[12_345] ^= 1;
        fs::write(&file, bytes).unwrap();
    });
    assert!(what.await.contains("checksum"));
}

/// A large content is not read as a whole before it is of any use: what is changed in it is found
/// when that part of it is read, and before a reader has any of it.
#[tokio::test]
async fn a_changed_file_is_found_where_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let body = content(400_000, 1);
    let id = commit(&spool, &body).await;
    let spool = reopen(spool, folder.path());
    let file = files(folder.path()).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[123_456] ^= 1;
    fs::write(&file, bytes).unwrap();
    let loaded = spool.load(id).await.unwrap().unwrap();
    let mut got = Vec::new();
    let error = loop {
        match loaded.content.read_at(got.len() as u64, 50_000).await {
            Ok(piece) => got.extend_from_slice(&piece),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(got.len(), 65_536, "whole blocks before the one that is bad");
    assert_eq!(got, body[..65_536]);
    // From the next block on it is whole.
    let piece = loaded.content.read_at(131_072 + 5, 50_000).await.unwrap();
    assert_eq!(piece, body[131_077..181_077]);
    spool.put_aside(id, error.to_string()).await.unwrap();
    assert_eq!(spool.counts().await.unwrap().damaged, 1);
    assert_eq!(due(&spool, time(99), 9).await, []);
}

#[tokio::test]
async fn a_file_that_is_gone_is_found() {
    let what = damaged(300_000, |folder, _| {
        fs::remove_file(files(folder).pop().unwrap()).unwrap();
    });
    assert!(what.await.contains("not there"));
}

#[tokio::test]
async fn a_broken_page_sets_aside_the_message_that_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let body = content(20_000, 1);
    let broken = commit(&spool, &body).await;
    let whole = commit(&spool, &content(700, 2)).await;
    let spool = reopen(spool, folder.path());
    // While the spool is open, so that no check of the start finds it.
    let database = folder.path().join("spool.db");
    let mut bytes = fs::read(&database).unwrap();
    let mut hits = bytes.windows(64).enumerate();
    let (at, _) = hits.find(|(_, found)| *found == &body[9000..9064]).unwrap();
    // The page begins with the number of the next one.
    bytes[at / 4096 * 4096..][..4].fill(0xFF);
    fs::write(&database, bytes).unwrap();
    let result = spool.load(broken).await;
    assert!(
        matches!(result, Err(SpoolError::Damaged { id, .. }) if id == broken),
        "{:?}",
        result.err()
    );
    let due = due(&spool, time(99), 9).await;
    assert_eq!(due, [whole]);
    assert!(spool.load(whole).await.unwrap().is_some());
}
