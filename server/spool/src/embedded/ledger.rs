//! Which messages of the store are claimed, kept in memory: one process has them all.
//!
//! Due messages are found in the order of their due times, and what was found once is not looked at
//! again: the search goes on from a cursor. Whatever stands before the cursor and is not claimed is
//! in a list of its own, so that ten thousand messages in hand cost a search nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use postern_message::MessageId;

use crate::claim::Lease;

/// Messages that were claimed and are done, kept so that they are not adopted as new ones.
const RECENT: usize = 4096;

/// A place in the order of due times.
pub(super) type Place = (i64, MessageId);

#[derive(Default)]
pub(super) struct Ledger {
    /// Every row up to here is claimed, or in `behind`.
    cursor: Option<Place>,
    /// Rows that may be claimed without a search, by the time from which on.
    behind: BTreeSet<Place>,
    times: HashMap<MessageId, Behind>,
    claimed: HashMap<MessageId, Claim>,
    recent: VecDeque<MessageId>,
    is_recent: HashSet<MessageId>,
    /// Rows that changed while a search was under way, with their due times now; it may have seen
    /// them as they were.
    changed: Option<BTreeMap<MessageId, Option<i64>>>,
    last_token: u64,
}

/// A row in `behind`.
struct Behind {
    /// From when on it may be claimed.
    from: i64,
    /// When the row says that it is due: earlier, if it was put off.
    due: i64,
}

struct Claim {
    token: u64,
    due: Option<i64>,
    /// It came by a claim, not as a new one.
    found: bool,
    /// A commit said when it is due since it was claimed.
    said: bool,
}

impl Ledger {
    /// Claims up to `limit` of the messages that need no search.
    pub(super) fn take_behind(&mut self, now: i64, limit: usize) -> Vec<(Place, Lease)> {
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some(&(time, id)) = self.behind.first()
            && time <= now
        {
            let due = self.forget(id).unwrap_or(time);
            taken.push(((time, id), self.lease(id, Some(due), true)));
        }
        taken
    }

    /// A search begins: from the place that is returned on.
    pub(super) fn begin_search(&mut self) -> Option<Place> {
        self.changed = Some(BTreeMap::new());
        self.cursor
    }

    /// A search has found `rows`, in order. Claims up to `limit` of them. What is left over is found
    /// by the next search.
    pub(super) fn end_search(&mut self, rows: &[Place], limit: usize) -> Vec<(Place, Lease)> {
        let changed = self.changed.take().unwrap_or_default();
        let mut taken = Vec::new();
        for &(due, id) in rows {
            if taken.len() >= limit {
                break;
            }
            self.cursor = Some((due, id));
            let known = self.claimed.contains_key(&id)
                || self.times.contains_key(&id)
                || changed.contains_key(&id);
            if !known {
                taken.push(((due, id), self.lease(id, Some(due), true)));
            }
        }
        for (id, due) in changed {
            if !self.claimed.contains_key(&id) && !self.times.contains_key(&id) {
                self.note(id, due);
            }
        }
        taken
    }

    /// A search failed, or was given up.
    pub(super) fn give_up_search(&mut self) {
        let nothing = self.end_search(&[], 0);
        debug_assert!(nothing.is_empty());
    }

    /// The first row that needs no search, and where a search for the next one begins.
    pub(super) fn next(&self) -> (Option<i64>, Option<Place>) {
        (self.behind.first().map(|(time, _)| *time), self.cursor)
    }

    /// Whether a search is to pass this row by.
    pub(super) fn knows(&self, id: MessageId) -> bool {
        self.claimed.contains_key(&id) || self.times.contains_key(&id)
    }

    /// Claims a message that was just committed.
    pub(super) fn adopt(&mut self, id: MessageId, due: i64) -> Option<Lease> {
        if self.claimed.contains_key(&id) || self.is_recent.contains(&id) {
            return None;
        }
        self.forget(id);
        Some(self.lease(id, Some(due), false))
    }

    /// Claims a row before its time, or one that has none.
    pub(super) fn take(&mut self, id: MessageId, due: Option<i64>) -> Option<Lease> {
        if self.claimed.contains_key(&id) {
            return None;
        }
        self.forget(id);
        Some(self.lease(id, due, true))
    }

    /// The row was read under its claim: it is due then, unless a commit has said otherwise meanwhile. Returns when it is.
    pub(super) fn settle(&mut self, lease: Lease, due: Option<i64>) -> Option<i64> {
        let claim = self.claimed.get_mut(&lease.message)?;
        if claim.token == lease.token && !claim.said {
            claim.due = due;
        }
        claim.due
    }

    pub(super) fn holds(&self, lease: Lease) -> bool {
        self.claimed
            .get(&lease.message)
            .is_some_and(|claim| claim.token == lease.token)
    }

    /// Ends a claim. The row may be claimed again from its due time on, or from `not_before` on.
    pub(super) fn release(&mut self, lease: Lease, not_before: Option<i64>) {
        if !self.holds(lease) {
            return;
        }
        let id = lease.message;
        let Some(claim) = self.claimed.remove(&id) else {
            return;
        };
        if claim.found {
            self.remember(id);
        }
        let Some(due) = claim.due else { return };
        match not_before {
            // A search would find it too early.
            Some(from) if from > due => self.put_behind(id, Behind { from, due }),
            _ => self.note(id, Some(due)),
        }
    }

    /// A row was committed with this due time; `None`: it is not due by itself.
    pub(super) fn changed(&mut self, id: MessageId, due: Option<i64>) {
        if let Some(changed) = &mut self.changed {
            changed.insert(id, due);
        }
        if let Some(claim) = self.claimed.get_mut(&id) {
            claim.due = due;
            claim.said = true;
            return;
        }
        self.forget(id);
        self.note(id, due);
    }

    /// A row is gone.
    pub(super) fn removed(&mut self, id: MessageId) {
        self.changed(id, None);
        if self.claimed.contains_key(&id) {
            self.remember(id);
        }
    }

    /// Keeps a row that nobody has, if no search would come to it any more.
    fn note(&mut self, id: MessageId, due: Option<i64>) {
        if let Some(due) = due
            && self.cursor.is_some_and(|cursor| (due, id) <= cursor)
        {
            self.put_behind(id, Behind { from: due, due });
        }
    }

    fn put_behind(&mut self, id: MessageId, behind: Behind) {
        self.behind.insert((behind.from, id));
        self.times.insert(id, behind);
    }

    /// Returns when the row is due by itself, if it was known here.
    fn forget(&mut self, id: MessageId) -> Option<i64> {
        let Behind { from, due } = self.times.remove(&id)?;
        self.behind.remove(&(from, id));
        Some(due)
    }

    fn remember(&mut self, id: MessageId) {
        if !self.is_recent.insert(id) {
            return;
        }
        self.recent.push_back(id);
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.is_recent.remove(&oldest);
        }
    }

    fn lease(&mut self, id: MessageId, due: Option<i64>, found: bool) -> Lease {
        self.last_token += 1;
        let token = self.last_token;
        let claim = Claim {
            token,
            due,
            found,
            said: false,
        };
        self.claimed.insert(id, claim);
        Lease { message: id, token }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_read_under_a_claim_is_the_last_word() {
        let id = MessageId::new();
        let mut ledger = Ledger::default();
        // Read as due at 5, before somebody else put it off and gave it back.
        let lease = ledger.take(id, Some(5)).unwrap();
        assert_eq!(ledger.settle(lease, Some(100)), Some(100));
        ledger.end_search(&[(50, MessageId::new())], 1);
        ledger.release(lease, None);
        assert_eq!(ledger.next().0, None, "a search comes to it");
        // It is gone.
        let lease = ledger.take(id, Some(5)).unwrap();
        assert_eq!(ledger.settle(lease, None), None);
        ledger.release(lease, None);
        assert_eq!(ledger.next().0, None);
        // A commit under the claim is later than what was read.
        let lease = ledger.take(id, Some(5)).unwrap();
        ledger.changed(id, Some(7));
        assert_eq!(ledger.settle(lease, None), Some(7));
        ledger.release(lease, None);
        assert_eq!(ledger.next().0, Some(7));
    }

    #[test]
    fn what_was_put_off_once_is_found_after_a_second_claim() {
        let id = MessageId::new();
        let mut ledger = Ledger::default();
        ledger.begin_search();
        let taken = ledger.end_search(&[(1, id)], 1);
        ledger.release(taken[0].1, Some(53));
        let taken = ledger.take_behind(55, 1);
        assert_eq!(taken[0].0, (53, id));
        // No search comes to it any more, and it is due since 1.
        ledger.release(taken[0].1, None);
        assert_eq!(ledger.next().0, Some(1));
        assert_eq!(ledger.take_behind(1, 1).len(), 1);
    }
}
