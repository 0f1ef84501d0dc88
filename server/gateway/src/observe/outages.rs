//! Outages as one gateway has them, though each runtime thread has connections of its own and notices by itself.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Which runtime threads cannot use what. An outage begins with the first thread that notices, and ends with the last.
#[derive(Debug)]
pub(super) struct Outages<K>(HashMap<K, HashSet<usize>>);

/// What a thread's news is to the gateway as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The first that is heard of it, and it is well.
    First,
    /// An outage begins, or ends.
    Change,
    /// Others have said so before, or others still have it.
    None,
}

impl<K> Default for Outages<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Outages<K> {
    /// A thread cannot use it.
    pub(super) fn down(&mut self, key: K, thread: usize) -> News {
        let threads = self.0.entry(key).or_default();
        let begins = threads.is_empty();
        threads.insert(thread);
        if begins { News::Change } else { News::None }
    }

    /// A thread can use it.
    pub(super) fn up(&mut self, key: K, thread: usize) -> News {
        let Some(threads) = self.0.get_mut(&key) else {
            self.0.insert(key, HashSet::new());
            return News::First;
        };
        match threads.remove(&thread) && threads.is_empty() {
            true => News::Change,
            false => News::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_one_however_many_threads_notice_it() {
        let mut outages = Outages::default();
        assert_eq!(outages.up("a", 0), News::First);
        assert_eq!(outages.up("a", 1), News::None, "as well as the other");
        for _ in 0..2 {
            assert_eq!(outages.down("a", 0), News::Change);
            assert_eq!(outages.down("a", 1), News::None);
            assert_eq!(outages.up("a", 1), News::None, "the other still has it");
            assert_eq!(outages.up("a", 0), News::Change);
        }
        assert_eq!(outages.down("b", 1), News::Change, "it never was up");
        assert_eq!(outages.up("b", 0), News::None);
        assert_eq!(outages.up("b", 1), News::Change);
    }
}
