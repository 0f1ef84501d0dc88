//! `outbound.message_start`: a message is about to be sent, before MAIL.

use std::borrow::Cow;

use postern_message::{AttemptId, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::Revision;
use super::commands::CommandsAnswer;
use super::proposed::{of_command, of_remote, proposed};
use super::revision;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, OutgoingContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A message that is about to be sent, after EHLO and every conversion.
#[derive(Clone, Debug)]
pub struct MessageStart {
    /// MAIL.
    pub command: CommandLine,
    /// The attempt.
    pub attempt: AttemptId,
    /// The recipients of this attempt.
    pub recipients: Vec<RecipientId>,
    /// How the content came to be what it is, from the first revision on. Only bindings that read `history` see it.
    pub revisions: Vec<Revision>,
}

impl Event for MessageStart {
    const KIND: EventKind = EventKind::OutboundMessageStart;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(
        &self,
        context: &OutgoingContext,
        said: Option<&CommandsAnswer>,
        view: &View<'_>,
    ) -> Kind {
        Kind::OutboundMessageStart(
            pb::OutboundMessageStart {
                remote: Some(wire::remote(&context.remote)),
                command: Some(proposed(&self.command, said, view)),
                attempt_id: wire::id(self.attempt.as_bytes()),
                recipient_ids: wire::ids(&self.recipients, view),
                revisions: revision::shown(&self.revisions, view),
            }
            .into(),
        )
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &OutgoingContext,
        said: Option<&CommandsAnswer>,
    ) -> Option<AttributeValue> {
        of_command(attribute, &self.command, said).or_else(|| of_remote(attribute, context))
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            due: Some(&self.command),
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
    use super::super::proposed::tests::{
        as_is, follows_answers, has_attributes, instead, line, replaced,
    };
    use super::*;
    use crate::answer::AnyAnswer;
    use crate::samples;

    fn event() -> MessageStart {
        MessageStart {
            command: line("MAIL", "MAIL FROM:<sender@example.test>"),
            attempt: AttemptId::new(),
            recipients: vec![RecipientId::new()],
            revisions: vec![Revision {
                number: 1,
                ..Revision::default()
            }],
        }
    }

    #[test]
    fn the_attempt_is_shown_whole() {
        let event = event();
        let context = samples::outgoing().into();
        let expected = |command| {
            Kind::OutboundMessageStart(
                pb::OutboundMessageStart {
                    remote: Some(samples::wire_remote()),
                    command,
                    attempt_id: wire::id(event.attempt.as_bytes()),
                    recipient_ids: wire::asked_ids(&event.recipients),
                    revisions: vec![pb::Revision {
                        number: 1,
                        ..pb::Revision::default()
                    }],
                }
                .into(),
            )
        };
        assert_eq!(
            samples::body(event.clone(), None, &context),
            expected(as_is("MAIL FROM:<sender@example.test>"))
        );
        let said = AnyAnswer::new(instead("MAIL FROM:<>"));
        assert_eq!(
            samples::body(event.clone(), Some(said), &context),
            expected(replaced("MAIL FROM:<>", "MAIL FROM:<sender@example.test>"))
        );
        assert_eq!(event.facts().recipients, event.recipients);
        has_attributes(&event, "MAIL", "MAIL FROM:<sender@example.test>");
        follows_answers(&event);
    }

    #[test]
    fn who_reads_neither_sender_nor_history_sees_none() {
        let blind = samples::blind_body(event(), &samples::outgoing().into());
        let Kind::OutboundMessageStart(blind) = blind else {
            panic!("{blind:?}");
        };
        assert_eq!(blind.command, as_is("MAIL"));
        assert!(blind.revisions.is_empty());
    }
}
