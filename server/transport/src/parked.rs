//! Messages that wait for room at a destination: claimed, due, and not in memory but for their names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use postern_delivery::Destination;
use postern_message::MessageId;
use postern_spool::Lease;
use tokio::sync::mpsc;

use super::scheduler::Tag;
use super::slots::Slots;

/// A message without a slot that waits at one or more destinations. The first that has room takes it; if none does, its
/// claim is given back.
pub(crate) struct Parked {
    lease: Lease,
    octets: u64,
    slots: Arc<Slots>,
    taken: AtomicBool,
    /// Not to be taken up before this time, in seconds since 1970.
    not_before: AtomicU64,
}

impl Parked {
    pub(crate) fn new(lease: Lease, octets: u64, slots: Arc<Slots>) -> Self {
        Self {
            lease,
            octets,
            slots,
            taken: AtomicBool::new(false),
            not_before: AtomicU64::new(0),
        }
    }

    /// The message.
    pub(crate) fn id(&self) -> MessageId {
        self.lease.message
    }

    /// The claim and the size in memory, for who takes it first.
    pub(crate) fn take(&self) -> Option<(Lease, u64)> {
        let first = !self.taken.swap(true, Ordering::AcqRel);
        first.then_some((self.lease, self.octets))
    }

    /// One of its destinations has no room for its name either. If no other has, it is found by its due time again, but not
    /// before `time`.
    pub(crate) fn put_off(&self, time: SystemTime) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        self.not_before
            .store(since.map_or(0, |since| since.as_secs()), Ordering::Release);
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if *self.taken.get_mut() {
            return;
        }
        let not_before = *self.not_before.get_mut();
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(not_before));
        let not_before = time.filter(|_| not_before > 0);
        self.slots.give_back(self.lease, self.octets, not_before);
    }
}

/// Where a message waits for room: a destination, by way of the worker that owns it.
pub(crate) struct Place {
    pub(crate) owner: mpsc::Sender<Waiting>,
    pub(crate) destination: Destination,
    pub(crate) tag: Tag,
}

/// A name for the worker that owns the destination.
pub(crate) struct Waiting {
    pub(crate) destination: Destination,
    pub(crate) tag: Tag,
    pub(crate) parked: Arc<Parked>,
}

impl Place {
    /// The message waits here. Never blocks: if the owner has too much to do it waits elsewhere, or goes back to the spool.
    pub(crate) fn wait(self, parked: Arc<Parked>) {
        let Self {
            owner,
            destination,
            tag,
        } = self;
        let waiting = Waiting {
            destination,
            tag,
            parked,
        };
        if let Err(error) = owner.try_send(waiting) {
            tracing::debug!(%error, "a message goes back to the spool");
        }
    }
}
