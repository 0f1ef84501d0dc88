//! Frames that break the contract are the sink's failure.

use bytes::Bytes;
use postern_attach::{Ending, LinkEvent, LinkSettings, Place, Refusal, Retry};
use postern_events::event::EventKind;
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_response::Kind as Said;
use prost::Message;

use crate::world::{World, broken, failures, number, proceed, world};

/// Says what breaks an instance, and checks that this one ends, by name, and that another goes on.
fn breaks_its_instance(said: Said) {
    let mut world = world(8, &["parts", "uploads"]);
    let asked = world.asked(1);
    let other = world.asked(2);
    world.say(number(asked.instance), said.clone());
    let events = world.events();
    assert_eq!(
        failures(&events),
        [(10, FaultKind::Protocol, Retry::Never)],
        "{said:?}"
    );
    let Some(LinkEvent::Broken { place, fault }) = events.first() else {
        panic!("{said:?}: {events:?}");
    };
    assert_eq!(place.binding.as_deref(), Some("scan"));
    assert_eq!(place.subject.as_deref(), Some("session 1"));
    assert_eq!(place.instance, Some(asked.instance));
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(matches!(
        events.last(),
        Some(LinkEvent::Closed {
            tag: 1,
            ending: Ending::Protocol,
            ..
        })
    ));
    world.advance(std::time::Duration::from_millis(5));
    let close = world.sink.instances[&number(asked.instance)]
        .close
        .clone()
        .expect("closed");
    assert_eq!(close.reason(), pb::CloseReason::ProtocolError);
    assert_eq!(close.detail, fault.detail);
    world.verdict(other);
    assert!(
        matches!(world.events()[..], [LinkEvent::Verdict { .. }]),
        "{said:?}"
    );
    assert!(world.try_open(3).is_ok());
}

#[test]
fn v17_a_frame_that_breaks_the_contract_ends_its_instance() {
    breaks_its_instance(Said::Heartbeat(pb::Heartbeat { sequence: 1 }));
    breaks_its_instance(Said::GoAway(pb::GoAway::default()));
    breaks_its_instance(Said::Done(pb::Done { kind: None }));
    breaks_its_instance(Said::Done(pb::Done {
        kind: Some(pb::done::Kind::MessageId(Bytes::from_static(b"short"))),
    }));
    breaks_its_instance(Said::Done(pb::Done {
        kind: Some(pb::done::Kind::MessageId(Bytes::from_static(&[7; 16]))),
    }));
    breaks_its_instance(Said::Ready(pb::Ready {
        events: vec![pb::EventInterest {
            event: 999,
            ..pb::EventInterest::default()
        }],
    }));
    breaks_its_instance(Said::Verdict(Box::new(proceed(5))));
    breaks_its_instance(Said::Fault(pb::Fault {
        event_id: 5,
        ..pb::Fault::default()
    }));
    breaks_its_instance(Said::Progress(pb::Progress {
        event_id: 5,
        ..pb::Progress::default()
    }));
    breaks_its_instance(Said::WantContent(pb::WantContent {
        event_id: 5,
        credit_bytes: 1,
    }));
    breaks_its_instance(Said::StopContent(pb::StopContent { event_id: 5 }));
    breaks_its_instance(Said::ReadContent(pb::ReadContent {
        event_id: 5,
        read_id: 1,
        length_bytes: 1,
        ..pb::ReadContent::default()
    }));
    breaks_its_instance(Said::ReadContent(pb::ReadContent {
        event_id: 1,
        read_id: 0,
        length_bytes: 1,
        ..pb::ReadContent::default()
    }));
    breaks_its_instance(Said::Upload(pb::Upload {
        upload_id: 1,
        event_id: 5,
        ..pb::Upload::default()
    }));
    breaks_its_instance(Said::Upload(pb::Upload {
        upload_id: 0,
        event_id: 1,
        ..pb::Upload::default()
    }));
    breaks_its_instance(Said::Upload(pb::Upload {
        upload_id: 1,
        event_id: 1,
        octets: vec![0; 101].into(),
        ..pb::Upload::default()
    }));
}

#[test]
fn v17_a_frame_of_no_known_kind_ends_its_instance() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    let frame = pb::AttachResponse {
        instance_id: number(asked.instance),
        kind: None,
    };
    world
        .link
        .handle_frame(world.now, frame.encode_to_vec().into());
    assert_eq!(broken(&world.events()).len(), 1);
    assert_eq!(world.try_ask(asked.instance, 1), Err(Refusal::Gone));
}

#[test]
fn v17_what_was_broken_says_which_event_it_was() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.say(
        1,
        Said::ReadContent(pb::ReadContent {
            event_id: asked.event_id,
            ..pb::ReadContent::default()
        }),
    );
    let events = world.events();
    let Some(LinkEvent::Broken { place, .. }) = events.first() else {
        panic!("{events:?}");
    };
    let expected = Place {
        instance: Some(asked.instance),
        binding: Some("scan".into()),
        subject: Some("session 1".into()),
        event_id: Some(1),
        event: Some(EventKind::InboundRcpt),
    };
    assert_eq!(*place, expected);
}

/// Hands in octets, and checks that the stream ends for it, with what others asked to be asked again.
fn breaks_the_stream(octets: &[u8]) {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.asked(2);
    let unsent = world.ask(asked.instance, 11);
    world
        .link
        .handle_frame(world.now, Bytes::copy_from_slice(octets));
    let events = world.events();
    assert_eq!(
        failures(&events),
        [
            (10, FaultKind::Protocol, Retry::Harmless),
            (11, FaultKind::Protocol, Retry::Always),
            (20, FaultKind::Protocol, Retry::Harmless)
        ],
        "{octets:?}"
    );
    assert_eq!(unsent.event_id, 2);
    assert_eq!(broken(&events).len(), 1);
    assert!(events.contains(&LinkEvent::HalfClose));
    assert_eq!(world.try_open(3), Err(Refusal::NoRoom));
    world.flush();
    for known in world.sink.instances.values() {
        let close = known.close.as_ref().expect("each is closed");
        assert_eq!(close.reason(), pb::CloseReason::ProtocolError);
        assert!(!close.detail.is_empty(), "the author can read what it was");
    }
    world.verdict(asked);
    assert_eq!(world.events(), [], "nothing counts any more");
    world.advance(std::time::Duration::from_secs(2));
    let events = world.events();
    assert!(
        matches!(&events[..], [LinkEvent::Ended { end, reset: true }] if !end.counts()),
        "{events:?}"
    );
    assert!(world.link.is_finished());
}

fn encoded(instance_id: u64, kind: Option<Said>) -> Vec<u8> {
    pb::AttachResponse { instance_id, kind }.encode_to_vec()
}

#[test]
fn v17_instance_0_and_unknown_instances_end_the_stream() {
    breaks_the_stream(&encoded(0, Some(Said::Verdict(Box::new(proceed(1))))));
    breaks_the_stream(&encoded(0, None));
    breaks_the_stream(&encoded(3, Some(Said::Verdict(Box::new(proceed(1))))));
    breaks_the_stream(&encoded(u64::MAX, None));
    let never = pb::Heartbeat { sequence: 1 };
    breaks_the_stream(&encoded(0, Some(Said::Heartbeat(never))));
    let drain = Some(prost_types::Duration {
        seconds: -1,
        nanos: 0,
    });
    let go_away = pb::GoAway {
        drain,
        ..pb::GoAway::default()
    };
    breaks_the_stream(&encoded(0, Some(Said::GoAway(go_away))));
}

#[test]
fn c23_an_answer_on_the_wrong_stream_is_none() {
    let mut world = World::new(LinkSettings {
        capacity: 8,
        instances_after: 4096,
        ..LinkSettings::default()
    });
    let asked = world.asked(1);
    assert_eq!(asked.instance.to_string(), "4097");
    // The number that the first instance of another stream has.
    let verdict = Some(Said::Verdict(Box::new(proceed(1))));
    world
        .link
        .handle_frame(world.now, encoded(1, verdict).into());
    let events = world.events();
    let broken = |e: &LinkEvent| matches!(e, LinkEvent::Broken { .. });
    assert!(events.iter().any(broken), "{events:?}");
    let answered = |e: &LinkEvent| matches!(e, LinkEvent::Verdict { .. });
    assert!(!events.iter().any(answered), "{events:?}");
}

#[test]
fn v25_a_frame_that_does_not_decode_ends_the_stream_where_no_instance_can_be_read() {
    breaks_the_stream(&[0xff]);
    breaks_the_stream(&[0x08]);
    breaks_the_stream(&[0x08, 0x00, 0x12, 0x7f]);
    breaks_the_stream(&[0x08, 0x09, 0x12, 0x7f]);
    breaks_the_stream(&[0x12, 0x7f, 0x08, 0x01]);
}

#[test]
fn c4_a_frame_above_1_mib_ends_the_stream() {
    let mut verdict = proceed(1);
    verdict.explanation = "x".repeat(1 << 20);
    breaks_the_stream(&encoded(1, Some(Said::Verdict(Box::new(verdict)))));
}

#[test]
fn v25_a_frame_that_does_not_decode_fails_its_instance_alone_where_it_can_be_read() {
    // instance_id in front of a verdict that is cut, behind an unknown field, and twice.
    for octets in [
        &[0x08, 0x01, 0x12, 0x7f][..],
        &[0x7a, 0x01, 0x00, 0x08, 0x01, 0x12, 0x7f],
        &[0x08, 0x09, 0x08, 0x01, 0x12, 0x7f],
    ] {
        let mut world = world(8, &[]);
        let asked = world.asked(1);
        let other = world.asked(2);
        world
            .link
            .handle_frame(world.now, Bytes::copy_from_slice(octets));
        let events = world.events();
        assert_eq!(failures(&events), [(10, FaultKind::Protocol, Retry::Never)]);
        assert!(broken(&events)[0].contains("does not decode"), "{events:?}");
        assert_eq!(world.try_ask(asked.instance, 1), Err(Refusal::Gone));
        world.verdict(other);
        assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
    }
}

#[test]
fn frames_for_an_instance_that_is_closed_have_crossed_and_are_dropped() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world
        .link
        .close(world.now, asked.instance, pb::CloseReason::Finished);
    world.verdict(asked);
    world
        .link
        .handle_frame(world.now, Bytes::from_static(&[0x08, 0x01, 0x12, 0x7f]));
    let events = world.events();
    assert_eq!(events.len(), 2);
    for event in events {
        assert!(
            matches!(&event, LinkEvent::Late { place } if place.instance == Some(asked.instance)),
            "{event:?}"
        );
    }
    let still = world.asked(2);
    world.verdict(still);
    assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
}

#[test]
fn c11_a_decision_of_no_known_kind_is_left_to_the_validation() {
    // Each verdict is judged against the table elsewhere; here it only has to be the answer to something.
    let mut world: World = world(8, &[]);
    world.asked(1);
    let verdict = pb::Verdict {
        event_id: 1,
        ..pb::Verdict::default()
    };
    world.say(1, Said::Verdict(Box::new(verdict)));
    assert!(
        matches!(&world.events()[..], [LinkEvent::Verdict { verdict, .. }] if verdict.decision.is_none())
    );
}
