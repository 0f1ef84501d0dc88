//! The one seam between a store and the disk under its contents, its log and its folders.
//!
//! A promise of the spool is a promise about the order of these operations. Tests put a [`Disk`] of
//! their own here that records them, makes them fail, or pretends that the disk is full.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::pwritev;

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

    /// Opens a file to be written and read back, and makes it, for its owner alone, if there is none. A
    /// link is refused.
    ///
    /// # Errors
    /// The system's.
    fn open_or_create(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        options.custom_flags(no_link).open(path)
    }

    /// Appends octets to a file that [`Disk::create`] made.
    ///
    /// # Errors
    /// The system's.
    fn write(&self, mut file: &File, _path: &Path, octets: &[u8]) -> io::Result<()> {
        file.write_all(octets)
    }

    /// Writes pieces, one behind the other, to a place in a file.
    ///
    /// # Errors
    /// The system's.
    fn write_at(
        &self,
        file: &File,
        _path: &Path,
        mut pieces: &mut [IoSlice<'_>],
        mut offset: u64,
    ) -> io::Result<()> {
        while !pieces.is_empty() {
            match pwritev(file, pieces, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    IoSlice::advance_slices(&mut pieces, written);
                    offset += written as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
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

    /// Gives a file so many octets of the disk from `offset` on, whether or not they are written. The
    /// file grows to hold them.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::StorageFull`] when they are not there.
    fn allocate(&self, file: &File, _path: &Path, offset: u64, octets: u64) -> io::Result<()> {
        match fallocate(file, FallocateFlags::empty(), offset, octets) {
            Ok(()) => Ok(()),
            // Not every file system knows it: then the octets are written.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                fill(file, offset, octets)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives octets in the middle of a file back to the file system; they read as zeros then.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::Unsupported`] where the file system cannot do it.
    fn punch(&self, file: &File, _path: &Path, offset: u64, octets: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(file, flags, offset, octets)?)
    }

    /// Cuts a file off at this size.
    ///
    /// # Errors
    /// The system's.
    fn cut(&self, file: &File, _path: &Path, size: u64) -> io::Result<()> {
        file.set_len(size)
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

fn fill(file: &File, offset: u64, octets: u64) -> io::Result<()> {
    let zeros = [0_u8; 64 * 1024];
    let mut done = 0;
    while done < octets {
        let length = usize::try_from(octets - done).unwrap_or(zeros.len());
        let piece = zeros.get(..length.min(zeros.len())).unwrap_or(&zeros);
        file.write_all_at(piece, offset + done)?;
        done += piece.len() as u64;
    }
    Ok(())
}

/// The disk of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {}
