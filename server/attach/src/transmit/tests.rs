#![allow(clippy::unwrap_used)]
use super::*;

fn varying() -> Varying {
    Varying {
        event_id: 1,
        attempt: 0,
        ask_reason: 0,
        replayed: false,
        content: None,
        attributes: Bytes::new(),
        trace_parent: String::new(),
    }
}

/// The frame as a sink reads it.
fn read(transmit: &Transmit) -> pb::AttachRequest {
    let octets = [&transmit.head[..], &transmit.shared].concat();
    assert_eq!(octets.len(), transmit.len());
    pb::AttachRequest::decode(octets.as_slice()).unwrap()
}

#[test]
fn an_event_says_what_is_particular_to_it_and_nothing_else() {
    let plain = Transmit::event(7, &varying(), None, Bytes::new());
    // The instance, and an event of which only the number is set.
    assert_eq!(plain.head, &b"\x08\x07\x12\x02\x08\x01"[..]);
    assert!(!plain.is_empty());
    let whole = Varying {
        event_id: 2,
        attempt: 3,
        ask_reason: pb::AskReason::Retry.into(),
        replayed: true,
        content: Some(BodyDepth::Full),
        trace_parent: "00-ab-cd-01".to_owned(),
        attributes: pb::Event {
            attributes: vec![pb::NamedValue::default()],
            ..pb::Event::default()
        }
        .encode_to_vec()
        .into(),
    };
    let last = pb::Event {
        message_ended: true,
        ..pb::Event::default()
    };
    let deadline = Duration::from_millis(1500);
    let last = last.encode_to_vec().into();
    let frame = read(&Transmit::event(7, &whole, Some(deadline), last));
    let Some(Kind::Event(event)) = frame.kind else {
        panic!("{frame:?}");
    };
    let expected = pb::Event {
        event_id: 2,
        deadline: Some(to_wire(deadline)),
        attempt: 3,
        ask_reason: pb::AskReason::Retry.into(),
        replayed: true,
        message_ended: true,
        content: Some(BodyDepth::Full.to_wire()),
        attributes: vec![pb::NamedValue::default()],
        trace_parent: "00-ab-cd-01".to_owned(),
        ..pb::Event::default()
    };
    assert_eq!(*event, expected);
}

#[test]
fn what_is_particular_to_an_event_stays_within_its_bound() {
    for (attributes, trace) in [(0, 0), (3000, 0), (0, 3000), (1000, 2000)] {
        let own = Varying {
            event_id: u64::MAX,
            attempt: u32::MAX,
            ask_reason: i32::MAX,
            replayed: true,
            content: Some(BodyDepth::Prefix(u64::MAX)),
            attributes: vec![0; attributes].into(),
            trace_parent: "x".repeat(trace),
        };
        assert_eq!(own.bound(), HEADER + attributes + trace);
        let frame = Transmit::event(u64::MAX, &own, Some(Duration::MAX), Bytes::new());
        assert!(frame.len() <= own.bound() + 24, "{attributes} {trace}");
    }
}

#[test]
fn spans_of_time_lead_back() {
    for span in [Duration::ZERO, Duration::new(3, 999_999_999)] {
        assert_eq!(from_wire(&to_wire(span)), Some(span));
    }
    for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000)] {
        assert_eq!(from_wire(&prost_types::Duration { seconds, nanos }), None);
    }
}

#[test]
fn content_without_octets_has_no_field_for_them() {
    let content = pb::Content {
        event_id: 1,
        ..pb::Content::default()
    };
    let none = Transmit::content(7, &content, Bytes::new());
    assert_eq!(none.head, &b"\x08\x07\x1a\x02\x08\x01"[..]);
    let some = Transmit::content(7, &content, Bytes::from_static(b"abc"));
    let frame = read(&some);
    let Some(Kind::Content(read)) = frame.kind else {
        panic!("{frame:?}");
    };
    assert_eq!((read.event_id, &read.octets[..]), (1, &b"abc"[..]));
}
