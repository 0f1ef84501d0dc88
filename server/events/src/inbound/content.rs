//! `inbound.data`, `inbound.headers` and `inbound.message`: the content arrives.

use std::borrow::Cow;

use postern_message::{MessageId, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::{CommandLine, InboundContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// DATA, or the first BDAT.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// The line.
    pub command: CommandLine,
}

impl Event for Data {
    const KIND: EventKind = EventKind::InboundData;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, _: &InboundContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::InboundData(pb::InboundData {
            command: Some(wire::command(&self.command, true)),
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            of_transaction: true,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.command.verb)
    }
}

/// The header section is complete, the body is still arriving.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    /// The message's id: that of its transaction.
    pub message_id: MessageId,
}

/// The message, before its reply.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// The message's id: that of its transaction.
    pub message_id: MessageId,
}

/// The id of the branch that is asked about, and its recipients where they are not all accepted ones.
fn about(message: MessageId, context: &InboundContext) -> (MessageId, Vec<RecipientId>) {
    let Some(working) = context.transaction().map(|running| running.working()) else {
        return (message, Vec::new());
    };
    let piece = working.piece();
    // Whoever was decided about or forked is in a branch of his own.
    if working.pieces().count() == 1 {
        return (piece.id, Vec::new());
    }
    let ids = piece.draft.recipients.iter().map(|one| one.id).collect();
    (piece.id, ids)
}

impl Headers {
    /// The header section of this message.
    #[must_use]
    pub const fn new(message_id: MessageId) -> Self {
        Self { message_id }
    }
}

impl Message {
    /// This message.
    #[must_use]
    pub const fn new(message_id: MessageId) -> Self {
        Self { message_id }
    }
}

impl Event for Headers {
    const KIND: EventKind = EventKind::InboundHeaders;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, context: &InboundContext, _: Option<&NoAnswer>, view: &View<'_>) -> Kind {
        let (message, recipients) = about(self.message_id, context);
        Kind::InboundHeaders(pb::InboundHeaders {
            message_id: wire::id(message.as_bytes()),
            recipient_ids: wire::ids(&recipients, view),
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            of_transaction: true,
            ..EventFacts::default()
        }
    }
}

impl Event for Message {
    const KIND: EventKind = EventKind::InboundMessage;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, context: &InboundContext, _: Option<&NoAnswer>, view: &View<'_>) -> Kind {
        let (message, recipients) = about(self.message_id, context);
        Kind::InboundMessage(pb::InboundMessage {
            message_id: wire::id(message.as_bytes()),
            recipient_ids: wire::ids(&recipients, view),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::samples;

    #[test]
    fn the_command_and_the_message_are_named() {
        let context = samples::inbound().into();
        let data = Data {
            command: samples::line("DATA", "DATA"),
        };
        assert!(data.facts().of_transaction);
        assert_eq!(
            samples::body(data, None, &context),
            Kind::InboundData(pb::InboundData {
                command: samples::wire_line("DATA", "DATA"),
            })
        );
        let message_id = MessageId::new();
        let id = wire::id(message_id.as_bytes());
        assert_eq!(
            samples::body(Headers { message_id }, None, &context),
            Kind::InboundHeaders(pb::InboundHeaders {
                message_id: id.clone(),
                recipient_ids: Vec::new(),
            })
        );
        assert_eq!(
            samples::body(Message { message_id }, None, &context),
            Kind::InboundMessage(pb::InboundMessage {
                message_id: id,
                recipient_ids: Vec::new(),
            })
        );
    }

    #[test]
    fn a_branch_is_named_with_its_recipients() {
        use crate::context::{ForkEdits, Split};
        let mut session = samples::inbound();
        let message_id = MessageId::new();
        let envelope = postern_message::Envelope::new(samples::sender());
        session.begin(message_id, envelope, Vec::new());
        session.begun();
        for address in ["a@example.test", "b@example.test"] {
            let one = postern_message::Recipient::new(samples::path(address));
            let id = one.id;
            session.propose(one, Vec::new());
            session.decide(id, true);
        }
        session.content(samples::version());
        let draft = session.transaction().unwrap().working().draft();
        let [a, b] = [0, 1].map(|n: usize| draft.recipients[n].id);
        let split = Split {
            forks: vec![ForkEdits {
                recipients: vec![b],
                ..ForkEdits::default()
            }],
            ..Split::default()
        };
        let limits = postern_message::EditLimits::default();
        let made = session.apply("s", &[], &[], &split, None, &limits).unwrap();
        let shown = |session: InboundContext| {
            let piece = session.transaction().unwrap().working().piece();
            let id = wire::id(piece.id.as_bytes());
            let context = session.into();
            let headers = samples::body(Headers { message_id }, None, &context);
            let Kind::InboundHeaders(headers) = headers else {
                panic!("{headers:?}");
            };
            let message = samples::body(Message { message_id }, None, &context);
            let Kind::InboundMessage(message) = message else {
                panic!("{message:?}");
            };
            assert_eq!((&headers.message_id, &message.message_id), (&id, &id));
            assert_eq!(headers.recipient_ids, message.recipient_ids);
            (id, message.recipient_ids)
        };
        let own = wire::id(message_id.as_bytes());
        let trunk = shown(session.clone());
        assert_eq!(trunk, (own.clone(), wire::asked_ids(&[a])));
        session.working_mut().unwrap().enter(made.forks[0]);
        let (id, recipients) = shown(session);
        assert_ne!(id, own);
        assert_eq!(recipients, wire::asked_ids(&[b]));
    }
}
