//! Reading from the database, over a few connections of their own.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use postern_message::encoding::{Reader, from_millis};
use postern_message::{Message, MessageId, RecipientId, RecipientState};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};
use tokio::sync::Semaphore;

use super::Damage;
use super::prepare::progress_key;
use super::schema;
use crate::arrival::{Arrival, read_exact_at};
use crate::files::Folder;
use crate::stage::Kind;
use crate::{Due, SpoolError, Stage, StoredMessage, sums};

/// Connections, and so reads at a time.
const CONNECTIONS: usize = 4;
/// Octets of a file that are checked in one go.
const STRIDE: usize = 256 * 1024;

/// The connections that read.
pub(super) struct Readers {
    database: PathBuf,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(database: PathBuf) -> Self {
        Self {
            database,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Arc::new(Mutex::new(Vec::new())),
        }
    }

    /// Runs a read on the blocking pool.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| SpoolError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let database = self.database.clone();
        let job = tokio::task::spawn_blocking(move || {
            let _place = place;
            let waiting = idle.lock().pop();
            let connection = match waiting {
                Some(connection) => connection,
                None => schema::connect_reader(&database)?,
            };
            let result = read(&connection);
            // One that failed is not trusted with the next read.
            if result.is_ok() {
                idle.lock().push(connection);
            }
            result
        });
        job.await
            .map_err(|error| SpoolError::io("reading", std::io::Error::other(error)))?
    }
}

/// What a message turned out to be.
pub(super) enum Loaded {
    Gone,
    Whole(Box<StoredMessage>),
    Damaged {
        what: String,
        /// It was set aside before.
        known: bool,
    },
}

pub(super) fn due(
    connection: &Connection,
    now: i64,
    limit: usize,
    exclude: &HashSet<MessageId>,
) -> Result<Vec<MessageId>, SpoolError> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM message WHERE due <= ?1 ORDER BY due, id")?;
    let mut rows = statement.query([now])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let id = MessageId::from_bytes(row.get(0)?);
        if !exclude.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

pub(super) fn next_due(
    connection: &Connection,
    exclude: &HashSet<MessageId>,
) -> Result<Option<i64>, SpoolError> {
    let mut statement = connection
        .prepare_cached("SELECT id, due FROM message WHERE due IS NOT NULL ORDER BY due, id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !exclude.contains(&MessageId::from_bytes(row.get(0)?)) {
            return Ok(row.get(1)?);
        }
    }
    Ok(None)
}

pub(super) fn damaged(connection: &Connection) -> Result<Vec<Damage>, SpoolError> {
    let mut statement =
        connection.prepare_cached("SELECT message, why, found FROM damaged ORDER BY message")?;
    let rows = statement.query_map([], |row| {
        Ok(Damage {
            id: MessageId::from_bytes(row.get(0)?),
            why: row.get(1)?,
            found: from_millis(row.get(2)?).unwrap_or(std::time::SystemTime::UNIX_EPOCH),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Why a message cannot be read: it is damaged, or reading failed.
enum Trouble {
    Damaged(String),
    Failed(SpoolError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            // A value of another type than was written.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Self::Damaged(error.to_string()),
            // A page that this message needs is broken.
            error if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                Self::Damaged(error.to_string())
            }
            other => Self::Failed(other.into()),
        }
    }
}

pub(super) fn load(
    connection: &Connection,
    folder: &Folder,
    id: MessageId,
) -> Result<Loaded, SpoolError> {
    // One transaction: message, progress and content are those of one moment.
    let transaction = connection.unchecked_transaction()?;
    let found = transaction
        .prepare_cached("SELECT kind, due, body, stage, record FROM message WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok(whole(&transaction, folder, id, row))
        })
        .optional()?;
    Ok(match found {
        None => Loaded::Gone,
        Some(Ok(message)) => Loaded::Whole(Box::new(message)),
        Some(Err(Trouble::Failed(error))) => return Err(error),
        Some(Err(Trouble::Damaged(what))) => {
            let known = transaction
                .prepare_cached("SELECT 1 FROM damaged WHERE message = ?1")?
                .exists([id.as_bytes()])?;
            Loaded::Damaged { what, known }
        }
    })
}

fn whole(
    connection: &Connection,
    folder: &Folder,
    id: MessageId,
    row: &Row<'_>,
) -> Result<StoredMessage, Trouble> {
    let stage: Vec<u8> = row.get(3)?;
    let record: Vec<u8> = row.get(4)?;
    let record = unseal(id.as_bytes(), &record, "record")?;
    let head = Message::head_octets(&record).map_err(bad)?;
    let (content, head) = content(connection, folder, row.get(2)?, head)?;
    let mut message = Message::decode(&record, &head).map_err(bad)?;
    if message.id != id {
        return Err(Trouble::Damaged("the record has another id".to_owned()));
    }
    progress(connection, &mut message)?;
    let stage = Stage::decode(unseal(id.as_bytes(), &stage, "stage")?).map_err(bad)?;
    match Kind::of(row.get(0)?) {
        Some(Kind::Damaged) => {
            return Err(Trouble::Damaged("it was set aside before".to_owned()));
        }
        Some(kind) if kind == stage.kind() => {}
        _ => return Err(Trouble::Damaged("its stage does not fit".to_owned())),
    }
    let due: Option<i64> = row.get(1)?;
    Ok(StoredMessage {
        message: Arc::new(message),
        stage,
        due: due.and_then(from_millis).map_or(Due::Never, Due::At),
        content: Arc::new(content),
    })
}

/// The states that recipients have come to since the record was written.
fn progress(connection: &Connection, message: &mut Message) -> Result<(), Trouble> {
    let id = message.id;
    let mut statement =
        connection.prepare_cached("SELECT id, state FROM recipient WHERE message = ?1")?;
    let mut rows = statement.query([id.as_bytes()])?;
    let all = message.recipients.iter_mut();
    let mut all: HashMap<_, _> = all.map(|recipient| (recipient.id, recipient)).collect();
    while let Some(row) = rows.next()? {
        let recipient = RecipientId::from_bytes(row.get(0)?);
        let sealed: Vec<u8> = row.get(1)?;
        let record = unseal(&progress_key(id, recipient), &sealed, "recipient")?;
        let mut reader = Reader::new(record);
        let state = RecipientState::decode(&mut reader).map_err(bad)?;
        reader.end().map_err(bad)?;
        if let Some(found) = all.get_mut(&recipient) {
            found.state = state;
        }
    }
    Ok(())
}

/// The content, checked, and its first octets.
fn content(
    connection: &Connection,
    folder: &Folder,
    seq: i64,
    head: u64,
) -> Result<(Arrival, Bytes), Trouble> {
    let found = connection
        .prepare_cached("SELECT size, sum, file, content FROM body WHERE seq = ?1")?
        .query_row([seq], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, u32>(1)?,
                row.get::<_, Option<String>>(2)?,
                row.get::<_, Option<Vec<u8>>>(3)?,
            ))
        })
        .optional()?;
    let (size, sum, file, inline) = found.ok_or_else(|| damage("its content is not there"))?;
    let size = u64::try_from(size).map_err(|_| damage("its size is negative"))?;
    let head = usize::try_from(head).unwrap_or(usize::MAX);
    match (file, inline) {
        (None, Some(bytes)) => {
            let bytes = Bytes::from(bytes);
            if bytes.len() as u64 != size || sums::checksum(&[], &bytes) != sum {
                return Err(damage("its content does not fit its checksum"));
            }
            let head = bytes.slice(..head.min(bytes.len()));
            Ok((Arrival::of_memory(bytes), head))
        }
        (Some(name), None) => {
            let file = folder.read(&name).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => damage("its content file is not there"),
                _ => Trouble::Failed(SpoolError::io("opening content", error)),
            })?;
            let failed = |error| Trouble::Failed(SpoolError::io("reading content", error));
            let length = file.metadata().map_err(failed)?.len();
            if length != size || file_sum(&file, size).map_err(failed)? != sum {
                return Err(damage("its content file does not fit its checksum"));
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(head);
            let head = read_exact_at(&file, 0, length).map_err(failed)?;
            Ok((Arrival::of_file(file, size), head))
        }
        _ => Err(damage("its content is in no place, or in two")),
    }
}

fn file_sum(file: &File, size: u64) -> std::io::Result<u32> {
    let mut crc = crc32fast::Hasher::new();
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(size - offset).unwrap_or(STRIDE).min(STRIDE);
        crc.update(&read_exact_at(file, offset, length)?);
        offset += length as u64;
    }
    Ok(crc.finalize())
}

fn unseal(key: &[u8], sealed: &[u8], what: &str) -> Result<Bytes, Trouble> {
    match sums::open(key, sealed) {
        Some(record) => Ok(Bytes::copy_from_slice(record)),
        None => Err(Trouble::Damaged(format!(
            "its {what} does not fit its checksum"
        ))),
    }
}

fn damage(what: &str) -> Trouble {
    Trouble::Damaged(what.to_owned())
}

fn bad(error: postern_message::DecodeError) -> Trouble {
    Trouble::Damaged(error.to_string())
}
