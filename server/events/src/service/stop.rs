//! `service.stop`: the gateway is stopping.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::ServiceContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A gateway that is stopping.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Why.
    pub reason: String,
}

impl Event for Stop {
    const KIND: EventKind = EventKind::ServiceStop;
    type Context = ServiceContext;
    type Answer = NoAnswer;

    fn body(&self, _: &ServiceContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::ServiceStop(pb::ServiceStop {
            reason: self.reason.clone(),
        })
    }
}
