//! The folders of a Maildir, opened one in the other.
//!
//! What stands before the first placeholder of a template is the operator's own, links included. Below it the folders
//! belong to people, who may put anything there while we look: each is opened from the one above it, a link is never
//! followed, and what root makes is given to the owner of the folder that it is made in.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// A folder that is open.
#[derive(Debug)]
pub(super) struct Folder(File);

/// Where a folder is: a path whose links are followed, and names below it, none of which may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    above: PathBuf,
    names: Vec<OsString>,
}

impl Place {
    /// A path whose first components, `own` in number, are the operator's; `None` if something below them is no name.
    pub(super) fn new(path: &Path, own: usize) -> Option<Self> {
        let mut components = path.components();
        let above: PathBuf = components.by_ref().take(own).collect();
        let names = components.map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            _ => None,
        });
        Some(Self {
            above,
            names: names.collect::<Option<_>>()?,
        })
    }

    /// Opens it; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be opened, or a link stands in its way.
    pub(super) fn open(&self) -> io::Result<Option<Folder>> {
        let mut folder = match open_own(&self.above) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        for name in &self.names {
            folder = match folder.inner(name)? {
                Some(inner) => inner,
                None => return Ok(None),
            };
        }
        Ok(Some(folder))
    }

    /// Opens it, and makes what is not there for its owner alone. Each folder is synced where it was made: a message is not
    /// safe in one that is not.
    ///
    /// # Errors
    /// As [`Place::open`], or it cannot be made.
    pub(super) fn make(&self) -> io::Result<Folder> {
        let mut folder = match open_own(&self.above) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_own(&self.above)?;
                open_own(&self.above)?
            }
            opened => opened?,
        };
        for name in &self.names {
            folder = folder.make_inner(name)?;
        }
        Ok(folder)
    }
}

fn open_own(path: &Path) -> io::Result<Folder> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Folder(openat(CWD, path, flags, Mode::empty())?.into()))
}

/// Makes a folder with those above it, whose place nobody but the operator has a say in.
fn make_own(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_own(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Somebody was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    File::open(parent)?.sync_all()
}

impl Folder {
    fn inner(&self, name: impl rustix::path::Arg) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.0, name, flags, Mode::empty()) {
            Ok(folder) => Ok(Some(Self(folder.into()))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(not_followed(error)),
        }
    }

    /// Opens a folder in this one, and makes it if there is none.
    ///
    /// # Errors
    /// It cannot be opened or made, or is a link.
    pub(super) fn make_inner(&self, name: impl rustix::path::Arg + Copy) -> io::Result<Self> {
        if let Some(inner) = self.inner(name)? {
            return Ok(inner);
        }
        let made = match mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) => true,
            // Somebody was quicker.
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let inner = self.inner(name)?.ok_or(io::ErrorKind::NotFound)?;
        if made {
            self.give(&inner.0)?;
            self.0.sync_all()?;
        }
        Ok(inner)
    }

    /// Makes a file that was not there. What an earlier attempt left under this name, which nobody else uses, goes.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = match openat(&self.0, name, flags, mode) {
            Err(Errno::EXIST) => {
                self.remove(name)?;
                openat(&self.0, name, flags, mode)?
            }
            opened => opened?,
        };
        let file = File::from(file);
        self.give(&file)?;
        Ok(file)
    }

    /// Whether a name is there, whatever it is.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn has(&self, name: &str) -> io::Result<bool> {
        match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a name fits that is there.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn has_one(&self, fits: impl Fn(&str) -> bool) -> io::Result<bool> {
        for entry in Dir::read_from(&self.0)? {
            if entry?.file_name().to_str().is_ok_and(&fits) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves a file into another folder.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn move_to(&self, name: &str, other: &Self) -> io::Result<()> {
        Ok(renameat(&self.0, name, &other.0, name)?)
    }

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts its names on stable storage.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// What root makes belongs to whom the folder belongs: it is that person's mail.
    fn give(&self, made: &File) -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let (folder, own) = (self.0.metadata()?, made.metadata()?);
        if (folder.uid(), folder.gid()) != (own.uid(), own.gid()) {
            fchown(made, Some(folder.uid()), Some(folder.gid()))?;
        }
        Ok(())
    }
}

/// A link is told as what it is: the system calls it a loop, or no folder.
fn not_followed(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::NOTDIR => io::Error::new(
            io::ErrorKind::NotADirectory,
            "a part of the mailbox's path is no folder, or a symbolic link, and those are not followed there",
        ),
        error => error.into(),
    }
}
