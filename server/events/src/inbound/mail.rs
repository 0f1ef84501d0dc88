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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use postern_message::{BodyKind, Return};
    use postern_smtp::address::ReversePath;

    use super::*;
    use crate::samples;

    #[test]
    fn mail_is_shown_whole_with_the_edits_since() {
        let word = |word: &'static str| Bytes::from_static(word.as_bytes());
        let mut envelope = Envelope::new(samples::sender());
        envelope.smtp_utf8 = true;
        envelope.body = BodyKind::BinaryMime;
        envelope.declared_size = Some(100);
        envelope.ret = Some(Return::Headers);
        envelope.envid = Some(word("a+2Bb"));
        envelope.given = Some(samples::sender());
        envelope.priority = 4;
        let line = "MAIL FROM:<sender@example.test> SIZE=100 SMTPUTF8";
        let event = Mail {
            command: samples::line("MAIL", line),
            message_id: MessageId::new(),
            envelope,
            parameters: vec![(word("SIZE"), Some(word("100"))), (word("SMTPUTF8"), None)],
        };
        let parameter = |keyword, value| pb::Parameter { keyword, value };
        let shown = |path| {
            Kind::InboundMail(
                pb::InboundMail {
                    command: samples::wire_line("MAIL", line),
                    transaction_id: wire::id(event.message_id.as_bytes()),
                    envelope: Some(pb::Envelope {
                        reverse_path: path,
                        smtp_utf8: true,
                        body: pb::BodyKind::BinaryMime.into(),
                        declared_size_bytes: Some(100),
                        return_content: pb::ReturnContent::Headers.into(),
                        envelope_id: word("a+b"),
                        parameters: vec![
                            parameter(word("SIZE"), Some(word("100"))),
                            parameter(word("SMTPUTF8"), None),
                        ],
                        given_reverse_path: word("sender@example.test"),
                        priority: 4,
                    }),
                }
                .into(),
            )
        };
        let mut session = samples::inbound();
        assert_eq!(
            samples::body(event.clone(), None, &session.clone().into()),
            shown(word("sender@example.test"))
        );
        // An earlier binding took the sender away.
        let edited = Mail {
            envelope: Envelope {
                sender: ReversePath::Null,
                ..event.envelope.clone()
            },
            ..event.clone()
        };
        edited.begin(&mut session);
        let context = session.into();
        assert_eq!(
            samples::body(event.clone(), None, &context),
            shown(Bytes::new())
        );
        let blind = samples::blind_body(event.clone(), &context);
        let expected = pb::InboundMail {
            command: samples::wire_line("MAIL", ""),
            transaction_id: wire::id(event.message_id.as_bytes()),
            envelope: None,
        };
        assert_eq!(blind, Kind::InboundMail(expected.into()));
        assert!(event.facts().of_transaction);
    }
}
