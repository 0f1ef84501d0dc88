//! Next hops.

use postern_proto::v1 as pb;

use super::{moment, span};
use crate::context::Remote;
use crate::route::{NextHop, TlsPolicy};

/// A next hop.
pub(crate) fn next_hop(hop: &NextHop) -> pb::NextHop {
    pb::NextHop {
        deliver: hop.deliver.clone(),
        name: hop.name.clone(),
        tls: tls_policy(hop.tls).into(),
        source_address: hop.source_address.clone(),
        helo_name: hop.helo_name.clone(),
        credentials: hop.credentials.clone(),
        disabled_extensions: hop.disabled_extensions.clone(),
        use_helo: hop.use_helo,
        connect_timeout: hop.connect_timeout.map(span),
        not_before: hop.not_before.map(moment),
        max_connections: hop.max_connections.unwrap_or(0),
    }
}

/// How TLS is used on the way out.
pub(crate) const fn tls_policy(policy: TlsPolicy) -> pb::TlsPolicy {
    match policy {
        TlsPolicy::Configured => pb::TlsPolicy::Unspecified,
        TlsPolicy::None => pb::TlsPolicy::None,
        TlsPolicy::Opportunistic => pb::TlsPolicy::Opportunistic,
        TlsPolicy::Encrypt => pb::TlsPolicy::Encrypt,
        TlsPolicy::Verify => pb::TlsPolicy::Verify,
        TlsPolicy::Dane => pb::TlsPolicy::Dane,
        TlsPolicy::Implicit => pb::TlsPolicy::Implicit,
    }
}

/// The remote end of an outgoing session.
pub(crate) fn remote(remote: &Remote) -> pb::Remote {
    pb::Remote {
        destination: remote.destination.clone(),
        host: remote.host.clone(),
        address: remote.address.clone(),
        port: u32::from(remote.port),
        source_address: remote.source_address.clone(),
        tls: remote.tls.as_ref().map(super::tls),
        extensions: remote.extensions.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_has_its_number_and_its_word() {
        use pb::TlsPolicy as W;
        for (policy, number, name) in [
            (TlsPolicy::Configured, W::Unspecified, ""),
            (TlsPolicy::None, W::None, "none"),
            (TlsPolicy::Opportunistic, W::Opportunistic, "opportunistic"),
            (TlsPolicy::Encrypt, W::Encrypt, "encrypt"),
            (TlsPolicy::Verify, W::Verify, "verify"),
            (TlsPolicy::Dane, W::Dane, "dane"),
            (TlsPolicy::Implicit, W::Implicit, "implicit"),
        ] {
            assert_eq!((tls_policy(policy), policy.name()), (number, name));
        }
    }

    #[test]
    fn what_a_hop_does_not_say_is_absent() {
        let shown = next_hop(&NextHop::to("mx"));
        let expected = pb::NextHop {
            deliver: "mx".to_owned(),
            ..pb::NextHop::default()
        };
        assert_eq!(shown, expected);
        assert!(remote(&Remote::default()).tls.is_none());
    }
}
