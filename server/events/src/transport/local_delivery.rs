//! `transport.local_delivery`: a sink is the mailbox store of these recipients.

use postern_message::{AttemptId, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::LocalDeliveryAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// Recipients that a sink delivers (next hop `sink:NAME`).
#[derive(Clone, Debug)]
pub struct LocalDelivery {
    /// The recipients.
    pub recipients: Vec<RecipientId>,
    /// The attempt.
    pub attempt: AttemptId,
}

impl Event for LocalDelivery {
    const KIND: EventKind = EventKind::TransportLocalDelivery;
    type Context = MessageContext;
    type Answer = LocalDeliveryAnswer;

    fn body(&self, _: &MessageContext, _: Option<&LocalDeliveryAnswer>, view: &View<'_>) -> Kind {
        Kind::TransportLocalDelivery(pb::TransportLocalDelivery {
            recipient_ids: wire::ids(&self.recipients, view),
            attempt_id: wire::id(self.attempt.as_bytes()),
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipients: &self.recipients,
            ..EventFacts::default()
        }
    }
}
