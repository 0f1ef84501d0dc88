//! `outbound.message_start`: after EHLO and every conversion, before MAIL.

use bytes::Bytes;
use postern_message::{AttemptId, HeaderField, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::proposed;
use crate::answer::CommandsAnswer;
use crate::context::OutgoingContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A message that is about to be sent. Edits belong to this attempt and are not stored.
#[derive(Clone, Debug)]
pub struct MessageStart {
    /// The attempt.
    pub attempt: AttemptId,
    /// The recipients of this attempt.
    pub recipients: Vec<RecipientId>,
    /// MAIL, without its CRLF.
    pub command: Bytes,
    /// How the content came to be what it is, from the first revision on. For bindings that read `history`.
    pub revisions: Vec<Revision>,
}

/// A step from one version of the content to the next.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// Its number. 1: as received, with no changes listed.
    pub number: u32,
    /// The binding whose verdict made it; empty for the gateway.
    pub made_by: String,
    /// Changes of header fields, in order.
    pub header_changes: Vec<HeaderChange>,
    /// Changes of the body, ascending.
    pub body_changes: Vec<BodyChange>,
    /// SHA-256 of the whole content. For bindings that read `digest`.
    pub sha256: Option<[u8; 32]>,
}

/// A change of one header field.
#[derive(Clone, Debug)]
pub struct HeaderChange {
    /// The field as it was. `None`: it was inserted.
    pub before: Option<HeaderField>,
    /// The field as it became. `None`: it was removed.
    pub after: Option<HeaderField>,
}

/// A change of the body.
#[derive(Clone, Copy, Debug)]
pub struct BodyChange {
    /// First octet, in the body of the revision before.
    pub offset_before: u64,
    /// Octets removed.
    pub removed_bytes: u64,
    /// First octet, in the body of this revision.
    pub offset_after: u64,
    /// Octets inserted.
    pub inserted_bytes: u64,
}

impl Revision {
    fn shown(&self, view: &View<'_>) -> pb::Revision {
        let reads = &view.reads.headers;
        let is_read = |change: &&HeaderChange| {
            let fields = change.before.iter().chain(&change.after);
            fields.into_iter().all(|field| reads.contains(field.name()))
        };
        let headers = self.header_changes.iter().filter(is_read);
        pb::Revision {
            number: self.number,
            made_by: self.made_by.clone(),
            header_changes: headers
                .map(|change| pb::HeaderChange {
                    before: change.before.as_ref().map(wire::field),
                    after: change.after.as_ref().map(wire::field),
                })
                .collect(),
            body_changes: self
                .body_changes
                .iter()
                .map(|change| pb::BodyChange {
                    offset_before: change.offset_before,
                    removed_bytes: change.removed_bytes,
                    offset_after: change.offset_after,
                    inserted_bytes: change.inserted_bytes,
                })
                .collect(),
            content_sha256: self
                .sha256
                .filter(|_| view.reads.digest)
                .map(|digest| Bytes::copy_from_slice(&digest))
                .unwrap_or_default(),
        }
    }
}

impl Event for MessageStart {
    const KIND: EventKind = EventKind::OutboundMessageStart;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(
        &self,
        context: &OutgoingContext,
        said: Option<&CommandsAnswer>,
        view: &View<'_>,
    ) -> Kind {
        let revisions = self.revisions.iter().filter(|_| view.reads.history);
        Kind::OutboundMessageStart(
            pb::OutboundMessageStart {
                remote: Some(wire::remote(&context.remote)),
                command: Some(proposed(&self.command, said, view.reads.sender)),
                attempt_id: wire::id(self.attempt.as_bytes()),
                recipient_ids: wire::ids(&self.recipients, view),
                revisions: revisions.map(|own| own.shown(view)).collect(),
            }
            .into(),
        )
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipients: &self.recipients,
            ..EventFacts::default()
        }
    }
}
