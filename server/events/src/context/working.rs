//! A message while it is judged: its draft, what was ordered about it, and when what changed.
//!
//! Every change moves a clock. An instance that was told everything up to one tick is told what came after it. A verdict
//! that forks the message, or decides otherwise for some recipients, makes branches, which are judged one by one.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use postern_message::{
    Draft, Edit, EditError, EditLimits, MessageId, Properties, PropertyScope, Recipient,
    RecipientId, Version,
};

use crate::order::{Order, Orders};

/// The number of the branch that a message begins as.
pub const TRUNK: u32 = 0;

/// One branch of a message: some recipients, and what they get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its number within the message.
    pub number: u32,
    /// Its id: the message's own, or a new one.
    pub id: MessageId,
    /// Envelope, recipients, properties and content.
    pub draft: Draft,
    /// What was ordered about it.
    pub orders: Orders,
}

/// A message while it is judged.
#[derive(Clone, Debug)]
pub struct Working {
    piece: Piece,
    others: Vec<Piece>,
    /// Recipients that a verdict has dealt with.
    dealt_with: Vec<Recipient>,
    /// The content as it was received, where it is known.
    received: Option<Version>,
    /// SHA-256 of the content as it was received.
    digest: Option<[u8; 32]>,
    has_recipient_properties: bool,
    /// Bindings that failed on it and were passed over.
    pub skipped: Vec<String>,
    clock: u64,
    envelope_at: u64,
    headers_at: u64,
    replaced_at: u64,
    changes: Vec<(u64, RecipientId)>,
    places: HashMap<RecipientId, usize>,
}

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

/// Branches that a verdict asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Recipients that are decided about by themselves.
    pub decided: Vec<Apart>,
    /// Recipients that get other edits.
    pub forks: Vec<ForkEdits>,
}

/// Recipients that are decided about by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// The recipients.
    pub recipients: Vec<RecipientId>,
    /// They are not dealt with: later bindings are asked about them, though not about the others.
    pub goes_on: bool,
}

/// What the recipients of a fork get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkEdits {
    /// The recipients.
    pub recipients: Vec<RecipientId>,
    /// The edits, instead of the verdict's own.
    pub edits: Vec<Edit>,
    /// The orders, instead of the verdict's own.
    pub orders: Vec<Order>,
}

/// The branches that were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// For each group of [`Split::decided`] the branches that hold its recipients.
    pub decided: Vec<Vec<u32>>,
    /// For each of [`Split::forks`] its branch.
    pub forks: Vec<u32>,
    /// Nobody is left in the branch that was split.
    pub emptied: bool,
}

impl Working {
    /// A message with this draft.
    #[must_use]
    pub fn new(id: MessageId, draft: Draft) -> Self {
        let version = draft.version.clone();
        let mut recipients = draft.recipients.iter();
        let has_recipient_properties = recipients.any(|one| !one.properties.is_empty());
        let mut working = Self {
            piece: Piece {
                number: TRUNK,
                id,
                draft,
                orders: Orders::default(),
            },
            others: Vec::new(),
            dealt_with: Vec::new(),
            received: version.filter(|version| !version.is_edited()),
            digest: None,
            has_recipient_properties,
            skipped: Vec::new(),
            clock: 1,
            envelope_at: 1,
            headers_at: 1,
            replaced_at: 1,
            changes: Vec::new(),
            places: HashMap::new(),
        };
        working.index();
        working
    }

    /// The branch that is judged now.
    #[must_use]
    pub const fn piece(&self) -> &Piece {
        &self.piece
    }

    /// The draft of the branch that is judged now.
    #[must_use]
    pub const fn draft(&self) -> &Draft {
        &self.piece.draft
    }

    /// All branches: the trunk first, then the others in the order in which they were made.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        let mut all: Vec<&Piece> = self.others.iter().chain([&self.piece]).collect();
        all.sort_by_key(|piece| piece.number);
        all.into_iter()
    }

    /// Now, by the clock of changes.
    #[must_use]
    pub const fn clock(&self) -> u64 {
        self.clock
    }

    /// Envelope, properties or orders have changed since `seen`.
    #[must_use]
    pub const fn envelope_changed_since(&self, seen: u64) -> bool {
        self.envelope_at > seen
    }

    /// When the header section changed last; 0: there is none.
    #[must_use]
    pub fn headers_at(&self) -> u64 {
        match self.piece.draft.version {
            Some(_) => self.headers_at,
            None => 0,
        }
    }

    /// The content as a binding sees it: as received for those that read `original`, else as it is now.
    #[must_use]
    pub fn shown(&self, original: bool) -> Option<&Version> {
        if original {
            self.received.as_ref()
        } else {
            self.piece.draft.version.as_ref()
        }
    }

    /// The content as it was received is known now, for bindings that read `original`.
    pub fn set_received(&mut self, version: Version) {
        self.received = Some(version);
    }

    /// SHA-256 of the content as it was received, where it was asked for.
    #[must_use]
    pub const fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }

    /// SHA-256 of the content as it was received is known now, for bindings that read `digest`.
    pub fn set_digest(&mut self, digest: [u8; 32]) {
        self.digest = Some(digest);
        self.envelope_at = self.tick();
    }

    pub(super) fn has_properties(&self) -> bool {
        self.has_recipient_properties || !self.piece.draft.properties.is_empty()
    }

    /// A recipient of the branch that is judged now.
    #[must_use]
    pub fn recipient(&self, id: RecipientId) -> Option<&Recipient> {
        let place = *self.places.get(&id)?;
        let found = self.piece.draft.recipients.get(place)?;
        (found.id == id).then_some(found)
    }

    /// Recipients that a verdict has dealt with.
    #[must_use]
    pub fn dealt_with(&self) -> &[Recipient] {
        &self.dealt_with
    }

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

    /// Puts a recipient behind the others.
    pub fn accept(&mut self, recipient: Recipient) {
        let now = self.tick();
        self.has_recipient_properties |= !recipient.properties.is_empty();
        self.changes.push((now, recipient.id));
        self.places
            .insert(recipient.id, self.piece.draft.recipients.len());
        self.piece.draft.recipients.push(recipient);
    }

    pub(super) fn set_properties(&mut self, properties: Properties) {
        if properties != self.piece.draft.properties {
            self.piece.draft.properties = properties;
            self.envelope_at = self.tick();
        }
    }

    /// The header section is complete.
    pub fn content(&mut self, version: Version) {
        self.headers_at = self.tick();
        self.received = Some(version.clone());
        self.piece.draft.version = Some(version);
    }

    /// The whole content is there.
    pub fn close_content(&mut self, size_bytes: u64) {
        for draft in self
            .others
            .iter_mut()
            .map(|other| &mut other.draft)
            .chain([&mut self.piece.draft])
        {
            if let Some(version) = &mut draft.version {
                *version = version.close(size_bytes);
            }
        }
        if let Some(version) = &mut self.received {
            *version = version.close(size_bytes);
        }
        self.envelope_at = self.tick();
    }

    /// A binding failed and was passed over.
    pub fn skip(&mut self, binding: &str) {
        if !self.skipped.iter().any(|own| own == binding) {
            self.skipped.push(binding.to_owned());
            self.envelope_at = self.tick();
        }
    }

    /// Turns to another branch.
    pub fn enter(&mut self, number: u32) {
        if self.piece.number == number {
            return;
        }
        if let Some(place) = self.others.iter().position(|other| other.number == number)
            && let Some(other) = self.others.get_mut(place)
        {
            std::mem::swap(other, &mut self.piece);
            self.all_changed();
        }
    }

    /// Applies the edits and orders of one verdict, all or none. `session` are the session's properties.
    ///
    /// # Errors
    /// The first edit that cannot be applied, or the first limit that the result is over.
    pub fn apply(
        &mut self,
        namespace: &str,
        edits: &[Edit],
        orders: &[Order],
        split: &Split,
        session: &mut Properties,
        limits: &EditLimits,
    ) -> Result<Made, EditError> {
        if edits.is_empty() && orders.is_empty() && split == &Split::default() {
            return Ok(Made::default());
        }
        let before = session.clone();
        let made = self.apply_all(namespace, edits, orders, split, session, limits);
        if made.is_err() {
            *session = before;
        }
        made
    }

    fn apply_all(
        &mut self,
        namespace: &str,
        edits: &[Edit],
        orders: &[Order],
        split: &Split,
        session: &mut Properties,
        limits: &EditLimits,
    ) -> Result<Made, EditError> {
        // The forks are made of what the verdict was shown, so before its own edits.
        let mut made = Made::default();
        let mut pieces = Vec::new();
        let mut gone: HashSet<RecipientId> = HashSet::new();
        let mut number = self.next_number();
        for fork in &split.forks {
            let ids: HashSet<RecipientId> = fork.recipients.iter().copied().collect();
            gone.extend(&ids);
            let mut piece = self.piece.clone();
            piece.number = number;
            piece.id = MessageId::new();
            piece.draft.recipients.retain(|one| ids.contains(&one.id));
            // All of them are in other branches, or dealt with.
            if piece.draft.recipients.is_empty() {
                continue;
            }
            let edits = self.fitting(&fork.edits, &piece.draft);
            apply_edits(&mut piece.draft, namespace, &edits, session, limits)?;
            take_orders(&mut piece, &fork.orders);
            made.forks.push(number);
            pieces.push(piece);
            number += 1;
        }
        let edits = self.fitting(edits, &self.piece.draft);
        let edits = &*edits;
        let mut trunk = self.piece.clone_without_recipients();
        let before = std::mem::take(&mut self.piece.draft.recipients);
        trunk.draft.recipients = if gone.is_empty() && !touches_recipients(edits) {
            Vec::new()
        } else {
            let stay = before.iter().filter(|one| !gone.contains(&one.id));
            stay.cloned().collect()
        };
        let emptied_by_forks = !gone.is_empty() && trunk.draft.recipients.is_empty();
        let applied = if emptied_by_forks {
            Ok(())
        } else {
            apply_edits(&mut trunk.draft, namespace, edits, session, limits)
        };
        self.piece.draft.recipients = before;
        applied?;
        if gone.is_empty() && !touches_recipients(edits) {
            trunk.draft.recipients = std::mem::take(&mut self.piece.draft.recipients);
            take_orders(&mut trunk, orders);
            self.note(trunk, false, orders);
        } else {
            take_orders(&mut trunk, orders);
            self.note(trunk, true, orders);
        }
        self.decide(split, &mut pieces, &mut made, &mut number);
        // Who was to be forked may have been decided about.
        pieces.retain(|piece| !piece.draft.recipients.is_empty());
        let is_left = |number: &u32| pieces.iter().any(|piece| piece.number == *number);
        made.forks.retain(is_left);
        made.emptied = !(split.forks.is_empty() && split.decided.is_empty())
            && self.piece.draft.recipients.is_empty();
        self.others.extend(pieces);
        Ok(made)
    }

    /// Edits without those of recipients that are in other branches, or that a verdict has dealt with: whoever was
    /// asked before that may name them all the same.
    fn fitting<'e>(&self, edits: &'e [Edit], draft: &Draft) -> Cow<'e, [Edit]> {
        if self.others.is_empty() && self.dealt_with.is_empty() && !touches_recipients(edits) {
            return Cow::Borrowed(edits);
        }
        let here: HashSet<RecipientId> = draft.recipients.iter().map(|one| one.id).collect();
        let others = self.pieces().flat_map(|piece| &piece.draft.recipients);
        let others = others.chain(&self.dealt_with).map(|one| one.id);
        let elsewhere: HashSet<RecipientId> = others.filter(|id| !here.contains(id)).collect();
        if elsewhere.is_empty() {
            return Cow::Borrowed(edits);
        }
        let fits = |edit: &Edit| match edit {
            Edit::RemoveRecipient { id }
            | Edit::RewriteRecipient { id, .. }
            | Edit::SetParameter { of: Some(id), .. }
            | Edit::SetProperty {
                scope: PropertyScope::Recipient(id),
                ..
            } => (!elsewhere.contains(id)).then(|| edit.clone()),
            Edit::RetainRecipients { ids } => {
                let mut ids = ids.clone();
                ids.retain(|id| !elsewhere.contains(id));
                (!ids.is_empty()).then_some(Edit::RetainRecipients { ids })
            }
            edit => Some(edit.clone()),
        };
        Cow::Owned(edits.iter().filter_map(fits).collect())
    }

    /// Takes the recipients that are decided about by themselves out of their branches.
    fn decide(
        &mut self,
        split: &Split,
        pieces: &mut Vec<Piece>,
        made: &mut Made,
        number: &mut u32,
    ) {
        for group in &split.decided {
            let ids: HashSet<RecipientId> = group.recipients.iter().copied().collect();
            let mut numbers = Vec::new();
            let mut decided = Vec::new();
            for piece in pieces.iter_mut().chain([&mut self.piece]) {
                let (out, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut piece.draft.recipients)
                    .into_iter()
                    .partition(|one| ids.contains(&one.id));
                piece.draft.recipients = stay;
                if out.is_empty() {
                    continue;
                }
                if !group.goes_on {
                    self.dealt_with.extend(out.iter().cloned());
                }
                let mut own = piece.clone_without_recipients();
                own.draft.recipients = out;
                own.number = *number;
                numbers.push(*number);
                *number += 1;
                decided.push(own);
            }
            pieces.extend(decided);
            made.decided.push(numbers);
            self.index();
            self.replaced_at = self.tick();
        }
    }

    fn next_number(&self) -> u32 {
        self.pieces().map(|piece| piece.number).max().unwrap_or(0) + 1
    }

    /// Takes the next state of the branch and notes what is different in it.
    fn note(&mut self, next: Piece, recipients: bool, orders: &[Order]) {
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
        let hops = |piece: &Piece, id| piece.orders.next_hops.get(&id).cloned();
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

    fn all_changed(&mut self) {
        let now = self.tick();
        self.envelope_at = now;
        self.headers_at = now;
        self.replaced_at = now;
        self.changes.clear();
        self.index();
    }

    fn index(&mut self) {
        let recipients = self.piece.draft.recipients.iter().enumerate();
        self.places = recipients.map(|(place, one)| (one.id, place)).collect();
    }

    /// A recipient that is still asked about was changed: what was encoded of it is old.
    pub(super) fn touched(&mut self) {
        self.tick();
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl Piece {
    fn clone_without_recipients(&self) -> Self {
        Self {
            number: self.number,
            id: self.id,
            draft: Draft {
                envelope: self.draft.envelope.clone(),
                recipients: Vec::new(),
                properties: self.draft.properties.clone(),
                session_properties: Properties::new(),
                version: self.draft.version.clone(),
            },
            orders: self.orders.clone(),
        }
    }
}

fn touches_recipients(edits: &[Edit]) -> bool {
    edits.iter().any(|edit| {
        matches!(
            edit,
            Edit::AddRecipient(_)
                | Edit::RemoveRecipient { .. }
                | Edit::RewriteRecipient { .. }
                | Edit::RetainRecipients { .. }
                | Edit::SetParameter { of: Some(_), .. }
                | Edit::SetProperty {
                    scope: PropertyScope::Recipient(_),
                    ..
                }
        )
    })
}

/// Applies edits to a draft, with the session's properties in their place.
pub(crate) fn apply_edits(
    draft: &mut Draft,
    namespace: &str,
    edits: &[Edit],
    session: &mut Properties,
    limits: &EditLimits,
) -> Result<(), EditError> {
    if edits.is_empty() {
        return Ok(());
    }
    draft.session_properties = std::mem::take(session);
    let applied = draft.apply(namespace, edits, limits);
    *session = std::mem::take(&mut draft.session_properties);
    let mut next = applied?;
    *session = std::mem::take(&mut next.session_properties);
    *draft = next;
    Ok(())
}

fn take_orders(piece: &mut Piece, orders: &[Order]) {
    for order in orders {
        if let Order::Priority(priority) = order {
            piece.draft.envelope.priority = *priority;
        }
        let all = piece.draft.recipients.iter().map(|one| one.id);
        piece.orders.take(order, all);
    }
}

#[cfg(test)]
mod tests;
