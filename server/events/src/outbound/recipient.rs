//! `outbound.recipient`: before each RCPT.

use bytes::Bytes;
use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::proposed;
use crate::answer::CommandsAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::OutgoingContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A recipient that is about to be sent.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The recipient.
    pub recipient: RecipientId,
    /// RCPT, without its CRLF.
    pub command: Bytes,
}

impl Event for Recipient {
    const KIND: EventKind = EventKind::OutboundRecipient;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, _: &OutgoingContext, said: Option<&CommandsAnswer>, view: &View<'_>) -> Kind {
        Kind::OutboundRecipient(pb::OutboundRecipient {
            recipient_id: wire::id(self.recipient.as_bytes()),
            command: Some(proposed(&self.command, said, view.reads.recipients)),
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &OutgoingContext,
        _: Option<&CommandsAnswer>,
    ) -> Option<AttributeValue> {
        let own = context
            .message
            .as_ref()?
            .working()
            .recipient(self.recipient)?;
        Some(match attribute {
            Attribute::RecipientAddress => AttributeValue::text(wire::path(&own.address)),
            Attribute::RecipientDomain => AttributeValue::domain_of(&own.address),
            Attribute::RecipientIsLocal => AttributeValue::Bool(false),
            Attribute::RecipientKind => AttributeValue::text(""),
            Attribute::RecipientTenant => AttributeValue::text(&own.tenant),
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipient: Some(self.recipient),
            ..EventFacts::default()
        }
    }
}
