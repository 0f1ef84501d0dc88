//! Reading from the database, over a few connections of their own.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use postern_message::encoding::{Reader, from_millis};
use postern_message::{Message, MessageId, RecipientId, RecipientState};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};
use tokio::sync::Semaphore;

use super::content::Stored;
use super::extents;
use super::ledger::Place;
use super::prepare::progress_key;
use super::schema;
use super::{Damage, Shared};
use crate::arrival::Arrival;
use crate::stage::Kind;
use crate::sums::BLOCK;
use crate::{Blob, ContentFacts, Due, SpoolError, Stage, StoredMessage, sums};

/// Connections, and so reads at a time.
const CONNECTIONS: usize = 4;

/// The connections that read.
pub(super) struct Readers {
    database: PathBuf,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Option<Vec<Connection>>>>,
}

impl Readers {
    pub(super) fn new(database: PathBuf) -> Self {
        Self {
            database,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Arc::new(Mutex::new(Some(Vec::new()))),
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
            let waiting = match &mut *idle.lock() {
                Some(idle) => idle.pop(),
                None => return Err(SpoolError::Closed),
            };
            let connection = match waiting {
                Some(connection) => connection,
                None => schema::connect_reader(&database)?,
            };
            let result = read(&connection);
            // One that failed is not trusted with the next read.
            if result.is_ok()
                && let Some(idle) = &mut *idle.lock()
            {
                idle.push(connection);
            }
            result
        });
        job.await
            .map_err(|error| SpoolError::io("reading", std::io::Error::other(error)))?
    }
}

impl Readers {
    /// Closes the connections; those that read just now are closed when they are done.
    pub(super) fn close(&self) {
        self.idle.lock().take();
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

/// Rows that are due at `now`, in order, from `after` on, and the memory that each takes: its record
/// and, up to 32 KiB, its content.
pub(super) fn due(
    connection: &Connection,
    now: i64,
    after: Option<Place>,
    limit: usize,
) -> Result<Vec<(Place, u64)>, SpoolError> {
    let mut statement = connection.prepare_cached(
        "SELECT due, id, weight + min(size, 32768) FROM message
         WHERE due >= ?1 AND due <= ?2 AND (due > ?1 OR id > ?3) ORDER BY due, id LIMIT ?4",
    )?;
    let (from, id) = after.map_or((i64::MIN, Vec::new()), |(due, id)| {
        (due, id.as_bytes().to_vec())
    });
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((from, now, id, limit), |row| {
        let place = (row.get(0)?, MessageId::from_bytes(row.get(1)?));
        Ok((place, octets(row.get(2)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The weights of messages, of those that are there.
pub(super) fn weights(
    connection: &Connection,
    ids: &[MessageId],
) -> Result<HashMap<MessageId, u64>, SpoolError> {
    let mut statement =
        connection.prepare_cached("SELECT weight + min(size, 32768) FROM message WHERE id = ?1")?;
    let mut weights = HashMap::new();
    for id in ids {
        let weight = statement.query_row([id.as_bytes()], |row| row.get(0).map(octets));
        if let Some(weight) = weight.optional()? {
            weights.insert(*id, weight);
        }
    }
    Ok(weights)
}

/// When a row is due, if it is due by itself, and its weight; `None`: it is not there.
pub(super) fn place(
    connection: &Connection,
    id: MessageId,
) -> Result<Option<(Option<i64>, u64)>, SpoolError> {
    let found = connection
        .prepare_cached("SELECT due, weight + min(size, 32768) FROM message WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok((row.get(0)?, octets(row.get(1)?)))
        });
    Ok(found.optional()?)
}

/// When the first row after `after` is due that `passed` does not pass by.
pub(super) fn next_due(
    connection: &Connection,
    after: Option<Place>,
    passed: impl Fn(MessageId) -> bool,
) -> Result<Option<i64>, SpoolError> {
    let mut statement = connection.prepare_cached(
        "SELECT due, id FROM message WHERE due >= ?1 AND (due > ?1 OR id > ?2) ORDER BY due, id",
    )?;
    let (from, id) = after.map_or((i64::MIN, Vec::new()), |(due, id)| {
        (due, id.as_bytes().to_vec())
    });
    let mut rows = statement.query((from, id))?;
    while let Some(row) = rows.next()? {
        if !passed(MessageId::from_bytes(row.get(1)?)) {
            return Ok(Some(row.get(0)?));
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
    shared: &Shared,
    id: MessageId,
) -> Result<Loaded, SpoolError> {
    // Until the content that the row names is pinned.
    let _looking = shared.extents.look();
    // One transaction: message, progress and content are those of one moment.
    let transaction = connection.unchecked_transaction()?;
    let found = transaction
        .prepare_cached("SELECT kind, due, body, stage, record FROM message WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok(whole(&transaction, shared, id, row))
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
    shared: &Shared,
    id: MessageId,
    row: &Row<'_>,
) -> Result<StoredMessage, Trouble> {
    let stage: Vec<u8> = row.get(3)?;
    let record: Vec<u8> = row.get(4)?;
    let record = unseal(id.as_bytes(), &record, "record")?;
    let head = Message::head_octets(&record).map_err(bad)?;
    let (content, head) = content(connection, shared, row.get(2)?, head)?;
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

fn octets(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A body's row.
struct Body {
    size: i64,
    sum: u32,
    facts: Option<ContentFacts>,
    file: Option<String>,
    start: i64,
    blocks: Option<Vec<u8>>,
    content: Option<Vec<u8>>,
}

fn body(row: &Row<'_>) -> rusqlite::Result<Body> {
    let longest_line: Option<i64> = row.get(2)?;
    let last_eight_bit: Option<i64> = row.get(3)?;
    let flags: Option<u8> = row.get(4)?;
    let facts = longest_line.zip(flags).map(|(longest, flags)| {
        ContentFacts::from_parts(octets(longest), last_eight_bit.map(octets), flags)
    });
    Ok(Body {
        size: row.get(0)?,
        sum: row.get(1)?,
        facts,
        file: row.get(5)?,
        start: row.get(6)?,
        blocks: row.get(7)?,
        content: row.get(8)?,
    })
}

/// The content, and its first octets. What is in the database is checked here, what is in a file
/// when it is read.
fn content(
    connection: &Connection,
    shared: &Shared,
    seq: i64,
    head: u64,
) -> Result<(Arrival, Bytes), Trouble> {
    let found = connection
        .prepare_cached(
            "SELECT size, sum, longest_line, last_eight_bit, flags, file, start, blocks, content
             FROM body WHERE seq = ?1",
        )?
        .query_row([seq], body)
        .optional()?;
    let body = found.ok_or_else(|| damage("its content is not there"))?;
    let size = u64::try_from(body.size).map_err(|_| damage("its size is negative"))?;
    match (body.file, body.content) {
        (None, Some(bytes)) => {
            let bytes = Bytes::from(bytes);
            if bytes.len() as u64 != size || sums::checksum(&[], &bytes) != body.sum {
                return Err(damage("its content does not fit its checksum"));
            }
            let head = usize::try_from(head).unwrap_or(usize::MAX).min(bytes.len());
            let head = bytes.slice(..head);
            Ok((Arrival::of_memory(bytes, body.facts), head))
        }
        (Some(name), None) => {
            let blocks = body
                .blocks
                .map(|blocks| decode_blocks(&blocks, size))
                .transpose()?;
            let stored = match name.as_str() {
                extents::NAME => {
                    let place = extents::Place::of_row(body.start, body.size);
                    let place = place.ok_or_else(|| damage("its place cannot be"))?;
                    Stored::in_extents(&shared.extents, place, blocks)
                }
                name => in_file(shared, name, body.start, size, blocks)?,
            };
            if stored.blocks.is_none() && stored.sum().map_err(unreadable)? != body.sum {
                return Err(damage("its content file does not fit its checksum"));
            }
            let head = read_head(&stored, head.min(size))?;
            let stored: Arc<dyn Blob> = Arc::new(stored);
            Ok((Arrival::of_blob(stored, size, body.facts), head))
        }
        _ => Err(damage("its content is in no place, or in two")),
    }
}

fn decode_blocks(blocks: &[u8], size: u64) -> Result<Arc<[u32]>, Trouble> {
    let (sums, rest) = blocks.as_chunks::<4>();
    if !rest.is_empty() || sums.len() as u64 != size.div_ceil(BLOCK as u64) {
        return Err(damage("its checksums do not fit its size"));
    }
    Ok(sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect())
}

fn in_file(
    shared: &Shared,
    name: &str,
    start: i64,
    length: u64,
    blocks: Option<Arc<[u32]>>,
) -> Result<Stored, Trouble> {
    let offset = u64::try_from(start).map_err(|_| damage("its place is negative"))?;
    let (file, path) = shared.folder.read(name).map_err(unreadable)?;
    let there = file.metadata().map_err(unreadable)?;
    let end = offset.saturating_add(length);
    // Whatever stands behind it in a file of its own is not ours.
    if !there.is_file() || there.len() < end || (offset == 0 && there.len() != end) {
        return Err(damage("its content file does not fit its size"));
    }
    Ok(Stored {
        file: Arc::new(file),
        path,
        disk: Arc::clone(&shared.disk),
        offset,
        length,
        blocks,
        _pin: None,
    })
}

fn read_head(stored: &Stored, length: u64) -> Result<Bytes, Trouble> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut head = BytesMut::new();
    while head.len() < length {
        let piece = stored.read_at(head.len() as u64, length - head.len());
        let piece = piece.map_err(unreadable)?;
        if piece.is_empty() {
            return Err(damage("its content ends too early"));
        }
        head.extend_from_slice(&piece);
    }
    Ok(head.freeze())
}

/// A content file that cannot be read concerns its message alone, unless it is the process that has
/// no means left to read any.
fn unreadable(error: io::Error) -> Trouble {
    use rustix::io::Errno;
    let process = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::INTR,
        Errno::AGAIN,
    ];
    let code = Errno::from_io_error(&error);
    match code.is_some_and(|code| process.contains(&code)) {
        true => Trouble::Failed(SpoolError::io("reading content", error)),
        false if error.kind() == io::ErrorKind::NotFound => damage("its content file is not there"),
        false => Trouble::Damaged(format!("its content cannot be read: {error}")),
    }
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
