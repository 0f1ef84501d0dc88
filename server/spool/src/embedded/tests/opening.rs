use std::fs;

use rusqlite::Connection;

use super::*;

#[test]
fn one_process_holds_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    match Embedded::open(&options(folder.path()), time(0)) {
        Err(error @ SpoolError::Locked { .. }) => {
            let text = error.to_string();
            let pid = std::process::id().to_string();
            assert!(text.contains(&pid), "{text}");
        }
        other => panic!("{:?}", other.err()),
    }
    drop(first);
    drop(open(folder.path()));
}

#[tokio::test]
async fn nobody_else_reads_the_mail() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    commit(&spool, &content(300_000, 1)).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["spool.db", "spool.db-wal"] {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder.path().join("content")), 0o700);
    assert_eq!(mode(&files(folder.path())[0]), 0o600);
}

fn refused(folder: &Path) -> (u32, String) {
    match Embedded::open(&options(folder), time(0)) {
        Err(SpoolError::Format { found, needs, .. }) => (found, needs),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_newer_format_is_refused_by_the_version_that_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let database = folder.path().join("spool.db");
    let connection = Connection::open(&database).unwrap();
    connection
        .execute_batch(
            "PRAGMA user_version = 7; UPDATE meta SET value = '0.9.0' WHERE key = 'needs'",
        )
        .unwrap();
    drop(connection);
    assert_eq!(refused(folder.path()), (7, "0.9.0".to_owned()));
    // The file alone is enough, and the database is not touched then.
    let format = folder.path().join("spool.format");
    fs::write(&format, "8 read by postern 1.2.3\n").unwrap();
    let before = fs::read(&database).unwrap();
    assert_eq!(refused(folder.path()), (8, "1.2.3".to_owned()));
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn a_torn_format_file_says_nothing_and_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let format = folder.path().join("spool.format");
    let whole = fs::read(&format).unwrap();
    for torn in [&b""[..], b"\0\0\0\0", b"\xff\xfe garbage"] {
        fs::write(&format, torn).unwrap();
        drop(open(folder.path()));
        assert_eq!(fs::read(&format).unwrap(), whole);
    }
}

/// Who may write to the folder could have put them there before a start.
#[test]
fn nothing_is_written_through_a_link_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let path = folder.path().join("spool");
    fs::create_dir(&path).unwrap();
    for name in ["spool.format.new", "spool.reserve"] {
        std::os::unix::fs::symlink(&victim, path.join(name)).unwrap();
    }
    drop(open(&path));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    fs::remove_file(path.join("spool.reserve")).unwrap();
    assert!(
        path.join("spool.format")
            .symlink_metadata()
            .unwrap()
            .is_file()
    );
    for name in ["spool.format", "spool.lock", "spool.db"] {
        let own = path.join(name);
        fs::remove_file(&own).unwrap();
        std::os::unix::fs::symlink(&victim, &own).unwrap();
        let opened = Embedded::open(&options(&path), time(0));
        assert!(opened.is_err(), "{name}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        fs::remove_file(&own).unwrap();
        drop(open(&path));
    }
}

#[test]
fn a_folder_is_examined_without_opening_it() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(examine(&folder.path().join("none")).unwrap(), None);
    assert_eq!(examine(folder.path()).unwrap(), None);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    drop(open(folder.path()));
    assert_eq!(examine(folder.path()).unwrap(), Some(schema::FORMAT));
    fs::write(
        folder.path().join("spool.format"),
        "8 read by postern 1.2.3\n",
    )
    .unwrap();
    assert!(matches!(
        examine(folder.path()),
        Err(SpoolError::Format { found: 8, .. })
    ));
}

#[tokio::test]
async fn a_damaged_database_is_set_aside_with_its_contents() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    commit(&spool, &content(300_000, 1)).await;
    drop(spool);
    let database = folder.path().join("spool.db");
    // Once no database at all, once one with a hole in the middle.
    let whole = fs::read(&database).unwrap();
    let mut torn = whole.clone();
    torn[4096..12_288].fill(0xA5);
    let mut aside = Vec::new();
    for damaged in [b"nonsense".repeat(1000), torn] {
        fs::write(&database, &damaged).unwrap();
        let spool = open(folder.path());
        let set_aside = spool.set_aside().unwrap().clone();
        assert_eq!(fs::read(&set_aside.database).unwrap(), damaged);
        assert!(!set_aside.why.is_empty());
        assert_eq!(
            (spool.swept(), spool.counts().await.unwrap().submit),
            (0, 0)
        );
        commit(&spool, &content(300_000, 2)).await;
        aside.push(set_aside);
    }
    // Both were opened in the same instant, and are both there.
    assert_ne!(aside[0].database, aside[1].database);
    for set_aside in aside {
        assert_eq!(files_in(&set_aside.content).len(), 1);
    }
}

/// A spool as a crash leaves it: some of it in the database, some in the WAL.
async fn crashed(folder: &Path) -> tempfile::TempDir {
    let spool = open(folder);
    for seed in 0..20 {
        commit(&spool, &content(20_000, seed)).await;
    }
    let spool = reopen(spool, folder);
    commit(&spool, &content(300_000, 99)).await;
    let copy = tempfile::tempdir().unwrap();
    for name in ["spool.db", "spool.db-wal"] {
        fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let file = files(folder).pop().unwrap();
    let shard = copy
        .path()
        .join(file.parent().unwrap().strip_prefix(folder).unwrap());
    fs::create_dir_all(&shard).unwrap();
    fs::copy(&file, shard.join(file.file_name().unwrap())).unwrap();
    copy
}

#[tokio::test]
async fn what_is_set_aside_is_left_as_it_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let copy = crashed(folder.path()).await;
    let (database, wal) = (
        copy.path().join("spool.db"),
        copy.path().join("spool.db-wal"),
    );
    let mut damaged = fs::read(&database).unwrap();
    damaged[8192..].fill(0xA5);
    fs::write(&database, &damaged).unwrap();
    let log = fs::read(&wal).unwrap();
    assert!(log.len() > 4096);
    let spool = open(copy.path());
    let aside = spool.set_aside().unwrap().database.clone();
    assert!(fs::read(&aside).unwrap() == damaged, "the database changed");
    let mut name = aside.into_os_string();
    name.push("-wal");
    assert!(fs::read(name).unwrap() == log, "the WAL changed");
}

#[tokio::test]
async fn without_a_database_nothing_is_an_orphan() {
    for lost in ["gone", "empty"] {
        let folder = tempfile::tempdir().unwrap();
        let copy = crashed(folder.path()).await;
        let (database, wal) = (
            copy.path().join("spool.db"),
            copy.path().join("spool.db-wal"),
        );
        match lost {
            "gone" => fs::remove_file(&database).unwrap(),
            _ => fs::write(&database, b"").unwrap(),
        }
        let log = fs::read(&wal).unwrap();
        let spool = open(copy.path());
        let aside = spool.set_aside().expect(lost).clone();
        assert_eq!(spool.swept(), 0, "{lost}");
        assert_eq!(files_in(&aside.content).len(), 1, "{lost}");
        let mut name = aside.database.into_os_string();
        name.push("-wal");
        assert!(fs::read(name).unwrap() == log, "{lost}");
        commit(&spool, &content(300_000, 1)).await;
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_read_or_found_stops_the_sweep_and_nothing_else() {
    for file in ["x'ff'", "'0123456789abcdef0123456789abcdef'"] {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path());
        let one = commit(&spool, &content(300_000, 1)).await;
        let two = commit(&spool, &content(500, 2)).await;
        drop(spool);
        let connection = Connection::open(folder.path().join("spool.db")).unwrap();
        let update = format!("UPDATE body SET file = {file} WHERE file IS NOT NULL");
        assert_eq!(connection.execute(&update, []).unwrap(), 1);
        drop(connection);
        let spool = open(folder.path());
        assert_eq!(spool.set_aside(), None);
        assert_eq!(
            (spool.swept(), files(folder.path()).len()),
            (0, 1),
            "{file}"
        );
        assert!(matches!(
            spool.load(one).await,
            Err(SpoolError::Damaged { .. })
        ));
        assert!(spool.load(two).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_orphan_that_cannot_be_removed_is_no_reason_not_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    commit(&spool, &content(300_000, 1)).await;
    drop(spool);
    let shard = files(folder.path())[0].parent().unwrap().to_owned();
    fs::create_dir(shard.join("0123456789abcdef0123456789abcdef")).unwrap();
    fs::write(shard.join("0123456789abcdef0123456789abcd00"), b"orphan").unwrap();
    assert_eq!(open(folder.path()).swept(), 1);
}

#[tokio::test]
async fn orphans_are_swept_and_only_orphans() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = commit(&spool, &content(300_000, 1)).await;
    drop(spool);
    let known = files(folder.path()).pop().unwrap();
    let shard = known.parent().unwrap();
    fs::write(shard.join("0123456789abcdef0123456789abcdef"), b"orphan").unwrap();
    fs::write(shard.join("README"), b"not ours").unwrap();
    let spool = open(folder.path());
    assert_eq!(spool.swept(), 1);
    assert_eq!(files(folder.path()).len(), 2);
    assert!(spool.load(id).await.unwrap().is_some());
}

#[tokio::test]
async fn below_min_free_nothing_is_accepted_but_results_are() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = commit(&spool, &content(500, 1)).await;
    let late = new(&spool, &content(500, 2)).await;
    drop(spool);
    let tight = Options {
        min_free: u64::MAX,
        ..options(folder.path())
    };
    let spool = Embedded::open(&tight, time(0)).unwrap();
    assert!(
        spool
            .receive(Purpose::Mail)
            .is_err_and(|error| error.is_no_space())
    );
    assert!(
        spool
            .insert(late)
            .await
            .is_err_and(|error| error.is_no_space())
    );
    let mut update = MessageUpdate::new(id);
    update.due = Some(Due::At(time(60)));
    spool.update(update).await.unwrap();
    assert_eq!(spool.next_due().await.unwrap(), Some(time(60)));
    spool.remove(id).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_leaves_no_half() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    // SQLite says the same as it does on a full disk when it may not make more pages.
    let disk = Arc::new(SystemDisk);
    let options = options(folder.path());
    let spool = super::super::open::open_with(&options, time(0), disk, |connection| {
        connection.pragma_update(None, "max_page_count", 60)
    })
    .unwrap();
    let mut kept = Vec::new();
    let refused = loop {
        let next = content(20_000, kept.len() as u64);
        let new = new(&spool, &next).await;
        let id = new.message.id;
        match spool.insert(new).await {
            Ok(_) => kept.push((id, next)),
            Err(error) => {
                assert!(error.is_no_space(), "{error}");
                break id;
            }
        }
    };
    assert!(!kept.is_empty());
    assert!(spool.load(refused).await.unwrap().is_none());
    assert_eq!(spool.counts().await.unwrap().submit, kept.len() as u64);
    // What goes makes room again.
    let (gone, _) = kept.pop().unwrap();
    spool.remove(gone).await.unwrap();
    kept.push((
        commit(&spool, &content(20_000, 99)).await,
        content(20_000, 99),
    ));
    for (id, content) in kept {
        let loaded = spool.load(id).await.unwrap().unwrap();
        assert_eq!(read(&*loaded.content).await, content);
    }
}
