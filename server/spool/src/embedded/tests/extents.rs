//! Contents in the file of extents, as a store uses it.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use rusqlite::Connection;

use super::*;
use crate::Purpose;

/// Of a size that goes there.
const SIZE: usize = 100_000;

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("content/extents")
}

/// Where messages have their contents in the file.
fn places(folder: &Path) -> Vec<(u64, usize)> {
    let connection = Connection::open(folder.join("spool.db")).unwrap();
    let mut statement = connection
        .prepare("SELECT start, size FROM body WHERE file = 'extents' ORDER BY seq")
        .unwrap();
    let rows = statement.query_map([], |row| {
        let (start, size): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((start.cast_unsigned(), size as usize))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn what_is_too_large_for_a_row_and_fits_in_memory_goes_into_extents() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for (size, expected) in [
        (32 * 1024, 0),
        (32 * 1024 + 1, 1),
        (256 * 1024 - 1, 2),
        (256 * 1024, 2),
    ] {
        commit(&spool, &content(size, 1)).await;
        assert_eq!(places(folder.path()).len(), expected, "{size}");
    }
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn messages_that_were_forked_share_a_place_until_the_last_of_them_goes() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let body = content(SIZE, 1);
    let first = new(&spool, &body).await;
    let fork = NewMessage {
        message: Arc::new(message(&body, 1)),
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
    let shared = places(folder.path());
    assert_eq!(shared.len(), 2);
    assert_eq!(shared[0], shared[1]);
    spool.remove(one).await.unwrap();
    let spool = reopen(spool, folder.path());
    commit(&spool, &content(SIZE, 2)).await;
    let left = spool.load(two).await.unwrap().unwrap();
    assert_eq!(read(&*left.content).await, body);
    drop(left);
    spool.remove(two).await.unwrap();
    commit(&spool, &content(SIZE, 3)).await;
    assert_eq!(places(folder.path())[1], shared[0], "it is used again");
}

#[tokio::test]
async fn a_content_is_read_to_its_end_though_its_message_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let body = content(SIZE, 1);
    let fresh = new(&spool, &body).await;
    let (id, of_the_sender) = (fresh.message.id, fresh.body.reader());
    spool.insert(fresh).await.unwrap();
    assert_eq!(of_the_sender.in_memory(), 0);
    let loaded = spool.load(id).await.unwrap().unwrap();
    spool.remove(id).await.unwrap();
    for seed in 2..6 {
        commit(&spool, &content(SIZE, seed)).await;
    }
    assert_eq!(read(&*loaded.content).await, body);
    assert_eq!(read(&*of_the_sender).await, body);
    drop((loaded, of_the_sender));
    commit(&spool, &content(SIZE, 9)).await;
    assert_eq!(places(folder.path()).last(), Some(&(0, SIZE)));
}

/// Messages are loaded while they are removed and others take their places: each load finds the
/// message whole, or finds none.
#[tokio::test]
async fn a_load_beside_a_removal_finds_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Arc::new(open(folder.path()));
    for round in 0..60 {
        let body = content(SIZE, round);
        let id = commit(&*spool, &body).await;
        let remover = {
            let spool = Arc::clone(&spool);
            tokio::spawn(async move {
                spool.remove(id).await.unwrap();
                commit(&*spool, &content(SIZE, 1000 + round)).await
            })
        };
        while let Some(found) = spool.load(id).await.unwrap() {
            assert_eq!(read(&*found.content).await, body);
        }
        spool.remove(remover.await.unwrap()).await.unwrap();
    }
    assert_eq!(spool.damaged().await.unwrap(), []);
}

#[tokio::test]
async fn damage_in_one_extent_concerns_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut ids = Vec::new();
    for seed in 0..3 {
        ids.push(commit(&spool, &content(SIZE, seed)).await);
    }
    drop(spool);
    let (start, _) = places(folder.path())[1];
    let extents = fs::OpenOptions::new().write(true).open(file(folder.path()));
    extents.unwrap().write_all_at(b"?", start + 80_000).unwrap();
    let spool = open(folder.path());
    for (n, id) in ids.iter().enumerate() {
        let found = spool.load(*id).await.unwrap().unwrap();
        if n != 1 {
            assert_eq!(read(&*found.content).await, content(SIZE, n as u64));
            continue;
        }
        // The block before it is whole.
        let head = found.content.read_at(0, SIZE).await.unwrap();
        assert_eq!(head, content(SIZE, 1)[..65_536]);
        let error = found.content.read_at(65_536, SIZE).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}

/// The file was cut short, or is gone: those are damaged that had their contents there, and what comes is taken.
#[tokio::test]
async fn a_file_of_extents_that_is_short_is_the_damage_of_those_in_it() {
    for left in [Some(150_000), None] {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path());
        let kept = commit(&spool, &content(SIZE, 1)).await;
        let lost = commit(&spool, &content(SIZE, 2)).await;
        let small = commit(&spool, &content(700, 3)).await;
        drop(spool);
        match left {
            Some(size) => {
                let extents = fs::OpenOptions::new().write(true).open(file(folder.path()));
                extents.unwrap().set_len(size).unwrap();
            }
            None => fs::remove_file(file(folder.path())).unwrap(),
        }
        let spool = open(folder.path());
        assert_eq!(spool.set_aside(), None);
        let after = commit(&spool, &content(SIZE, 4)).await;
        let whole = |id| {
            let spool = &spool;
            async move {
                let Ok(found) = spool.load(id).await else {
                    return false;
                };
                let content = found.unwrap().content;
                let mut at = 0;
                while let Ok(piece) = content.read_at(at, SIZE).await {
                    at += piece.len() as u64;
                    if piece.is_empty() {
                        return true;
                    }
                }
                false
            }
        };
        assert_eq!(whole(kept).await, left.is_some());
        assert!(!whole(lost).await);
        assert!(whole(small).await && whole(after).await);
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_told_stops_the_reuse_of_all_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let one = commit(&spool, &content(SIZE, 1)).await;
    let two = commit(&spool, &content(SIZE, 2)).await;
    let before = places(folder.path())[1];
    drop(spool);
    let connection = Connection::open(folder.path().join("spool.db")).unwrap();
    let update = "UPDATE body SET start = -7 WHERE start = 0";
    assert_eq!(connection.execute(update, []).unwrap(), 1);
    drop(connection);
    let spool = open(folder.path());
    assert!(matches!(
        spool.load(one).await,
        Err(SpoolError::Damaged { .. })
    ));
    commit(&spool, &content(SIZE, 3)).await;
    assert!(spool.load(two).await.unwrap().is_some());
    let connection = Connection::open(folder.path().join("spool.db")).unwrap();
    let newest = "SELECT max(start) FROM body";
    let start: i64 = connection.query_row(newest, [], |row| row.get(0)).unwrap();
    assert!(start.cast_unsigned() >= before.0 + before.1 as u64);
}

#[tokio::test]
async fn extents_are_private_and_not_behind_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    commit(&spool, &content(SIZE, 1)).await;
    let extents = file(folder.path());
    assert_eq!(fs::metadata(&extents).unwrap().mode() & 0o777, 0o600);
    drop(spool);
    let victim = folder.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    fs::remove_file(&extents).unwrap();
    std::os::unix::fs::symlink(&victim, &extents).unwrap();
    assert!(Embedded::open(&options(folder.path()), time(0)).is_err());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}

#[tokio::test]
async fn a_database_that_is_set_aside_takes_its_extents_with_it() {
    for lost in [&b"nonsense"[..], b""] {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path());
        let body = content(SIZE, 1);
        commit(&spool, &body).await;
        let (start, size) = places(folder.path())[0];
        drop(spool);
        fs::write(folder.path().join("spool.db"), lost.repeat(1000)).unwrap();
        let spool = open(folder.path());
        let aside = spool.set_aside().unwrap().content.clone();
        // What comes later is in a file of its own, and touches nothing of it.
        for seed in 2..5 {
            commit(&spool, &content(SIZE, seed)).await;
        }
        let mut found = vec![0; size];
        let extents = fs::File::open(aside.join("extents")).unwrap();
        extents.read_exact_at(&mut found, start).unwrap();
        assert!(found == body);
    }
}

/// What was kept in memory for the first delivery is as much as the options say, and goes with its readers.
#[tokio::test]
async fn contents_stay_in_memory_as_far_as_the_options_say() {
    let folder = tempfile::tempdir().unwrap();
    let roomy = Options {
        memory: 8 * 400_000,
        ..options(folder.path())
    };
    let spool = Embedded::open(&roomy, time(0)).unwrap();
    let mut readers = Vec::new();
    for seed in 0..9 {
        let size = if seed % 2 == 0 { SIZE } else { 400_000 };
        let body = content(size, seed);
        let new = new(&spool, &body).await;
        let reader = new.body.reader();
        spool.insert(new).await.unwrap();
        // Nothing is left on disk that could be read.
        assert_eq!(reader.in_memory(), size as u64, "{seed}");
        readers.push((reader, body));
    }
    fs::OpenOptions::new()
        .write(true)
        .open(file(folder.path()))
        .unwrap()
        .set_len(0)
        .unwrap();
    for file in files(folder.path()) {
        fs::OpenOptions::new()
            .write(true)
            .open(file)
            .unwrap()
            .set_len(0)
            .unwrap();
    }
    for (reader, body) in &readers {
        assert_eq!(read(&**reader).await, *body);
    }
    // One alone has no more than its share.
    let large = new(&spool, &content(500_000, 10)).await;
    assert_eq!(large.body.reader().in_memory(), 0);
    // And all together no more than there is.
    let mut held = 0;
    for seed in 20..40 {
        let new = new(&spool, &content(SIZE, seed)).await;
        let reader = new.body.reader();
        spool.insert(new).await.unwrap();
        held += reader.in_memory();
        readers.push((reader, content(SIZE, seed)));
    }
    assert_eq!(held, 11 * SIZE as u64);
    drop(readers);
    let again = new(&spool, &content(SIZE, 50)).await;
    let reader = again.body.reader();
    spool.insert(again).await.unwrap();
    assert_eq!(reader.in_memory(), SIZE as u64);
}

/// A disk that is full for contents and not for rows.
struct Full(parking_lot::Mutex<bool>);

impl Disk for Full {
    fn allocate(
        &self,
        file: &fs::File,
        path: &Path,
        offset: u64,
        octets: u64,
    ) -> std::io::Result<()> {
        match *self.0.lock() && path.ends_with("extents") {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => SystemDisk.allocate(file, path, offset, octets),
        }
    }
}

#[tokio::test]
async fn without_room_for_its_content_a_message_is_refused_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Full(parking_lot::Mutex::new(true)));
    let spool = open_on(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
    let (large, small) = (
        new(&spool, &content(SIZE, 1)).await,
        new(&spool, &content(700, 2)).await,
    );
    let id = large.message.id;
    let (large, small) = tokio::join!(spool.insert(large), spool.insert(small));
    assert!(matches!(large, Err(SpoolError::NoSpace)), "{large:?}");
    small.unwrap();
    assert!(spool.load(id).await.unwrap().is_none());
    assert_eq!(spool.health().failure(), None);
    *disk.0.lock() = false;
    assert!(spool.receive(Purpose::Mail).is_ok());
    commit(&spool, &content(SIZE, 3)).await;
    assert_eq!(spool.counts().await.unwrap().submit, 2);
}

/// As the program before this one left it.
#[tokio::test]
async fn a_spool_of_the_format_before_is_taken_over_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut kept = Vec::new();
    for size in [300, 300_000] {
        let content = content(size, size as u64);
        kept.push((commit(&spool, &content).await, content));
    }
    drop(spool);
    let database = folder.path().join("spool.db");
    let connection = Connection::open(&database).unwrap();
    connection
        .execute_batch(
            "DROP INDEX body_place;
             CREATE INDEX body_file ON body (file) WHERE file IS NOT NULL;
             UPDATE meta SET value = '2' WHERE key = 'format';
             PRAGMA user_version = 2;",
        )
        .unwrap();
    connection.close().unwrap();
    fs::remove_file(file(folder.path())).unwrap();
    fs::write(
        folder.path().join("spool.format"),
        "2 read by postern 0.1.0\n",
    )
    .unwrap();
    let spool = open(folder.path());
    assert_eq!((spool.set_aside(), spool.swept()), (None, 0));
    let format = fs::read_to_string(folder.path().join("spool.format")).unwrap();
    assert!(format.starts_with("3 "), "{format}");
    commit(&spool, &content(SIZE, 1)).await;
    for (id, content) in kept {
        let loaded = spool.load(id).await.unwrap().unwrap();
        assert_eq!(read(&*loaded.content).await, content);
        spool.remove(id).await.unwrap();
    }
    let spool = reopen(spool, folder.path());
    assert_eq!(files(folder.path()).len(), 0);
    assert_eq!(spool.counts().await.unwrap().submit, 1);
}
