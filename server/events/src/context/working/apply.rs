//! A verdict applied to a message: its edits and orders, and the branches that it makes.

use std::borrow::Cow;
use std::collections::HashSet;

use postern_message::{
    Draft, Edit, EditError, EditLimits, MessageId, Properties, PropertyScope, RecipientId,
};

use super::{Piece, Working};
use crate::order::Order;

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
        for order in split
            .forks
            .iter()
            .flat_map(|fork| &fork.orders)
            .chain(orders)
        {
            if let Order::Inject(injection) = order {
                injection.fits(limits)?;
            }
        }
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

    /// Takes in one order that no verdict about the message gave.
    pub(in crate::context) fn order(&mut self, order: &Order) {
        take_orders(&mut self.piece, std::slice::from_ref(order));
        self.envelope_at = self.tick();
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
