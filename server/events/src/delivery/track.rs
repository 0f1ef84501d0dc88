//! `delivery.track`: a step in a message's life.

use std::borrow::Cow;
use std::time::SystemTime;

use postern_message::{MessageId, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::address::ForwardPath;

use super::MessageSummary;
use crate::answer::NoAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::DeliveryContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts, Parties};
use crate::wire::{self, View};

/// A step in a message's life.
#[derive(Clone, Debug)]
pub struct Track {
    /// The message.
    pub summary: MessageSummary,
    /// The step.
    pub step: Step,
    /// When.
    pub at: SystemTime,
    /// The recipients that it is about. Empty: all.
    pub recipients: Vec<RecipientId>,
    /// Their addresses, for rules alone.
    pub addresses: Vec<ForwardPath>,
    /// The other message: the branch that was forked, the notification that was made.
    pub related: Option<MessageId>,
    /// Who did it: a binding, `operator`, or empty for the gateway.
    pub actor: String,
    /// Why, as the verdict, the action or the operator said.
    pub reason: String,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Accepted and durable.
    Accepted,
    /// Injected by a sink, or put in by an operator.
    Injected,
    /// Recipients resolved.
    Categorized,
    /// Forked.
    Forked,
    /// Waiting for delivery.
    Queued,
    /// Routed another way.
    Rerouted,
    /// An attempt began.
    Attempted,
    /// Held.
    Held,
    /// Released.
    Released,
    /// Put in quarantine.
    Quarantined,
    /// Dropped by a verdict.
    Discarded,
    /// A notification was made.
    Notified,
    /// Removed by an operator, or recalled by a sink.
    Removed,
    /// Expired.
    Expired,
    /// Nothing is left to do.
    Finished,
}

impl Step {
    /// All steps, in the order of a life.
    pub const ALL: [Self; 15] = [
        Self::Accepted,
        Self::Injected,
        Self::Categorized,
        Self::Forked,
        Self::Queued,
        Self::Rerouted,
        Self::Attempted,
        Self::Held,
        Self::Released,
        Self::Quarantined,
        Self::Discarded,
        Self::Notified,
        Self::Removed,
        Self::Expired,
        Self::Finished,
    ];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Injected => "injected",
            Self::Categorized => "categorized",
            Self::Forked => "forked",
            Self::Queued => "queued",
            Self::Rerouted => "rerouted",
            Self::Attempted => "attempted",
            Self::Held => "held",
            Self::Released => "released",
            Self::Quarantined => "quarantined",
            Self::Discarded => "discarded",
            Self::Notified => "notified",
            Self::Removed => "removed",
            Self::Expired => "expired",
            Self::Finished => "finished",
        }
    }

    const fn wire(self) -> pb::TrackStep {
        match self {
            Self::Accepted => pb::TrackStep::Accepted,
            Self::Injected => pb::TrackStep::Injected,
            Self::Categorized => pb::TrackStep::Categorized,
            Self::Forked => pb::TrackStep::Forked,
            Self::Queued => pb::TrackStep::Queued,
            Self::Rerouted => pb::TrackStep::Rerouted,
            Self::Attempted => pb::TrackStep::Attempted,
            Self::Held => pb::TrackStep::Held,
            Self::Released => pb::TrackStep::Released,
            Self::Quarantined => pb::TrackStep::Quarantined,
            Self::Discarded => pb::TrackStep::Discarded,
            Self::Notified => pb::TrackStep::Notified,
            Self::Removed => pb::TrackStep::Removed,
            Self::Expired => pb::TrackStep::Expired,
            Self::Finished => pb::TrackStep::Finished,
        }
    }
}

impl Parties for Track {
    fn sender(&self) -> &str {
        let mailbox = self.summary.sender.mailbox();
        mailbox.map_or("", |mailbox| mailbox.as_str())
    }

    fn any_recipient(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        self.addresses
            .iter()
            .any(|address| visit(wire::path(address)))
    }
}

impl Event for Track {
    const KIND: EventKind = EventKind::DeliveryTrack;
    type Context = DeliveryContext;
    type Answer = NoAnswer;

    fn body(&self, _: &DeliveryContext, _: Option<&NoAnswer>, view: &View<'_>) -> Kind {
        let related = self.related.map(|id| wire::id(id.as_bytes()));
        Kind::DeliveryTrack(
            pb::DeliveryTrack {
                summary: Some(self.summary.shown(view)),
                step: self.step.wire().into(),
                at: Some(wire::moment(self.at)),
                recipient_ids: wire::ids(&self.recipients, view),
                related_message_id: related.unwrap_or_default(),
                actor: self.actor.clone(),
                reason: self.reason.clone(),
            }
            .into(),
        )
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &DeliveryContext,
        _: Option<&NoAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::TrackStep => AttributeValue::text(self.step.name()),
            Attribute::TrackActor => AttributeValue::text(&self.actor),
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            parties: Some(self),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{} {}", self.summary.id, self.step.name()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use bytes::Bytes;
    use postern_message::{Origin, SessionId};

    use super::*;
    use crate::samples;

    fn event(step: Step) -> Track {
        Track {
            summary: MessageSummary {
                id: MessageId::new(),
                server: "inbound".to_owned(),
                origin: Origin::Lmtp,
                sender: samples::sender(),
                envid: Some(Bytes::from_static(b"a+2Bb")),
                header_message_id: Some(Bytes::from_static(b"<1@example.test>")),
                size_bytes: 100,
                received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(60),
                session: Some(SessionId::new()),
                client: Some("192.0.2.9".parse().unwrap()),
                parent: Some(MessageId::new()),
                tenant: "acme".to_owned(),
                recipient_count: 2,
                priority: -3,
            },
            step,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(90),
            recipients: vec![RecipientId::new()],
            addresses: vec![samples::path("to@example.test")],
            related: Some(MessageId::new()),
            actor: "virus".to_owned(),
            reason: "infected".to_owned(),
        }
    }

    #[test]
    fn every_step_is_told_whole() {
        let context = samples::delivery().into();
        for (number, step) in Step::ALL.into_iter().enumerate() {
            let event = event(step);
            let summary = &event.summary;
            let wired = pb::MessageSummary {
                message_id: wire::id(summary.id.as_bytes()),
                server: "inbound".to_owned(),
                origin: pb::Origin::Lmtp.into(),
                reverse_path: Bytes::from_static(b"sender@example.test"),
                envelope_id: Bytes::from_static(b"a+b"),
                header_message_id: Bytes::from_static(b"<1@example.test>"),
                size_bytes: 100,
                received_at: Some(wire::moment(summary.received_at)),
                session_id: wire::id(summary.session.unwrap().as_bytes()),
                client_address: "192.0.2.9".to_owned(),
                parent_message_id: wire::id(summary.parent.unwrap().as_bytes()),
                tenant: "acme".to_owned(),
                recipient_count: 2,
                priority: -3,
            };
            let expected = pb::DeliveryTrack {
                summary: Some(wired),
                step: i32::try_from(number).unwrap() + 1,
                at: Some(wire::moment(event.at)),
                recipient_ids: wire::asked_ids(&event.recipients),
                related_message_id: wire::id(event.related.unwrap().as_bytes()),
                actor: "virus".to_owned(),
                reason: "infected".to_owned(),
            };
            assert_eq!(
                samples::body(event.clone(), None, &context),
                Kind::DeliveryTrack(expected.into())
            );
            assert_eq!(
                samples::attribute(&event, Attribute::TrackStep, None, &context),
                AttributeValue::text(step.name())
            );
            assert_eq!(
                step.wire().as_str_name(),
                format!("TRACK_STEP_{}", step.name().to_uppercase())
            );
        }
    }

    #[test]
    fn rules_and_conditions_see_parties_and_actor() {
        let event = event(Step::Held);
        let context = samples::delivery().into();
        assert_eq!(
            samples::attribute(&event, Attribute::TrackActor, None, &context),
            AttributeValue::text("virus")
        );
        let parties = event.facts().parties.unwrap();
        assert_eq!(parties.sender(), "sender@example.test");
        assert!(parties.any_recipient(&mut |one| one == "to@example.test"));
        assert!(!parties.any_recipient(&mut |one| one == "other@example.test"));
        let blind = samples::blind_body(event, &context);
        let Kind::DeliveryTrack(blind) = blind else {
            panic!("{blind:?}");
        };
        let summary = blind.summary.unwrap();
        assert!(summary.reverse_path.is_empty() && summary.client_address.is_empty());
    }
}
