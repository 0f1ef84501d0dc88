//! `outbound.before_data`: the content is about to be sent, before DATA or BDAT.

use std::borrow::Cow;

use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::commands::CommandsAnswer;
use super::proposed::{of_command, of_remote, proposed};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, OutgoingContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// Content that is about to be sent.
#[derive(Clone, Debug, Default)]
pub struct BeforeData {
    /// Recipients that the remote accepted.
    pub recipients: Vec<RecipientId>,
    /// DATA or BDAT.
    pub command: CommandLine,
}

impl Event for BeforeData {
    const KIND: EventKind = EventKind::OutboundBeforeData;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, _: &OutgoingContext, said: Option<&CommandsAnswer>, view: &View<'_>) -> Kind {
        Kind::OutboundBeforeData(pb::OutboundBeforeData {
            recipient_ids: wire::ids(&self.recipients, view),
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
            recipients: &self.recipients,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.command.verb)
    }
}

#[cfg(test)]
mod tests {
    use super::super::proposed::tests::{as_is, follows_answers, has_attributes, line};
    use super::*;
    use crate::samples;

    #[test]
    fn accepted_recipients_and_the_command_are_shown() {
        let ids = vec![RecipientId::new(), RecipientId::new()];
        let event = BeforeData {
            recipients: ids.clone(),
            command: line("DATA", "DATA"),
        };
        assert_eq!(
            samples::body(event.clone(), None, &samples::outgoing().into()),
            Kind::OutboundBeforeData(pb::OutboundBeforeData {
                recipient_ids: wire::asked_ids(&ids),
                command: as_is("DATA"),
            })
        );
        assert_eq!(event.facts().recipients, ids);
        has_attributes(&event, "DATA", "DATA");
        follows_answers(&event);
    }
}
