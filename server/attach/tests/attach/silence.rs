//! Sinks that say nothing.

use std::time::Duration;

use postern_attach::{
    BodyDepth, Cancelled, Ending, LinkEvent, LinkSettings, Refusal, Retry, StreamEnd,
};
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;
use postern_proto::v1::attach_response::Kind as Said;

use crate::world::{DEADLINE, World, failures, number, world};

fn cancel(world: &mut World, asked: postern_attach::Asked) -> Cancelled {
    world
        .link
        .cancel(world.now, asked, pb::CancelReason::Deadline)
}

#[test]
fn v12_a_deadline_that_passes_in_silence_moves_all_instances_of_the_stream() {
    let mut world = world(8, &[]);
    let first = world.asked(1);
    world.advance(Duration::from_secs(1));
    let second = world.asked(2);
    let idle = world.open(3);
    world.tell(idle);
    world.flush();
    let unsent = world.ask(second.instance, 21);
    world.now += DEADLINE - Duration::from_secs(1);
    assert_eq!(cancel(&mut world, first), Cancelled::Taken { silent: true });
    let events = world.events();
    assert_eq!(
        failures(&events),
        [
            (20, FaultKind::Timeout, Retry::Harmless),
            (21, FaultKind::Timeout, Retry::Always)
        ],
        "they may be asked elsewhere while their time runs"
    );
    let closed: Vec<u64> = events
        .iter()
        .filter_map(|event| match event {
            LinkEvent::Closed {
                tag,
                ending: Ending::Silent,
                ..
            } => Some(*tag),
            _ => None,
        })
        .collect();
    assert_eq!(closed, [1, 2, 3]);
    assert_eq!(world.try_ask(first.instance, 1), Err(Refusal::Gone));
    assert_eq!(
        world.try_open(4),
        Err(Refusal::NoRoom),
        "nothing new until a frame comes"
    );
    assert!(!world.link.occupancy(world.now).has_room);
    world.advance(Duration::from_millis(5));
    for known in world.sink.instances.values() {
        assert_eq!(
            known.close.as_ref().map(|one| one.reason()),
            Some(pb::CloseReason::Silent)
        );
    }
    assert_eq!(unsent.event_id, 2);
}

#[test]
fn v12_a_frame_of_any_kind_ends_the_silence() {
    let mut world = world(8, &[]);
    let first = world.asked(1);
    let second = world.asked(2);
    world.say(
        number(second.instance),
        Said::Progress(pb::Progress {
            event_id: 1,
            ..pb::Progress::default()
        }),
    );
    world.events();
    world.now += DEADLINE;
    assert_eq!(
        cancel(&mut world, first),
        Cancelled::Taken { silent: false }
    );
    assert_eq!(
        world.events(),
        [],
        "a slow handler on a stream that speaks moves nothing"
    );
    let sent = world.sent();
    assert!(
        matches!(sent.last(), Some(Kind::Cancel(one)) if one.reason() == pb::CancelReason::Deadline)
    );
    assert!(world.try_ask(first.instance, 1).is_ok());
    // Asked after that frame: silence is counted from the question.
    let third = world.asked(3);
    world.now += DEADLINE;
    assert_eq!(cancel(&mut world, third), Cancelled::Taken { silent: true });
}

#[test]
fn v12_only_a_deadline_speaks_of_silence() {
    for reason in [
        pb::CancelReason::ClientGone,
        pb::CancelReason::Decided,
        pb::CancelReason::Moved,
    ] {
        let mut world = world(8, &[]);
        let asked = world.asked(1);
        let cancelled = world.link.cancel(world.now, asked, reason);
        assert_eq!(cancelled, Cancelled::Taken { silent: false });
        assert!(world.try_open(2).is_ok());
    }
}

#[test]
fn v12_a_silent_stream_that_speaks_again_is_used_again() {
    for capacity in [1, 8] {
        let mut world = world(capacity, &[]);
        let asked = world.asked(1);
        cancel(&mut world, asked);
        world.events();
        world.advance(Duration::from_millis(29_999));
        assert_eq!(world.events(), [], "{capacity}");
        world.verdict(asked);
        assert!(matches!(world.events()[..], [LinkEvent::Late { .. }]));
        let next = world.asked(2);
        world.verdict(next);
        assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
        world.advance(Duration::from_secs(1));
        assert_eq!(world.events(), [], "nothing is left of the silence");
    }
}

#[test]
fn v12_a_silent_stream_is_reset_after_30_seconds() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    cancel(&mut world, asked);
    world.events();
    world.advance(Duration::from_secs(30));
    let events = world.events();
    assert!(
        matches!(
            &events[..],
            [LinkEvent::Ended {
                end: StreamEnd::Broken { .. },
                reset: true
            }]
        ),
        "{events:?}"
    );
    assert!(world.link.is_finished());
    assert_eq!(world.link.poll_timeout(), None);
}

#[test]
fn c2_a_message_is_silent_from_the_question_on() {
    let mut world = world(1, &[]);
    let instance = world.open(1);
    let asked = world.ask_message(instance, BodyDepth::Full);
    world.flush();
    world.link.push(world.now, asked, vec![0; 100].into());
    world.flush();
    assert_eq!(cancel(&mut world, asked), Cancelled::Taken { silent: true });
    assert_eq!(failures(&world.events()), []);
}

#[test]
fn a_going_away_stream_that_falls_silent_ends() {
    let mut world = world(8, &[]);
    let first = world.asked(1);
    world.say(0, Said::GoAway(pb::GoAway::default()));
    let second = world.ask(first.instance, 2);
    world.flush();
    world.events();
    assert_eq!(
        cancel(&mut world, second),
        Cancelled::Taken { silent: true }
    );
    assert!(world.events().contains(&LinkEvent::HalfClose));
}

#[test]
fn a_heartbeat_is_asked_where_nothing_is_open_and_must_come_back() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.verdict(asked);
    world.events();
    world.sent();
    world.advance(Duration::from_secs(30));
    let sent = world.sent();
    assert!(
        matches!(&sent[..], [Kind::Heartbeat(beat)] if beat.sequence == 1),
        "{sent:?}"
    );
    world.advance(Duration::from_secs(9));
    world.say(0, Said::Heartbeat(pb::Heartbeat { sequence: 1 }));
    world.advance(Duration::from_secs(29));
    assert!(
        world
            .events()
            .iter()
            .all(|event| matches!(event, LinkEvent::Closed { .. }))
    );
    let second = world.asked(2);
    assert_eq!(second.event_id, 1);
    world.advance(Duration::from_secs(100));
    assert_eq!(world.sink.heartbeats, [1], "none while an event is open");
}

#[test]
fn a_heartbeat_that_does_not_come_back_ends_the_stream() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.verdict(asked);
    world.events();
    world.advance(Duration::from_secs(30));
    let late = world.ask(asked.instance, 11);
    world.flush();
    world.advance(Duration::from_millis(9_999));
    assert_eq!(world.events(), []);
    world.advance(Duration::from_millis(1));
    let events = world.events();
    assert_eq!(
        failures(&events),
        [(11, FaultKind::Unreachable, Retry::Harmless)]
    );
    let Some(LinkEvent::Ended { end, reset: true }) = events.last() else {
        panic!("{events:?}");
    };
    assert!(end.counts());
    assert_eq!(late.event_id, 2);
}

#[test]
fn an_answered_heartbeat_may_come_twice() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.verdict(asked);
    world.advance(Duration::from_secs(30));
    world.events();
    for _ in 0..2 {
        world.say(0, Said::Heartbeat(pb::Heartbeat { sequence: 1 }));
    }
    assert_eq!(world.events(), []);
}

#[test]
fn v21_a_stream_of_which_the_network_takes_nothing_is_refused() {
    let mut world = world(8, &[]);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.events(), [], "nothing was to be taken");
    let instance = world.open(1);
    let asked = world.ask(instance, 10);
    let due = world.link.poll_timeout();
    assert_eq!(due, Some(world.now + Duration::from_secs(1)));
    world.now += Duration::from_millis(999);
    world.link.handle_timeout(world.now);
    assert_eq!(world.events(), []);
    world.now += Duration::from_millis(1);
    world.link.handle_timeout(world.now);
    let events = world.events();
    assert_eq!(
        failures(&events),
        [(10, FaultKind::Overload, Retry::Always)]
    );
    let Some(LinkEvent::Ended { end, reset: true }) = events.last() else {
        panic!("{events:?}");
    };
    assert!(matches!(end, StreamEnd::Refused { .. }) && !end.counts());
    assert_eq!(asked.event_id, 1);
}

#[test]
fn c3_a_sink_that_reads_nothing_of_what_cannot_be_refused_loses_its_stream() {
    let mut world = World::new(LinkSettings {
        capacity: 8,
        stall_after: Duration::from_secs(1000),
        ..LinkSettings::default()
    });
    let asked = world.asked(1);
    for n in 0..200_000 {
        // Each is answered with a refusal that waits.
        let action = pb::SinkAction {
            action_id: n,
            ..pb::SinkAction::default()
        };
        world.say(1, Said::Action(Box::new(action)));
        let events = world.events();
        if let Some(LinkEvent::Ended { end, reset }) = events.last() {
            assert!(*reset && end.counts());
            assert_eq!(
                failures(&events),
                [(10, FaultKind::Unreachable, Retry::Harmless)]
            );
            assert!(n < 50_000, "bounded in octets");
            assert_eq!(asked.event_id, 1);
            return;
        }
    }
    panic!("what waits is not bounded");
}

#[test]
fn a_stream_that_owes_answers_is_quiet_until_it_speaks() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    assert!(!world.link.occupancy(world.now).quiet);
    world.now += Duration::from_millis(99);
    assert!(!world.link.occupancy(world.now).quiet);
    let second = world.asked(2);
    world.now += Duration::from_millis(1);
    assert!(world.link.occupancy(world.now).quiet);
    world.verdict(asked);
    assert!(!world.link.occupancy(world.now).quiet);
    world.now += Duration::from_secs(1);
    assert!(
        !world.link.occupancy(world.now).quiet,
        "counted from the next question"
    );
    let third = world.asked(3);
    world.now += Duration::from_millis(100);
    assert!(world.link.occupancy(world.now).quiet);
    for one in [second, third] {
        world.link.cancel(world.now, one, pb::CancelReason::Decided);
    }
    assert!(!world.link.occupancy(world.now).quiet);
}
