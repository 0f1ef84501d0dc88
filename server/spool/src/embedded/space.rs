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
            .open(&path);
        let kept = file.and_then(|file| {
            self.disk.allocate(&file, &path, RESERVE)?;
            Ok(file)
        });
        match kept {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::debug!(%error, "no room for the spool's reserve");
                // What there is of it is of more use to others.
                if let Ok(file) = OpenOptions::new().write(true).open(&path)
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
