//! `transport.expand`: one recipient or list is to be resolved.

use std::borrow::Cow;

use bytes::Bytes;
use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::ExpansionAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// One recipient that is to be resolved. A list that is too long for one verdict is asked about again, page by page.
#[derive(Clone, Debug)]
pub struct Expand {
    /// The recipient.
    pub recipient: RecipientId,
    /// Its domain is one of this server's own.
    pub is_local: bool,
    /// How many expansions led to it. At most [`Expand::MAX_DEPTH`].
    pub depth: u32,
    /// What the last part of the list handed back. Empty: the first part.
    pub page_token: Bytes,
}

impl Expand {
    /// How deep lists may lie in lists; what lies deeper is a loop, and fails.
    pub const MAX_DEPTH: u32 = 10;
}

impl Event for Expand {
    const KIND: EventKind = EventKind::TransportExpand;
    type Context = MessageContext;
    type Answer = ExpansionAnswer;

    fn body(&self, _: &MessageContext, _: Option<&ExpansionAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportExpand(pb::TransportExpand {
            recipient_id: wire::id(self.recipient.as_bytes()),
            depth: self.depth,
            page_token: self.page_token.clone(),
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &MessageContext,
        _: Option<&ExpansionAnswer>,
    ) -> Option<AttributeValue> {
        let own = || context.working().recipient(self.recipient);
        Some(match attribute {
            Attribute::ExpansionDepth => AttributeValue::count(self.depth),
            Attribute::RecipientAddress => AttributeValue::text(wire::path(&own()?.address)),
            Attribute::RecipientDomain => AttributeValue::domain_of(&own()?.address),
            Attribute::RecipientIsLocal => AttributeValue::Bool(self.is_local),
            // What it is, is the question.
            Attribute::RecipientKind => AttributeValue::text(""),
            Attribute::RecipientTenant => AttributeValue::text(&own()?.tenant),
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipient: Some(self.recipient),
            recipients: std::slice::from_ref(&self.recipient),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("recipient {}", self.recipient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_recipient_is_named_and_described() {
        let message = samples::message();
        let id = message.message().recipients[1].id;
        let event = Expand {
            recipient: id,
            is_local: true,
            depth: 3,
            page_token: Bytes::from_static(b"page 2"),
        };
        let context = message.into();
        assert_eq!(
            samples::body(event.clone(), None, &context),
            Kind::TransportExpand(pb::TransportExpand {
                recipient_id: wire::id(id.as_bytes()),
                depth: 3,
                page_token: Bytes::from_static(b"page 2"),
            })
        );
        assert_eq!(event.facts().recipient, Some(id));
        assert_eq!(event.facts().recipients, [id]);
        let text = AttributeValue::text;
        for (attribute, value) in [
            (Attribute::ExpansionDepth, AttributeValue::Int(3)),
            (Attribute::RecipientAddress, text("list@other.test")),
            (Attribute::RecipientDomain, text("other.test")),
            (Attribute::RecipientIsLocal, AttributeValue::Bool(true)),
            (Attribute::RecipientKind, text("")),
            (Attribute::RecipientTenant, text("acme")),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), value);
        }
    }
}
