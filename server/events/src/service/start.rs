//! `service.start`: the gateway started, or a replica of the sink became reachable.

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::ServiceContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// The gateway started.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The gateway's version.
    pub gateway_version: String,
    /// The gateway's id, as in `Open`.
    pub gateway_id: Bytes,
    /// All its virtual servers. A binding of one server is told of that one alone.
    pub servers: Vec<String>,
}

impl Event for Start {
    const KIND: EventKind = EventKind::ServiceStart;
    type Context = ServiceContext;
    type Answer = NoAnswer;

    fn body(&self, context: &ServiceContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        let only = &*context.server;
        let serves = |name: &&String| only.is_empty() || *name == only;
        Kind::ServiceStart(pb::ServiceStart {
            gateway_version: self.gateway_version.clone(),
            gateway_id: self.gateway_id.clone(),
            servers: self.servers.iter().filter(serves).cloned().collect(),
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.gateway_version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_binding_is_told_of_the_servers_that_it_serves() {
        let all = ["inbound", "submission"].map(str::to_owned);
        let event = Start {
            gateway_version: "1.2.3".to_owned(),
            gateway_id: Bytes::from_static(b"gateway"),
            servers: all.to_vec(),
        };
        for (server, servers) in [("", &all[..]), ("submission", &all[1..])] {
            assert_eq!(
                samples::body(event.clone(), None, &samples::service(server).into()),
                Kind::ServiceStart(pb::ServiceStart {
                    gateway_version: "1.2.3".to_owned(),
                    gateway_id: Bytes::from_static(b"gateway"),
                    servers: servers.to_vec(),
                })
            );
        }
    }
}
