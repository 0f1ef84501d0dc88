//! Messages that wait for room at a destination: claimed, due, and not in memory but for their names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use postern_delivery::Destination;
use postern_message::MessageId;
use postern_spool::{Claimed, Lease};
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
    /// When it is taken up whether or not there is room, and who sees to that.
    alarm: Option<(SystemTime, Arc<Alarms>)>,
}

/// When parked messages are to be taken up for others of their recipients than those that wait for room. A message leaves
/// with the first who takes it.
#[derive(Default)]
pub(crate) struct Alarms {
    parked: Mutex<BTreeMap<(SystemTime, MessageId), Weak<Parked>>>,
}

impl Alarms {
    /// When the next one is to be taken up.
    pub(crate) fn next(&self) -> Option<SystemTime> {
        let parked = self.parked.lock();
        let ((due, _), _) = parked.first_key_value()?;
        Some(*due)
    }

    /// Takes the next one whose time has come: it waits nowhere any more.
    pub(crate) fn take(&self, now: SystemTime) -> Option<Claimed> {
        loop {
            let (due, parked) = {
                let mut parked = self.parked.lock();
                let first = parked.first_entry().filter(|first| first.key().0 <= now)?;
                let ((due, _), parked) = first.remove_entry();
                (due, parked)
            };
            // Its last name may have been dropped meanwhile, or somebody has taken it.
            let taken = parked.upgrade().and_then(|parked| parked.take());
            if let Some((lease, weight)) = taken {
                return Some(Claimed { lease, due, weight });
            }
        }
    }
}

impl Parked {
    pub(crate) fn new(lease: Lease, octets: u64, slots: Arc<Slots>) -> Self {
        Self {
            lease,
            octets,
            slots,
            taken: AtomicBool::new(false),
            not_before: AtomicU64::new(0),
            alarm: None,
        }
    }

    /// It waits no longer than until others of its recipients are due.
    pub(crate) fn until(mut self, due: SystemTime, alarms: &Arc<Alarms>) -> Arc<Self> {
        self.alarm = Some((due, Arc::clone(alarms)));
        let parked = Arc::new(self);
        let key = (due, parked.lease.message);
        alarms.parked.lock().insert(key, Arc::downgrade(&parked));
        parked
    }

    /// The message.
    pub(crate) fn id(&self) -> MessageId {
        self.lease.message
    }

    /// The claim and the size in memory, for who takes it first.
    pub(crate) fn take(&self) -> Option<(Lease, u64)> {
        let first = !self.taken.swap(true, Ordering::AcqRel);
        if first {
            self.stop_alarm();
        }
        first.then_some((self.lease, self.octets))
    }

    fn stop_alarm(&self) {
        if let Some((due, alarms)) = &self.alarm {
            alarms.parked.lock().remove(&(*due, self.lease.message));
        }
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
        self.stop_alarm();
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
