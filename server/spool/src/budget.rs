//! How much of what is on disk already may stay in memory for the first delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The part of a budget that one content may hold.
const SHARE: u64 = 8;

/// Octets of contents that a store keeps in memory although they are on disk, so that their first
/// delivery reads no disk. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    left: Arc<AtomicU64>,
    /// Most that one content holds.
    each: u64,
}

impl Budget {
    /// A budget of so many octets; one content holds at most an eighth of it.
    #[must_use]
    pub fn new(octets: u64) -> Self {
        Self {
            left: Arc::new(AtomicU64::new(octets)),
            each: octets / SHARE,
        }
    }

    /// A hold on nothing yet.
    pub(crate) fn hold(&self) -> Held {
        Held {
            budget: self.clone(),
            octets: 0,
        }
    }
}

/// What one content holds of a budget, until it is dropped.
pub(crate) struct Held {
    budget: Budget,
    octets: u64,
}

impl Held {
    /// Holds more; false if there is not as much.
    pub(crate) fn grow(&mut self, octets: u64) -> bool {
        if octets > self.budget.each.saturating_sub(self.octets) {
            return false;
        }
        let take = |left: u64| left.checked_sub(octets);
        let left = &self.budget.left;
        let taken = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok();
        if taken {
            self.octets += octets;
        }
        taken
    }

    /// Holds nothing any more.
    pub(crate) fn give_back(&mut self) {
        let octets = std::mem::take(&mut self.octets);
        self.budget.left.fetch_add(octets, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hold_what_there_is_and_one_an_eighth_of_it() {
        let budget = Budget::new(80);
        let mut first = budget.hold();
        assert!(!first.grow(11), "more than its share");
        assert!(first.grow(6) && first.grow(4));
        assert!(!first.grow(1), "its share is held");
        let mut others: Vec<_> = (0..8).map(|_| budget.hold()).collect();
        let held = others
            .iter_mut()
            .filter_map(|other| other.grow(10).then_some(()));
        assert_eq!(held.count(), 7, "all of it is held then");
        first.give_back();
        assert!(others.last_mut().is_some_and(|last| last.grow(10)));
        drop(others);
        assert_eq!(budget.left.load(Ordering::Relaxed), 80);
        assert!(!Budget::default().hold().grow(1));
    }
}
