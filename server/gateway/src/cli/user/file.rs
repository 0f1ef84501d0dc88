//! The file of users: read, changed by one at a time, and replaced whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use postern_auth::{Document, Sender, UserName};
use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;
use tempfile::NamedTempFile;

use super::Failed;
use crate::cli::Exit;
use crate::front::submission::users_file::{self, UserFileError};

/// User and group that a file is given to; `None`: it stays whoever writes it.
pub(super) type Owner = Option<(u32, u32)>;

/// A file of users that nobody else changes meanwhile.
pub(super) struct UserFile {
    path: PathBuf,
    folder: File,
    owner: Owner,
    pub(super) document: Document,
}

impl UserFile {
    /// Waits until nobody else changes files in its folder, and reads it. One that is not there is empty.
    pub(super) fn open(path: PathBuf, owner: Owner) -> Result<Self, Failed> {
        let cannot =
            |error: &io::Error| Failed(Exit::CantCreate, format!("{}: {error}", path.display()));
        // What a link leads to is replaced, not the link.
        let path = match fs::canonicalize(&path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.clone(),
            Err(error) => return Err(cannot(&error)),
        };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = File::open(folder).map_err(|error| cannot(&error))?;
        flock(&folder, FlockOperation::LockExclusive).map_err(|error| cannot(&error.into()))?;
        let (document, owner) = match fs::metadata(&path) {
            Ok(there) => (read(&path)?, Some((there.uid(), there.gid()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let empty = Document::parse("");
                let empty = empty.map_err(|error| Failed(Exit::Software, error.to_string()))?;
                (empty, owner)
            }
            Err(error) => return Err(cannot(&error)),
        };
        Ok(Self {
            path,
            folder,
            owner,
            document,
        })
    }

    /// Which senders a user may name.
    pub(super) fn senders(&self, name: &UserName) -> Vec<Sender> {
        let users = self.document.users([0; 32]);
        users
            .find(name)
            .map_or_else(Vec::new, |user| user.senders.clone())
    }

    /// Replaces the file: whoever reads it finds the old one or the new one, whole, also after a power cut.
    pub(super) fn write(&self) -> Result<Exit, Failed> {
        let written = || -> io::Result<()> {
            let folder = match self.path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let mut file = NamedTempFile::new_in(folder)?;
            let mode = fs::Permissions::from_mode(0o600);
            file.as_file().set_permissions(mode)?;
            if let Some((uid, gid)) = self.owner.filter(|_| geteuid().is_root()) {
                fchown(file.as_file(), Some(uid), Some(gid))?;
            }
            file.write_all(self.document.to_string().as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)?;
            self.folder.sync_all()
        };
        match written() {
            Ok(()) => Ok(Exit::Ok),
            Err(error) => Err(Failed(
                Exit::CantCreate,
                format!("{}: {error}", self.path.display()),
            )),
        }
    }
}

/// Reads a file that has to be there.
pub(super) fn read(path: &Path) -> Result<Document, Failed> {
    users_file::read(path).map_err(|error| {
        let exit = match error {
            UserFileError::Read { .. } => Exit::IoErr,
            _ => Exit::Config,
        };
        Failed(exit, error.to_string())
    })
}
