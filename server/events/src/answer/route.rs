//! Answers about where mail goes.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::route::NextHop;

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

    /// An answer without hops is none.
    pub(crate) fn then(self, later: Self) -> Self {
        if later.next_hops.is_empty() {
            self
        } else {
            later
        }
    }
}

/// Addresses for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolveAnswer {
    /// In the order in which to try. Empty: the name does not exist.
    pub hosts: Vec<ResolvedHost>,
    /// How long it may be kept. `None`: it is used once.
    pub lifetime: Option<Duration>,
}

impl ResolveAnswer {
    pub(crate) fn then(self, later: Self) -> Self {
        later
    }
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedHost {
    /// Its name, for TLS and the log.
    pub name: Bytes,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its port. 0: the scheme's own.
    pub port: u16,
    /// Lower first; equal ones in random order.
    pub preference: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_without_hops_leaves_the_one_before() {
        let own = RouteAnswer {
            next_hops: vec![NextHop::to("mx")],
            lifetime: Duration::from_secs(1),
        };
        assert_eq!(own.clone().then(RouteAnswer::default()), own);
        assert_eq!(RouteAnswer::default().then(own.clone()), own);
        // That a name does not exist is an answer.
        let hosts = ResolveAnswer {
            hosts: vec![ResolvedHost::default()],
            lifetime: None,
        };
        assert!(hosts.then(ResolveAnswer::default()).hosts.is_empty());
    }
}
