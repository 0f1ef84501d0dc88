//! The state folder as whoever accepts, checks or serves meets it: its owner's alone, and written to without following
//! links.
//!
//! `postern check --accept` may run as root in a folder that belongs to the gateway's user. Every name in there is
//! opened from the folder's own descriptor, a link is never followed, and what is made is given to the folder's owner.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, access, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Bits of a mode with which the group or others may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// What is wrong with a folder that others may change, and what to do. `None`: it is its owner's alone.
///
/// Who may write to the state folder can put a consent of his own into it, or take mail away.
#[must_use]
pub fn exposed(folder: &Metadata) -> Option<(String, &'static str)> {
    let mode = folder.mode() & 0o7777;
    (folder.is_dir() && mode & WRITABLE_BY_OTHERS != 0).then(|| {
        (
            format!("its mode is {mode:04o}: others than its owner may write to it"),
            "chmod it to 0700; where that cannot be, name a folder of its own inside it",
        )
    })
}

/// The folder, or the one that it will be made in, if this user can use it.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) fn place(path: &Path) -> Result<&Path, (String, &'static str)> {
    // What is not there yet is made in the nearest folder that is.
    let there = path
        .ancestors()
        .find(|folder| folder.symlink_metadata().is_ok())
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let own = there == path;
    let shown = there.display();
    if !there.is_dir() {
        let what = match own {
            true => "is not a folder".to_owned(),
            false => format!("{shown} is not a folder"),
        };
        return Err((what, "name a folder on a local disk"));
    }
    let wanted = Access::WRITE_OK | Access::EXEC_OK | Access::READ_OK;
    match access(there, wanted) {
        Ok(()) => Ok(there),
        Err(error) if own => Err((
            format!("cannot be read and written: {error}"),
            "give it to the user that runs the gateway, and run the check as that user",
        )),
        Err(error) => Err((
            format!("cannot be made in {shown}: {error}"),
            "make it and give it to the user that runs the gateway",
        )),
    }
}

/// Makes the state folder for a user who may not, if there is none.
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_for(path: &Path, user: u32, group: u32) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let folder = Folder::make(path)?;
    fchown(&folder.folder, Some(user), Some(group))
}

/// A folder that is open: the state folder, or one in it.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: File,
}

impl Folder {
    /// Opens the state folder; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be opened, is no folder, or others may write to it.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        // The path is the configuration's: a link in it is the operator's own.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, path, flags, Mode::empty()) {
            Ok(folder) => Self::checked(folder.into()).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the state folder, and makes it for this user alone if there is none.
    ///
    /// # Errors
    /// As [`Folder::open`], or it cannot be made.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        if let Some(above) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(above)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Self::open(path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Opens a folder in this one; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be opened, is a link or no folder, or others may write to it.
    pub(crate) fn inner(&self, name: &str) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(folder) => Self::checked(folder.into()).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(not_followed(error)),
        }
    }

    /// Opens a folder in this one, and makes it if there is none.
    ///
    /// # Errors
    /// As [`Folder::inner`], or it cannot be made.
    pub(crate) fn make_inner(&self, name: &str) -> io::Result<Self> {
        let made = match mkdirat(&self.folder, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let Some(inner) = self.inner(name)? else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if made {
            self.give(&inner.folder)?;
            self.folder.sync_all()?;
        }
        Ok(inner)
    }

    /// Reads a file of at most `most` octets; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, is a link or no plain file, or is larger.
    pub(crate) fn read(&self, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        // Nothing waits for the other end of a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(not_followed(error)),
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("is no plain file"));
        }
        let mut octets = Vec::new();
        file.take(most + 1).read_to_end(&mut octets)?;
        match u64::try_from(octets.len()) {
            Ok(size) if size <= most => Ok(Some(octets)),
            _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "is too large")),
        }
    }

    /// Writes a file whole: after a crash the old one or the new one is there. A link of that name is replaced, never
    /// followed.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn write(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        let fresh = format!("{name}.new");
        // What an earlier attempt left, or somebody put there. The name goes, not what it leads to.
        self.remove(&fresh)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(
            &self.folder,
            &fresh,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?);
        self.give(&file)?;
        file.write_all(octets)?;
        file.sync_all()?;
        renameat(&self.folder, &fresh, &self.folder, name)?;
        self.folder.sync_all()
    }

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn checked(folder: File) -> io::Result<Self> {
        match exposed(&folder.metadata()?) {
            Some((what, _)) => Err(io::Error::new(io::ErrorKind::PermissionDenied, what)),
            None => Ok(Self { folder }),
        }
    }

    /// What root makes belongs to whom the folder belongs: the gateway has to read it.
    fn give(&self, made: &File) -> io::Result<()> {
        let (folder, own) = (self.folder.metadata()?, made.metadata()?);
        let is_root = rustix::process::geteuid().is_root();
        if is_root && (folder.uid(), folder.gid()) != (own.uid(), own.gid()) {
            fchown(made, Some(folder.uid()), Some(folder.gid()))?;
        }
        Ok(())
    }
}

/// A link is told as what it is: the system calls it a loop, or no folder.
fn not_followed(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => io::Error::other("is a symbolic link, and those are not followed here"),
        Errno::NOTDIR => io::Error::new(
            io::ErrorKind::NotADirectory,
            "is no folder, or a symbolic link, and those are not followed here",
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_folder_is_one_or_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(place(folder.path()), Ok(folder.path()));
        assert_eq!(place(&folder.path().join("a/b")), Ok(folder.path()));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(place(&file).unwrap_err().0, "is not a folder");
        let below = place(&file.join("state")).unwrap_err().0;
        assert!(below.ends_with("file is not a folder"), "{below}");
    }

    #[test]
    fn what_is_made_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/state");
        let state = Folder::make(&path).unwrap();
        let inner = state.make_inner("accepted").unwrap();
        inner.write("x.json", b"{}").unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("accepted")), 0o700);
        assert_eq!(mode(&path.join("accepted/x.json")), 0o600);
        assert_eq!(inner.read("x.json", 2).unwrap().unwrap(), b"{}");
        assert_eq!(
            inner.read("x.json", 1).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        assert!(inner.read("y.json", 1).unwrap().is_none());
    }

    #[test]
    fn links_are_neither_written_through_nor_read_through() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let path = folder.path().join("state");
        let state = Folder::make(&path).unwrap();
        for name in ["x.json.new", "x.json"] {
            symlink(&victim, path.join(name)).unwrap();
        }
        assert!(state.read("x.json", 100).is_err());
        state.write("x.json", b"new").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert!(path.join("x.json").symlink_metadata().unwrap().is_file());
        assert_eq!(state.read("x.json", 100).unwrap().unwrap(), b"new");
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, path.join("accepted")).unwrap();
        let error = state.make_inner("accepted").unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    /// Root accepts for the gateway's user, who has to read it.
    #[test]
    fn what_root_writes_belongs_to_the_owner_of_the_folder() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        Folder::make(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(4321), Some(1234)).unwrap();
        let state = Folder::make(&path).unwrap();
        let inner = state.make_inner("accepted").unwrap();
        inner.write("x.json", b"{}").unwrap();
        for name in ["accepted", "accepted/x.json"] {
            let found = fs::metadata(path.join(name)).unwrap();
            assert_eq!((found.uid(), found.gid()), (4321, 1234), "{name}");
        }
    }

    #[test]
    fn a_pipe_in_place_of_a_file_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let state = Folder::make(&folder.path().join("state")).unwrap();
        rustix::fs::mknodat(
            &state.folder,
            "x.json",
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        assert!(state.read("x.json", 100).is_err());
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, refused) in [
            (0o700, false),
            (0o755, false),
            (0o770, true),
            (0o1777, true),
        ] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let found = Folder::open(folder.path());
            assert_eq!(found.is_err(), refused, "{mode:o}");
            if let Err(error) = found {
                assert!(error.to_string().contains("others"), "{error}");
            }
        }
    }
}
