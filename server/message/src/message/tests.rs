#![allow(clippy::unwrap_used)]
use std::time::Duration;

use postern_smtp::address::{ForwardPath, ReversePath};

use super::*;
use crate::encoding::from_millis;
use crate::{
    BodyKind, DecodeError, Handling, HeaderLimits, HeaderParser, Notify, PropertyLimits,
    RecipientId, RecipientState, Return, Status, Value,
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

fn message() -> Message {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(MAIL).unwrap().unwrap();
    let mut properties = Properties::new();
    for (key, value) in [
        ("text", Value::String("é".to_owned())),
        ("octets", Value::Bytes(Bytes::from_static(b"\0\xff"))),
        ("int", Value::Int(-5)),
        ("flag", Value::Bool(true)),
        ("number", Value::Number(0.25.into())),
        ("texts", Value::Texts(vec!["a".to_owned(), String::new()])),
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
        session: Some(SessionId::new()),
        server: "inbound".to_owned(),
        origin: Origin::Lmtp,
        received_at: from_millis(1_790_000_000_000).unwrap(),
        context: Bytes::from_static(b"\x01session"),
        skipped: vec!["scanner".to_owned()],
        passed: vec!["a".to_owned(), "b".to_owned()],
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
                given: Some(ForwardPath::parse(b"<given@example.test>", false).unwrap()),
                parameters: vec![(Bytes::from_static(b"X"), Some(Bytes::from_static(b"1")))],
                parent: Some(RecipientId::new()),
                tenant: "t".to_owned(),
                ..Recipient::new(ForwardPath::parse(path, false).unwrap())
            })
            .collect(),
        properties,
        version: Version::original(&section, Some(MAIL.len() as u64))
            .put_trace(Bytes::from_static(b"Received: x\r\n"), 2)
            .unwrap(),
        handling: Handling::default(),
        injected: None,
        walked: false,
    }
}

#[test]
fn a_record_comes_back_as_it_was() {
    let message = message();
    let record = Bytes::from(message.encode());
    let need = Message::head_octets(&record).unwrap() as usize;
    assert!(need < MAIL.len(), "the body is not needed");
    let head = Bytes::from_static(&MAIL[..need]);
    assert_eq!(Message::decode(&record, &head), Ok(message.clone()));
    let again = Message {
        walked: true,
        ..message
    };
    assert_eq!(Message::decode(&again.encode().into(), &head), Ok(again));
    assert_eq!(
        Message::decode(&record, &head.slice(1..)),
        Err(DecodeError::Value("header field"))
    );
}

#[test]
fn what_verdicts_ordered_comes_back_too() {
    let plain = message();
    let mut ordered = plain.clone();
    ordered.origin = Origin::Sink;
    ordered.handling.lifetime = Some(Duration::from_secs(60));
    ordered.handling.next_hops.insert(
        ordered.recipients[0].id,
        vec![crate::next_hop::NextHop::to("mx")],
    );
    ordered.injected = Some(Injected {
        sink: "archive".to_owned(),
        binding: "copies".to_owned(),
        depth: 3,
        parent: Some(plain.id),
    });
    let head = Bytes::from_static(MAIL);
    let record = Bytes::from(ordered.encode());
    assert_eq!(Message::decode(&record, &head), Ok(ordered));
    // Of a message without orders the record is as it ever was.
    let plain = Bytes::from(plain.encode());
    assert!(plain.len() < record.len());
    for end in plain.len() + 1..record.len() {
        assert!(
            Message::decode(&record.slice(..end), &head).is_err(),
            "{end}"
        );
    }
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
    assert!(Message::decode(&longer, &head).is_err());
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

#[test]
fn recipients_are_read_without_the_content() {
    let message = message();
    let record = Bytes::from(message.encode());
    assert_eq!(Message::decode_recipients(&record), Ok(message.recipients));
    assert!(Message::decode_recipients(&record.slice(..record.len() / 2)).is_err());
    assert!(Message::decode_recipients(&Bytes::new()).is_err());
}
