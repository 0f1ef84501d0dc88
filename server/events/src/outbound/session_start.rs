//! `outbound.session_start`: before EHLO.

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::proposed;
use crate::answer::CommandsAnswer;
use crate::context::OutgoingContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::{self, View};

/// An outgoing session that begins.
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// EHLO, without its CRLF.
    pub command: Bytes,
}

impl Event for SessionStart {
    const KIND: EventKind = EventKind::OutboundSessionStart;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, context: &OutgoingContext, said: Option<&CommandsAnswer>, _: &View<'_>) -> Kind {
        Kind::OutboundSessionStart(
            pb::OutboundSessionStart {
                remote: Some(wire::remote(&context.remote)),
                command: Some(proposed(&self.command, said, true)),
            }
            .into(),
        )
    }
}
