//! `transport.local_delivery`: a sink is the mailbox store of these recipients.

use std::borrow::Cow;
use std::collections::HashSet;

use postern_message::{AttemptId, RecipientId};
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::reply::Reply;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::check::{MAX_ITEMS, limit};
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// Recipients whose mailboxes a sink may keep. Each is asked of the first binding that fires for it alone: of the bindings of
/// the sink that a next hop names, where who is left out of the answer stays queued; else of those of sinks that no next hop
/// names, before the gateway's own store, which has who is left out.
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
            // A rule says of each recipient whose mailbox it is.
            recipient: match self.recipients.as_slice() {
                [one] => Some(*one),
                _ => None,
            },
            recipients: &self.recipients,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{} recipients", self.recipients.len()))
    }
}

/// What became of local recipients. Who is left out stays queued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalDeliveryAnswer {
    /// Each recipient with its reply: 2xx delivered, 4xx later, 5xx failed.
    pub statuses: Vec<(RecipientId, Reply)>,
}

impl TypedAnswer for LocalDeliveryAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::LocalDelivery);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::LocalDelivery(own) = answer else {
            return Err(not_the_answer());
        };
        limit("statuses", own.statuses.len(), MAX_ITEMS)?;
        let mut seen: HashSet<RecipientId> = HashSet::new();
        let statuses = own.statuses.into_iter().map(|status| {
            let ids = [status.recipient_id];
            let id = checks.recipients(&ids, &mut seen)?;
            let reply = status
                .reply
                .ok_or_else(|| Fault::protocol("a status needs a reply"))?;
            let reply = checks.reply(*reply, &[2, 4, 5], "a delivery")?;
            let id = id.first().copied();
            let id = id.ok_or_else(|| Fault::protocol("a status needs a recipient"))?;
            Ok::<_, Fault>((id, reply))
        });
        Ok(LocalDeliveryAnswer {
            statuses: statuses.collect::<Result<_, _>>()?,
        })
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
