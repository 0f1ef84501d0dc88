//! `transport.submit`: the message was accepted and is durable.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A message that was accepted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Submit;

impl Event for Submit {
    const KIND: EventKind = EventKind::TransportSubmit;
    type Context = MessageContext;
    type Answer = NoAnswer;

    fn body(&self, _: &MessageContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportSubmit(pb::TransportSubmit {})
    }
}
