//! `transport.resolve`: addresses are needed for a name.

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::ResolveAnswer;
use crate::context::DestinationContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A name that is to be resolved: that of its context.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resolve {
    /// Mail exchangers are wanted, not the addresses of a host.
    pub mail_exchangers: bool,
}

impl Event for Resolve {
    const KIND: EventKind = EventKind::TransportResolve;
    type Context = DestinationContext;
    type Answer = ResolveAnswer;

    fn body(&self, context: &DestinationContext, _: Option<&ResolveAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportResolve(pb::TransportResolve {
            name: Bytes::copy_from_slice(context.domain.as_bytes()),
            mail_exchangers: self.mail_exchangers,
        })
    }
}
