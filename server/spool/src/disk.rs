//! The one seam between a store and the disk under its contents, its log and its folders.
//!
//! A promise of the spool is a promise about the order of these operations. Tests put a [`Disk`] of
//! their own here that records them, makes them fail, or pretends that the disk is full.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// What is free in a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// Octets that this process may still use.
    pub octets: u64,
    /// Further files can be made.
    pub names: bool,
}

/// The operations by which a store reaches its disk. Every method blocks; its default is what the
/// system does.
pub trait Disk: Send + Sync {
    /// Makes a file that must not be there, for its owner alone, to be written and read back.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        options.open(path)
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    /// Appends octets to a file that [`Disk::create`] made.
    ///
    /// # Errors
    /// The system's.
    fn write(&self, mut file: &File, _path: &Path, octets: &[u8]) -> io::Result<()> {
        file.write_all(octets)
    }

    /// Fills the buffer from a place in a file.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::UnexpectedEof`] when the file ends before.
    fn read(&self, file: &File, _path: &Path, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(buffer, offset)
    }

    /// Brings what was written to a file to stable storage.
    ///
    /// # Errors
    /// The system's. What the file holds then is not known, also when a later call succeeds.
    fn sync(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_data()
    }

    /// Brings the names in a folder to stable storage.
    ///
    /// # Errors
    /// The system's, as for [`Disk::sync`].
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    /// Gives a file this many octets of the disk, whether or not it is written.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::StorageFull`] when they are not there.
    fn allocate(&self, file: &File, _path: &Path, octets: u64) -> io::Result<()> {
        match fallocate(file, FallocateFlags::empty(), 0, octets) {
            Ok(()) => Ok(()),
            // Not every file system knows it: then the octets are written.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(file, octets),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at what is free around a folder.
    ///
    /// # Errors
    /// The system's.
    fn free(&self, folder: &Path) -> io::Result<Free> {
        let found = statvfs(folder)?;
        Ok(Free {
            octets: found.f_bavail.saturating_mul(found.f_frsize),
            // Some file systems have no fixed number of inodes and say 0.
            names: found.f_files == 0 || found.f_favail > 0,
        })
    }
}

fn fill(file: &File, octets: u64) -> io::Result<()> {
    let zeros = [0_u8; 64 * 1024];
    let mut offset = 0;
    while offset < octets {
        let length = usize::try_from(octets - offset).unwrap_or(zeros.len());
        let piece = zeros.get(..length.min(zeros.len())).unwrap_or(&zeros);
        file.write_all_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    Ok(())
}

/// The disk of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {}
