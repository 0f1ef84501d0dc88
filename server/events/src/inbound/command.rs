//! `inbound.command`: any verb, before the typed event and the service's own handling.

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::reply::Reply;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, InboundContext};
use crate::event::EventKind;
use crate::fault::Fault;
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
            in_dialogue: self.dialogue_input.is_some(),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.command.verb)
    }
}

/// A step of a dialogue that a sink carries on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueAnswer {
    /// What goes to the client now. `None`: nothing.
    pub reply: Option<Reply>,
    /// What the sink wants next. `None`: the dialogue is over.
    pub expects: Option<Expects>,
}

/// What a dialogue waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// One line, without CRLF, at most this long. 0: the server's limit.
    Line(u64),
    /// So many octets, as they are.
    Octets(u64),
}

impl TypedAnswer for DialogueAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Dialogue);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Dialogue(own) = answer else {
            return Err(not_the_answer());
        };
        use pb::dialogue_answer::Expects as E;
        let expects = match own.expects {
            None => None,
            Some(E::Line(line)) => Some(Expects::Line(line.max_bytes)),
            Some(E::Octets(octets)) if (1..=512 << 10).contains(&octets.size_bytes) => {
                Some(Expects::Octets(octets.size_bytes))
            }
            Some(E::Octets(_)) => {
                return Err(Fault::protocol(
                    "a dialogue asks for 1 to 512 KiB of octets",
                ));
            }
        };
        // After anything but 3xx the client is done with its command: what it says next is not meant for the sink.
        let classes: &[u8] = if expects.is_some() { &[3] } else { &[2, 4, 5] };
        let reply = own.reply;
        let reply = reply.map(|reply| checks.reply(reply, classes, "the dialogue"));
        let reply = reply.transpose()?;
        if reply.is_none() && expects.is_none() {
            return Err(Fault::protocol("a dialogue that is over needs a reply"));
        }
        Ok(DialogueAnswer { reply, expects })
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
