//! Edits of the list of recipients, applied in their order.

use std::collections::{HashMap, HashSet};

use postern_smtp::address::{AddressKey, ForwardPath};

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
    /// Those that this verdict removed: others may come in their place.
    gone: Vec<Recipient>,
    /// The addresses of those that are not done, made when the first recipient is added.
    addresses: Option<HashMap<AddressKey, usize>>,
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
            gone: Vec::new(),
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
        {
            if let Some(addresses) = &mut self.addresses {
                addresses.remove(&key(&gone.address));
            }
            self.gone.push(gone);
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
            if let Some(gone) = slot.take_if(|one| !one.state.is_done() && !stay.contains(&one.id))
            {
                self.gone.push(gone);
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
        let parent = match (new.parent, new.copy_from) {
            (Some(id), _) => self.origin(id),
            // It stands for what was removed, if it is said of nobody.
            (None, None) => self.gone.first(),
            (None, Some(_)) => None,
        };
        if let Some(of) = parent {
            comes_from(&mut one, of);
        }
        if let Some(id) = new.copy_from {
            let of = self.origin(id).ok_or(EditError::UnknownRecipient { id })?;
            one.properties.clone_from(&of.properties);
            one.tenant.clone_from(&of.tenant);
            comes_from(&mut one, of);
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
        if let Some(addresses) = &mut self.addresses {
            addresses.insert(key(&new.address), self.slots.len());
        }
        self.places.insert(one.id, self.slots.len());
        self.slots.push(Some(one));
        Ok(())
    }

    /// A recipient as it was before this verdict, removed by it or not.
    fn origin(&self, id: RecipientId) -> Option<&Recipient> {
        let place = *self.places.get(&id)?;
        let there = self.slots.get(place).and_then(Option::as_ref);
        there.or_else(|| self.gone.iter().find(|one| one.id == id))
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

/// What a recipient that stands for another one keeps of it: what its sender asked for, and the address that notifications
/// name.
fn comes_from(one: &mut Recipient, of: &Recipient) {
    one.notify = one.notify.or(of.notify);
    one.orcpt = one.orcpt.take().or_else(|| of.orcpt.clone());
    if one.address != *of.given_address() {
        one.given = Some(of.given_address().clone());
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

fn by_address(slots: &[Option<Recipient>]) -> HashMap<AddressKey, usize> {
    slots
        .iter()
        .enumerate()
        .filter_map(|(place, slot)| Some((place, slot.as_ref()?)))
        .filter(|(_, one)| !one.state.is_done())
        .map(|(place, one)| (key(&one.address), place))
        .collect()
}

/// Addresses that are one mailbox wherever they are; which domains are ours is not known here, and looked after by who
/// commits the message ([`without_duplicates`](crate::recipient::without_duplicates)).
fn key(address: &ForwardPath) -> AddressKey {
    address.key(false)
}
