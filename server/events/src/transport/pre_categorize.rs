//! `transport.pre_categorize`: before recipients are resolved.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// Recipients are about to be resolved.
#[derive(Clone, Copy, Debug, Default)]
pub struct PreCategorize;

impl Event for PreCategorize {
    const KIND: EventKind = EventKind::TransportPreCategorize;
    type Context = MessageContext;
    type Answer = NoAnswer;

    fn body(&self, _: &MessageContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportPreCategorize(pb::TransportPreCategorize {})
    }
}
