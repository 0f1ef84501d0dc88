//! The format before this one is migrated, after a copy.

use rusqlite::Connection;

use super::*;
use crate::contract::status;
use crate::{Filter, Page, Point, StageKind};

const OLD: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE body (
    seq INTEGER PRIMARY KEY, size INTEGER NOT NULL, sum INTEGER NOT NULL, file TEXT, content BLOB
);
CREATE INDEX body_file ON body (file) WHERE file IS NOT NULL;
CREATE TABLE message (
    id BLOB PRIMARY KEY, kind INTEGER NOT NULL, due INTEGER, body INTEGER NOT NULL,
    stage BLOB NOT NULL, record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX message_due ON message (due) WHERE due IS NOT NULL;
CREATE TABLE recipient (
    message BLOB NOT NULL, id BLOB NOT NULL, state BLOB NOT NULL, PRIMARY KEY (message, id)
) WITHOUT ROWID;
CREATE TABLE damaged (message BLOB PRIMARY KEY, why TEXT NOT NULL, found INTEGER NOT NULL)
    WITHOUT ROWID;
";

/// Writes what a spool has as the program before this one would have written it.
fn age(folder: &Path) {
    let (now, old) = (folder.join("spool.db"), folder.join("old"));
    let connection = Connection::open(&old).unwrap();
    connection.execute_batch(OLD).unwrap();
    connection
        .execute("ATTACH ?1 AS now", [now.to_str().unwrap()])
        .unwrap();
    connection
        .execute_batch(
            "INSERT INTO meta VALUES ('format', '1'), ('needs', '0.1.0');
             INSERT INTO body SELECT seq, size, sum, file, content FROM now.body;
             INSERT INTO message SELECT id, kind, due, body, stage, record FROM now.message;
             INSERT INTO recipient SELECT message, id, state FROM now.recipient;
             INSERT INTO damaged SELECT message, why, found FROM now.damaged;
             DETACH now;
             PRAGMA user_version = 1;
             PRAGMA journal_mode = WAL;",
        )
        .unwrap();
    connection.close().unwrap();
    std::fs::rename(old, now).unwrap();
    std::fs::write(folder.join("spool.format"), "1 read by postern 0.1.0\n").unwrap();
}

#[tokio::test]
async fn a_spool_of_the_previous_format_is_migrated_after_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut kept = Vec::new();
    for size in [300, 20_000, 300_000, 500_000] {
        let content = content(size, size as u64);
        kept.push((commit(&spool, &content).await, content));
    }
    let quarantined = kept[0].0;
    let mut update = MessageUpdate::new(quarantined);
    update.stage = Some(Stage::Quarantined {
        event: String::new(),
        by: "b".to_owned(),
        why: "w".to_owned(),
    });
    update.due = Some(Due::Never);
    spool.update(update).await.unwrap();
    let tried = kept[1].0;
    let recipient = spool.load(tried).await.unwrap().unwrap().message.recipients[0].id;
    let state = RecipientState::Pending {
        attempts: 3,
        due: Some(time(50)),
        last: Some(status("later")),
    };
    let mut update = MessageUpdate::new(tried);
    update.recipients = vec![RecipientChange {
        id: recipient,
        state: state.clone(),
    }];
    update.due = Some(Due::At(time(50)));
    spool.update(update).await.unwrap();
    drop(spool);
    age(folder.path());
    let before = std::fs::read(folder.path().join("spool.db")).unwrap();

    let spool = open(folder.path());
    assert_eq!((spool.set_aside(), spool.swept()), (None, 0));
    for (id, content) in &kept {
        let loaded = spool.load(*id).await.unwrap().unwrap();
        assert_eq!(read(&*loaded.content).await, *content);
    }
    let found = spool.load(tried).await.unwrap().unwrap();
    assert_eq!(found.message.recipients[0].state, state);
    let filter = Filter::default();
    let list = spool.list(&filter, Page::default()).await.unwrap();
    let shown: Vec<_> = list
        .iter()
        .map(|entry| (entry.id, entry.size, entry.recipients, entry.stage))
        .collect();
    let expected: Vec<_> = kept
        .iter()
        .map(|(id, content)| {
            let stage = match *id == quarantined {
                true => StageKind::Quarantined,
                false => StageKind::Submit,
            };
            (*id, content.len() as u64, 2, stage)
        })
        .collect();
    assert_eq!(shown, expected);
    assert_eq!(list[0].reason.as_deref(), Some("b: w"));
    assert_eq!(list[0].received, time(0));
    let counts = spool.counts().await.unwrap();
    assert_eq!((counts.submit, counts.quarantined), (3, 1));

    // The copy is what was there, and is no longer in anybody's way.
    let copy = folder.path().join("spool.db.format-1");
    assert_eq!(std::fs::read(&copy).unwrap(), before);
    drop(spool);
    let format = std::fs::read_to_string(folder.path().join("spool.format")).unwrap();
    assert!(format.starts_with("3 "), "{format}");
    let spool = open(folder.path());
    assert!(spool.load(kept[3].0).await.unwrap().is_some());
    // It goes on as any other.
    for (id, _) in kept {
        spool.remove(id).await.unwrap();
    }
    drop(spool);
    assert_eq!(files(folder.path()).len(), 0);
}

#[tokio::test]
async fn what_is_damaged_is_carried_over_and_set_aside_in_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let torn = commit(&spool, &content(300_000, 1)).await;
    let whole = commit(&spool, &content(500, 2)).await;
    drop(spool);
    age(folder.path());
    let file = files(folder.path()).pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[299_999] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let spool = open(folder.path());
    assert!(matches!(
        spool.load(torn).await,
        Err(SpoolError::Damaged { .. })
    ));
    assert!(spool.load(whole).await.unwrap().is_some());
}

/// A spool of this format as the programs before left it that did not store what a message waits for.
#[tokio::test]
async fn a_spool_without_what_messages_wait_for_gains_it_and_keeps_all_else() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = commit(&spool, &content(300, 1)).await;
    drop(spool);
    let connection = Connection::open(folder.path().join("spool.db")).unwrap();
    connection
        .execute_batch("DROP INDEX message_waits; ALTER TABLE message DROP COLUMN waits;")
        .unwrap();
    connection.close().unwrap();
    let spool = open(folder.path());
    let mut update = MessageUpdate::new(id);
    update.stage = Some(Stage::At {
        point: Point::Submit,
        from_binding: None,
        attempts: 1,
        waits_for: Some("scan".to_owned()),
    });
    spool.update(update).await.unwrap();
    let spool = reopen(spool, folder.path());
    let filter = Filter {
        waits_for: vec!["scan".to_owned()],
        ..Filter::default()
    };
    let waiting = spool.list(&filter, Page::default()).await.unwrap();
    assert_eq!(waiting.len(), 1);
    let stored = spool.load(id).await.unwrap().unwrap();
    assert_eq!(stored.stage.waits_for(), Some("scan"));
}
