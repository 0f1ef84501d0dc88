//! `outbound.session_end`: before QUIT.

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::proposed;
use crate::answer::CommandsAnswer;
use crate::context::OutgoingContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// An outgoing session that ends.
#[derive(Clone, Debug)]
pub struct SessionEnd {
    /// QUIT, without its CRLF.
    pub command: Bytes,
}

impl Event for SessionEnd {
    const KIND: EventKind = EventKind::OutboundSessionEnd;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, _: &OutgoingContext, said: Option<&CommandsAnswer>, _: &View<'_>) -> Kind {
        Kind::OutboundSessionEnd(pb::OutboundSessionEnd {
            command: Some(proposed(&self.command, said, true)),
        })
    }
}
