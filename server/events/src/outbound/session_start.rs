//! `outbound.session_start`: an outgoing session begins, before EHLO.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::commands::CommandsAnswer;
use super::proposed::{of_command, of_remote, proposed};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, OutgoingContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// An outgoing session that is about to greet.
#[derive(Clone, Debug, Default)]
pub struct SessionStart {
    /// EHLO, LHLO or HELO.
    pub command: CommandLine,
}

impl Event for SessionStart {
    const KIND: EventKind = EventKind::OutboundSessionStart;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(
        &self,
        context: &OutgoingContext,
        said: Option<&CommandsAnswer>,
        view: &View<'_>,
    ) -> Kind {
        Kind::OutboundSessionStart(
            pb::OutboundSessionStart {
                remote: Some(wire::remote(&context.remote)),
                command: Some(proposed(&self.command, said, view)),
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
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.command.line)
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

    #[test]
    fn the_remote_end_and_the_greeting_are_shown() {
        let event = SessionStart {
            command: line("EHLO", "EHLO own.test"),
        };
        let context = samples::outgoing().into();
        let expected = |command| {
            Kind::OutboundSessionStart(
                pb::OutboundSessionStart {
                    remote: Some(samples::wire_remote()),
                    command,
                }
                .into(),
            )
        };
        assert_eq!(
            samples::body(event.clone(), None, &context),
            expected(as_is("EHLO own.test"))
        );
        let said = AnyAnswer::new(instead("EHLO other.test"));
        assert_eq!(
            samples::body(event.clone(), Some(said), &context),
            expected(replaced("EHLO other.test", "EHLO own.test"))
        );
        has_attributes(&event, "EHLO", "EHLO own.test");
        follows_answers(&event);
    }
}
