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
    times: HashMap<MessageId, i64>,
    claimed: HashMap<MessageId, Claim>,
    recent: VecDeque<MessageId>,
    is_recent: HashSet<MessageId>,
    /// Rows that changed while a search was under way, with their due times now; it may have seen
    /// them as they were.
    changed: Option<BTreeMap<MessageId, Option<i64>>>,
    last_token: u64,
}

struct Claim {
    token: u64,
    due: Option<i64>,
    /// It came by a claim, not as a new one.
    found: bool,
}

impl Ledger {
    /// Claims up to `limit` of the messages that need no search.
    pub(super) fn take_behind(&mut self, now: i64, limit: usize) -> Vec<(Place, Lease)> {
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some(&(time, id)) = self.behind.first()
            && time <= now
        {
            self.forget(id);
            taken.push(((time, id), self.lease(id, Some(time), true)));
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
            Some(time) if time > due => self.put_behind(id, time),
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
            self.put_behind(id, due);
        }
    }

    fn put_behind(&mut self, id: MessageId, time: i64) {
        self.behind.insert((time, id));
        self.times.insert(id, time);
    }

    fn forget(&mut self, id: MessageId) {
        if let Some(time) = self.times.remove(&id) {
            self.behind.remove(&(time, id));
        }
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
        self.claimed.insert(id, Claim { token, due, found });
        Lease { message: id, token }
    }
}
