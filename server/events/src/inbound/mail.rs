//! `inbound.mail`: MAIL.

use std::borrow::Cow;

use postern_message::{Envelope, MessageId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::{CommandLine, InboundContext, RawParameter};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// MAIL that is asked about.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The line.
    pub command: CommandLine,
    /// The id that the message will have if it is accepted.
    pub message_id: MessageId,
    /// What MAIL says.
    pub envelope: Envelope,
    /// All its parameters, raw and in their order.
    pub parameters: Vec<RawParameter>,
}

impl Mail {
    /// Begins the transaction, so that edits have something to act on.
    pub fn begin(&self, context: &mut InboundContext) {
        context.begin(
            self.message_id,
            self.envelope.clone(),
            self.parameters.clone(),
        );
    }
}

impl Event for Mail {
    const KIND: EventKind = EventKind::InboundMail;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, context: &InboundContext, _: Option<&NoAnswer>, view: &View<'_>) -> Kind {
        // With the edits of earlier bindings.
        let running = context
            .transaction()
            .filter(|running| running.id() == self.message_id);
        let envelope = running.map_or(&self.envelope, |running| {
            &running.working().draft().envelope
        });
        Kind::InboundMail(
            pb::InboundMail {
                command: Some(wire::command(&self.command, view.reads.sender)),
                transaction_id: wire::id(self.message_id.as_bytes()),
                envelope: view
                    .reads
                    .sender
                    .then(|| wire::envelope(envelope, &self.parameters)),
            }
            .into(),
        )
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            of_transaction: true,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(self.envelope.sender.to_string())
    }
}
