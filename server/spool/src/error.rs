//! What can go wrong in a spool, sorted by what follows from it.

use std::io;
use std::path::PathBuf;

use postern_message::MessageId;
use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE};

/// A failure of the spool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The disk is full, or less is free than `min_free`. To a client: 452 4.3.1.
    #[error("not enough space in the spool")]
    NoSpace,
    /// Reading or writing failed. To a client: 451 4.3.0.
    #[error("spool {what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// SQLite failed for another reason than space. To a client: 451 4.3.0.
    #[error("spool database: {0}")]
    Database(String),
    /// No message has this id.
    #[error("no message {0} in the spool")]
    Unknown(MessageId),
    /// A change was made under a claim that has ended: somebody else may have the message.
    #[error("the claim on message {0} has ended")]
    LeaseLost(MessageId),
    /// A message that is already there.
    #[error("message {0} is in the spool already")]
    Duplicate(MessageId),
    /// A key that was used before: what it stands for is done.
    #[error("the key was used before by {0}")]
    KeyUsed(String),
    /// The record or the content of a message is damaged. It is kept aside; others go on.
    #[error("message {id} is damaged: {what}")]
    Damaged {
        /// The message.
        id: MessageId,
        /// What does not fit.
        what: String,
    },
    /// A version whose content is still arriving cannot be committed: the caller's mistake.
    #[error("message {0} was committed before its content was complete")]
    Incomplete(MessageId),
    /// A content that another store has received: the caller's mistake.
    #[error("the content of message {0} was received by another store")]
    Foreign(MessageId),
    /// The disk failed to take a commit. What it holds now is not known, so nothing is written any
    /// more until the program starts anew. To a client: 451 4.3.0.
    #[error("the spool's disk failed and the spool takes nothing more until a restart: {0}")]
    Failed(String),
    /// The store has been closed, or its writer ended.
    #[error("the spool is closed")]
    Closed,
    /// Another process holds the spool.
    #[error("the spool {} is in use by {}", path.display(), holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")))]
    Locked {
        /// The spool's folder.
        path: PathBuf,
        /// Its process id, where known.
        holder: Option<u32>,
    },
    /// The spool was written by a newer program.
    #[error("the spool {} has format {found}, this program reads format {known}; postern {needs} or later reads it", path.display())]
    Format {
        /// The spool's folder.
        path: PathBuf,
        /// The format that was found.
        found: u32,
        /// The format that this program knows.
        known: u32,
        /// The first program version that can read it, as the spool says.
        needs: String,
    },
    /// The folder is on a network file system, where locks and syncs cannot be relied on.
    #[error("the spool {} is on {kind}, a network file system; a local one is needed", path.display())]
    NetworkFileSystem {
        /// The spool's folder.
        path: PathBuf,
        /// Its kind.
        kind: &'static str,
    },
}

impl SpoolError {
    /// An input or output error; a full disk by its own name.
    pub(crate) fn io(what: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Io { what, source },
        }
    }

    /// Nothing more can be accepted for want of space.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace)
    }
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        match is_no_space(&error) {
            true => Self::NoSpace,
            false => Self::Database(error.to_string()),
        }
    }
}

/// SQLite found no room. It says so in other words where its index of the WAL finds none.
pub(crate) fn is_no_space(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.extended_code,
            SQLITE_FULL | SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_SHMMAP
        ),
        _ => false,
    }
}
