//! What edits act on: envelope, recipients, properties and content together.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};

use postern_smtp::address::{DomainOrLiteral, ForwardPath};

use crate::{
    Edit, EditError, EditLimits, Envelope, Message, NewRecipient, Properties, PropertyScope,
    Recipient, RecipientId, Value, Version,
};

/// A message in the making, as one point in the chain of bindings sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The envelope.
    pub envelope: Envelope,
    /// The recipients.
    pub recipients: Vec<Recipient>,
    /// The message's properties.
    pub properties: Properties,
    /// The session's properties.
    pub session_properties: Properties,
    /// The content, once its header section is complete.
    pub version: Option<Version>,
}

impl Draft {
    /// What edits of a message that was accepted act on.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self {
            envelope: message.envelope.clone(),
            recipients: message.recipients.clone(),
            properties: message.properties.clone(),
            session_properties: message.session_properties.clone(),
            version: Some(message.version.clone()),
        }
    }

    /// Applies the edits of one verdict, all or none, and returns the next draft. `namespace` is
    /// where properties go: the sink's own. An address that is added twice, or is there already,
    /// stays once.
    ///
    /// # Errors
    /// The first edit that cannot be applied, or the first limit that the result is over.
    pub fn apply(
        &self,
        namespace: &str,
        edits: &[Edit],
        limits: &EditLimits,
    ) -> Result<Self, EditError> {
        let mut next = self.clone();
        next.version = match &self.version {
            Some(version) => Some(version.apply(edits, limits)?),
            None if edits.iter().any(Edit::is_of_content) => return Err(EditError::NoContent),
            None => None,
        };
        next.apply_envelope(edits)?;
        RecipientEdits::of(self, edits)?.apply(&mut next);
        let count = next.recipients.len();
        if count > limits.recipients && count > self.recipients.len() {
            return Err(EditError::OverLimit {
                what: "recipients",
                value: count as u64,
                limit: limits.recipients as u64,
            });
        }
        next.apply_properties(namespace, edits, limits)?;
        Ok(next)
    }

    fn apply_envelope(&mut self, edits: &[Edit]) -> Result<(), EditError> {
        let mut set = false;
        for edit in edits {
            let Edit::SetSender { sender } = edit else {
                continue;
            };
            if std::mem::replace(&mut set, true) {
                return Err(EditError::SenderTwice);
            }
            if !self.envelope.smtp_utf8 && !sender.is_ascii() {
                return Err(EditError::NotAscii);
            }
            self.envelope.sender = sender.clone();
        }
        Ok(())
    }

    fn apply_properties(
        &mut self,
        namespace: &str,
        edits: &[Edit],
        limits: &EditLimits,
    ) -> Result<(), EditError> {
        if !edits
            .iter()
            .any(|edit| matches!(edit, Edit::SetProperty { .. }))
        {
            return Ok(());
        }
        let recipients = self.recipients.iter_mut();
        let mut of_recipient: HashMap<_, _> = recipients
            .map(|recipient| (recipient.id, &mut recipient.properties))
            .collect();
        for edit in edits {
            let Edit::SetProperty { scope, key, value } = edit else {
                continue;
            };
            let bag = match scope {
                PropertyScope::Session => &mut self.session_properties,
                PropertyScope::Message => &mut self.properties,
                PropertyScope::Recipient(id) => of_recipient
                    .get_mut(id)
                    .ok_or(EditError::UnknownRecipient { id: *id })?,
            };
            set(bag, namespace, key, value.as_ref(), limits)?;
        }
        Ok(())
    }
}

fn set(
    bag: &mut Properties,
    namespace: &str,
    key: &str,
    value: Option<&Value>,
    limits: &EditLimits,
) -> Result<(), EditError> {
    match value {
        Some(value) => bag.set(namespace, key, value.clone(), &limits.properties)?,
        None => bag.remove(namespace, key),
    }
    Ok(())
}

/// The recipient edits of one verdict, checked against the list that the sink saw.
struct RecipientEdits<'a> {
    /// New addresses, or `None` for a recipient that goes.
    changes: HashMap<RecipientId, Option<&'a ForwardPath>>,
    added: Vec<&'a NewRecipient>,
    replaced: bool,
}

impl<'a> RecipientEdits<'a> {
    fn of(seen: &Draft, edits: &'a [Edit]) -> Result<Self, EditError> {
        let mut this = Self {
            changes: HashMap::new(),
            added: Vec::new(),
            replaced: false,
        };
        let by_id = LazyCell::new(|| seen.recipients.iter().map(|r| (r.id, r)).collect());
        let mut others = false;
        for edit in edits {
            match edit {
                Edit::AddRecipient(new) => this.added.push(new),
                Edit::RemoveRecipient { id } => this.change(&by_id, *id, None)?,
                Edit::RewriteRecipient { id, address } => {
                    this.change(&by_id, *id, Some(address))?
                }
                Edit::ReplaceRecipients { recipients } => {
                    if std::mem::replace(&mut this.replaced, true) || others {
                        return Err(EditError::ListTwice);
                    }
                    this.added.extend(recipients);
                    continue;
                }
                _ => continue,
            }
            others = true;
            if this.replaced {
                return Err(EditError::ListTwice);
            }
        }
        let addresses = this.changes.values().copied().flatten();
        let added = this.added.iter().map(|new| &new.address);
        if !seen.envelope.smtp_utf8 && !addresses.chain(added).all(ForwardPath::is_ascii) {
            return Err(EditError::NotAscii);
        }
        Ok(this)
    }

    fn change(
        &mut self,
        seen: &HashMap<RecipientId, &Recipient>,
        id: RecipientId,
        address: Option<&'a ForwardPath>,
    ) -> Result<(), EditError> {
        match seen.get(&id) {
            None => Err(EditError::UnknownRecipient { id }),
            Some(recipient) if recipient.state.is_done() => Err(EditError::RecipientDone { id }),
            Some(_) if self.changes.insert(id, address).is_some() => {
                Err(EditError::RecipientTwice { id })
            }
            Some(_) => Ok(()),
        }
    }

    fn apply(self, next: &mut Draft) {
        if self.replaced {
            next.recipients
                .retain(|recipient| recipient.state.is_done());
        }
        next.recipients.retain_mut(|recipient| {
            match self.changes.get(&recipient.id) {
                Some(None) => return false,
                Some(Some(address)) => recipient.address = (*address).clone(),
                None => {}
            }
            true
        });
        if self.added.is_empty() {
            return;
        }
        let pending = next.recipients.iter().filter(|r| !r.state.is_done());
        let mut there: HashSet<_> = pending.map(|r| mailbox_key(&r.address)).collect();
        for new in self.added {
            if there.insert(mailbox_key(&new.address)) {
                next.recipients.push(Recipient {
                    orcpt: new.orcpt.clone(),
                    notify: new.notify,
                    ..Recipient::new(new.address.clone())
                });
            }
        }
    }
}

/// Equal for addresses that mean one mailbox; `None` is the postmaster without a domain.
fn mailbox_key(address: &ForwardPath) -> Option<(String, DomainOrLiteral)> {
    let mailbox = address.mailbox()?;
    let local = mailbox.unquoted_local_part().into_owned();
    Some((local, mailbox.domain().clone()))
}

#[cfg(test)]
mod tests;
