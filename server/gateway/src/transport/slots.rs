//! Which messages are being worked on, and how many may be.
//!
//! A message in a slot is in memory: its record, and its content if that is small. All others wait in the spool.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use postern_message::MessageId;
use tokio::sync::Notify;

/// Messages from the spool that were done lately, kept so that they are not taken for new ones.
const RECENT: usize = 4096;

/// The bounded set of messages in memory.
pub(crate) struct Slots {
    most: usize,
    inner: Mutex<Inner>,
    /// Told when the scanner of the spool should look again.
    pub(crate) scan: Notify,
}

#[derive(Default)]
struct Inner {
    taken: HashSet<MessageId>,
    recent: VecDeque<MessageId>,
    /// Messages that are not touched again before a restart: what became of them could not be recorded, or the task that
    /// had them panicked. Taken up again at once they would be delivered again and again.
    left: HashSet<MessageId>,
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
}

/// A message's place in memory, until it is dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    id: MessageId,
    source: Source,
    left: AtomicBool,
}

impl Slots {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            inner: Mutex::new(Inner::default()),
            scan: Notify::new(),
        }
    }

    /// How many messages have a slot.
    pub(crate) fn count(&self) -> usize {
        self.inner.lock().taken.len()
    }

    /// A slot for a message. `None`: it has one, or had one just now, or there is none left; then it stays in the spool.
    /// A quarter of the slots is kept for messages that wait in the spool, so that new ones do not starve them.
    pub(crate) fn take(self: &Arc<Self>, id: MessageId, source: Source) -> Option<Slot> {
        let mut inner = self.inner.lock();
        let most = match source {
            Source::Fresh => self.most - self.most / 4,
            Source::Spool => self.most,
        };
        if inner.taken.contains(&id)
            || inner.left.contains(&id)
            || (source == Source::Fresh && inner.recent.contains(&id))
        {
            return None;
        }
        if inner.taken.len() >= most {
            inner.behind = true;
            return None;
        }
        inner.taken.insert(id);
        Some(Slot {
            slots: Arc::clone(self),
            id,
            source,
            left: AtomicBool::new(false),
        })
    }

    /// How many messages the scanner may take now. None left: it is told when there are.
    pub(crate) fn free(&self) -> usize {
        let mut inner = self.inner.lock();
        let free = self.most.saturating_sub(inner.taken.len());
        inner.behind = free == 0;
        free
    }

    /// The messages that the scanner is not to find: those in memory, and those that are left alone.
    pub(crate) fn taken(&self) -> HashSet<MessageId> {
        let inner = self.inner.lock();
        inner.taken.union(&inner.left).copied().collect()
    }
}

impl Slot {
    /// The message stays in the spool as it is, and is not touched again before a restart.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inner = self.slots.inner.lock();
        inner.taken.remove(&self.id);
        if self.left.load(Ordering::Relaxed) || std::thread::panicking() {
            inner.left.insert(self.id);
        } else if self.source == Source::Spool {
            if inner.recent.len() >= RECENT {
                inner.recent.pop_front();
            }
            inner.recent.push_back(self.id);
        }
        // Waking the scanner for each slot would make it read the spool in tiny portions.
        let roomy = inner.taken.len() <= self.slots.most / 2;
        if inner.behind && roomy {
            inner.behind = false;
            self.slots.scan.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_message_has_one_slot_and_slots_end() {
        let slots = Arc::new(Slots::new(4));
        let id = MessageId::new();
        let held = slots.take(id, Source::Spool).unwrap();
        assert!(slots.take(id, Source::Spool).is_none());
        let others: Vec<_> = (0..2)
            .filter_map(|_| slots.take(MessageId::new(), Source::Fresh))
            .collect();
        assert_eq!(others.len(), 2);
        assert!(
            slots.take(MessageId::new(), Source::Fresh).is_none(),
            "the last one is the spool's"
        );
        assert!(slots.take(MessageId::new(), Source::Spool).is_some());
        drop(held);
        assert!(
            slots.take(id, Source::Fresh).is_none(),
            "it was done a moment ago"
        );
        assert!(slots.take(id, Source::Spool).is_some());
    }

    #[test]
    fn what_could_not_be_recorded_is_not_taken_again() {
        let slots = Arc::new(Slots::new(4));
        let id = MessageId::new();
        slots.take(id, Source::Spool).unwrap().leave();
        assert!(slots.take(id, Source::Spool).is_none());
        assert!(slots.taken().contains(&id) && slots.count() == 0);
        let other = MessageId::new();
        let held = slots.take(other, Source::Fresh);
        let panicked = std::thread::spawn(move || {
            let _held = held;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert!(slots.take(other, Source::Spool).is_none());
    }
}
