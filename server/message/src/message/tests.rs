#![allow(clippy::unwrap_used)]
use std::time::Duration;

use postern_smtp::address::{ForwardPath, ReversePath};

use bytes::Bytes;

use super::*;
use crate::encoding::{Writer, from_millis};
use crate::session::{Conduct, Greeting, Protocol, ReverseName, TlsInfo};
use crate::{
    BodyKind, DecodeError, HeaderLimits, HeaderParser, Notify, PropertyLimits, RecipientState,
    Return, Status, Value,
};

const MAIL: &[u8] = b"Subject: x\r\nTo: y\r\n\r\nbody\r\n";

fn status(text: &str) -> Status {
    Status {
        at: from_millis(1_790_000_000_123).unwrap(),
        code: Some(451),
        enhanced: Some((4, 7, 1)),
        text: text.to_owned(),
        remote: Some("mx.example.test".to_owned()),
    }
}

/// A session of which every field says something.
fn session() -> SessionContext {
    SessionContext {
        hostname: "mx.example.test".into(),
        listener: "[::]:25".into(),
        protocol: Protocol::Lmtp,
        peer: Some("[2001:db8::1]:4025".parse().unwrap()),
        local: Some("[2001:db8::2]:25".parse().unwrap()),
        reverse_name: ReverseName::Confirmed("client.example.test".to_owned()),
        may_relay: true,
        authenticated: Some("anna".to_owned()),
        implicit_tls: true,
        tls: Some(TlsInfo {
            version: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            server_name: Some("mx.example.test".to_owned()),
            peer_certificates: vec![Bytes::from_static(b"der")],
            peer_verified: true,
            failure: String::new(),
        }),
        greeting: Some(Greeting {
            verb: Bytes::from_static(b"LHLO"),
            name: Bytes::from_static(b"client"),
        }),
        conduct: Conduct {
            commands: 300,
            errors: 4,
            syntax_errors: 3,
            talked_early: true,
            pipelined_early: true,
            idle: Duration::from_millis(1500),
            messages: 2,
            refused_recipients: 1,
            junk_commands: 5,
        },
        ..SessionContext::new(SessionId::new(), from_millis(1_789_999_990_000).unwrap())
    }
}

fn message() -> Message {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(MAIL).unwrap().unwrap();
    let mut properties = Properties::new();
    for (key, value) in [
        ("text", Value::String("é".to_owned())),
        ("octets", Value::Bytes(Bytes::from_static(b"\0\xff"))),
        ("int", Value::Int(-5)),
        ("flag", Value::Bool(true)),
    ] {
        properties
            .set("sink", key, value, &PropertyLimits::default())
            .unwrap();
    }
    let sender = ReversePath::parse("<é@example.test>".as_bytes(), true).unwrap();
    let mut envelope = Envelope::new(sender);
    envelope.smtp_utf8 = true;
    envelope.body = BodyKind::BinaryMime;
    envelope.ret = Some(Return::Headers);
    envelope.envid = Some(Bytes::from_static(b"a+2Bb"));
    envelope.declared_size = Some(99);
    envelope.parameters = vec![(Bytes::from_static(b"X"), None)];
    let states = [
        RecipientState::pending(),
        RecipientState::Pending {
            attempts: 3,
            due: from_millis(1_790_000_300_000),
            last: Some(status("later")),
        },
        RecipientState::Delivered(status("1")),
        RecipientState::Relayed(status("2")),
        RecipientState::Failed(status("3")),
        RecipientState::Expired(status("4")),
        RecipientState::Discarded(status("5")),
    ];
    let paths: [&[u8]; 2] = [b"<\"a b\"@example.test>", b"<Postmaster>"];
    let recipients = states.into_iter().zip(paths.iter().cycle());
    Message {
        id: MessageId::new(),
        session: Some(session()),
        server: "inbound".to_owned(),
        origin: Origin::Lmtp,
        received_at: from_millis(1_790_000_000_000).unwrap(),
        envelope,
        recipients: recipients
            .map(|(state, path)| Recipient {
                state,
                orcpt: Some(Bytes::from_static(b"rfc822;a")),
                notify: Some(Notify {
                    failure: true,
                    ..Notify::NEVER
                }),
                properties: properties.clone(),
                ..Recipient::new(ForwardPath::parse(path, false).unwrap())
            })
            .collect(),
        properties: properties.clone(),
        session_properties: properties,
        version: Version::original(&section, Some(MAIL.len() as u64))
            .put_trace(Bytes::from_static(b"Received: x\r\n"), 2)
            .unwrap(),
    }
}

#[test]
fn a_record_comes_back_as_it_was() {
    let message = message();
    let record = Bytes::from(message.encode());
    let need = Message::head_octets(&record).unwrap() as usize;
    assert!(need < MAIL.len(), "the body is not needed");
    let head = Bytes::from_static(&MAIL[..need]);
    assert_eq!(Message::decode(&record, &head), Ok(message));
    assert_eq!(
        Message::decode(&record, &head.slice(1..)),
        Err(DecodeError::Value("header field"))
    );
}

#[test]
fn of_the_certificates_the_client_s_own_is_kept() {
    let mut message = message();
    let tls = message.session.as_mut().unwrap().tls.as_mut().unwrap();
    tls.peer_certificates.push(Bytes::from_static(b"issuer"));
    let record = Bytes::from(message.encode());
    let read = Message::decode(&record, &Bytes::from_static(MAIL)).unwrap();
    assert_eq!(read.session, Some(session_of(&message)));
}

fn session_of(message: &Message) -> SessionContext {
    let mut session = message.session.clone().unwrap();
    session.tls.as_mut().unwrap().peer_certificates.truncate(1);
    session
}

/// A record as the first format had it: the client, and of the session only its id.
fn first_format(id: Option<SessionId>, version: &Version) -> Bytes {
    let mut out = Writer::new();
    out.octet(1);
    out.number(version.head_octets());
    out.raw(&[7; 16]);
    out.option(id, |out, id| out.raw(id.as_bytes()));
    out.text("inbound");
    out.octet(1);
    out.signed(1_790_000_000_000);
    out.option(Some("192.0.2.7:4025"), Writer::text);
    out.option(None, Writer::text);
    out.octets(b"client.example.test");
    out.flag(true);
    out.option(Some(()), |out, ()| {
        out.text("TLSv1.2");
        out.text("TLS_AES");
        out.option(None, Writer::text);
    });
    out.option(Some("name.example.test"), Writer::text);
    out.flag(true);
    out.flag(true);
    out.option(None, Writer::text);
    out.text("<>");
    out.flag(false);
    out.octet(0);
    for _absent in 0..3 {
        out.flag(false);
    }
    // Parameters, recipients, properties of the message and of the session.
    for _none in 0..4 {
        out.number(0);
    }
    version.encode(&mut out);
    Bytes::from(out.into_bytes())
}

#[test]
fn a_record_of_the_first_format_is_read_with_what_it_says() {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(MAIL).unwrap().unwrap();
    let version = Version::original(&section, Some(MAIL.len() as u64));
    let id = SessionId::new();
    let record = first_format(Some(id), &version);
    assert!(Message::head_octets(&record).is_ok());
    let message = Message::decode(&record, &Bytes::from_static(MAIL)).unwrap();
    let received_at = from_millis(1_790_000_000_000).unwrap();
    let expected = SessionContext {
        peer: Some("192.0.2.7:4025".parse().unwrap()),
        reverse_name: ReverseName::Confirmed("name.example.test".to_owned()),
        may_relay: true,
        tls: Some(TlsInfo {
            version: "TLSv1.2".to_owned(),
            cipher: "TLS_AES".to_owned(),
            ..TlsInfo::default()
        }),
        greeting: Some(Greeting {
            verb: Bytes::from_static(b"EHLO"),
            name: Bytes::from_static(b"client.example.test"),
        }),
        ..SessionContext::new(id, received_at)
    };
    assert_eq!(message.session, Some(expected));
    assert_eq!(message.received_at, received_at);
    assert_eq!(message.version, version);
    let own = first_format(None, &version);
    let own = Message::decode(&own, &Bytes::from_static(MAIL)).unwrap();
    assert_eq!(own.session, None, "a message of our own has no session");
}

#[test]
fn what_is_cut_off_or_added_is_found() {
    let record = Bytes::from(message().encode());
    let head = Bytes::from_static(MAIL);
    for end in 0..record.len() {
        assert!(
            Message::decode(&record.slice(..end), &head).is_err(),
            "{end}"
        );
    }
    let longer = Bytes::from([record.as_ref(), b"x"].concat());
    assert_eq!(Message::decode(&longer, &head), Err(DecodeError::Trailing));
    let newer = Bytes::from([b"\x03", &record[1..]].concat());
    assert_eq!(Message::decode(&newer, &head), Err(DecodeError::Format(3)));
    assert_eq!(Message::head_octets(&newer), Err(DecodeError::Format(3)));
}

#[test]
fn the_next_due_time_is_the_earliest_of_those_who_wait() {
    let mut message = message();
    let later = from_millis(1_790_000_300_000).unwrap();
    assert_eq!(
        message.next_due(later + Duration::from_secs(1)),
        Some(later),
        "the second recipient has a time of its own"
    );
    let early = later - Duration::from_secs(1);
    assert_eq!(message.next_due(early), Some(early));
    message.recipients.drain(..2);
    assert_eq!(message.next_due(early), None);
}

#[test]
fn fuzz_the_decoder() {
    let head = Bytes::from_static(MAIL);
    let record = message().encode();
    bolero::check!()
        .with_type::<(Vec<(u16, u8)>, Option<u16>, u8)>()
        .with_iterations(20_000)
        .for_each(|(changes, end, few)| {
            let mut damaged = record.clone();
            // Few enough that something of the record is still understood.
            for (at, octet) in changes.iter().take(usize::from(few % 4)) {
                let at = usize::from(*at) % damaged.len();
                damaged[at] = *octet;
            }
            if let Some(end) = end {
                damaged.truncate(usize::from(*end) % (record.len() + 1));
            }
            let damaged = Bytes::from(damaged);
            if let Ok(message) = Message::decode(&damaged, &head) {
                let again = Bytes::from(message.encode());
                assert_eq!(Message::decode(&again, &head).as_ref(), Ok(&message));
            }
        });
}
