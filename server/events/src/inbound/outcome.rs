//! `inbound.outcome`: what became of a transaction.

use std::borrow::Cow;

use postern_message::{MessageId, Recipient};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::reply::Reply;

use crate::answer::NoAnswer;
use crate::context::InboundContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::{self, View};

/// What became of a transaction. Told exactly once for each that MAIL began.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The message's id.
    pub message_id: MessageId,
    /// What became of it.
    pub fate: Fate,
    /// What the client was told. `None`: nothing.
    pub reply: Option<Reply>,
    /// The binding that decided. `None`: the service itself.
    pub decided_by: Option<String>,
    /// Recipients that fared differently.
    pub recipients: Vec<RecipientFate>,
    /// Octets of the content as received.
    pub size_bytes: u64,
}

/// A recipient that fared differently from its message.
#[derive(Clone, Debug)]
pub struct RecipientFate {
    /// The recipient.
    pub recipient: Recipient,
    /// What became of it.
    pub fate: Fate,
    /// What the client was told of it.
    pub reply: Option<Reply>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Accepted; the message is durable.
    Accepted,
    /// Refused for good.
    Rejected,
    /// Refused for now.
    Tempfailed,
    /// Accepted and dropped.
    Discarded,
    /// Accepted and kept for a person.
    Quarantined,
    /// Accepted, to be judged again.
    Held,
    /// The client was gone before the reply.
    ClientGone,
    /// The client gave it up before its content.
    GivenUp,
}

impl Fate {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Tempfailed => "tempfailed",
            Self::Discarded => "discarded",
            Self::Quarantined => "quarantined",
            Self::Held => "held",
            Self::ClientGone => "client gone",
            Self::GivenUp => "given up",
        }
    }

    const fn wire(self) -> pb::Outcome {
        match self {
            Self::Accepted => pb::Outcome::Accepted,
            Self::Rejected => pb::Outcome::Rejected,
            Self::Tempfailed => pb::Outcome::Tempfailed,
            Self::Discarded => pb::Outcome::Discarded,
            Self::Quarantined => pb::Outcome::Quarantined,
            Self::Held => pb::Outcome::Held,
            Self::ClientGone => pb::Outcome::ClientGone,
            Self::GivenUp => pb::Outcome::GivenUp,
        }
    }

    const fn recipient_state(self) -> pb::RecipientState {
        match self {
            Self::Accepted => pb::RecipientState::Accepted,
            Self::Rejected | Self::Tempfailed | Self::ClientGone | Self::GivenUp => {
                pb::RecipientState::Refused
            }
            Self::Discarded => pb::RecipientState::Discarded,
            Self::Quarantined => pb::RecipientState::Quarantined,
            Self::Held => pb::RecipientState::Held,
        }
    }
}

impl Event for Outcome {
    const KIND: EventKind = EventKind::InboundOutcome;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, _: &InboundContext, _: Option<&NoAnswer>, view: &View<'_>) -> Kind {
        let recipients = self.recipients.iter().map(|one| pb::Recipient {
            last_reply: one.reply.as_ref().map(wire::reply),
            ..wire::recipient(&one.recipient, one.fate.recipient_state(), &[], None, view)
        });
        Kind::InboundOutcome(
            pb::InboundOutcome {
                message_id: wire::id(self.message_id.as_bytes()),
                outcome: self.fate.wire().into(),
                reply: self.reply.as_ref().map(wire::reply),
                decided_by: self.decided_by.clone().unwrap_or_default(),
                recipients: recipients.filter(|_| view.reads.recipients).collect(),
                size_bytes: self.size_bytes,
            }
            .into(),
        )
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.fate.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn every_fate_is_told_whole() {
        use Fate as F;
        use pb::RecipientState as S;
        for (number, (fate, state)) in (1..).zip([
            (F::Accepted, S::Accepted),
            (F::Rejected, S::Refused),
            (F::Tempfailed, S::Refused),
            (F::Discarded, S::Discarded),
            (F::Quarantined, S::Quarantined),
            (F::Held, S::Held),
            (F::ClientGone, S::Refused),
            (F::GivenUp, S::Refused),
        ]) {
            let recipient = Recipient::new(samples::path("to@example.test"));
            let id = wire::id(recipient.id.as_bytes());
            let event = Outcome {
                message_id: MessageId::new(),
                fate,
                reply: Some(samples::reply(250, "taken")),
                decided_by: Some("spam".to_owned()),
                recipients: vec![RecipientFate {
                    recipient,
                    fate,
                    reply: Some(samples::reply(550, "no")),
                }],
                size_bytes: 77,
            };
            let context = samples::inbound().into();
            let expected = pb::InboundOutcome {
                message_id: wire::id(event.message_id.as_bytes()),
                outcome: number,
                reply: Some(samples::wire_reply(250, "taken")),
                decided_by: "spam".to_owned(),
                recipients: vec![pb::Recipient {
                    recipient_id: id,
                    address: "to@example.test".into(),
                    state: state.into(),
                    last_reply: Some(samples::wire_reply(550, "no")),
                    ..pb::Recipient::default()
                }],
                size_bytes: 77,
            };
            assert_eq!(
                samples::body(event.clone(), None, &context),
                Kind::InboundOutcome(expected.clone().into())
            );
            let blind = pb::InboundOutcome {
                recipients: Vec::new(),
                ..expected
            };
            assert_eq!(
                samples::blind_body(event, &context),
                Kind::InboundOutcome(blind.into())
            );
        }
    }
}
