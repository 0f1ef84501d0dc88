//! From the first format to this one.
//!
//! A new database is built beside the old one and synced, then the old one gets a second name, under
//! which it stays, and the new one takes its place by a rename. Whatever moment a crash picks, the
//! database is either the old one, whole, or the new one, whole. Contents in files stay where they
//! are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use postern_message::{Message, MessageId};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row};

use super::prepare::{Columns, columns, reason};
use super::schema::{self, FIRST};
use super::write::{Body, insert_body};
use crate::disk::Disk;
use crate::files::Folder;
use crate::stage::Kind;
use crate::sums;
use crate::{ContentFacts, SpoolError, Stage};

/// Migrates `database`, which nobody has open any more. Returns where the old one is now.
pub(super) fn migrate(
    disk: &dyn Disk,
    folder: &Path,
    database: &Path,
    contents: &Folder,
) -> Result<PathBuf, SpoolError> {
    let io = |error| SpoolError::io("migrating to the new format", error);
    let next = folder.join("spool.db.next");
    remove_if_there(disk, &next).map_err(io)?;
    let log = folder.join("spool.db-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let still = io::Error::other("the log of the old database is not empty");
        return Err(io(still));
    }
    build(database, &next, contents)?;
    let file = disk.open(&next).map_err(io)?;
    disk.sync(&file, &next).map_err(io)?;
    let copy = folder.join(format!("spool.db.format-{FIRST}"));
    remove_if_there(disk, &copy).map_err(io)?;
    fs::hard_link(database, &copy).map_err(io)?;
    disk.sync_folder(folder).map_err(io)?;
    // The index of the old log must not be found beside the new database.
    for ending in ["-wal", "-shm"] {
        remove_if_there(disk, &folder.join(format!("spool.db{ending}"))).map_err(io)?;
    }
    fs::rename(&next, database).map_err(io)?;
    disk.sync_folder(folder).map_err(io)?;
    Ok(copy)
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes what the old database has into a new one, as one transaction.
fn build(old: &Path, next: &Path, contents: &Folder) -> Result<(), SpoolError> {
    let old = Connection::open_with_flags(
        old,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    super::open::make_private(next).map_err(|error| SpoolError::io("making", error))?;
    let mut new = Connection::open(next)?;
    new.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;",
    )?;
    let transaction = new.transaction()?;
    schema::fill(&transaction)?;
    let mut statement = old.prepare("SELECT id, kind, due, body, stage, record FROM message")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        message(&old, &transaction, row, contents)?;
    }
    copy(
        &old,
        "SELECT message, id, state FROM recipient",
        &transaction,
        "INSERT INTO recipient (message, id, state) VALUES (?1, ?2, ?3)",
    )?;
    copy(
        &old,
        "SELECT message, why, found FROM damaged",
        &transaction,
        "INSERT INTO damaged (message, why, found) VALUES (?1, ?2, ?3)",
    )?;
    transaction.commit()?;
    new.close().map_err(|(_, error)| error.into())
}

fn copy(old: &Connection, select: &str, new: &Connection, insert: &str) -> Result<(), SpoolError> {
    let mut select = old.prepare(select)?;
    let mut insert = new.prepare(insert)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values: [Value; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        insert.execute(values)?;
    }
    Ok(())
}

fn message(
    old: &Connection,
    new: &Connection,
    row: &Row<'_>,
    contents: &Folder,
) -> Result<(), SpoolError> {
    let id: [u8; 16] = row.get(0)?;
    let stage: Vec<u8> = row.get(4)?;
    let record: Vec<u8> = row.get(5)?;
    let (seq, size, content) = body(old, new, row.get(3)?)?;
    // What cannot be read is carried over as it is: it is set aside when its turn comes.
    let columns = read(MessageId::from_bytes(id), &record, &content, contents)
        .unwrap_or_else(|| unknown(record.len()));
    let why = match Kind::of(row.get(1)?) {
        Some(Kind::Damaged) => old
            .query_row("SELECT why FROM damaged WHERE message = ?1", [id], |row| {
                row.get(0)
            })
            .ok(),
        _ => sums::open(&id, &stage)
            .and_then(|stage| Stage::decode(Bytes::copy_from_slice(stage)).ok())
            .and_then(|stage| reason(&stage)),
    };
    new.prepare_cached(
        "INSERT INTO message (id, kind, due, body, server, sender, size, received, recipients,
             weight, attempts, reason, stage, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(rusqlite::params![
        id,
        row.get::<_, i64>(1)?,
        row.get::<_, Option<i64>>(2)?,
        seq,
        columns.server,
        columns.sender,
        size,
        columns.received,
        columns.recipients,
        columns.weight,
        columns.attempts,
        why,
        stage,
        record,
    ])?;
    Ok(())
}

/// Where the content of a message is.
enum Content {
    Inline(Vec<u8>),
    File(String),
    Nowhere,
}

/// Carries a body over: its number, its size, and where the content is.
fn body(old: &Connection, new: &Connection, seq: i64) -> Result<(i64, i64, Content), SpoolError> {
    let found = old
        .prepare_cached("SELECT size, sum, file, content FROM body WHERE seq = ?1")?
        .query_row([seq], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, u32>(1)?,
                row.get::<_, Option<String>>(2)?,
                row.get::<_, Option<Vec<u8>>>(3)?,
            ))
        });
    let (size, sum, file, content) = match found {
        Ok(found) => found,
        // The message is damaged, and stays so: no row has this number.
        Err(rusqlite::Error::QueryReturnedNoRows) => return Ok((-1, 0, Content::Nowhere)),
        Err(error) => return Err(error.into()),
    };
    let body = Body {
        size,
        sum,
        facts: content.as_deref().map(ContentFacts::of),
        file: file.as_deref(),
        start: 0,
        // The file is checked as a whole when it is read.
        blocks: None,
        content: content.as_deref(),
    };
    let seq = insert_body(new, &body)?;
    let content = match (file, content) {
        (_, Some(content)) => Content::Inline(content),
        (Some(file), None) => Content::File(file),
        (None, None) => Content::Nowhere,
    };
    Ok((seq, size, content))
}

/// The columns of a message whose record can be read.
fn read(id: MessageId, record: &[u8], content: &Content, contents: &Folder) -> Option<Columns> {
    let length = record.len();
    let record = Bytes::copy_from_slice(sums::open(id.as_bytes(), record)?);
    let octets = usize::try_from(Message::head_octets(&record).ok()?).ok()?;
    let head = match content {
        Content::Inline(content) => content.get(..octets)?.to_vec(),
        Content::File(name) => {
            let (file, path) = contents.read(name).ok()?;
            let mut head = vec![0; octets.min(MOST_HEAD)];
            contents.disk.read(&file, &path, &mut head, 0).ok()?;
            head
        }
        Content::Nowhere => return None,
    };
    let message = Message::decode(&record, &head.into()).ok()?;
    Some(columns(&message, length))
}

/// No header section is longer.
const MOST_HEAD: usize = 64 * 1024 * 1024;

fn unknown(length: usize) -> Columns {
    Columns {
        server: String::new(),
        sender: String::new(),
        received: 0,
        recipients: 0,
        weight: length as i64,
        attempts: 0,
    }
}
