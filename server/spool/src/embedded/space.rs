//! How much room there is, and for what.
//!
//! New mail needs `min_free` octets on the disk. Results of deliveries need none of that: without
//! them nothing could leave a full spool. For the case that another program fills the disk to the
//! last octet some of it is kept in a file, and given up when a result finds no room.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::disk::Disk;
use crate::{Purpose, SpoolError};

/// How long an answer about free space holds.
const FRESH: Duration = Duration::from_millis(250);
/// Octets that are kept for results: some ten thousand of them.
const RESERVE: u64 = 8 * 1024 * 1024;

pub(super) struct Space {
    folder: PathBuf,
    min_free: u64,
    disk: Arc<dyn Disk>,
    /// Octets in the database that nothing uses: new mail finds room there too.
    pub(super) unused: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    last: Option<(Instant, bool)>,
    /// The file is there with all its octets.
    reserve: Option<File>,
}

impl Space {
    pub(super) fn new(folder: PathBuf, min_free: u64, disk: Arc<dyn Disk>) -> Self {
        let space = Self {
            folder,
            min_free,
            disk,
            unused: AtomicU64::new(0),
            inner: Mutex::default(),
        };
        space.inner.lock().reserve = space.keep();
        space
    }

    /// There is room for this.
    pub(super) fn check(&self, purpose: Purpose) -> Result<(), SpoolError> {
        if purpose == Purpose::Notification {
            return Ok(());
        }
        let mut inner = self.inner.lock();
        let enough = match inner.last {
            Some((at, enough)) if at.elapsed() < FRESH => enough,
            _ => {
                let enough = self.look(&mut inner)?;
                inner.last = Some((Instant::now(), enough));
                enough
            }
        };
        match enough {
            true => Ok(()),
            false => Err(SpoolError::NoSpace),
        }
    }

    fn look(&self, inner: &mut Inner) -> Result<bool, SpoolError> {
        let free = self
            .disk
            .free(&self.folder)
            .map_err(|error| SpoolError::io("looking for free space", error))?;
        let unused = self.unused.load(Ordering::Relaxed);
        if free.octets.saturating_add(unused) < self.min_free || !free.names {
            return Ok(false);
        }
        if inner.reserve.is_none() && free.octets >= RESERVE {
            inner.reserve = self.keep();
        }
        // Without it new mail could take the last octet, and nothing could leave any more.
        Ok(inner.reserve.is_some())
    }

    fn keep(&self) -> Option<File> {
        let path = self.folder.join("spool.reserve");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(super::open::NO_LINK)
            .open(&path);
        let kept = file.and_then(|file| {
            self.disk.allocate(&file, &path, 0, RESERVE)?;
            Ok(file)
        });
        match kept {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::debug!(%error, "no room for the spool's reserve");
                // What there is of it is of more use to others.
                let mut there = OpenOptions::new();
                there.write(true).custom_flags(super::open::NO_LINK);
                if let Ok(file) = there.open(&path)
                    && let Err(error) = file.set_len(0)
                {
                    tracing::debug!(%error, "the spool's reserve cannot be emptied");
                }
                None
            }
        }
    }

    /// A result found no room: gives up the reserve. False if it was given up before.
    pub(super) fn give_up_reserve(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.last = None;
        let Some(file) = inner.reserve.take() else {
            return false;
        };
        tracing::warn!("the disk is full; the spool's reserve is used to record deliveries");
        match file.set_len(0) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the spool's reserve cannot be given up");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::disk::Free;
    use std::path::Path;

    /// A disk with so many octets left.
    struct Left(AtomicU64);

    impl Disk for Left {
        fn free(&self, _: &Path) -> std::io::Result<Free> {
            Ok(Free {
                octets: self.0.load(Ordering::Relaxed),
                names: true,
            })
        }

        fn allocate(&self, file: &File, _: &Path, _: u64, octets: u64) -> std::io::Result<()> {
            match self.0.load(Ordering::Relaxed) >= octets {
                true => file.set_len(octets),
                false => Err(std::io::ErrorKind::StorageFull.into()),
            }
        }
    }

    fn is_taken(space: &Space) -> bool {
        space.inner.lock().last = None;
        space.check(Purpose::Mail).is_ok()
    }

    #[test]
    fn the_reserve_is_given_up_once_and_made_again_before_mail_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(Left(AtomicU64::new(2 * RESERVE)));
        let as_disk = Arc::clone(&disk) as Arc<dyn Disk>;
        let space = Space::new(folder.path().to_owned(), 0, as_disk);
        let size = || {
            std::fs::metadata(folder.path().join("spool.reserve"))
                .unwrap()
                .len()
        };
        assert_eq!(size(), RESERVE);
        assert!(is_taken(&space));
        // Another program takes all there is.
        disk.0.store(0, Ordering::Relaxed);
        assert!(space.give_up_reserve());
        assert_eq!(size(), 0);
        assert!(!space.give_up_reserve(), "there is no second one");
        assert!(
            !is_taken(&space),
            "with no reserve no mail is taken, whatever min_free is"
        );
        assert!(space.check(Purpose::Notification).is_ok());
        disk.0.store(RESERVE - 1, Ordering::Relaxed);
        assert!(!is_taken(&space));
        disk.0.store(RESERVE, Ordering::Relaxed);
        assert!(is_taken(&space));
        assert_eq!(size(), RESERVE);
    }

    #[test]
    fn unused_pages_of_the_database_are_room_for_mail() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(Left(AtomicU64::new(10 * RESERVE)));
        let as_disk = Arc::clone(&disk) as Arc<dyn Disk>;
        let space = Space::new(folder.path().to_owned(), 20 * RESERVE, as_disk);
        assert!(!is_taken(&space));
        space.unused.store(10 * RESERVE, Ordering::Relaxed);
        assert!(is_taken(&space));
    }
}
