//! The sink as a router and a resolver.

use postern_proto::v1;
use postern_proto::v1::answer::Kind as Answered;
use postern_proto::v1::event::Kind as Happened;

use crate::action::Action;

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The destination, where its mail would go, and how often it failed with what.
pub(crate) fn of_route(asked: &v1::TransportRoute) -> Vec<String> {
    let hops = asked.next_hops.iter().map(|hop| hop.deliver.clone());
    let mut words = vec![text(&asked.domain)];
    words.extend(hops);
    words.push(format!("failures:{}", asked.failure_count));
    words.push(format!("queued:{}", asked.queued_count));
    let reply = asked.last_reply.iter().flat_map(|reply| &reply.lines);
    words.extend(reply.map(|line| text(line).replace(' ', "_")));
    words
}

/// The name, and whether its mail exchangers are wanted.
pub(crate) fn of_resolve(asked: &v1::TransportResolve) -> Vec<String> {
    vec![text(&asked.name), format!("mx={}", asked.mail_exchangers)]
}

/// Where mail goes, for actions that say so.
pub(crate) fn answer(action: &Action, event: &v1::Event) -> Option<Answered> {
    let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
    match (&event.kind, action) {
        (Some(Happened::TransportRoute(_)), Action::Hops(hops, lifetime)) => {
            let next_hops = hops.iter().map(|deliver| v1::NextHop {
                deliver: deliver.clone(),
                ..Default::default()
            });
            Some(Answered::Route(v1::RouteAnswer {
                next_hops: next_hops.collect(),
                lifetime: lifetime.map(seconds),
            }))
        }
        (Some(Happened::TransportResolve(_)), Action::Hosts(hosts)) => {
            let hosts = hosts.iter().map(|(name, address, port)| v1::ResolvedHost {
                name: name.clone().into(),
                addresses: vec![address.clone()],
                port: u32::from(*port),
                ..Default::default()
            });
            Some(Answered::Resolve(v1::ResolveAnswer {
                hosts: hosts.collect(),
                lifetime: Some(seconds(60)),
            }))
        }
        _ => None,
    }
}
