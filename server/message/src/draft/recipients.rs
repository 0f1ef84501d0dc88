//! Edits of the list of recipients, applied in their order.

use std::collections::{HashMap, HashSet};

use postern_smtp::address::{DomainOrLiteral, ForwardPath};

use super::{Draft, set, set_raw};
use crate::{
    Duplicates, Edit, EditError, EditLimits, NewRecipient, ParameterEdit, Recipient, RecipientId,
};

/// Applies the edits of recipients of one verdict to a draft.
pub(super) fn apply(
    draft: &mut Draft,
    namespace: &str,
    edits: &[Edit],
    limits: &EditLimits,
) -> Result<(), EditError> {
    let is_of_list = |edit: &Edit| {
        matches!(
            edit,
            Edit::AddRecipient(_)
                | Edit::RemoveRecipient { .. }
                | Edit::RewriteRecipient { .. }
                | Edit::RetainRecipients { .. }
                | Edit::SetParameter { of: Some(_), .. }
        )
    };
    if !edits.iter().any(is_of_list) {
        return Ok(());
    }
    let had_any = draft.recipients.iter().any(|one| !one.state.is_done());
    let mut list = List::of(std::mem::take(&mut draft.recipients));
    let utf8 = draft.envelope.smtp_utf8;
    for edit in edits {
        match edit {
            Edit::AddRecipient(new) => list.add(new, utf8, namespace, limits)?,
            Edit::RemoveRecipient { id } => list.remove(*id)?,
            Edit::RewriteRecipient { id, address } => list.rewrite(*id, address, utf8)?,
            Edit::RetainRecipients { ids } => list.retain(ids)?,
            Edit::SetParameter {
                of: Some(id),
                parameter,
            } => set_parameter(list.claimed(*id)?, parameter)?,
            _ => {}
        }
    }
    draft.recipients = list.into_recipients();
    if had_any && !draft.recipients.iter().any(|one| !one.state.is_done()) {
        return Err(EditError::NoRecipients);
    }
    Ok(())
}

/// The list while it is edited. What was removed leaves a gap, so that places stay.
struct List {
    slots: Vec<Option<Recipient>>,
    places: HashMap<RecipientId, usize>,
    /// Rewritten or removed by this verdict.
    touched: HashSet<RecipientId>,
    /// The addresses of those that are not done, made when the first recipient is added.
    addresses: Option<HashMap<Key, usize>>,
}

impl List {
    fn of(recipients: Vec<Recipient>) -> Self {
        let places = recipients
            .iter()
            .enumerate()
            .map(|(place, one)| (one.id, place))
            .collect();
        Self {
            slots: recipients.into_iter().map(Some).collect(),
            places,
            touched: HashSet::new(),
            addresses: None,
        }
    }

    fn into_recipients(self) -> Vec<Recipient> {
        self.slots.into_iter().flatten().collect()
    }

    /// A recipient that can be edited.
    fn claimed(&mut self, id: RecipientId) -> Result<&mut Recipient, EditError> {
        let unknown = EditError::UnknownRecipient { id };
        let place = *self.places.get(&id).ok_or_else(|| unknown.clone())?;
        match self.slots.get_mut(place) {
            Some(Some(one)) if one.state.is_done() => Err(EditError::RecipientDone { id }),
            Some(Some(one)) => Ok(one),
            _ if self.touched.contains(&id) => Err(EditError::RecipientTwice { id }),
            _ => Err(unknown),
        }
    }

    fn claim_once(&mut self, id: RecipientId) -> Result<(), EditError> {
        self.claimed(id)?;
        if self.touched.insert(id) {
            Ok(())
        } else {
            Err(EditError::RecipientTwice { id })
        }
    }

    fn remove(&mut self, id: RecipientId) -> Result<(), EditError> {
        self.claim_once(id)?;
        self.drop_slot(id);
        Ok(())
    }

    fn drop_slot(&mut self, id: RecipientId) {
        if let Some(slot) = self
            .places
            .get(&id)
            .and_then(|place| self.slots.get_mut(*place))
            && let Some(gone) = slot.take()
            && let Some(addresses) = &mut self.addresses
        {
            addresses.remove(&key(&gone.address));
        }
    }

    fn rewrite(
        &mut self,
        id: RecipientId,
        address: &ForwardPath,
        utf8: bool,
    ) -> Result<(), EditError> {
        if !utf8 && !address.is_ascii() {
            return Err(EditError::NotAscii);
        }
        self.claim_once(id)?;
        let one = self.claimed(id)?;
        let before = std::mem::replace(&mut one.address, address.clone());
        one.given.get_or_insert_with(|| before.clone());
        if let (Some(addresses), Some(place)) = (&mut self.addresses, self.places.get(&id)) {
            addresses.remove(&key(&before));
            addresses.insert(key(address), *place);
        }
        Ok(())
    }

    fn retain(&mut self, ids: &[RecipientId]) -> Result<(), EditError> {
        let mut stay = HashSet::with_capacity(ids.len());
        for id in ids {
            let known = self
                .places
                .get(id)
                .is_some_and(|place| matches!(self.slots.get(*place), Some(Some(_))));
            if !known {
                return Err(EditError::UnknownRecipient { id: *id });
            }
            stay.insert(*id);
        }
        for slot in &mut self.slots {
            if slot
                .as_ref()
                .is_some_and(|one| !one.state.is_done() && !stay.contains(&one.id))
            {
                *slot = None;
            }
        }
        self.addresses = None;
        Ok(())
    }

    fn add(
        &mut self,
        new: &NewRecipient,
        utf8: bool,
        namespace: &str,
        limits: &EditLimits,
    ) -> Result<(), EditError> {
        if !utf8 && !new.address.is_ascii() {
            return Err(EditError::NotAscii);
        }
        let slots = &self.slots;
        let addresses = self.addresses.get_or_insert_with(|| by_address(slots));
        if let Some(place) = addresses.get(&key(&new.address)).copied() {
            return self.meet(place, new);
        }
        let mut one = Recipient {
            orcpt: new.orcpt.clone(),
            notify: new.notify,
            parameters: new.parameters.clone(),
            parent: new.parent,
            ..Recipient::new(new.address.clone())
        };
        if let Some(id) = new.copy_from {
            let of = self
                .places
                .get(&id)
                .and_then(|place| self.slots.get(*place))
                .and_then(Option::as_ref)
                .ok_or(EditError::UnknownRecipient { id })?;
            one.properties.clone_from(&of.properties);
            one.tenant.clone_from(&of.tenant);
            one.notify = one.notify.or(of.notify);
            one.orcpt = one.orcpt.or_else(|| of.orcpt.clone());
        }
        for (key, value, lifetime) in &new.properties {
            set(
                &mut one.properties,
                namespace,
                key,
                Some(value),
                *lifetime,
                limits,
            )?;
        }
        addresses.insert(key(&new.address), self.slots.len());
        self.places.insert(one.id, self.slots.len());
        self.slots.push(Some(one));
        Ok(())
    }

    /// The address is a recipient already.
    fn meet(&mut self, place: usize, new: &NewRecipient) -> Result<(), EditError> {
        match new.duplicates {
            Duplicates::Skip => {}
            Duplicates::Refuse => {
                return Err(EditError::Duplicate {
                    address: new.address.to_string(),
                });
            }
            Duplicates::Replace => {
                if let Some(Some(one)) = self.slots.get_mut(place) {
                    one.orcpt.clone_from(&new.orcpt);
                    one.notify = new.notify;
                    one.parameters.clone_from(&new.parameters);
                }
            }
        }
        Ok(())
    }
}

fn set_parameter(one: &mut Recipient, parameter: &ParameterEdit) -> Result<(), EditError> {
    match parameter {
        ParameterEdit::Notify(notify) => one.notify = *notify,
        ParameterEdit::Orcpt(orcpt) => one.orcpt.clone_from(orcpt),
        ParameterEdit::Other { keyword, value } => {
            set_raw(&mut one.parameters, keyword, value.as_ref());
        }
        ParameterEdit::Ret(_) | ParameterEdit::Envid(_) => return Err(EditError::Parameter),
    }
    Ok(())
}

fn by_address(slots: &[Option<Recipient>]) -> HashMap<Key, usize> {
    slots
        .iter()
        .enumerate()
        .filter_map(|(place, slot)| Some((place, slot.as_ref()?)))
        .filter(|(_, one)| !one.state.is_done())
        .map(|(place, one)| (key(&one.address), place))
        .collect()
}

/// Equal for addresses that mean one mailbox; `None` is the postmaster without a domain.
type Key = Option<(String, DomainOrLiteral)>;

fn key(address: &ForwardPath) -> Key {
    let mailbox = address.mailbox()?;
    let local = mailbox.unquoted_local_part().into_owned();
    Some((local, mailbox.domain().clone()))
}
