//! `outbound.command`: any command of an outgoing session, before it is sent.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::commands::CommandsAnswer;
use super::proposed::{of_command, of_remote, proposed};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, OutgoingContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::View;

/// A command that is about to be sent. The service's own AUTH is none: it is nobody else's affair. Of one that a sink put
/// in only bindings that read `credentials` see what is in it.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// The command.
    pub command: CommandLine,
}

impl Event for Command {
    const KIND: EventKind = EventKind::OutboundCommand;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, _: &OutgoingContext, said: Option<&CommandsAnswer>, view: &View<'_>) -> Kind {
        Kind::OutboundCommand(pb::OutboundCommand {
            verb: self.command.verb.clone(),
            command: Some(proposed(&self.command, said, view)),
        })
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
            command: Some(&self.command),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.command.verb)
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
    fn verb_and_line_are_shown() {
        let event = Command {
            command: line("STARTTLS", "STARTTLS"),
        };
        let context = samples::outgoing().into();
        let expected = |command| {
            Kind::OutboundCommand(pb::OutboundCommand {
                verb: "STARTTLS".into(),
                command,
            })
        };
        assert_eq!(
            samples::body(event.clone(), None, &context),
            expected(as_is("STARTTLS"))
        );
        let said = AnyAnswer::new(instead("NOOP"));
        assert_eq!(
            samples::body(event.clone(), Some(said), &context),
            expected(replaced("NOOP", "STARTTLS"))
        );
        has_attributes(&event, "STARTTLS", "STARTTLS");
        follows_answers(&event);
    }

    #[test]
    fn credentials_are_seen_by_those_who_read_them_alone() {
        let event = Command {
            command: line("AUTH", "AUTH PLAIN AGEAYg=="),
        };
        let context = samples::outgoing().into();
        let shown = |kind| match kind {
            Kind::OutboundCommand(own) => own.command,
            other => panic!("{other:?}"),
        };
        let reader = samples::body(event.clone(), None, &context);
        assert_eq!(shown(reader), as_is("AUTH PLAIN AGEAYg=="));
        let reads = crate::grant::Reads::everything();
        let other = samples::viewed(&event, None, &context, &reads);
        assert_eq!(shown(other), as_is("AUTH PLAIN"));
        has_attributes(&event, "AUTH", "AUTH PLAIN");
    }
}
