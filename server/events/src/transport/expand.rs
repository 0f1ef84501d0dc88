//! `transport.expand`: one recipient or list is to be resolved.

use bytes::Bytes;
use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::ExpansionAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A recipient or list that is to be resolved.
#[derive(Clone, Debug)]
pub struct Expand {
    /// The recipient.
    pub recipient: RecipientId,
    /// How many expansions led to it. At most 10.
    pub depth: u32,
    /// What the sink's last part handed back; empty for the first part.
    pub page_token: Bytes,
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

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipient: Some(self.recipient),
            ..EventFacts::default()
        }
    }
}
