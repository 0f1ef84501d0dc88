//! The file of users, read again when it changes.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_auth::{Document, Users, UsersError};

use crate::runtime::reload::{Reload, Stamp};

/// Octets of a file that is read.
const MAX_FILE: u64 = 64 << 20;

/// Why a file of users cannot be used. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum UserFileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// It is larger than 64 MiB.
    #[error("{}: larger than 64 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// What it says cannot be used.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: UsersError,
    },
    /// The system has no randomness.
    #[error("the system gives no random octets")]
    Random,
}

/// A file of users.
#[derive(Debug)]
pub struct UserFile {
    path: PathBuf,
    /// Stands in for the file's secret, where it has none.
    random: [u8; 32],
    users: ArcSwap<Users>,
}

impl UserFile {
    /// Reads the file. Blocks.
    ///
    /// # Errors
    /// [`UserFileError`]
    pub fn load(path: PathBuf) -> Result<Self, UserFileError> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| UserFileError::Random)?;
        let users = read(&path)?.users(random);
        Ok(Self {
            path,
            random,
            users: ArcSwap::from_pointee(users),
        })
    }

    /// The users as the file had them when it was read last.
    #[must_use]
    pub fn users(&self) -> Arc<Users> {
        self.users.load_full()
    }
}

impl Reload for UserFile {
    fn name(&self) -> String {
        format!("users {}", self.path.display())
    }

    fn stamp(&self) -> Stamp {
        Stamp::of([self.path.as_path()])
    }

    fn reload(&self) -> Result<(), String> {
        let document = read(&self.path).map_err(|error| error.to_string())?;
        self.users.store(Arc::new(document.users(self.random)));
        Ok(())
    }
}

/// Reads a file of users. Blocks.
///
/// # Errors
/// [`UserFileError`]
pub fn read(path: &Path) -> Result<Document, UserFileError> {
    let failed = |source| UserFileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    let octets = file
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if octets as u64 > MAX_FILE {
        return Err(UserFileError::TooLarge {
            path: path.to_owned(),
        });
    }
    Document::parse(&text).map_err(|source| UserFileError::Content {
        path: path.to_owned(),
        source,
    })
}
