//! `service.start`: the gateway started, or this replica became reachable.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::ServiceContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A gateway that started.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Its version.
    pub gateway_version: String,
    /// Its id, made anew with each start.
    pub gateway_id: [u8; 16],
    /// Its virtual servers that the binding serves.
    pub servers: Vec<String>,
}

impl Event for Start {
    const KIND: EventKind = EventKind::ServiceStart;
    type Context = ServiceContext;
    type Answer = NoAnswer;

    fn body(&self, _: &ServiceContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::ServiceStart(pb::ServiceStart {
            gateway_version: self.gateway_version.clone(),
            gateway_id: crate::wire::id(&self.gateway_id),
            servers: self.servers.clone(),
        })
    }
}
