//! `transport.local_delivery`: a sink is the mailbox store of these recipients.

use std::borrow::Cow;

use postern_message::{AttemptId, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::LocalDeliveryAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// Recipients whose mailboxes a sink keeps. One sink is asked, by one of its bindings; who is left out of its answer
/// stays queued.
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

    fn body(&self, _: &MessageContext, _: Option<&LocalDeliveryAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportLocalDelivery(pb::TransportLocalDelivery {
            recipient_ids: wire::asked_ids(&self.recipients),
            attempt_id: wire::id(self.attempt.as_bytes()),
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipients: &self.recipients,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{} recipients", self.recipients.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn recipients_and_attempt_are_named() {
        let message = samples::message();
        let ids = vec![message.message().recipients[0].id];
        let attempt = AttemptId::new();
        let event = LocalDelivery {
            recipients: ids.clone(),
            attempt,
        };
        assert_eq!(event.facts().recipients, ids);
        assert_eq!(
            samples::body(event, None, &message.into()),
            Kind::TransportLocalDelivery(pb::TransportLocalDelivery {
                recipient_ids: wire::asked_ids(&ids),
                attempt_id: wire::id(attempt.as_bytes()),
            })
        );
    }
}
