//! A message while it is judged: its draft, what was ordered about it, and when what changed.
//!
//! Every change moves a clock. An instance that was told everything up to one tick is told what came after it. A verdict
//! that forks the message, or decides otherwise for some recipients, makes branches, which are judged one by one.

mod apply;
mod journal;

use std::collections::HashMap;

use postern_message::{Draft, Handling, MessageId, Properties, Recipient, RecipientId, Version};

use crate::order::Orders;

pub use apply::{Apart, ForkEdits, Made, Split};

pub(crate) use apply::apply_edits;

#[cfg(test)]
use journal::ListUpdate;

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

    /// What was ordered about the message before holds on.
    pub fn resume(&mut self, handling: Handling) {
        self.piece.orders.handling = handling;
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

#[cfg(test)]
mod tests;
