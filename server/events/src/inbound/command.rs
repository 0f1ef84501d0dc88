//! `inbound.command`: any verb, before the typed event and the service's own handling.

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::DialogueAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, InboundContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// What the service would do about a verb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// It acts on it: a sink may only refuse it.
    #[default]
    Effective,
    /// It has it, and it changes nothing.
    Inert,
    /// It does not know it.
    Unknown,
    /// A sink added it.
    Registered,
}

/// A command line. A sink may refuse it; it may answer it, and carry on a dialogue, where the service does not act on it.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// The line. Of AUTH only verb and mechanism.
    pub command: CommandLine,
    /// What the service would do about it.
    pub handling: Handling,
    /// In a dialogue that a sink carries on: what it asked for.
    pub dialogue_input: Option<Bytes>,
}

impl Event for Command {
    const KIND: EventKind = EventKind::InboundCommand;
    type Context = InboundContext;
    type Answer = DialogueAnswer;

    fn body(&self, _: &InboundContext, _: Option<&DialogueAnswer>, view: &View<'_>) -> Kind {
        let reads = view.reads;
        let shown = match self.command.verb.to_ascii_uppercase().as_slice() {
            b"MAIL" => reads.sender,
            b"RCPT" | b"VRFY" | b"EXPN" => reads.recipients,
            b"HELO" | b"EHLO" | b"LHLO" => reads.session,
            _ => true,
        };
        let handling = match self.handling {
            Handling::Effective => pb::CommandHandling::Effective,
            Handling::Inert => pb::CommandHandling::Inert,
            Handling::Unknown => pb::CommandHandling::Unknown,
            Handling::Registered => pb::CommandHandling::Registered,
        };
        Kind::InboundCommand(pb::InboundCommand {
            command: Some(wire::command(&self.command, shown)),
            handling: handling.into(),
            dialogue_input: self.dialogue_input.clone(),
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &InboundContext,
        _: Option<&DialogueAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::CommandVerb => AttributeValue::lossy(&self.command.verb),
            Attribute::CommandLine => AttributeValue::lossy(&self.command.line),
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            command: Some(&self.command),
            answerable: self.handling != Handling::Effective,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.command.verb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_command_is_shown_with_what_would_be_done_about_it() {
        let context = samples::inbound().into();
        for (handling, shown) in [
            (Handling::Effective, pb::CommandHandling::Effective),
            (Handling::Inert, pb::CommandHandling::Inert),
            (Handling::Unknown, pb::CommandHandling::Unknown),
            (Handling::Registered, pb::CommandHandling::Registered),
        ] {
            let event = Command {
                command: samples::line("XFOO", "XFOO bar"),
                handling,
                dialogue_input: Some(Bytes::from_static(b"input")),
            };
            assert_eq!(
                samples::body(event.clone(), None, &context),
                Kind::InboundCommand(pb::InboundCommand {
                    command: samples::wire_line("XFOO", "XFOO bar"),
                    handling: shown.into(),
                    dialogue_input: Some(Bytes::from_static(b"input")),
                })
            );
            assert_eq!(event.facts().answerable, handling != Handling::Effective);
            for (attribute, value) in [
                (Attribute::CommandVerb, AttributeValue::text("XFOO")),
                (Attribute::CommandLine, AttributeValue::text("XFOO bar")),
            ] {
                assert_eq!(samples::attribute(&event, attribute, None, &context), value);
            }
        }
    }

    #[test]
    fn a_line_is_shown_to_who_reads_what_is_in_it() {
        for (verb, line, seen) in [
            ("MAIL", "MAIL FROM:<a@b>", ""),
            ("RCPT", "RCPT TO:<a@b>", ""),
            ("VRFY", "VRFY a", ""),
            ("EXPN", "EXPN a", ""),
            ("EHLO", "EHLO a", ""),
            ("NOOP", "NOOP a", "NOOP a"),
        ] {
            let event = Command {
                command: samples::line(verb, line),
                ..Command::default()
            };
            let blind = samples::blind_body(event, &samples::inbound().into());
            let Kind::InboundCommand(blind) = blind else {
                panic!("{blind:?}");
            };
            assert_eq!(blind.command, samples::wire_line(verb, seen));
        }
    }
}
