#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;

use super::*;
use crate::binding::WireBinding;

const LINGER: Duration = Duration::from_millis(2);

fn outbox() -> Outbox {
    Outbox::new(8, LINGER)
}

fn control(sequence: u64) -> Frame {
    Frame::Control(Transmit::control(
        0,
        Kind::Heartbeat(pb::Heartbeat { sequence }),
    ))
}

fn open() -> Frame {
    Frame::Open(Box::new(OpenFrame {
        open: pb::Open::default(),
        binding: Arc::new(WireBinding::new(1, &pb::Binding::default())),
        limits: Arc::new(pb::Limits::default()),
        features: Vec::new(),
        snapshot: Bytes::new(),
    }))
}

fn part(event_id: u64) -> Frame {
    let part = Bytes::from_static(b"part");
    Frame::EventPart { event_id, part }
}

fn content(event_id: u64, has_octets: bool) -> Frame {
    let content = pb::Content {
        event_id,
        ..pb::Content::default()
    };
    Frame::Content {
        event_id,
        has_octets,
        transmit: Transmit::content(1, &content, Bytes::new()),
    }
}

/// The instances whose frames leave now.
fn leaving(own: &mut Outbox, now: Instant) -> Vec<u64> {
    std::iter::from_fn(|| own.pop(now))
        .map(|leaving| leaving.instance)
        .collect()
}

#[test]
fn what_nobody_waits_for_leaves_in_its_time_or_with_what_is_awaited() {
    let now = Instant::now();
    let mut own = outbox();
    assert!(own.is_empty() && own.lingers_until().is_none());
    own.push(now, 1, control(1), Urgency::AtLeisure);
    assert!(!own.is_empty());
    assert_eq!(own.lingers_until(), Some(now + LINGER));
    assert!(leaving(&mut own, now).is_empty());
    // It waits from when the first of them came.
    own.push(now + LINGER / 2, 2, control(2), Urgency::AtLeisure);
    own.handle_timeout(now + LINGER / 2);
    assert!(leaving(&mut own, now + LINGER / 2).is_empty());
    own.handle_timeout(now + LINGER);
    assert_eq!(own.lingers_until(), None);
    assert_eq!(leaving(&mut own, now), [1, 2]);
    assert!(own.is_empty());
    // Without a call at that time it leaves as well.
    own.push(now, 1, control(3), Urgency::AtLeisure);
    assert_eq!(leaving(&mut own, now + LINGER), [1]);
    for hurry in [false, true] {
        own.push(now, 1, control(4), Urgency::AtLeisure);
        if hurry {
            own.hurry();
        } else {
            own.push(now, 2, control(5), Urgency::Now);
        }
        assert_eq!(leaving(&mut own, now).len(), if hurry { 1 } else { 2 });
    }
}

#[test]
fn a_crowd_does_not_wait() {
    let now = Instant::now();
    let mut own = outbox();
    for round in 0..3 {
        for n in 1..MOST_LINGERING {
            own.push(now, n as u64, control(1), Urgency::AtLeisure);
        }
        assert!(leaving(&mut own, now).is_empty(), "{round}");
        own.push(now, 99, control(1), Urgency::AtLeisure);
        assert_eq!(leaving(&mut own, now).len(), MOST_LINGERING, "{round}");
    }
}

#[test]
fn open_waits_for_the_first_frame_behind_it_and_for_room() {
    let now = Instant::now();
    let mut own = Outbox::new(1, LINGER);
    own.push(now, 1, open(), Urgency::Now);
    own.push(now, 1, Frame::SnapshotPart(Bytes::new()), Urgency::Now);
    assert!(own.is_empty() && leaving(&mut own, now).is_empty());
    own.push(now, 1, control(1), Urgency::Now);
    assert_eq!(leaving(&mut own, now), [1, 1, 1]);
    own.push(now, 2, open(), Urgency::Now);
    own.push(now, 2, control(1), Urgency::Now);
    assert!(leaving(&mut own, now).is_empty(), "one is carried already");
    let close = Transmit::control(1, Kind::CloseInstance(pb::Close::default()));
    own.push(now, 1, Frame::Close(close), Urgency::Now);
    assert_eq!(leaving(&mut own, now), [1, 2, 2]);
}

#[test]
fn lanes_take_turns() {
    let now = Instant::now();
    let mut own = outbox();
    for instance in [1, 1, 1, 2, 2, 3] {
        own.push(now, instance, control(1), Urgency::Now);
    }
    assert_eq!(leaving(&mut own, now), [1, 2, 3, 1, 2, 1]);
}

#[test]
fn an_instance_of_which_nothing_was_heard_leaves_nothing_behind() {
    let now = Instant::now();
    let mut own = outbox();
    own.push(now, 1, open(), Urgency::Now);
    own.push(now, 1, control(1), Urgency::Now);
    own.push(now, 2, control(1), Urgency::Now);
    assert!(!own.drop_all(1), "the sink has not heard of it");
    assert_eq!(leaving(&mut own, now), [2]);
    // What was only opened is dropped once.
    own.push(now, 3, open(), Urgency::Now);
    assert!(own.drop_unbegun(3));
    assert!(!own.drop_unbegun(3), "it is not there any more");
    own.push(now, 4, open(), Urgency::Now);
    own.push(now, 4, control(1), Urgency::Now);
    assert!(!own.drop_unbegun(4), "it has begun");
    assert_eq!(leaving(&mut own, now), [4, 4]);
    assert!(own.drop_all(4), "the sink knows it");
    assert_eq!((own.events(), own.content()), (0, 0));
}

#[test]
fn of_an_event_that_was_begun_the_rest_is_kept() {
    let now = Instant::now();
    let mut own = outbox();
    own.push(now, 1, part(1), Urgency::Now);
    own.push(now, 1, part(1), Urgency::Now);
    own.push(now, 1, control(1), Urgency::Now);
    assert!(own.pop(now).is_some());
    assert!(own.drop_all(1));
    assert_eq!(leaving(&mut own, now), [1], "the second part");
    // One of which no part has left goes as a whole.
    own.push(now, 1, control(1), Urgency::Now);
    assert!(own.pop(now).is_some());
    own.push(now, 1, part(2), Urgency::Now);
    assert!(own.drop_all(1));
    assert!(own.is_empty());
}

#[test]
fn each_octet_is_counted_until_it_leaves_or_is_dropped() {
    let now = Instant::now();
    let mut own = outbox();
    let octets = part(1).octets();
    own.push(now, 1, part(1), Urgency::Now);
    own.push(now, 1, part(1), Urgency::Now);
    own.push(now, 1, content(1, true), Urgency::Now);
    own.push(now, 1, content(1, false), Urgency::Now);
    assert_eq!(own.events(), 2 * octets);
    assert_eq!(own.content(), content(1, true).octets());
    own.pop(now);
    assert_eq!(own.events(), octets);
    own.drop_content(1, 2);
    assert_ne!(own.content(), 0, "it is of another event");
    own.drop_content(1, 1);
    assert_eq!((own.events(), own.content()), (octets, 0));
    assert!(!own.is_overrun());
    let much = Transmit {
        head: vec![0; CONTROL_BYTES].into(),
        shared: Bytes::new(),
    };
    own.push(now, 2, Frame::Control(much), Urgency::Now);
    assert!(own.is_overrun());
    own.clear();
    assert!(own.is_empty() && !own.is_overrun());
    assert_eq!((own.events(), own.content()), (0, 0));
    // Nothing of before is in the way.
    own.push(now, 2, control(1), Urgency::Now);
    assert_eq!(leaving(&mut own, now), [2]);
}
