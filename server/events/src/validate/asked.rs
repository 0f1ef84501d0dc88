//! What a verdict is measured by: the question, the binding, and what the sink was shown.

use std::collections::HashSet;

use bytes::Bytes;
use postern_message::{BodyKind, RecipientId, Version};

use crate::check::recipient_id;
use crate::context::Context;
use crate::event::EventKind;
use crate::fault::Fault;
use crate::plan::Binding;
use crate::question::{EventFacts, Question};

/// What the sink was asked, as far as its verdict is measured by it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The event, with what earlier bindings answered.
    pub question: &'a Question,
    /// What is known.
    pub context: &'a Context,
    /// The binding that was asked.
    pub binding: &'a Binding,
    /// The content as the sink was shown it.
    pub version: Option<&'a Version>,
}

impl<'a> Asked<'a> {
    pub(super) fn event(&self) -> EventKind {
        self.question.kind()
    }

    pub(super) fn facts(&self) -> EventFacts<'a> {
        self.question.event().facts()
    }

    /// Addresses, header values and replies may hold UTF-8 (SMTPUTF8 was given).
    pub(super) fn utf8(&self) -> bool {
        self.context
            .working()
            .is_some_and(|working| working.draft().envelope.smtp_utf8)
    }

    /// Lines of the content need not end in CRLF (RFC 3030).
    pub(super) fn is_binary(&self) -> bool {
        self.context
            .working()
            .is_some_and(|working| working.draft().envelope.body == BodyKind::BinaryMime)
    }

    /// The event's list has, or had, this recipient.
    pub(super) fn knows(&self, id: RecipientId) -> bool {
        let listed = self.facts().recipients;
        if !listed.is_empty() {
            return listed.contains(&id);
        }
        self.context.recipient(id).is_some()
            || self.context.working().is_some_and(|working| {
                let others = working.pieces().flat_map(|piece| &piece.draft.recipients);
                others
                    .chain(working.dealt_with())
                    .any(|recipient| recipient.id == id)
            })
    }

    /// A recipient that the event's list has, or had.
    pub(super) fn known(&self, id: RecipientId) -> Result<RecipientId, Fault> {
        if self.knows(id) {
            Ok(id)
        } else {
            Err(Fault::protocol(format!(
                "recipient {id} is none of those that were asked about"
            )))
        }
    }

    /// Recipients of a group, of which the event's list must know each, and none of which was named before.
    pub(super) fn group(
        &self,
        ids: &[Bytes],
        seen: &mut HashSet<RecipientId>,
    ) -> Result<Vec<RecipientId>, Fault> {
        if ids.is_empty() {
            return Err(Fault::protocol("a group of recipients is empty"));
        }
        let mut checked = Vec::with_capacity(ids.len());
        for id in ids {
            let id = recipient_id(id)?;
            if !seen.insert(id) {
                return Err(Fault::protocol(format!("recipient {id} is in two groups")));
            }
            checked.push(self.known(id)?);
        }
        Ok(checked)
    }
}

/// Finished uploads of the instance. Each is used once.
pub trait Uploads {
    /// Takes the octets of an upload out; `None` if there is no such finished one.
    fn take(&mut self, upload_id: u64) -> Option<Bytes>;
}

/// There are no uploads.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUploads;

impl Uploads for NoUploads {
    fn take(&mut self, _upload_id: u64) -> Option<Bytes> {
        None
    }
}

/// A grant that the binding does not have.
pub(super) fn not_granted(what: &str) -> Fault {
    Fault::protocol(format!("the binding's `may` does not grant {what}"))
}
