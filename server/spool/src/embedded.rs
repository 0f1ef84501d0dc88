//! The embedded store: SQLite in WAL mode, and files for large bodies.

use std::path::PathBuf;

use crate::SpoolError;

/// How an embedded store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state folder. Made when it is not there.
    pub path: PathBuf,
    /// Octets that must be free before anything is accepted.
    pub min_free: u64,
}

/// The embedded store driver.
pub struct Embedded {}

impl Embedded {
    /// Opens the spool in a folder, and makes it if there is none. Blocks: call it at start.
    ///
    /// # Errors
    /// When another process holds it, its format is newer, it is on a network file system, or the
    /// disk fails.
    pub fn open(options: &Options) -> Result<Self, SpoolError> {
        let _ = options;
        Err(SpoolError::Closed)
    }
}
