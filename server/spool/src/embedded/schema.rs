//! The database: how it is opened, what is in it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction};

/// The format of the spool that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 3;
/// The format before it, which becomes this one where it is.
pub(super) const PREVIOUS: u32 = 2;
/// The one before that, which is migrated after a copy.
pub(super) const FIRST: u32 = 1;
/// The first program version that reads [`FORMAT`].
pub(super) const NEEDS: &str = "0.1.0";

/// Databases up to this size are checked through and through when they are opened.
const CHECKED_SIZE: u64 = 64 * 1024 * 1024;

/// `message.record`, `message.stage` and `recipient.state` carry a CRC-32 over the message's id
/// (and the recipient's) and themselves in their last four octets; they are the truth about a
/// message. The other columns of `message`, and `delivery`, repeat some of it for those who search
/// and list. `used_key` has what must not be done again; its messages are ids of 16 octets one behind the other. `recipient` has only those whose state differs from the record's. Times are in
/// milliseconds since 1970; `due` NULL: not by itself.
///
/// A body is `content`, or the `size` octets of `file` from `start` on: the file of extents, or one of its
/// own. `sum` is the CRC-32 of all of it, `blocks` those of its blocks of 64 KiB (little-endian, four octets each). The facts
/// (`longest_line`, `last_eight_bit`, `flags`) are NULL where they were never found.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE body (
    seq INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    longest_line INTEGER,
    last_eight_bit INTEGER,
    flags INTEGER,
    file TEXT,
    start INTEGER NOT NULL,
    blocks BLOB,
    content BLOB
);
CREATE INDEX body_place ON body (file, start, size) WHERE file IS NOT NULL;
CREATE TABLE message (
    id BLOB PRIMARY KEY,
    kind INTEGER NOT NULL,
    due INTEGER,
    body INTEGER NOT NULL,
    server TEXT NOT NULL,
    sender TEXT NOT NULL,
    size INTEGER NOT NULL,
    received INTEGER NOT NULL,
    recipients INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT,
    stage BLOB NOT NULL,
    record BLOB NOT NULL,
    waits TEXT
) WITHOUT ROWID;
CREATE INDEX message_due ON message (due) WHERE due IS NOT NULL;
CREATE INDEX message_waits ON message (waits, id) WHERE waits IS NOT NULL;
CREATE INDEX message_sender ON message (sender);
CREATE TABLE recipient (
    message BLOB NOT NULL,
    id BLOB NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (message, id)
) WITHOUT ROWID;
CREATE TABLE delivery (
    message BLOB NOT NULL,
    destination TEXT NOT NULL,
    due INTEGER NOT NULL,
    state INTEGER NOT NULL,
    recipients INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (message, destination)
) WITHOUT ROWID;
CREATE INDEX delivery_destination ON delivery (destination, due);
CREATE TABLE used_key (
    owner TEXT NOT NULL,
    key BLOB NOT NULL,
    at INTEGER NOT NULL,
    messages BLOB NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE INDEX used_key_at ON used_key (at);
CREATE TABLE damaged (
    message BLOB PRIMARY KEY,
    why TEXT NOT NULL,
    found INTEGER NOT NULL
) WITHOUT ROWID;
";

/// A connection that writes. It syncs what a checkpoint needs; the log after a commit is synced by
/// the writer itself, through the [`Disk`](crate::Disk). It makes no checkpoints by itself.
pub(super) fn connect_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    // Closing must not write into a database that turns out to be damaged; see `trust`.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Of a database that is there it would write the first page.
    if std::fs::metadata(path).is_ok_and(|there| there.len() == 0) {
        connection.execute_batch("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;")?;
    }
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -8192;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Adds what the format has gained without a new number: a program that does not know it writes and reads the rest.
pub(super) fn complete(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS used_key (
             owner TEXT NOT NULL,
             key BLOB NOT NULL,
             at INTEGER NOT NULL,
             messages BLOB NOT NULL,
             PRIMARY KEY (owner, key)
         ) WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS used_key_at ON used_key (at);",
    )?;
    let has_waits = "SELECT 1 FROM pragma_table_info('message') WHERE name = 'waits'";
    if connection.prepare(has_waits)?.exists([])? {
        return Ok(());
    }
    connection.execute_batch(
        "BEGIN IMMEDIATE;
         ALTER TABLE message ADD COLUMN waits TEXT;
         CREATE INDEX message_waits ON message (waits, id) WHERE waits IS NOT NULL;
         COMMIT;",
    )
}

/// Makes the format before this one to this one. No row changes, so there is no copy.
pub(super) fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "DROP INDEX body_file;
         CREATE INDEX body_place ON body (file, start, size) WHERE file IS NOT NULL;",
    )?;
    transaction.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('format', ?1), ('needs', ?2)",
        (FORMAT.to_string(), NEEDS),
    )?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// The database is whole: the last one to close it may checkpoint.
pub(super) fn trust(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map(drop)
}

/// The disk has failed: closing writes nothing any more.
pub(super) fn distrust(connection: &Connection) {
    let off = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    if let Err(error) = off {
        tracing::error!(%error, "the spool's database cannot be left alone");
    }
}

/// A connection that only reads.
pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA trusted_schema = OFF;")?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

/// What the database says about itself.
pub(super) enum Found {
    /// There is nothing in it.
    Empty,
    /// A format, and the program version that it needs.
    Format(u32, String),
}

/// Reads the format, and checks the database as far as its size allows.
pub(super) fn examine(connection: &Connection, size: u64) -> rusqlite::Result<Found> {
    if size <= CHECKED_SIZE {
        let result: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if result != "ok" {
            return Err(damaged(result));
        }
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Found::Empty);
    }
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let needs = connection.query_row("SELECT value FROM meta WHERE key = 'needs'", [], |row| {
        row.get(0)
    });
    // What a newer format looks like is not known here.
    match needs {
        Err(_) if format > FORMAT => Ok(Found::Format(format, "a later version".to_owned())),
        needs => Ok(Found::Format(format, needs?)),
    }
}

fn damaged(what: String) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(what))
}

/// Makes the tables in an empty database.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    fill(&transaction)?;
    transaction.commit()
}

/// As [`create`], in a transaction that is open.
pub(super) fn fill(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('format', ?1), ('needs', ?2)",
        (FORMAT.to_string(), NEEDS),
    )?;
    transaction.pragma_update(None, "user_version", FORMAT)
}

/// Brings everything that is in the log into the database, synced, and empties the log. After a
/// start nothing in the log may be trusted before: a sync of it that failed in an earlier process
/// is not reported to this one, and its octets may be in memory alone.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<()> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    let what = "the log could not be emptied".to_owned();
    Err(rusqlite::Error::SqliteFailure(code, Some(what)))
}
