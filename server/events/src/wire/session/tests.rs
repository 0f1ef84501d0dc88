#![allow(clippy::unwrap_used)]
use std::time::Duration;

use super::*;
use crate::context::Protocol;
use crate::grant::Reads;
use crate::samples;
use crate::testing;

fn word(word: &'static str) -> Bytes {
    Bytes::from_static(word.as_bytes())
}

fn full() -> SessionContext {
    let client = Client {
        address: Some("192.0.2.7".parse().unwrap()),
        port: 4711,
        local_address: "192.0.2.1".to_owned(),
        local_port: 587,
        address_source: AddressSource::Proxy,
        proxy_address: Some("192.0.2.9".parse().unwrap()),
        reverse_name: ReverseName::Confirmed(vec!["client.test".to_owned()]),
        implicit_tls: true,
        xclient: vec![(word("NAME"), Some(word("a"))), (word("ADDR"), None)],
    };
    let mut own = testing::session();
    own.client = client;
    own.protocol = Protocol::Submission;
    own.tls = Some(samples::handshake());
    own.authentication = Some(Authentication {
        mechanism: word("PLAIN"),
        identity: word("anna"),
        authorization_identity: word("bea"),
    });
    own.may_relay = true;
    own.tenant = "acme".to_owned();
    own.skipped = vec!["scanner".to_owned()];
    own
}

#[test]
fn a_session_is_shown_whole_to_those_who_read_it_and_the_least_to_others() {
    let own = full();
    let least = pb::Session {
        session_id: id(own.id.as_bytes()),
        server: "in".to_owned(),
        protocol_name: "submission".to_owned(),
        ..pb::Session::default()
    };
    let parameter = |keyword, value: Option<&'static str>| pb::Parameter {
        keyword: word(keyword),
        value: value.map(word),
    };
    let whole = pb::Session {
        client: Some(pb::Client {
            address: "192.0.2.7".to_owned(),
            port: 4711,
            local_address: "192.0.2.1".to_owned(),
            local_port: 587,
            address_source: pb::AddressSource::Proxy.into(),
            proxy_address: "192.0.2.9".to_owned(),
            reverse_names: vec![word("client.test")],
            reverse_name: pb::ReverseName::Confirmed.into(),
            implicit_tls: true,
            xclient_attributes: vec![parameter("NAME", Some("a")), parameter("ADDR", None)],
        }),
        helo: Some(pb::Helo {
            verb: word("EHLO"),
            name: word("client.example.test"),
        }),
        tls: Some(samples::wire_handshake()),
        authentication: Some(pb::Authentication {
            mechanism: word("PLAIN"),
            identity: word("anna"),
            authorization_identity: word("bea"),
        }),
        may_relay: true,
        started_at: Some(moment(own.started_at)),
        listener: "[::]:25".to_owned(),
        hostname: "mx.example.test".to_owned(),
        tenant: "acme".to_owned(),
        skipped_bindings: vec!["scanner".to_owned()],
        ..least.clone()
    };
    let all = Reads::everything();
    assert_eq!(session(&own, &testing::view(&all)), whole);
    let none = Reads::default();
    assert_eq!(session(&own, &testing::view(&none)), least);
    let new = SessionContext::unknown("in".into());
    let shown = session(&new, &testing::view(&all));
    assert!(shown.helo.is_none() && shown.tls.is_none() && shown.authentication.is_none());
    let client = shown.client.unwrap();
    assert!(client.address.is_empty() && client.proxy_address.is_empty());
}

#[test]
fn what_a_lookup_found_and_where_an_address_comes_from_have_their_own_numbers() {
    let names = |count: usize| vec!["a.test".to_owned(); count];
    for (found, state, count) in [
        (ReverseName::NotAsked, pb::ReverseName::Unspecified, 0),
        (ReverseName::None, pb::ReverseName::None, 0),
        (
            ReverseName::Confirmed(names(10)),
            pb::ReverseName::Confirmed,
            10,
        ),
        (
            ReverseName::Confirmed(names(11)),
            pb::ReverseName::Confirmed,
            10,
        ),
        (
            ReverseName::Unconfirmed(names(2)),
            pb::ReverseName::Unconfirmed,
            2,
        ),
        (ReverseName::Failed, pb::ReverseName::Failed, 0),
    ] {
        let shown = client(&Client {
            reverse_name: found,
            ..Client::default()
        });
        assert_eq!(
            (shown.reverse_name(), shown.reverse_names.len()),
            (state, count)
        );
    }
    for (source, expected) in [
        (AddressSource::Connection, pb::AddressSource::Connection),
        (AddressSource::Proxy, pb::AddressSource::Proxy),
        (AddressSource::Xclient, pb::AddressSource::Xclient),
    ] {
        let shown = client(&Client {
            address_source: source,
            ..Client::default()
        });
        assert_eq!(shown.address_source(), expected);
    }
}

#[test]
fn lists_from_clients_are_cut() {
    let all = vec![(word("X"), None); 65];
    assert_eq!(parameters(&all[..64]).len(), 64);
    assert_eq!(parameters(&all).len(), 64);
    let with = |sizes: &[usize]| Tls {
        peer_certificates: sizes.iter().map(|size| vec![0; *size].into()).collect(),
        server_name: None,
        ..samples::handshake()
    };
    let half = MAX_CERTIFICATES / 2;
    for (sizes, shown) in [
        (&[][..], 0),
        (&[half, half], 2),
        (&[half, half, 1], 1),
        (&[MAX_CERTIFICATES + 1], 1),
    ] {
        let own = tls(&with(sizes));
        assert_eq!(own.peer_certificates.len(), shown, "{sizes:?}");
        assert!(own.server_name.is_empty());
    }
}

#[test]
fn each_count_of_the_conduct_has_its_field() {
    let own = Conduct {
        commands: 1,
        errors: 2,
        syntax_errors: 3,
        talked_early: true,
        pipelined_early: true,
        idle: Duration::from_millis(1500),
        messages: 4,
        refused_recipients: 5,
        junk_commands: 6,
        failed_authentications: 7,
        connections: 8,
    };
    let shown = pb::Conduct {
        command_count: 1,
        error_count: 2,
        syntax_error_count: 3,
        talked_early: true,
        pipelined_early: true,
        idle: Some(prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
        message_count: 4,
        refused_recipient_count: 5,
        junk_command_count: 6,
        failed_authentication_count: 7,
        connection_count: 8,
    };
    assert_eq!(conduct(&own), shown);
    for early in [false, true] {
        let own = Conduct {
            talked_early: early,
            pipelined_early: !early,
            ..own
        };
        let shown = conduct(&own);
        assert_eq!((shown.talked_early, shown.pipelined_early), (early, !early));
    }
}
