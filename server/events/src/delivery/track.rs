//! `delivery.track`: a step in a message's life.

use std::borrow::Cow;
use std::time::SystemTime;

use postern_message::{MessageId, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::MessageSummary;
use crate::answer::NoAnswer;
use crate::context::DeliveryContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::{self, View};

/// A step in a message's life, and who did it.
#[derive(Clone, Debug)]
pub struct Track {
    /// The message.
    pub summary: MessageSummary,
    /// The step.
    pub step: Step,
    /// When.
    pub at: SystemTime,
    /// The recipients that it is about; empty: all.
    pub recipients: Vec<RecipientId>,
    /// The other message.
    pub related: Option<MessageId>,
    /// A binding, `operator`, or empty for the gateway.
    pub actor: String,
    /// Why, as the verdict, the action or the operator said.
    pub reason: String,
}

/// A step in a message's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Accepted and durable.
    Accepted,
    /// Injected by a sink, or put in by an operator.
    Injected,
    /// Recipients resolved.
    Categorized,
    /// Forked: the related message is the branch.
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
    /// A notification was made: the related message.
    Notified,
    /// Removed by an operator, or recalled by a sink.
    Removed,
    /// Expired.
    Expired,
    /// Nothing is left to do; the message has gone from the spool.
    Finished,
}

impl Step {
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

impl Event for Track {
    const KIND: EventKind = EventKind::DeliveryTrack;
    type Context = DeliveryContext;
    type Answer = NoAnswer;

    fn body(&self, _: &DeliveryContext, _: Option<&NoAnswer>, view: &View<'_>) -> Kind {
        Kind::DeliveryTrack(
            pb::DeliveryTrack {
                summary: Some(self.summary.shown(view)),
                step: self.step.wire().into(),
                at: Some(wire::moment(self.at)),
                recipient_ids: wire::ids(&self.recipients, view),
                related_message_id: self
                    .related
                    .map(|related| wire::id(related.as_bytes()))
                    .unwrap_or_default(),
                actor: self.actor.clone(),
                reason: self.reason.clone(),
            }
            .into(),
        )
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.step.wire().as_str_name())
    }
}
