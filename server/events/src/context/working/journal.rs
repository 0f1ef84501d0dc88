//! What changed in a message, and when.

use std::collections::{HashMap, HashSet};

use postern_message::{Recipient, RecipientId};

use super::{Piece, Working};
use crate::order::Order;

/// What an update of the list of recipients says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ListUpdate<'a> {
    /// Forget all that were known.
    pub(crate) replaces_all: bool,
    /// These are gone.
    pub(crate) removed: Vec<RecipientId>,
    /// These are new or changed.
    pub(crate) changed: Vec<&'a Recipient>,
}

impl Working {
    /// What changed in the list of recipients since `seen`. Costs what changed, not what there is.
    pub(crate) fn list_update(&self, seen: u64) -> ListUpdate<'_> {
        if self.replaced_at > seen {
            return ListUpdate {
                replaces_all: seen > 0,
                removed: Vec::new(),
                changed: self.piece.draft.recipients.iter().collect(),
            };
        }
        let mut known: HashSet<RecipientId> = HashSet::new();
        let mut update = ListUpdate::default();
        let later = self.changes.iter().rev().take_while(|(at, _)| *at > seen);
        for (_, id) in later {
            if known.insert(*id) {
                match self.recipient(*id) {
                    Some(recipient) => update.changed.push(recipient),
                    None => update.removed.push(*id),
                }
            }
        }
        update.changed.reverse();
        update.removed.reverse();
        update
    }

    /// Takes the next state of the branch and notes what is different in it.
    pub(super) fn note(&mut self, next: Piece, recipients: bool, orders: &[Order]) {
        let before = std::mem::replace(&mut self.piece, next);
        let now = self.tick();
        let (old, new) = (&before.draft, &self.piece.draft);
        if old.envelope != new.envelope || old.properties != new.properties || !orders.is_empty() {
            self.envelope_at = now;
        }
        if old.version != new.version {
            self.headers_at = now;
            self.envelope_at = now;
        }
        let rerouted = orders
            .iter()
            .any(|order| matches!(order, Order::Redirect { .. }));
        if rerouted {
            self.note_routes(&before);
        }
        if recipients {
            self.note_recipients(&before);
        }
    }

    /// Notes who goes another way than before.
    fn note_routes(&mut self, before: &Piece) {
        let now = self.clock;
        let hops = |piece: &Piece, id| piece.orders.handling.next_hops.get(&id).cloned();
        for one in &self.piece.draft.recipients {
            if hops(before, one.id) != hops(&self.piece, one.id) {
                self.changes.push((now, one.id));
            }
        }
    }

    /// Notes who is new, changed or gone.
    fn note_recipients(&mut self, before: &Piece) {
        let now = self.clock;
        let known: HashMap<RecipientId, &Recipient> = before
            .draft
            .recipients
            .iter()
            .map(|one| (one.id, one))
            .collect();
        self.index();
        for one in &self.piece.draft.recipients {
            self.has_recipient_properties |= !one.properties.is_empty();
            if known.get(&one.id) != Some(&one) {
                self.changes.push((now, one.id));
            }
        }
        let left = before.draft.recipients.iter();
        let left = left.filter(|one| !self.places.contains_key(&one.id));
        self.changes.extend(left.map(|one| (now, one.id)));
        // What is told anew costs less than a journal without end.
        if self.changes.len() > 1024 + 4 * self.piece.draft.recipients.len() {
            self.changes.clear();
            self.replaced_at = now;
        }
    }
}
