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
