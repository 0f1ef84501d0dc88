#![allow(clippy::unwrap_used)]
use super::*;

fn recipient(n: u32, octets: usize) -> pb::Recipient {
    pb::Recipient {
        recipient_id: Bytes::copy_from_slice(&[u8::try_from(n % 251).unwrap(); 16]),
        address: Bytes::from(vec![b'a'; octets]),
        attempt_count: n,
        ..pb::Recipient::default()
    }
}

fn long_event() -> pb::Event {
    let property = |n: usize| pb::Property {
        namespace_name: "sink".to_owned(),
        key: format!("k{n}"),
        value: Some(pb::Value {
            kind: Some(pb::value::Kind::Text("x".repeat(4000))),
        }),
        ..pb::Property::default()
    };
    pb::Event {
        message_ended: true,
        session: Some(Box::new(pb::Session {
            server: "inbound".to_owned(),
            properties: (0..300).map(property).collect(),
            ..pb::Session::default()
        })),
        recipients: Some(pb::RecipientsUpdate {
            replaces_all: true,
            removed_ids: (0..1000).map(|_| Bytes::from_static(&[7; 16])).collect(),
            changed: (0..4000).map(|n| recipient(n, 900)).collect(),
        }),
        kind: Some(pb::event::Kind::InboundOutcome(Box::new(
            pb::InboundOutcome {
                outcome: pb::Outcome::Accepted.into(),
                recipients: (0..3000).map(|n| recipient(n, 300)).collect(),
                size_bytes: 5,
                ..pb::InboundOutcome::default()
            },
        ))),
        ..pb::Event::default()
    }
}

#[test]
fn what_fits_is_not_touched() {
    let event = pb::Event {
        message_ended: true,
        ..pb::Event::default()
    };
    let encoded = EncodedEvent::new(EventKind::InboundConnect, &event).unwrap();
    assert!(encoded.parts.is_empty());
    assert_eq!(encoded.whole(), encoded.last);
    assert_eq!(pb::Event::decode(encoded.last).unwrap(), event);
}

#[test]
fn a_long_event_is_split_at_any_depth_and_merges_again() {
    let event = long_event();
    let encoded = EncodedEvent::new(EventKind::InboundOutcome, &event).unwrap();
    assert!(encoded.parts.len() > 5, "{}", encoded.parts.len());
    for part in encoded.parts.iter().chain([&encoded.last]) {
        assert!(part.len() <= PART_BYTES, "{}", part.len());
    }
    // Few parts are half empty.
    assert!(encoded.parts.len() <= 2 + 2 * encoded.size() / PART_BYTES);
    let mut merged = pb::Event::default();
    for part in &encoded.parts {
        merged.merge(part.clone()).unwrap();
        // Only lists are in a part.
        let only = pb::Event::decode(part.clone()).unwrap();
        assert!(!only.message_ended);
        assert!(only.session.is_none_or(|one| one.server.is_empty()));
        assert!(only.recipients.is_none_or(|one| !one.replaces_all));
    }
    merged.merge(encoded.last.clone()).unwrap();
    assert_eq!(merged, event);
    assert_eq!(pb::Event::decode(encoded.whole()).unwrap(), event);
}

#[test]
fn an_element_that_fits_into_no_frame_fails_the_question_alone() {
    let mut event = long_event();
    event.recipients.as_mut().unwrap().changed[3].address = vec![b'x'; PART_BYTES].into();
    let fault = EncodedEvent::new(EventKind::InboundOutcome, &event).unwrap_err();
    assert_eq!(fault.kind, crate::fault::FaultKind::Size);
    let mut event = long_event();
    event.session.as_mut().unwrap().server = "x".repeat(PART_BYTES);
    let fault = EncodedEvent::new(EventKind::InboundOutcome, &event).unwrap_err();
    assert_eq!(fault.kind, crate::fault::FaultKind::Size);
}

#[test]
fn a_snapshot_is_split_too() {
    let snapshot = pb::Snapshot {
        recipients: (0..10_000).map(|n| recipient(n, 200)).collect(),
        transaction: Some(pb::Transaction {
            transaction_number: 3,
            ..pb::Transaction::default()
        }),
        ..pb::Snapshot::default()
    };
    let encoded = EncodedSnapshot::new(&snapshot).unwrap();
    assert!(encoded.parts.len() > 3);
    assert!(encoded.parts.iter().all(|part| part.len() <= PART_BYTES));
    // What Open carries comes first.
    let mut merged = pb::Snapshot::decode(encoded.first.clone()).unwrap();
    for part in &encoded.parts {
        merged.merge(part.clone()).unwrap();
    }
    assert_eq!(merged, snapshot);
    assert_eq!(encoded.size(), encoded.whole().len());
}

#[test]
fn the_descriptors_know_every_list() {
    let schema = Schema::get();
    let of = |message, number| schema.field(message, number).unwrap();
    assert!(of("postern.v1.RecipientsUpdate", 3).repeated);
    assert!(!of("postern.v1.Event", 7).repeated);
    assert_eq!(
        of("postern.v1.Event", 7).message.as_deref(),
        Some("postern.v1.Session")
    );
}
