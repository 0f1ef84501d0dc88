//! `transport.route`: where the messages of one class for one destination go.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::check::{duration, next_hops};
use crate::context::DestinationContext;
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::Event;
use crate::route::NextHop;
use crate::wire::{self, View};

/// A destination that is to be routed. One answer serves every message of its class until it runs out.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Where its mail goes by the configuration.
    pub next_hops: Vec<NextHop>,
}

impl Route {
    /// Where its mail goes after what was answered.
    #[must_use]
    pub fn next_hops<'a>(&'a self, said: Option<&'a RouteAnswer>) -> &'a [NextHop] {
        match said {
            Some(said) if !said.next_hops.is_empty() => &said.next_hops,
            _ => &self.next_hops,
        }
    }
}

impl Event for Route {
    const KIND: EventKind = EventKind::TransportRoute;
    type Context = DestinationContext;
    type Answer = RouteAnswer;

    fn body(&self, context: &DestinationContext, said: Option<&RouteAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportRoute(
            pb::TransportRoute {
                domain: Bytes::copy_from_slice(context.domain.as_bytes()),
                routing_class: context.routing_class.clone(),
                next_hops: self.next_hops(said).iter().map(wire::next_hop).collect(),
                failure_count: context.failures,
                last_reply: context.last_reply.as_ref().map(wire::reply),
                queued_count: context.queued,
            }
            .into(),
        )
    }

    fn detail(&self) -> Cow<'_, str> {
        let hops = self.next_hops.iter().map(|hop| hop.deliver.as_str());
        Cow::Owned(hops.collect::<Vec<_>>().join(", "))
    }
}

/// Where a destination's mail goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteAnswer {
    /// In the order in which to try. Empty: the next binding, then the configuration.
    pub next_hops: Vec<NextHop>,
    /// How long it holds, for all messages of this destination and class.
    pub lifetime: Duration,
}

impl RouteAnswer {
    /// The lifetime of an answer that does not say.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
    /// The longest lifetime.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
}

impl TypedAnswer for RouteAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Route);

    fn check(answer: AnswerBody, _: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Route(own) = answer else {
            return Err(not_the_answer());
        };
        let lifetime = match &own.lifetime {
            None => RouteAnswer::DEFAULT_LIFETIME,
            Some(lifetime) => duration(lifetime, "the lifetime")?,
        };
        if lifetime > RouteAnswer::MAX_LIFETIME {
            return Err(Fault::protocol("the lifetime is over a day"));
        }
        Ok(RouteAnswer {
            next_hops: next_hops(own.next_hops)?,
            lifetime,
        })
    }

    /// An answer without hops is none.
    fn then(self, later: Self) -> Self {
        if later.next_hops.is_empty() {
            self
        } else {
            later
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::answer::AnyAnswer;
    use crate::route::TlsPolicy;
    use crate::samples;

    fn hop() -> NextHop {
        NextHop {
            deliver: "smtp://mx.example.test:25".to_owned(),
            name: "partner".to_owned(),
            tls: TlsPolicy::Verify,
            source_address: "192.0.2.1".to_owned(),
            helo_name: Bytes::from_static(b"out.example.test"),
            credentials: "partner".to_owned(),
            disabled_extensions: vec!["PIPELINING".to_owned()],
            use_helo: true,
            connect_timeout: Some(Duration::from_secs(5)),
            not_before: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60)),
            max_connections: Some(3),
        }
    }

    fn shown(event: &Route, said: Option<RouteAnswer>) -> pb::TransportRoute {
        let context = samples::destination().into();
        match samples::body(event.clone(), said.map(AnyAnswer::new), &context) {
            Kind::TransportRoute(route) => *route,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_destination_is_described_whole() {
        let event = Route {
            next_hops: vec![hop()],
        };
        assert_eq!(
            shown(&event, None),
            pb::TransportRoute {
                domain: Bytes::from_static(b"example.test"),
                routing_class: "bulk".to_owned(),
                next_hops: vec![pb::NextHop {
                    deliver: "smtp://mx.example.test:25".to_owned(),
                    name: "partner".to_owned(),
                    tls: pb::TlsPolicy::Verify.into(),
                    source_address: "192.0.2.1".to_owned(),
                    helo_name: Bytes::from_static(b"out.example.test"),
                    credentials: "partner".to_owned(),
                    disabled_extensions: vec!["PIPELINING".to_owned()],
                    use_helo: true,
                    connect_timeout: Some(wire::span(Duration::from_secs(5))),
                    not_before: Some(wire::moment(
                        SystemTime::UNIX_EPOCH + Duration::from_secs(60)
                    )),
                    max_connections: 3,
                }],
                failure_count: 4,
                last_reply: Some(samples::wire_reply(450, "later")),
                queued_count: 7,
            }
        );
    }

    #[test]
    fn a_router_sees_what_the_one_before_said() {
        let event = Route {
            next_hops: vec![NextHop::to("mx")],
        };
        let said = RouteAnswer {
            next_hops: vec![NextHop::to("smtp://relay")],
            ..RouteAnswer::default()
        };
        assert_eq!(
            shown(&event, Some(said)).next_hops[0].deliver,
            "smtp://relay"
        );
        // One that has nothing to say changes nothing.
        let none = shown(&event, Some(RouteAnswer::default()));
        assert_eq!(none.next_hops[0].deliver, "mx");
    }

    #[test]
    fn a_route_without_hops_leaves_the_one_before() {
        let own = RouteAnswer {
            next_hops: vec![NextHop::to("mx")],
            lifetime: Duration::from_secs(1),
        };
        assert_eq!(own.clone().then(RouteAnswer::default()), own);
        assert_eq!(RouteAnswer::default().then(own.clone()), own);
    }
}
