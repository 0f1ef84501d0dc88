#![allow(clippy::unwrap_used)]
use std::time::SystemTime;

use bytes::Bytes;

use super::*;

fn hop() -> pb::NextHop {
    pb::NextHop {
        deliver: "mx".to_owned(),
        ..pb::NextHop::default()
    }
}

fn refused(hop: pb::NextHop, word: &str) {
    let fault = next_hop(hop).unwrap_err();
    assert!(fault.detail.contains(word), "{fault} does not say {word:?}");
}

#[test]
fn a_hop_is_what_was_said() {
    assert_eq!(next_hop(hop()), Ok(NextHop::to("mx")));
    let whole = pb::NextHop {
        deliver: "smtp://mx.test:25".to_owned(),
        name: "partner".to_owned(),
        tls: pb::TlsPolicy::Verify.into(),
        source_address: "2001:db8::1".to_owned(),
        helo_name: Bytes::from_static(b"out.test"),
        credentials: "account".to_owned(),
        disabled_extensions: vec!["PIPELINING".to_owned()],
        use_helo: true,
        connect_timeout: Some(prost_types::Duration {
            seconds: 5,
            nanos: 0,
        }),
        not_before: Some(prost_types::Timestamp {
            seconds: 60,
            nanos: 0,
        }),
        max_connections: 3,
    };
    let expected = NextHop {
        deliver: "smtp://mx.test:25".to_owned(),
        name: "partner".to_owned(),
        tls: TlsPolicy::Verify,
        source_address: "2001:db8::1".to_owned(),
        helo_name: Bytes::from_static(b"out.test"),
        credentials: "account".to_owned(),
        disabled_extensions: vec!["PIPELINING".to_owned()],
        use_helo: true,
        connect_timeout: Some(Duration::from_secs(5)),
        not_before: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60)),
        max_connections: Some(3),
    };
    assert_eq!(next_hop(whole), Ok(expected));
}

#[test]
fn each_policy_of_tls_is_known_and_no_other() {
    for (policy, expected) in [
        (pb::TlsPolicy::Unspecified, TlsPolicy::Configured),
        (pb::TlsPolicy::None, TlsPolicy::None),
        (pb::TlsPolicy::Opportunistic, TlsPolicy::Opportunistic),
        (pb::TlsPolicy::Encrypt, TlsPolicy::Encrypt),
        (pb::TlsPolicy::Verify, TlsPolicy::Verify),
        (pb::TlsPolicy::Dane, TlsPolicy::Dane),
        (pb::TlsPolicy::Implicit, TlsPolicy::Implicit),
    ] {
        let own = pb::NextHop {
            tls: policy.into(),
            ..hop()
        };
        assert_eq!(next_hop(own).unwrap().tls, expected);
    }
    refused(pb::NextHop { tls: 99, ..hop() }, "TLS policy");
}

#[test]
fn each_part_of_a_hop_has_its_bounds() {
    let word = |octets: usize| Bytes::from(vec![b'a'; octets]);
    let extensions = |words: Vec<String>| pb::NextHop {
        disabled_extensions: words,
        ..hop()
    };
    let timeout = |seconds| pb::NextHop {
        connect_timeout: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..hop()
    };
    let not_before = |seconds| pb::NextHop {
        not_before: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        ..hop()
    };
    let named = |name: &str| pb::NextHop {
        name: name.to_owned(),
        ..hop()
    };
    let trusted = |credentials: &str| pb::NextHop {
        credentials: credentials.to_owned(),
        ..hop()
    };
    let greets = |helo_name: Bytes| pb::NextHop { helo_name, ..hop() };
    let from = |source_address: &str| pb::NextHop {
        source_address: source_address.to_owned(),
        ..hop()
    };
    for good in [
        named("a.b-c"),
        trusted("a.b-c"),
        greets(word(255)),
        from("192.0.2.1"),
        extensions(vec!["X".to_owned(); 32]),
        extensions(vec!["X".repeat(255)]),
        timeout(1),
        not_before(0),
    ] {
        assert!(next_hop(good.clone()).is_ok(), "{good:?}");
    }
    for (bad, said) in [
        (
            pb::NextHop {
                deliver: "http://x".to_owned(),
                ..hop()
            },
            "no way to deliver",
        ),
        (named("A"), "the name of a next hop"),
        (trusted("A"), "the name of credentials"),
        (greets(word(256)), "greet"),
        (greets(Bytes::from_static(b"a b")), "greet"),
        (from("mx.test"), "no address"),
        (
            extensions(vec!["X".to_owned(); 33]),
            "33 disabled extensions",
        ),
        (extensions(vec!["X".repeat(256)]), "no keyword"),
        (extensions(vec!["X Y".to_owned()]), "no keyword"),
        (timeout(0), "the time-out of a next hop"),
        (not_before(-1), "out of range"),
    ] {
        refused(bad, said);
    }
    assert_eq!(next_hops(vec![hop(); MAX_HOPS]).unwrap().len(), MAX_HOPS);
    let fault = next_hops(vec![hop(); MAX_HOPS + 1]).unwrap_err();
    assert!(fault.detail.contains("101 next hops"), "{fault}");
}
