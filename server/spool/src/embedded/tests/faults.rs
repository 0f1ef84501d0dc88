//! The promises of the store, held against what it does to its disk, and against a disk that fails.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use parking_lot::Mutex;

use super::*;
use crate::{Disk, Free, Purpose};

/// What was done to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Did {
    Write(PathBuf),
    Sync(PathBuf),
    SyncFolder(PathBuf),
    Remove(PathBuf),
}

/// What is to fail from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    Nothing,
    SyncOfContent,
    SyncOfLog,
    Read,
}

/// Records, and fails when it is told to. What must hold at the moment of an operation is looked at
/// in that moment.
struct Recorder {
    folder: PathBuf,
    did: Mutex<Vec<Did>>,
    fails: Mutex<Fails>,
    /// Octets that the disk has in all; what is in the folder is taken away from them.
    size: Mutex<Option<u64>>,
    /// Files that were removed while a row named them.
    too_early: Mutex<Vec<PathBuf>>,
    /// How many rows named an extent whenever the file of them was synced.
    named: Mutex<Vec<i64>>,
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "db-wal")
}

fn octets_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => octets_in(&entry.path()),
            Ok(found) => found.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

impl Recorder {
    fn new(folder: &Path) -> Arc<Self> {
        Arc::new(Self {
            folder: folder.to_owned(),
            did: Mutex::default(),
            fails: Mutex::new(Fails::Nothing),
            size: Mutex::default(),
            too_early: Mutex::default(),
            named: Mutex::default(),
        })
    }

    fn note(&self, did: Did) {
        self.did.lock().push(did);
    }

    fn take(&self) -> Vec<Did> {
        std::mem::take(&mut *self.did.lock())
    }

    fn failing(&self, fails: Fails) -> io::Result<()> {
        match *self.fails.lock() == fails {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }
    }

    /// How many rows name this file, in what every connection sees.
    fn rows_with(&self, path: &Path) -> i64 {
        let name = path.file_name().unwrap().to_str().unwrap();
        let connection = rusqlite::Connection::open_with_flags(
            self.folder.join("spool.db"),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )
        .unwrap();
        let query = "SELECT count(*) FROM body WHERE file = ?1";
        connection
            .query_row(query, [name], |row| row.get(0))
            .unwrap()
    }
}

impl Disk for Recorder {
    fn write(&self, mut file: &File, path: &Path, octets: &[u8]) -> io::Result<()> {
        self.note(Did::Write(path.to_owned()));
        io::Write::write_all(&mut file, octets)
    }

    fn write_at(
        &self,
        file: &File,
        path: &Path,
        pieces: &mut [IoSlice<'_>],
        offset: u64,
    ) -> io::Result<()> {
        self.note(Did::Write(path.to_owned()));
        crate::SystemDisk.write_at(file, path, pieces, offset)
    }

    fn read(&self, file: &File, _: &Path, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.failing(Fails::Read)?;
        std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
    }

    fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.failing(if is_log(path) {
            Fails::SyncOfLog
        } else {
            Fails::SyncOfContent
        })?;
        file.sync_data()?;
        if path.ends_with("content/extents") {
            self.named.lock().push(self.rows_with(path));
        }
        self.note(Did::Sync(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.note(Did::SyncFolder(path.to_owned()));
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if path.starts_with(self.folder.join("content")) && self.rows_with(path) > 0 {
            self.too_early.lock().push(path.to_owned());
        }
        self.note(Did::Remove(path.to_owned()));
        std::fs::remove_file(path)
    }

    fn free(&self, _: &Path) -> io::Result<Free> {
        let size = self.size.lock().unwrap_or(u64::MAX);
        Ok(Free {
            octets: size.saturating_sub(octets_in(&self.folder)),
            names: true,
        })
    }
}

#[tokio::test]
async fn what_is_acknowledged_was_synced_in_the_order_that_a_power_cut_needs() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recorder::new(folder.path());
    let spool = open_on(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
    disk.take();
    commit(&spool, &content(300_000, 1)).await;
    let did = disk.take();
    let file = files(folder.path()).pop().unwrap();
    let log = folder.path().join("spool.db-wal");
    let last = |wanted: &Did| did.iter().rposition(|did| did == wanted);
    let written = last(&Did::Write(file.clone())).expect("the content is written");
    let synced = last(&Did::Sync(file.clone())).expect("the content is synced");
    let named = last(&Did::SyncFolder(file.parent().unwrap().to_owned()));
    let named = named.expect("its name is synced");
    let logged = last(&Did::Sync(log)).expect("the log is synced");
    assert!(written < synced && synced < logged, "{did:?}");
    assert!(named < logged, "{did:?}");
    drop(spool);
}

/// However many there are in a group. The log may reach the disk without having been synced, so that no row may name a
/// content before.
#[tokio::test]
async fn contents_in_extents_are_synced_once_a_group_before_a_row_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recorder::new(folder.path());
    let spool = open_on(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
    let mut messages = Vec::new();
    for seed in 0..8 {
        messages.push(new(&spool, &content(100_000, seed)).await);
    }
    disk.take();
    for done in futures_join(messages.into_iter().map(|new| spool.insert(new))).await {
        done.unwrap();
    }
    let (extents, log) = (
        folder.path().join("content/extents"),
        folder.path().join("spool.db-wal"),
    );
    let (mut written, mut synced, mut logged) = (0, 0, 0);
    let mut named = std::mem::take(&mut *disk.named.lock()).into_iter();
    for did in disk.take() {
        if did == Did::Write(extents.clone()) {
            assert_eq!(synced, logged, "the group before is done");
            written += 1;
        } else if did == Did::Sync(extents.clone()) {
            assert_eq!(
                named.next(),
                Some(logged),
                "no row names what is not synced"
            );
            synced = written;
        } else if did == Did::Sync(log.clone()) {
            assert_eq!(synced, written, "contents before rows");
            logged = written;
        }
    }
    assert_eq!(logged, 8);
}

#[tokio::test]
async fn every_change_is_in_a_synced_log_when_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recorder::new(folder.path());
    let spool = open_on(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
    let log = folder.path().join("spool.db-wal");
    let synced = || {
        let did = disk.take();
        did.contains(&Did::Sync(log.clone()))
    };
    let id = commit(&spool, &content(500, 1)).await;
    assert!(synced(), "an insert");
    let mut update = MessageUpdate::new(id);
    update.due = Some(Due::Never);
    spool.update(update).await.unwrap();
    assert!(synced(), "an update");
    spool.remove(id).await.unwrap();
    assert!(synced(), "a removal");
}

/// A checkpoint syncs by itself, and only if it is told to.
#[test]
fn checkpoints_sync() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    std::fs::write(&path, b"").unwrap();
    let connection = super::super::schema::connect_writer(&path).unwrap();
    let read = |pragma: &str| -> i64 {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(read("synchronous"), 1, "NORMAL: log before, database after");
    assert_eq!(read("wal_autocheckpoint"), 0);
    assert_eq!(read("auto_vacuum"), 2, "INCREMENTAL");
}

#[tokio::test]
async fn a_file_goes_when_no_row_names_it_any_more_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recorder::new(folder.path());
    let spool = open_on(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
    let mut ids = Vec::new();
    for seed in 0..20 {
        ids.push(commit(&spool, &content(300_000, seed)).await);
    }
    let removals = ids.iter().map(|id| spool.remove(*id));
    for removed in futures_join(removals).await {
        removed.unwrap();
    }
    drop(spool);
    let removed = disk.take();
    let removed = removed.iter().filter(|did| matches!(did, Did::Remove(_)));
    assert!(removed.count() >= 20);
    assert_eq!(*disk.too_early.lock(), Vec::<PathBuf>::new());
    assert_eq!(files(folder.path()).len(), 0);
}

/// Waits for all of them at once.
async fn futures_join<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_promised_any_more() {
    for (fails, size) in [
        (Fails::SyncOfLog, 0),
        (Fails::SyncOfContent, 300_000),
        (Fails::SyncOfContent, 100_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Recorder::new(folder.path());
        let spool = open_on(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
        let before = commit(&spool, &content(500, 1)).await;
        let waiting = new(&spool, &content(500, 2)).await;
        let failed = spool.health().clone();
        assert!(failed.failure().is_none());
        *disk.fails.lock() = fails;
        match fails {
            Fails::SyncOfLog => {
                let refused = spool.remove(before).await;
                assert!(matches!(refused, Err(SpoolError::Failed(_))), "{refused:?}");
            }
            _ => {
                let mut incoming = spool.receive(Purpose::Mail).unwrap();
                let content = content(size, 3);
                incoming.write(content.clone()).await.unwrap();
                // In a file it is synced now, in an extent with its row.
                if let Ok(body) = incoming.finish().await {
                    let message = Arc::new(message(&content, 1));
                    let id = message.id;
                    let new = NewMessage {
                        message,
                        body,
                        stage: Stage::Deliver,
                        due: Due::Never,
                    };
                    let refused = spool.insert(new).await;
                    assert!(matches!(refused, Err(SpoolError::Failed(_))), "{refused:?}");
                    assert!(spool.load(id).await.unwrap().is_none());
                }
            }
        }
        // The disk seems well again: a failure of a sync is reported once.
        *disk.fails.lock() = Fails::Nothing;
        let why = tokio::time::timeout(std::time::Duration::from_secs(5), failed.failed());
        assert!(why.await.unwrap().contains("sync"));
        assert!(matches!(
            spool.insert(waiting).await,
            Err(SpoolError::Failed(_))
        ));
        assert!(matches!(
            spool.receive(Purpose::Mail).map(|_| ()),
            Err(SpoolError::Failed(_))
        ));
        let mut update = MessageUpdate::new(before);
        update.due = Some(Due::Never);
        assert!(matches!(
            spool.update(update).await,
            Err(SpoolError::Failed(_))
        ));
        // Nothing is tidied up either: what the disk holds is for the next start to find out.
        drop(spool);
        drop(open(folder.path()));
    }
}

/// What is in the log at a start may be in memory alone, if a sync of it failed in the process
/// before. So all of it is written once more, to the database, and synced there.
#[tokio::test]
async fn a_start_trusts_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recorder::new(folder.path());
    let spool = open_on(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
    let id = commit(&spool, &content(20_000, 1)).await;
    *disk.fails.lock() = Fails::SyncOfLog;
    assert!(spool.remove(MessageId::new()).await.is_err());
    drop(spool);
    let wal = folder.path().join("spool.db-wal");
    assert!(std::fs::metadata(&wal).unwrap().len() > 20_000);
    let spool = open(folder.path());
    assert_eq!(std::fs::metadata(&wal).unwrap().len(), 0);
    let database = std::fs::metadata(folder.path().join("spool.db")).unwrap();
    assert!(database.len() > 20_000);
    assert!(spool.load(id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_clean_stop_leaves_nothing_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for seed in 0..20 {
        commit(&spool, &content(20_000, seed)).await;
    }
    // Readers had connections of their own.
    assert_eq!(due(&spool, time(99), 99).await.len(), 20);
    spool.close();
    let size =
        |name: &str| std::fs::metadata(folder.path().join(name)).map_or(0, |found| found.len());
    assert_eq!(size("spool.db-wal"), 0);
    assert!(size("spool.db") > 400_000);
    assert!(matches!(
        spool.update(MessageUpdate::new(MessageId::new())).await,
        Err(SpoolError::Closed)
    ));
}

#[tokio::test]
async fn one_unreadable_file_concerns_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recorder::new(folder.path());
    let spool = open_on(folder.path(), Arc::clone(&disk) as Arc<dyn Disk>);
    let unreadable = commit(&spool, &content(300_000, 1)).await;
    let whole = commit(&spool, &content(500, 2)).await;
    *disk.fails.lock() = Fails::Read;
    let result = spool.load(unreadable).await.map(|found| found.is_some());
    assert!(
        matches!(&result, Err(SpoolError::Damaged { id, .. }) if *id == unreadable),
        "{result:?}"
    );
    assert!(spool.load(whole).await.unwrap().is_some());
    assert_eq!(spool.counts().await.unwrap().damaged, 1);
    assert_eq!(due(&spool, time(99), 9).await, [whole]);
    let listed = spool.damaged().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(
        listed[0].why.contains("cannot be read"),
        "{}",
        listed[0].why
    );
}

/// Fills a disk with mail until no more is taken; the ids.
async fn fill(spool: &Embedded, size: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    // Asked once for each message: the answer may change from one moment to the next.
    while let Ok(mut incoming) = spool.receive(Purpose::Mail) {
        let content = content(size, ids.len() as u64);
        incoming.write(content.clone()).await.unwrap();
        let new = NewMessage {
            message: Arc::new(message(&content, 2)),
            body: incoming.finish().await.unwrap(),
            stage: Stage::Deliver,
            due: Due::At(time(0)),
        };
        let id = new.message.id;
        if spool.insert(new).await.is_err() {
            break;
        }
        ids.push(id);
        assert!(ids.len() < 10_000, "it is never full");
        // An answer about free space holds for a moment.
        if ids.len().is_multiple_of(100) {
            tokio::time::sleep(std::time::Duration::from_millis(260)).await;
        }
    }
    ids
}

async fn until_mail_is_taken(spool: &Embedded) {
    let taken = async {
        while spool.receive(Purpose::Mail).is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), taken)
        .await
        .expect("mail is taken again");
}

/// Contents in the database, in extents and in files: each gives its room back.
#[tokio::test]
async fn a_full_disk_that_has_drained_takes_mail_again() {
    for size in [30_000, 60_000, 300_000] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Recorder::new(folder.path());
        *disk.size.lock() = Some(48 << 20);
        let tight = Options {
            min_free: 10 << 20,
            ..options(folder.path())
        };
        let as_disk = Arc::clone(&disk) as Arc<dyn Disk>;
        let spool = Embedded::open_on(&tight, time(0), as_disk).unwrap();
        let ids = fill(&spool, size).await;
        assert!(ids.len() > 60, "{}", ids.len());
        for id in ids {
            spool.remove(id).await.unwrap();
        }
        until_mail_is_taken(&spool).await;
        // And after a restart.
        drop(spool);
        let spool = Embedded::open_on(&tight, time(0), Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
        until_mail_is_taken(&spool).await;
    }
}

#[tokio::test]
async fn below_min_free_a_notification_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = commit(&spool, &content(500, 1)).await;
    drop(spool);
    let tight = Options {
        min_free: u64::MAX,
        ..options(folder.path())
    };
    let spool = Embedded::open(&tight, time(0)).unwrap();
    let mut incoming = spool.receive(Purpose::Notification).unwrap();
    let report = content(50_000, 2);
    incoming.write(report.clone()).await.unwrap();
    let report = NewMessage {
        message: Arc::new(message(&report, 1)),
        body: incoming.finish().await.unwrap(),
        stage: Stage::submit(),
        due: Due::At(time(0)),
    };
    let report_id = report.message.id;
    let batch = Batch {
        insert: vec![report],
        remove: vec![id],
        ..Batch::default()
    };
    spool.commit(batch, &[]).await.unwrap();
    assert!(spool.load(report_id).await.unwrap().is_some());
}
