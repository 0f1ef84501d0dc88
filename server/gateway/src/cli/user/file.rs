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
    mode: u32,
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
        let (document, owner, mode) = match fs::metadata(&path) {
            Ok(there) => (
                read(&path)?,
                Some((there.uid(), there.gid())),
                // A group that reads it goes on reading; nobody else does.
                there.mode() & 0o640,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let empty = Document::parse("");
                let empty = empty.map_err(|error| Failed(Exit::Software, error.to_string()))?;
                (empty, owner, 0o600)
            }
            Err(error) => return Err(cannot(&error)),
        };
        may_give(&path, owner, geteuid().as_raw())?;
        Ok(Self {
            path,
            folder,
            owner,
            mode,
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
            if let Some((uid, gid)) = self.owner {
                let own = file.as_file().metadata()?;
                let (uid, gid) = (
                    Some(uid).filter(|uid| *uid != own.uid()),
                    Some(gid).filter(|gid| *gid != own.gid()),
                );
                if uid.is_some() || gid.is_some() {
                    fchown(file.as_file(), uid, gid)?;
                }
            }
            // Once it is its owner's: before, the group is another.
            let mode = fs::Permissions::from_mode(self.mode);
            file.as_file().set_permissions(mode)?;
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

/// Whether whoever runs the command can give the file to its owner. A file that is someone else's could not be read by the
/// gateway.
fn may_give(path: &Path, owner: Owner, runs_as: u32) -> Result<(), Failed> {
    match owner {
        Some((uid, _)) if runs_as != 0 && runs_as != uid => {
            let line = format!(
                "{}: belongs to the user with the number {uid}, and only that user or root can write it anew; run the command as one of them",
                path.display()
            );
            Err(Failed(Exit::CantCreate, line))
        }
        _ => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_owner_and_root_write_it() {
        let path = Path::new("users.toml");
        for (owner, runs_as, may) in [
            (None, 1000, true),
            (Some((1000, 1000)), 1000, true),
            (Some((1000, 1000)), 0, true),
            (Some((0, 0)), 1000, false),
            (Some((999, 1000)), 1000, false),
        ] {
            assert_eq!(
                may_give(path, owner, runs_as).is_ok(),
                may,
                "{owner:?} {runs_as}"
            );
        }
        let said = may_give(path, Some((999, 1)), 1000).err().map(|own| own.1);
        assert!(said.is_some_and(|line| line.starts_with("users.toml: belongs to")));
    }
}
