//! `outbound.command`: any command, before it is sent.

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::proposed;
use crate::answer::CommandsAnswer;
use crate::context::OutgoingContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A command that is about to be sent.
#[derive(Clone, Debug)]
pub struct Command {
    /// The verb, upper case.
    pub verb: Bytes,
    /// The line, without its CRLF.
    pub command: Bytes,
}

impl Event for Command {
    const KIND: EventKind = EventKind::OutboundCommand;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, _: &OutgoingContext, said: Option<&CommandsAnswer>, view: &View<'_>) -> Kind {
        let shown = super::shows(&self.verb, view.reads);
        Kind::OutboundCommand(pb::OutboundCommand {
            verb: self.verb.clone(),
            command: Some(proposed(&self.command, said, shown)),
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.verb)
    }
}
