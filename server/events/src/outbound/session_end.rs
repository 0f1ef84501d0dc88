//! `outbound.session_end`: an outgoing session ends, before QUIT.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::commands::CommandsAnswer;
use super::proposed::{of_command, of_remote, proposed};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, OutgoingContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::View;

/// An outgoing session that is about to end.
#[derive(Clone, Debug, Default)]
pub struct SessionEnd {
    /// QUIT.
    pub command: CommandLine,
}

impl Event for SessionEnd {
    const KIND: EventKind = EventKind::OutboundSessionEnd;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, _: &OutgoingContext, said: Option<&CommandsAnswer>, view: &View<'_>) -> Kind {
        Kind::OutboundSessionEnd(pb::OutboundSessionEnd {
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
            ..EventFacts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::proposed::tests::{as_is, follows_answers, has_attributes, line};
    use super::*;
    use crate::samples;

    #[test]
    fn the_command_is_shown() {
        let event = SessionEnd {
            command: line("QUIT", "QUIT"),
        };
        assert_eq!(
            samples::body(event.clone(), None, &samples::outgoing().into()),
            Kind::OutboundSessionEnd(pb::OutboundSessionEnd {
                command: as_is("QUIT"),
            })
        );
        has_attributes(&event, "QUIT", "QUIT");
        follows_answers(&event);
    }
}
