//! `transport.route`: where do the messages of one class for one destination go?

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::RouteAnswer;
use crate::context::DestinationContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::route::NextHop;
use crate::wire::{self, View};

/// A destination that is routed.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// What would be done by the configuration.
    pub next_hops: Vec<NextHop>,
}

impl Event for Route {
    const KIND: EventKind = EventKind::TransportRoute;
    type Context = DestinationContext;
    type Answer = RouteAnswer;

    fn body(&self, context: &DestinationContext, said: Option<&RouteAnswer>, _: &View<'_>) -> Kind {
        let said = said.filter(|said| !said.next_hops.is_empty());
        let hops = said.map_or(&self.next_hops, |said| &said.next_hops);
        Kind::TransportRoute(
            pb::TransportRoute {
                domain: Bytes::copy_from_slice(context.domain.as_bytes()),
                routing_class: context.routing_class.clone(),
                next_hops: hops.iter().map(wire::next_hop).collect(),
                failure_count: context.failures,
                last_reply: context.last_reply.as_ref().map(wire::reply),
                queued_count: context.queued,
            }
            .into(),
        )
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.next_hops.first().map_or("", |hop| &hop.deliver))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn each_sees_the_route_that_the_former_gave() {
        let event = Route {
            next_hops: vec![NextHop::to("mx")],
        };
        let context = DestinationContext::new("s".into(), "example.test");
        let hops = |said: Option<&RouteAnswer>| {
            let reads = crate::grant::Reads::default();
            match Event::body(&event, &context, said, &testing::view(&reads)) {
                Kind::TransportRoute(body) => body.next_hops,
                other => panic!("{other:?}"),
            }
        };
        let said = RouteAnswer {
            next_hops: vec![NextHop::to("smtp://relay:25")],
            ..RouteAnswer::default()
        };
        assert_eq!(
            hops(None).first().map(|hop| hop.deliver.as_str()),
            Some("mx")
        );
        let shown = hops(Some(&said));
        assert_eq!(
            shown.first().map(|hop| hop.deliver.as_str()),
            Some("smtp://relay:25")
        );
        assert_eq!(hops(Some(&RouteAnswer::default())).len(), 1);
    }
}
