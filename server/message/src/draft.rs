//! What edits act on: envelope, recipients, properties and content together.

mod recipients;

use std::collections::HashMap;

use postern_smtp::address::ReversePath;

use crate::{
    Edit, EditError, EditLimits, Envelope, Lifetime, Message, ParameterEdit, Properties,
    PropertyScope, Recipient, Value, Version,
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
    /// Nothing: the null sender, no recipients, no content.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            envelope: Envelope::new(ReversePath::Null),
            recipients: Vec::new(),
            properties: Properties::new(),
            session_properties: Properties::new(),
            version: None,
        }
    }

    /// What edits of a message that was accepted act on. It has no properties of the session.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self {
            envelope: message.envelope.clone(),
            recipients: message.recipients.clone(),
            properties: message.properties.clone(),
            session_properties: Properties::new(),
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
        recipients::apply(&mut next, namespace, edits, limits)?;
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
            let before = std::mem::replace(&mut self.envelope.sender, sender.clone());
            self.envelope.given.get_or_insert(before);
        }
        for edit in edits {
            if let Edit::SetParameter {
                of: None,
                parameter,
            } = edit
            {
                self.set_parameter_of_mail(parameter)?;
            }
        }
        Ok(())
    }

    fn set_parameter_of_mail(&mut self, parameter: &ParameterEdit) -> Result<(), EditError> {
        match parameter {
            ParameterEdit::Ret(ret) => self.envelope.ret = *ret,
            ParameterEdit::Envid(envid) => self.envelope.envid.clone_from(envid),
            ParameterEdit::Other { keyword, value } => {
                set_raw(&mut self.envelope.parameters, keyword, value.as_ref());
            }
            ParameterEdit::Notify(_) | ParameterEdit::Orcpt(_) => return Err(EditError::Parameter),
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
            let Edit::SetProperty {
                scope,
                key,
                value,
                lifetime,
            } = edit
            else {
                continue;
            };
            let bag = match scope {
                PropertyScope::Session => &mut self.session_properties,
                PropertyScope::Message => &mut self.properties,
                PropertyScope::Recipient(id) => of_recipient
                    .get_mut(id)
                    .ok_or(EditError::UnknownRecipient { id: *id })?,
            };
            set(bag, namespace, key, value.as_ref(), *lifetime, limits)?;
        }
        Ok(())
    }
}

fn set(
    bag: &mut Properties,
    namespace: &str,
    key: &str,
    value: Option<&Value>,
    lifetime: Lifetime,
    limits: &EditLimits,
) -> Result<(), EditError> {
    match value {
        Some(value) => {
            bag.set_for(lifetime, namespace, key, value.clone(), &limits.properties)?;
        }
        None => bag.remove(namespace, key),
    }
    Ok(())
}

/// Sets or removes one raw parameter, whose keyword is compared without case.
fn set_raw(
    parameters: &mut Vec<(bytes::Bytes, Option<bytes::Bytes>)>,
    keyword: &bytes::Bytes,
    value: Option<&Option<bytes::Bytes>>,
) {
    let place = parameters
        .iter()
        .position(|(own, _)| own.eq_ignore_ascii_case(keyword));
    match (place, value) {
        (Some(place), Some(value)) => {
            if let Some((_, own)) = parameters.get_mut(place) {
                own.clone_from(value);
            }
        }
        (Some(place), None) => {
            parameters.remove(place);
        }
        (None, Some(value)) => parameters.push((keyword.clone(), value.clone())),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests;
