//! `transport.max_size`: a size limit would refuse the message.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::SizeAnswer;
use crate::context::Context;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A message over a limit. Asked in transport, and in an inbound session before the 552.
#[derive(Clone, Copy, Debug)]
pub struct MaxSize {
    /// Octets that it has, or that MAIL declared.
    pub size_bytes: u64,
    /// The limit.
    pub limit_bytes: u64,
    /// It is only declared; no content was read yet.
    pub declared_only: bool,
}

impl Event for MaxSize {
    const KIND: EventKind = EventKind::TransportMaxSize;
    type Context = Context;
    type Answer = SizeAnswer;

    fn body(&self, _: &Context, _: Option<&SizeAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportMaxSize(pb::TransportMaxSize {
            size_bytes: self.size_bytes,
            limit_bytes: self.limit_bytes,
            declared_only: self.declared_only,
        })
    }
}
