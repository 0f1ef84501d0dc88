//! Which messages are being worked on, and how many may be.
//!
//! A message in a slot is in memory: its record, and its content if that is small or has just come. So slots are bounded twice, by their
//! number and by the octets that the messages take. All others wait in the spool.
//!
//! Every claim that transport has goes back through here. Whoever waits for one, since an operator acts on the message, is
//! given it before anybody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use postern_message::MessageId;
use postern_spool::{Lease, Store, StoredMessage, weight_in_hand};
use tokio::sync::{Notify, oneshot};

use super::parked::{Alarms, Parked, Place};

/// Octets that all messages in memory may take together.
pub(crate) const MEMORY: u64 = 32 * 1024 * 1024;

/// The bounded set of messages in memory.
pub(crate) struct Slots {
    most: usize,
    store: Arc<dyn Store>,
    inner: Mutex<Inner>,
    /// Who waits for which claim.
    awaited: Mutex<HashMap<MessageId, oneshot::Sender<GivenUp>>>,
    /// Told when the scanner of the spool should look again.
    pub(crate) scan: Notify,
    /// When messages are to be taken up that wait for room at a destination.
    pub(crate) alarms: Arc<Alarms>,
}

#[derive(Default)]
struct Inner {
    taken: usize,
    octets: u64,
    /// Due messages were left in the spool for want of a slot.
    behind: bool,
}

/// Where a message comes from that wants a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It was just committed.
    Fresh,
    /// It was found due in the spool.
    Spool,
    /// An operator acts on it.
    Operator,
}

/// A claim that was given up, and about how many octets of memory its message takes.
pub(crate) type GivenUp = (Lease, u64);

/// Waits for a claim, until it is dropped.
pub(crate) struct Awaited {
    slots: Arc<Slots>,
    id: MessageId,
    given: oneshot::Receiver<GivenUp>,
}

impl Awaited {
    /// The claim, in a slot, as soon as whoever has it is done with the message.
    pub(crate) async fn claim(&mut self) -> Option<Slot> {
        let (lease, octets) = (&mut self.given).await.ok()?;
        Some(self.slots.take_for_operator(lease, octets))
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.slots.awaited.lock().remove(&self.id);
        // It came when nobody waited any more.
        self.given.close();
        if let Ok((lease, _)) = self.given.try_recv() {
            self.slots.store.release(lease, None);
            self.slots.scan.notify_one();
        }
    }
}

/// A message's place in memory, and the claim on it, until it is dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    lease: Lease,
    octets: u64,
    source: Source,
    left: AtomicBool,
    not_before: Mutex<Option<SystemTime>>,
    /// Destinations at which the message waits for room once it has no slot any more.
    parked: Mutex<Vec<Place>>,
    /// When others of its recipients are due than those that wait for room.
    others_due: Mutex<Option<SystemTime>>,
}

impl Slots {
    pub(crate) fn new(most: usize, store: Arc<dyn Store>) -> Self {
        Self {
            most: most.max(1),
            store,
            inner: Mutex::new(Inner::default()),
            awaited: Mutex::default(),
            scan: Notify::new(),
            alarms: Arc::default(),
        }
    }

    /// How many messages have a slot.
    pub(crate) fn count(&self) -> usize {
        self.inner.lock().taken
    }

    /// A slot for a message that takes `octets`. `None`: there is no room; the claim is given back, and the message stays
    /// in the spool. A quarter of the room is kept for messages that wait in the spool, so that new ones do not starve
    /// them.
    pub(crate) fn take(
        self: &Arc<Self>,
        lease: Lease,
        source: Source,
        octets: u64,
    ) -> Option<Slot> {
        let slot = self.try_take(lease, source, octets);
        if slot.is_none() {
            self.give_back(lease, octets, None);
        }
        slot
    }

    /// A slot whether or not there is room: for the few messages that an operator acts on.
    pub(crate) fn take_for_operator(self: &Arc<Self>, lease: Lease, octets: u64) -> Slot {
        let mut inner = self.inner.lock();
        self.fill(&mut inner, lease, Source::Operator, octets)
    }

    /// Waits for the claim on a message that somebody has. `None`: somebody else waits for it already.
    pub(crate) fn await_claim(self: &Arc<Self>, id: MessageId) -> Option<Awaited> {
        let mut awaited = self.awaited.lock();
        if awaited.contains_key(&id) {
            return None;
        }
        let (give, given) = oneshot::channel();
        awaited.insert(id, give);
        Some(Awaited {
            slots: Arc::clone(self),
            id,
            given,
        })
    }

    /// Gives a claim to whoever waits for it, or back to the store.
    pub(crate) fn give_back(&self, lease: Lease, octets: u64, not_before: Option<SystemTime>) {
        let heir = self.awaited.lock().remove(&lease.message);
        let given = heir.map_or(Err((lease, octets)), |heir| heir.send((lease, octets)));
        if given.is_err() {
            self.store.release(lease, not_before);
        }
    }

    /// As [`Slots::take`], and the claim is kept if there is no room.
    pub(crate) fn try_take(
        self: &Arc<Self>,
        lease: Lease,
        source: Source,
        octets: u64,
    ) -> Option<Slot> {
        let mut inner = self.inner.lock();
        let share = |all: u64| match source {
            Source::Fresh => all - all / 4,
            Source::Spool | Source::Operator => all,
        };
        // One that is larger than all of it has it alone.
        let fits = inner.taken == 0 || inner.octets.saturating_add(octets) <= share(MEMORY);
        if !fits || inner.taken as u64 >= share(self.most as u64) {
            inner.behind = true;
            return None;
        }
        Some(self.fill(&mut inner, lease, source, octets))
    }

    fn fill(
        self: &Arc<Self>,
        inner: &mut Inner,
        lease: Lease,
        source: Source,
        octets: u64,
    ) -> Slot {
        inner.taken += 1;
        inner.octets += octets;
        Slot {
            slots: Arc::clone(self),
            lease,
            octets,
            source,
            left: AtomicBool::new(false),
            not_before: Mutex::default(),
            parked: Mutex::default(),
            others_due: Mutex::default(),
        }
    }

    /// How many messages the scanner may take now. None left: it is told when there are.
    pub(crate) fn free(&self) -> usize {
        let mut inner = self.inner.lock();
        let free = match inner.octets < MEMORY {
            true => self.most.saturating_sub(inner.taken),
            false => 0,
        };
        inner.behind |= free == 0;
        free
    }
}

/// About how many octets of memory a message takes while it is worked on.
pub(crate) fn octets(stored: &StoredMessage) -> u64 {
    stored.content.in_memory() + weight_in_hand(stored.message.recipients.len())
}

impl Slot {
    /// The message has so many recipients more. False: there is no room for them now.
    pub(crate) fn grow(&mut self, recipients: usize) -> bool {
        let octets = weight_in_hand(recipients) - weight_in_hand(0);
        let mut inner = self.slots.inner.lock();
        // One that is larger than all of it has it alone.
        let fits = inner.taken <= 1 || inner.octets.saturating_add(octets) <= MEMORY;
        if fits {
            inner.octets += octets;
            self.octets += octets;
        }
        fits
    }

    /// The claim on the message.
    pub(crate) fn lease(&self) -> Lease {
        self.lease
    }

    /// The message was found in the spool: this may not be the first time that it is worked on.
    pub(crate) fn is_found(&self) -> bool {
        self.source != Source::Fresh
    }

    /// The message stays in the spool as it is, and is not touched again before a restart.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// The message waits for room at this place, once it is done with all others.
    pub(crate) fn park(&self, place: Place) {
        self.parked.lock().push(place);
    }

    /// Recipients that do not wait for room are due at `time`: the message is taken up then, wherever it waits.
    pub(crate) fn others_are_due(&self, time: SystemTime) {
        *self.others_due.lock() = Some(time);
    }

    /// The message is due as its record says now.
    pub(crate) fn do_not_put_off(&self) {
        *self.not_before.lock() = None;
    }

    /// The message stays in the spool as it is, and is not taken up again before `time`.
    pub(crate) fn put_off(&self, time: SystemTime) {
        *self.not_before.lock() = Some(time);
    }
}

impl Slot {
    fn give_back(&self) {
        let slots = &self.slots;
        let not_before = *self.not_before.lock();
        let places = std::mem::take(&mut *self.parked.lock());
        let is_awaited = slots.awaited.lock().contains_key(&self.lease.message);
        if places.is_empty() || not_before.is_some() || is_awaited {
            return slots.give_back(self.lease, self.octets, not_before);
        }
        let parked = Parked::new(self.lease, self.octets, Arc::clone(slots));
        let parked = match *self.others_due.lock() {
            Some(due) => {
                let parked = parked.until(due, &slots.alarms);
                slots.scan.notify_one();
                parked
            }
            None => Arc::new(parked),
        };
        for place in places {
            place.wait(Arc::clone(&parked));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // What became of the message could not be recorded, or the task that had it panicked: taken up again at once it would
        // be delivered again and again. So the claim is kept.
        if !self.left.load(Ordering::Relaxed) && !std::thread::panicking() {
            self.give_back();
        }
        let mut inner = self.slots.inner.lock();
        inner.taken = inner.taken.saturating_sub(1);
        inner.octets = inner.octets.saturating_sub(self.octets);
        // Waking the scanner for each slot would make it read the spool in tiny portions.
        let roomy = inner.taken <= self.slots.most / 2 && inner.octets <= MEMORY / 2;
        let hungry = inner.behind && roomy;
        inner.behind &= !roomy;
        // Nobody else tells that a message may be due which an operator had.
        if hungry || self.source == Source::Operator {
            self.slots.scan.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use postern_message::MessageId;
    use postern_spool::{Embedded, Options};
    use std::time::Duration;

    fn store(folder: &tempfile::TempDir) -> Arc<dyn Store> {
        let options = Options {
            path: folder.path().to_owned(),
            min_free: 0,
            memory: 0,
        };
        Arc::new(Embedded::open(&options, SystemTime::UNIX_EPOCH).unwrap())
    }

    fn claim(store: &Arc<dyn Store>) -> Lease {
        store
            .adopt(MessageId::new(), SystemTime::UNIX_EPOCH)
            .unwrap()
    }

    #[test]
    fn slots_end_by_number_and_the_last_ones_are_the_spools() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let slots = Arc::new(Slots::new(4, Arc::clone(&store)));
        let held: Vec<_> = (0..3)
            .filter_map(|_| slots.take(claim(&store), Source::Fresh, 1))
            .collect();
        assert_eq!(held.len(), 3);
        let lease = claim(&store);
        assert!(slots.take(lease, Source::Fresh, 1).is_none());
        assert_eq!(slots.free(), 1);
        let last = slots.take(claim(&store), Source::Spool, 1);
        assert!(last.is_some() && slots.free() == 0);
        drop((held, last));
        assert_eq!((slots.count(), slots.free()), (0, 4));
    }

    #[test]
    fn slots_end_by_octets() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let slots = Arc::new(Slots::new(1000, Arc::clone(&store)));
        let huge = slots.take(claim(&store), Source::Spool, 2 * MEMORY);
        assert!(huge.is_some(), "one that is larger than all has it alone");
        assert!(slots.take(claim(&store), Source::Spool, 1).is_none());
        assert_eq!(slots.free(), 0);
        drop(huge);
        let held: Vec<_> = (0..20)
            .filter_map(|_| slots.take(claim(&store), Source::Spool, MEMORY / 10))
            .collect();
        assert_eq!(held.len(), 10);
    }

    #[tokio::test]
    async fn a_claim_goes_back_with_its_slot_unless_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let slots = Arc::new(Slots::new(4, Arc::clone(&store)));
        let lease = claim(&store);
        let slot = slots.take(lease, Source::Fresh, 1).unwrap();
        assert_eq!(store.renew(&[lease]).await.unwrap(), []);
        drop(slot);
        assert_eq!(store.renew(&[lease]).await.unwrap(), [lease]);
        let lease = claim(&store);
        slots.take(lease, Source::Fresh, 1).unwrap().leave();
        assert_eq!(store.renew(&[lease]).await.unwrap(), []);
        let lease = claim(&store);
        let held = slots.take(lease, Source::Fresh, 1);
        let panicked = std::thread::spawn(move || {
            let _held = held;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert_eq!(store.renew(&[lease]).await.unwrap(), []);
        assert_eq!(slots.count(), 0);
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        let slot = slots.take(claim(&store), Source::Fresh, 1).unwrap();
        slot.put_off(later);
        drop(slot);
        assert_eq!(store.next_due().await.unwrap(), Some(later));
    }
}
