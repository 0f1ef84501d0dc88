//! The recipients of a message while they are resolved, level by level: first those that it came with, then what these stand
//! for, and so on. No I/O, no clock: what each recipient is comes in, a message with other recipients comes out.
//!
//! Members of a list with another sender go out as a message of their own, which is resolved by itself.
//!
//! A recipient that stands for others stays in the list as [`RecipientState::Expanded`], and they name it as their parent. So
//! how deep an expansion is, and what led to an address, is read off the list, also after a restart.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use postern_events::transport::Expand;
use postern_message::{
    Message, NewRecipient, PropertyLimits, Recipient, RecipientId, RecipientState, Status,
};
use postern_smtp::address::{AddressKey, ForwardPath, ReversePath};

/// Recipients that a message may come to have, those among them that stand for others.
pub(crate) const MOST_RECIPIENTS: usize = 10_000;
/// Lists with an owner that one message may go to, each as a message of its own.
pub(crate) const MOST_FORKS: usize = 100;
/// Names that one address may have one after the other.
const MOST_NAMES: usize = 10;

/// What was found out about the recipients of a message, for the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Recipients that stand for others.
    pub expanded: u64,
    /// Recipients that came of them.
    pub members: u64,
    /// Recipients whose address was replaced.
    pub rewritten: u64,
    /// Recipients that were failed.
    pub failed: u64,
}

impl Tally {
    /// Nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Recipients that go to others as a message of its own, because its sender is another one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    /// The list that they are the members of.
    list: RecipientId,
    /// The sender.
    pub(crate) sender: ReversePath,
    /// Its recipients: those that led to them, and then themselves.
    pub(crate) recipients: Vec<Recipient>,
    /// Addresses of members that are in it.
    taken: HashSet<AddressKey>,
}

/// Members of a list, or what an alias stands for.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) recipients: Vec<NewRecipient>,
    /// The sender of what goes to them, if it is another one.
    pub(crate) sender: Option<ReversePath>,
    /// Whose properties the new recipients have.
    pub(crate) namespace: String,
    /// More of them follow.
    pub(crate) more: bool,
}

/// What became of the recipients.
pub(crate) struct Resolved {
    /// The message with them.
    pub(crate) message: Message,
    /// Recipients of it that failed, by their place.
    pub(crate) failures: Vec<(usize, RecipientState)>,
    /// What goes out as messages of their own.
    pub(crate) forks: Vec<Fork>,
    /// Something is other than it was.
    pub(crate) changed: bool,
    /// Some were found to be what they are, which need not be asked again.
    pub(crate) found: bool,
    pub(crate) tally: Tally,
}

/// Tells whether an address is in a domain of ours.
pub(crate) type IsOwn<'a> = dyn Fn(&ForwardPath) -> bool + Send + Sync + 'a;

/// The recipients of a message while they are resolved.
pub(crate) struct Tree<'a> {
    message: Message,
    is_own: &'a IsOwn<'a>,
    now: SystemTime,
    /// Where each recipient is in the message. One that was removed has no place, and is left out later.
    places: HashMap<RecipientId, usize>,
    removed: bool,
    /// Addresses that have a recipient, whatever became of it.
    taken: HashSet<AddressKey>,
    /// To be looked at now, and after that.
    open: Vec<RecipientId>,
    next: Vec<RecipientId>,
    /// Names that an address had before.
    names: HashMap<RecipientId, Vec<AddressKey>>,
    /// What an address was replaced by, also where somebody else had that one.
    replaced: HashMap<AddressKey, AddressKey>,
    /// Lists that were expanded, and what of their members is somebody else's recipient.
    expanded: HashMap<RecipientId, Vec<AddressKey>>,
    failed: Vec<RecipientId>,
    forks: Vec<Fork>,
    changed: bool,
    found: bool,
    began_with: usize,
    tally: Tally,
}

impl<'a> Tree<'a> {
    /// The recipients of a message that are not resolved yet. `is_own` tells which domains are ours.
    pub(crate) fn new(message: &Message, is_own: &'a IsOwn<'a>, now: SystemTime) -> Self {
        let recipients = &message.recipients;
        let places = recipients.iter().enumerate();
        let taken = recipients.iter().map(|one| key(one, is_own));
        let open = recipients.iter().filter(|one| is_open(one));
        Self {
            places: places.map(|(place, one)| (one.id, place)).collect(),
            removed: false,
            taken: taken.collect(),
            open: open.map(|one| one.id).collect(),
            message: message.clone(),
            is_own,
            now,
            next: Vec::new(),
            names: HashMap::new(),
            replaced: HashMap::new(),
            expanded: HashMap::new(),
            failed: Vec::new(),
            forks: Vec::new(),
            changed: false,
            found: false,
            began_with: message.recipients.len(),
            tally: Tally::default(),
        }
    }

    /// Recipients that there are more than in the message that it began with, those of forks among them.
    pub(crate) fn grown(&self) -> usize {
        let forks: usize = self.forks.iter().map(|fork| fork.recipients.len()).sum();
        (self.places.len() + forks).saturating_sub(self.began_with)
    }

    /// The message as it is now.
    pub(crate) const fn message(&self) -> &Message {
        &self.message
    }

    /// Those that are to be looked at, in their order; then those that came of them. Empty: all are resolved.
    pub(crate) fn take_level(&mut self) -> Vec<RecipientId> {
        self.leave_out_removed();
        if self.open.is_empty() {
            self.open = std::mem::take(&mut self.next);
        }
        std::mem::take(&mut self.open)
    }

    /// A recipient that is still to be resolved.
    pub(crate) fn recipient(&self, id: RecipientId) -> Option<&Recipient> {
        let place = *self.places.get(&id)?;
        self.message
            .recipients
            .get(place)
            .filter(|one| is_open(one))
    }

    /// How many expansions led to a recipient.
    pub(crate) fn depth(&self, id: RecipientId) -> u32 {
        u32::try_from(self.ancestors(id).count()).unwrap_or(u32::MAX)
    }

    /// What led to a recipient, the nearest first.
    fn ancestors(&self, id: RecipientId) -> impl Iterator<Item = &Recipient> {
        let parent = |id: RecipientId| {
            let place = self.places.get(&id)?;
            let parent = self.message.recipients.get(*place)?.parent?;
            let place = self.places.get(&parent)?;
            self.message.recipients.get(*place)
        };
        // A list that is bounded: records that were damaged may name each other.
        let mut at = Some(id);
        std::iter::from_fn(move || {
            let next = parent(at?);
            at = next.map(|one| one.id);
            next
        })
        .filter(|one| matches!(one.state, RecipientState::Expanded(_)))
        .take(Expand::MAX_DEPTH as usize + 1)
    }

    /// Mail goes to this recipient, at this address or the one that it has.
    pub(crate) fn is_final(&mut self, id: RecipientId, address: Option<ForwardPath>) {
        if let Some(address) = address {
            self.set_address(id, address);
        }
        if let Some(one) = self.slot(id) {
            one.resolved = true;
            self.found = true;
        }
    }

    /// The address of this recipient is another name of that one, which is looked up in turn.
    pub(crate) fn is_another(&mut self, id: RecipientId, address: ForwardPath) {
        let Some(own) = self.recipient(id).map(|one| key(one, self.is_own)) else {
            return;
        };
        let names = self.names.entry(id).or_default();
        names.push(own);
        let new = address.key((self.is_own)(&address));
        if names.contains(&new) || names.len() > MOST_NAMES {
            return self.fail(id, self.looped());
        }
        if self.set_address(id, address) {
            self.next.push(id);
        }
    }

    /// False if somebody else has that address: the recipient is none of its own any more.
    fn set_address(&mut self, id: RecipientId, address: ForwardPath) -> bool {
        let new = address.key((self.is_own)(&address));
        let Some(one) = self.recipient(id) else {
            return false;
        };
        if one.address == address {
            return true;
        }
        let (own, parent) = (key(one, self.is_own), one.parent);
        self.changed = true;
        self.tally.rewritten += 1;
        if own != new {
            self.replaced.insert(own, new.clone());
            if !self.taken.insert(new.clone()) {
                // What it came of still reaches somebody by it.
                if let Some(others) = parent.and_then(|list| self.expanded.get_mut(&list)) {
                    others.push(new);
                }
                self.remove([id]);
                return false;
            }
        }
        if let Some(one) = self.slot(id) {
            let before = std::mem::replace(&mut one.address, address);
            one.given.get_or_insert(before);
        }
        true
    }

    /// There is no such recipient, or it cannot be resolved.
    pub(crate) fn fail(&mut self, id: RecipientId, status: Status) {
        if let Some(one) = self.slot(id) {
            one.state = RecipientState::Failed(status);
            self.failed.push(id);
            self.changed = true;
            self.tally.failed += 1;
            self.forks.retain(|fork| fork.list != id);
        }
    }

    /// A recipient stands for others.
    pub(crate) fn members(&mut self, id: RecipientId, found: Found) {
        let Some(parent) = self.recipient(id).cloned() else {
            return;
        };
        if self.depth(id) >= Expand::MAX_DEPTH {
            return self.fail(id, self.looped());
        }
        let own = key(&parent, self.is_own);
        let above: HashSet<_> = self
            .ancestors(id)
            .map(|one| key(one, self.is_own))
            .collect();
        // A notification stays one, whatever list it goes to.
        let owner = found
            .sender
            .filter(|_| self.message.envelope.sender != ReversePath::Null);
        let has_owner = owner.is_some();
        let sender = owner.filter(|sender| *sender != self.message.envelope.sender);
        let forked = sender.is_some();
        // What goes out by itself has each member once; what goes on here, each recipient of the message.
        let fork = self.forks.iter_mut().find(|fork| forked && fork.list == id);
        let mut apart = fork
            .map(|fork| std::mem::take(&mut fork.taken))
            .unwrap_or_default();
        let (mut members, mut others) = (Vec::new(), Vec::new());
        for new in found.recipients {
            let address = new.address.key((self.is_own)(&new.address));
            // The list's own address among its members is a mailbox: the copy that an alias leaves at home.
            let itself = address == own;
            let leads_back = above.contains(&address);
            let is_new = match forked {
                true => apart.insert(address.clone()),
                false => itself || self.taken.insert(address.clone()),
            };
            if leads_back || !is_new {
                others.push(address);
                continue;
            }
            let mut one = member(&parent, new, &found.namespace, has_owner);
            one.resolved = itself;
            members.push(one);
        }
        self.expanded.entry(id).or_default().extend(others);
        let count = self.places.len() + members.len();
        let forks: usize = self.forks.iter().map(|fork| fork.recipients.len()).sum();
        if count + forks > MOST_RECIPIENTS
            || (forked && self.forks.len() >= MOST_FORKS && !self.is_forked(id))
        {
            let text = format!("it stands for more than {MOST_RECIPIENTS} recipients");
            if !forked {
                let members = members.iter().map(|one| key(one, self.is_own));
                members.filter(|one| *one != own).for_each(|one| {
                    self.taken.remove(&one);
                });
            }
            return self.take_back(id, own_status(5, (2, 4), text, self.now));
        }
        self.tally.members += members.len() as u64;
        match sender {
            Some(sender) => self.fork(&parent, sender, members, apart),
            None => {
                for one in members {
                    if is_open(&one) {
                        self.next.push(one.id);
                    }
                    self.places.insert(one.id, self.message.recipients.len());
                    self.message.recipients.push(one);
                }
            }
        }
        self.changed = true;
        if found.more {
            return;
        }
        let status = own_status(2, (0, 0), "stands for others".to_owned(), self.now);
        self.tally.expanded += 1;
        if let Some(one) = self.slot(id) {
            one.state = RecipientState::Expanded(status.clone());
        }
        self.close_fork(id, status);
    }

    /// Fails lists that come to nobody: they are empty, or lead back to each other. Of those that lead to one another by
    /// their parents the last one fails, and its report names what the sender wrote.
    fn fail_what_comes_to_nobody(&mut self) {
        let recipients = &self.message.recipients;
        let is_list = |one: &Recipient| matches!(one.state, RecipientState::Expanded(_));
        let mut lists_of: HashMap<&AddressKey, Vec<RecipientId>> = HashMap::new();
        for (list, others) in &self.expanded {
            for other in others {
                // Whoever had this address may have got another one since.
                let next = |name: &&AddressKey| self.replaced.get(*name);
                for name in std::iter::successors(Some(other), next).take(MOST_NAMES + 1) {
                    lists_of.entry(name).or_default().push(*list);
                }
            }
        }
        // From those who get it up to what stands for them.
        let mut reaches: HashSet<RecipientId> = self.forks.iter().map(|fork| fork.list).collect();
        let ends = recipients.iter().filter(|one| !is_list(one));
        let mut found: Vec<RecipientId> = ends.map(|one| one.id).chain(reaches.clone()).collect();
        while let Some(id) = found.pop() {
            let Some(one) = self.places.get(&id).and_then(|at| recipients.get(*at)) else {
                continue;
            };
            let named = lists_of.get(&key(one, self.is_own)).into_iter().flatten();
            for list in named.copied().chain(one.parent) {
                if reaches.insert(list) {
                    found.push(list);
                }
            }
        }
        let lost = |one: &&Recipient| is_list(one) && !reaches.contains(&one.id);
        let parents: HashSet<_> = recipients
            .iter()
            .filter(lost)
            .filter_map(|o| o.parent)
            .collect();
        let ends = recipients.iter().filter(lost);
        let ends =
            ends.filter(|one| self.expanded.contains_key(&one.id) && !parents.contains(&one.id));
        let ends: Vec<_> = ends.map(|one| one.id).collect();
        for id in ends {
            let is_empty = self.expanded.get(&id).is_none_or(Vec::is_empty);
            let status = match is_empty {
                true => own_status(5, (2, 4), "it stands for nobody".to_owned(), self.now),
                false => self.looped(),
            };
            let place = self.places.get(&id).copied();
            if let Some(one) = place.and_then(|at| self.message.recipients.get_mut(at)) {
                one.state = RecipientState::Failed(status);
                self.failed.push(id);
                self.tally.failed += 1;
                self.tally.expanded = self.tally.expanded.saturating_sub(1);
            }
        }
    }

    /// The sender is another name of that one. A notification has none, and gets none.
    pub(crate) fn sender(&mut self, sender: ReversePath) {
        let envelope = &mut self.message.envelope;
        if envelope.sender != sender && envelope.sender != ReversePath::Null {
            let before = std::mem::replace(&mut envelope.sender, sender);
            envelope.given.get_or_insert(before);
            self.changed = true;
        }
    }

    /// Takes over what sinks keep on the message and its recipients.
    pub(crate) fn keep_properties(&mut self, draft: postern_message::Draft) {
        if self.message.properties != draft.properties {
            self.message.properties = draft.properties;
            self.changed = true;
        }
        for of in draft.recipients {
            if let Some(place) = self.places.get(&of.id)
                && let Some(one) = self.message.recipients.get_mut(*place)
                && one.properties != of.properties
            {
                one.properties = of.properties;
                self.changed = true;
            }
        }
    }

    /// Notes which bindings failed on it and were passed over.
    pub(crate) fn skipped(&mut self, skipped: Vec<String>) {
        self.changed |= self.message.skipped != skipped;
        self.message.skipped = skipped;
    }

    /// What became of all, and nothing is asked about them any more.
    pub(crate) fn finish(mut self) -> Resolved {
        self.changed |= !self.message.passed.is_empty();
        self.message.passed.clear();
        self.finish_for_now()
    }

    /// What became of those that were looked at; the others are asked about again, and without whoever was not asked now.
    pub(crate) fn finish_for_now(mut self) -> Resolved {
        self.leave_out_removed();
        // A list that is not complete is asked for anew from its beginning, and its members go out then.
        let (recipients, places) = (&self.message.recipients, &self.places);
        self.forks.retain(|fork| {
            let list = places.get(&fork.list).and_then(|at| recipients.get(*at));
            list.is_some_and(|list| matches!(list.state, RecipientState::Expanded(_)))
        });
        self.fail_what_comes_to_nobody();
        let failures = self.failed.iter().filter_map(|id| {
            let place = *self.places.get(id)?;
            let one = self.message.recipients.get(place)?;
            Some((place, one.state.clone()))
        });
        Resolved {
            failures: failures.collect(),
            message: self.message,
            forks: self.forks,
            changed: self.changed,
            found: self.found,
            tally: self.tally,
        }
    }

    fn is_forked(&self, id: RecipientId) -> bool {
        self.forks.iter().any(|fork| fork.list == id)
    }

    /// Members of a list whose sender is another one than that of the rest of the message.
    fn fork(
        &mut self,
        list: &Recipient,
        sender: ReversePath,
        members: Vec<Recipient>,
        taken: HashSet<AddressKey>,
    ) {
        if let Some(fork) = self.forks.iter_mut().find(|fork| fork.list == list.id) {
            fork.recipients.extend(members);
            fork.taken = taken;
            return;
        }
        if members.is_empty() {
            return;
        }
        let mut recipients: Vec<_> = self.ancestors(list.id).cloned().collect();
        recipients.reverse();
        recipients.push(list.clone());
        recipients.extend(members);
        self.forks.push(Fork {
            list: list.id,
            sender,
            recipients,
            taken,
        });
    }

    fn close_fork(&mut self, id: RecipientId, status: Status) {
        let fork = self.forks.iter_mut().find(|fork| fork.list == id);
        let list = fork.and_then(|fork| fork.recipients.iter_mut().find(|one| one.id == id));
        if let Some(list) = list {
            list.state = RecipientState::Expanded(status);
        }
    }

    /// A list is too long: what was taken of it is given back.
    fn take_back(&mut self, id: RecipientId, status: Status) {
        self.expanded.remove(&id);
        self.forks.retain(|fork| fork.list != id);
        let is_member = |one: &&Recipient| one.parent == Some(id) && !one.state.is_done();
        let members = self.message.recipients.iter().filter(is_member);
        let members: Vec<_> = members.map(|one| (one.id, key(one, self.is_own))).collect();
        let own = self.recipient(id).map(|one| key(one, self.is_own));
        // Whoever else names them gets them.
        for (_, member) in &members {
            if own.as_ref() != Some(member) {
                self.taken.remove(member);
            }
        }
        self.remove(members.into_iter().map(|(id, _)| id));
        self.fail(id, status);
    }

    /// Recipients are none any more.
    fn remove(&mut self, ids: impl IntoIterator<Item = RecipientId>) {
        for id in ids {
            self.removed |= self.places.remove(&id).is_some();
        }
        self.changed |= self.removed;
    }

    /// Leaves out all that were removed, which moves those behind them: once for many.
    fn leave_out_removed(&mut self) {
        if !std::mem::take(&mut self.removed) {
            return;
        }
        let places = &self.places;
        let recipients = &mut self.message.recipients;
        recipients.retain(|one| places.contains_key(&one.id));
        self.open.retain(|open| places.contains_key(open));
        self.next.retain(|open| places.contains_key(open));
        let recipients = recipients.iter().enumerate();
        self.places = recipients.map(|(place, one)| (one.id, place)).collect();
    }

    fn slot(&mut self, id: RecipientId) -> Option<&mut Recipient> {
        let place = *self.places.get(&id)?;
        let one = self.message.recipients.get_mut(place)?;
        is_open(one).then_some(one)
    }

    fn looped(&self) -> Status {
        let text = "aliases lead back to themselves, or lie too deep".to_owned();
        own_status(5, (4, 6), text, self.now)
    }
}

/// It is still to be found out what a recipient stands for.
pub(in super::super) fn is_open(one: &Recipient) -> bool {
    !one.resolved && !one.state.is_done()
}

fn key(one: &Recipient, is_own: &IsOwn<'_>) -> AddressKey {
    one.address.key(is_own(&one.address))
}

/// A recipient that another one stands for. It keeps what its sender asked for, and the address that its sender used, unless
/// it has `another` sender: a list's owner knows its members (RFC 3461, 5.2.7).
fn member(parent: &Recipient, new: NewRecipient, namespace: &str, another: bool) -> Recipient {
    let mut one = Recipient {
        orcpt: new.orcpt,
        notify: new.notify,
        parameters: new.parameters,
        parent: Some(parent.id),
        tenant: parent.tenant.clone(),
        ..Recipient::new(new.address)
    };
    if new.copy_from == Some(parent.id) {
        one.properties = parent.properties.clone();
    }
    let limits = PropertyLimits::default();
    for (key, value, lifetime) in new.properties {
        let set = one
            .properties
            .set_for(lifetime, namespace, &key, value, &limits);
        if let Err(error) = set {
            tracing::warn!(sink = namespace, key, %error, "a property of a member is left out");
        }
    }
    if !another {
        one.notify = one.notify.or(parent.notify);
        one.orcpt = one.orcpt.take().or_else(|| parent.orcpt.clone());
        if one.address != *parent.given_address() {
            one.given = Some(parent.given_address().clone());
        }
    }
    one
}

/// A status of our own.
pub(super) fn own_status(
    class: u8,
    (subject, detail): (u16, u16),
    text: String,
    at: SystemTime,
) -> Status {
    Status {
        at,
        code: (class == 5).then_some(550),
        enhanced: Some((class, subject, detail)),
        text,
        remote: None,
    }
}

#[cfg(test)]
mod tests;
