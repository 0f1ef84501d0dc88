//! The database: how it is opened, what is in it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// The format of the spool that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
/// The first program version that reads [`FORMAT`].
pub(super) const NEEDS: &str = "0.1.0";

/// Databases up to this size are checked through and through when they are opened.
const CHECKED_SIZE: u64 = 64 * 1024 * 1024;

/// `message.record`, `message.stage` and `recipient.state` carry a CRC-32 over the message's id
/// (and the recipient's) and themselves in their last four octets; `body.sum` is one over the
/// content. `recipient` has only those whose state differs from the record's. `due` is in
/// milliseconds since 1970; NULL: not by itself.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE body (
    seq INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    file TEXT,
    content BLOB
);
CREATE INDEX body_file ON body (file) WHERE file IS NOT NULL;
CREATE TABLE message (
    id BLOB PRIMARY KEY,
    kind INTEGER NOT NULL,
    due INTEGER,
    body INTEGER NOT NULL,
    stage BLOB NOT NULL,
    record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX message_due ON message (due) WHERE due IS NOT NULL;
CREATE TABLE recipient (
    message BLOB NOT NULL,
    id BLOB NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (message, id)
) WITHOUT ROWID;
CREATE TABLE damaged (
    message BLOB PRIMARY KEY,
    why TEXT NOT NULL,
    found INTEGER NOT NULL
) WITHOUT ROWID;
";

/// A connection that writes: full sync, no checkpoints by itself.
pub(super) fn connect_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    // Closing must not write into a database that turns out to be damaged; see `trust`.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch(
        "PRAGMA page_size = 4096;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -8192;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// The database is whole: the last one to close it may checkpoint.
pub(super) fn trust(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map(drop)
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
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('format', ?1), ('needs', ?2)",
        (FORMAT.to_string(), NEEDS),
    )?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}
