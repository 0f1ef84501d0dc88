#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::sync::Arc;
use std::time::Duration;

use postern_message::{
    Edit, EditLimits, HeaderLimits, HeaderParser, Message, MessageId, Properties, SessionId,
};

use super::*;
use crate::context::{ForkEdits, InboundContext, Split};
use crate::grant::Reads;
use crate::order::Order;
use crate::samples;
use crate::testing;

fn word(word: &'static str) -> Bytes {
    Bytes::from_static(word.as_bytes())
}

fn version_of(octets: &[u8]) -> Version {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = match parser.feed(octets).unwrap() {
        Some(section) => section,
        None => parser.finish().unwrap(),
    };
    Version::original(&section, Some(octets.len() as u64))
}

#[test]
fn what_is_kept_of_mail_is_said_as_mail_would() {
    let plain = Envelope::new(samples::sender());
    let with = |change: fn(&mut Envelope)| {
        let mut envelope = plain.clone();
        change(&mut envelope);
        envelope
    };
    for (envelope, parameters) in [
        (plain.clone(), vec![]),
        (
            with(|own| own.declared_size = Some(7)),
            vec![("SIZE", Some("7"))],
        ),
        (
            with(|own| own.body = BodyKind::EightBitMime),
            vec![("BODY", Some("8BITMIME"))],
        ),
        (
            with(|own| own.body = BodyKind::BinaryMime),
            vec![("BODY", Some("BINARYMIME"))],
        ),
        (
            with(|own| own.ret = Some(Return::Full)),
            vec![("RET", Some("FULL"))],
        ),
        (
            with(|own| own.ret = Some(Return::Headers)),
            vec![("RET", Some("HDRS"))],
        ),
        (
            with(|own| own.envid = Some(word("a+2Bb"))),
            vec![("ENVID", Some("a+2Bb"))],
        ),
        (with(|own| own.smtp_utf8 = true), vec![("SMTPUTF8", None)]),
        (
            with(|own| own.parameters = vec![(word("X-A"), None), (word("X-B"), Some(word("1")))]),
            vec![("X-A", None), ("X-B", Some("1"))],
        ),
    ] {
        let expected: Vec<_> = parameters
            .into_iter()
            .map(|(keyword, value)| pb::Parameter {
                keyword: word(keyword),
                value: value.map(word),
            })
            .collect();
        let shown = super::envelope(&envelope, &[]);
        assert_eq!(shown.parameters, expected, "{envelope:?}");
        // As they came, where that is known.
        let raw = [(word("FOO"), Some(word("bar")))];
        let shown = super::envelope(&envelope, &raw);
        let [parameter] = &shown.parameters[..] else {
            panic!("{shown:?}");
        };
        assert_eq!(
            (&parameter.keyword[..], shown.parameters.len()),
            (&b"FOO"[..], 1)
        );
    }
}

#[test]
fn kinds_of_body_and_of_what_returns_have_their_own_number() {
    let mut envelope = Envelope::new(samples::sender());
    for (kind, shown) in [
        (BodyKind::SevenBit, pb::BodyKind::SevenBit),
        (BodyKind::EightBitMime, pb::BodyKind::EightBitMime),
        (BodyKind::BinaryMime, pb::BodyKind::BinaryMime),
    ] {
        envelope.body = kind;
        assert_eq!(super::envelope(&envelope, &[]).body(), shown);
    }
    for (ret, shown) in [
        (None, pb::ReturnContent::Unspecified),
        (Some(Return::Full), pb::ReturnContent::Full),
        (Some(Return::Headers), pb::ReturnContent::Headers),
    ] {
        assert_eq!(return_content(ret), shown);
    }
    assert_eq!(reverse_path(&ReversePath::Null), "");
    assert_eq!(reverse_path(&samples::sender()), "sender@example.test");
}

#[test]
fn fields_are_shown_by_name_and_value_to_those_who_read_them() {
    let version = version_of(b"Subject: one\r\nX-A:\r\n two\r\n\r\nbody");
    let all = Reads::everything();
    let shown = headers(&version, &testing::view(&all));
    let own = |header_id, name, value| pb::HeaderField {
        header_id,
        name: word(name),
        value: word(value),
    };
    let fields = [own(1, "Subject", " one"), own(2, "X-A", "\r\n two")];
    assert_eq!(shown.fields, fields);
    let size = b"Subject: one\r\nX-A:\r\n two\r\n\r\n".len() as u64;
    assert_eq!((shown.size_bytes, shown.separator_missing), (size, false));
    let some = Reads::parse(&["headers:x-a"]).unwrap();
    let shown = headers(&version, &testing::view(&some));
    assert_eq!(shown.fields, fields[1..]);
    assert_eq!(shown.size_bytes, size, "the section is as large as it is");
}

#[test]
fn a_section_without_an_empty_line_says_so() {
    let reads = Reads::everything();
    let shown = |octets: &[u8]| headers(&version_of(octets), &testing::view(&reads));
    assert!(shown(b"Subject: one\r\n").separator_missing);
    assert!(!shown(b"Subject: one\r\n\r\n").separator_missing);
}

/// A message that has something in every field.
fn stored() -> Message {
    Message {
        origin: Origin::Lmtp,
        session: Some(SessionId::new()),
        skipped: vec!["scanner".to_owned()],
        ..testing::stored()
    }
}

fn context(stored: Message) -> MessageContext {
    let mut session = testing::session();
    session.tenant = "acme".to_owned();
    MessageContext::with_session(Arc::new(stored), Some(session))
}

fn apply(context: &mut MessageContext, edits: &[Edit], orders: &[Order], split: &Split) {
    let mut none = Properties::new();
    let limits = EditLimits::default();
    let working = context.working_mut();
    working
        .apply("s", edits, orders, split, &mut none, &limits)
        .unwrap();
}

#[test]
fn a_message_is_shown_whole() {
    let stored = stored();
    let mut context = context(stored.clone());
    let hour = Duration::from_secs(3600);
    let orders = [
        Order::RoutingClass("bulk".to_owned()),
        Order::Expiry {
            lifetime: Some(2 * hour),
            warn_after: Some(hour),
        },
    ];
    context.working_mut().set_digest([7; 32]);
    let all = samples::all();
    let view = testing::view(&all);
    let version = context.working().draft().version.clone();
    let plain = pb::Message {
        message_id: id(stored.id.as_bytes()),
        envelope: Some(envelope(&stored.envelope, &[])),
        origin: pb::Origin::Lmtp.into(),
        received_at: Some(moment(stored.received_at)),
        server: "in".to_owned(),
        size_bytes: testing::MAIL.len() as u64,
        content_sha256: Bytes::from_static(&[7; 32]),
        session_id: stored.session.map(|own| id(own.as_bytes())).unwrap(),
        tenant: "acme".to_owned(),
        skipped_bindings: vec!["scanner".to_owned()],
        revision: 1,
        ..pb::Message::default()
    };
    assert_eq!(message(&context, version.as_ref(), &view), plain);
    apply(&mut context, &[], &orders, &Split::default());
    let ordered = pb::Message {
        expires_at: Some(moment(stored.received_at + 2 * hour)),
        warns_at: Some(moment(stored.received_at + hour)),
        routing_class: "bulk".to_owned(),
        ..plain.clone()
    };
    assert_eq!(message(&context, version.as_ref(), &view), ordered);
    // Without content nothing is known of it.
    let none = pb::Message {
        size_bytes: 0,
        content_sha256: Bytes::new(),
        ..ordered.clone()
    };
    assert_eq!(message(&context, None, &view), none);
    let blind = Reads::default();
    let blind = message(&context, version.as_ref(), &testing::view(&blind));
    let expected = pb::Message {
        envelope: None,
        content_sha256: Bytes::new(),
        ..ordered
    };
    assert_eq!(blind, expected);
}

#[test]
fn an_edited_message_has_another_revision_and_no_digest() {
    let mut context = context(stored());
    context.working_mut().set_digest([7; 32]);
    let received = context.working().draft().version.clone();
    let id = received.as_ref().unwrap().headers()[0].id();
    apply(
        &mut context,
        &[Edit::RemoveHeader { id }],
        &[],
        &Split::default(),
    );
    let all = samples::all();
    let view = testing::view(&all);
    let edited = context.working().draft().version.clone();
    let shown = message(&context, edited.as_ref(), &view);
    assert_eq!((shown.revision, shown.content_sha256.len()), (2, 0));
    // Who is shown it as it was received is told of that.
    let shown = message(&context, received.as_ref(), &view);
    assert_eq!((shown.revision, shown.content_sha256.len()), (1, 32));
}

#[test]
fn every_origin_has_its_own_number() {
    for (origin, shown) in [
        (Origin::Smtp, pb::Origin::Smtp),
        (Origin::Lmtp, pb::Origin::Lmtp),
        (Origin::Dsn, pb::Origin::Dsn),
    ] {
        let context = context(Message { origin, ..stored() });
        let reads = Reads::default();
        let seen = message(&context, None, &testing::view(&reads));
        assert_eq!(seen.origin(), shown);
    }
    let unknown = Message {
        session: None,
        ..stored()
    };
    let reads = Reads::default();
    let context = MessageContext::with_session(Arc::new(unknown), None);
    let seen = message(&context, None, &testing::view(&reads));
    assert!(seen.session_id.is_empty() && seen.tenant.is_empty());
}

#[test]
fn a_branch_names_the_message_that_it_came_from_and_the_rest_names_none() {
    let stored = stored();
    let mut context = context(stored.clone());
    let split = Split {
        forks: vec![ForkEdits {
            recipients: vec![stored.recipients[0].id],
            ..ForkEdits::default()
        }],
        ..Split::default()
    };
    apply(&mut context, &[], &[], &split);
    let reads = Reads::default();
    let view = testing::view(&reads);
    let own = id(stored.id.as_bytes());
    let rest = message(&context, None, &view);
    assert_eq!((&rest.message_id, rest.parent_message_id.len()), (&own, 0));
    context.working_mut().enter(1);
    let fork = message(&context, None, &view);
    assert_ne!(fork.message_id, own);
    assert_eq!(fork.parent_message_id, own);
}

#[test]
fn a_transaction_is_shown_with_its_number_and_who_was_passed_over() {
    let mut own: InboundContext = testing::inbound();
    let message_id = MessageId::new();
    let raw = vec![(word("X-A"), None)];
    own.begin(message_id, testing::envelope("a@x.test"), raw.clone());
    own.begun();
    own.working_mut().unwrap().skip("scanner");
    let running = own.transaction().unwrap();
    let expected = pb::Transaction {
        transaction_id: id(message_id.as_bytes()),
        envelope: Some(envelope(&testing::envelope("a@x.test"), &raw)),
        transaction_number: 1,
        skipped_bindings: vec!["scanner".to_owned()],
        ..pb::Transaction::default()
    };
    let all = Reads::everything();
    assert_eq!(transaction(running, &testing::view(&all)), expected);
    let none = Reads::default();
    let blind = pb::Transaction {
        envelope: None,
        ..expected
    };
    assert_eq!(transaction(running, &testing::view(&none)), blind);
}
