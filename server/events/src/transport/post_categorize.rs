//! `transport.post_categorize`: all recipients are resolved.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// Recipients have been resolved.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostCategorize {
    /// Recipients to be delivered.
    pub resolved: u32,
    /// Recipients that nobody knows.
    pub unresolved: u32,
    /// Recipients that stand for others.
    pub expanded: u32,
    /// Asked again for the routes alone: only the routing class and redirects are taken.
    pub routing_only: bool,
}

impl Event for PostCategorize {
    const KIND: EventKind = EventKind::TransportPostCategorize;
    type Context = MessageContext;
    type Answer = NoAnswer;

    fn body(&self, _: &MessageContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportPostCategorize(pb::TransportPostCategorize {
            resolved_count: self.resolved,
            unresolved_count: self.unresolved,
            expanded_count: self.expanded,
            routing_only: self.routing_only,
        })
    }
}
