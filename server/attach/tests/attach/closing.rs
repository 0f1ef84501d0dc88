//! How instances end: closed, parked, drained, with what they still owe.

use std::time::Duration;

use bytes::Bytes;
use postern_attach::{Ending, LinkEvent, LinkSettings, Opening, Refusal, StreamEnd};
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;
use postern_proto::v1::attach_response::Kind as Said;

use crate::world::{World, broken, failures, number, world};

fn closed(events: &[LinkEvent]) -> Vec<(u64, Ending)> {
    events
        .iter()
        .filter_map(|event| match event {
            LinkEvent::Closed { tag, ending, .. } => Some((*tag, *ending)),
            _ => None,
        })
        .collect()
}

fn reason(world: &World, instance: u64) -> Option<pb::CloseReason> {
    let known = world.sink.instances.get(&instance)?;
    known.close.as_ref().map(|close| close.reason())
}

fn action(action_id: u64) -> Said {
    Said::Action(Box::new(pb::SinkAction {
        action_id,
        idempotency_key: "key".into(),
        reason: String::new(),
        kind: Some(pb::sink_action::Kind::ResetRoutes(
            pb::ResetRoutes::default(),
        )),
    }))
}

fn result(action_id: u64, more_follows: bool) -> pb::ActionResult {
    pb::ActionResult {
        action_id,
        status: pb::ActionStatus::Done.into(),
        more_follows,
        ..pb::ActionResult::default()
    }
}

#[test]
fn closing_cancels_what_is_open_and_settles_what_is_not() {
    for (why, cancel) in [
        (pb::CloseReason::Finished, pb::CancelReason::ClientGone),
        (pb::CloseReason::Shutdown, pb::CancelReason::Shutdown),
    ] {
        let mut world = world(8, &["settled"]);
        let asked = world.asked(1);
        let open = world.ask(asked.instance, 11);
        world.flush();
        world.verdict(asked);
        world.events();
        world.sent();
        world.link.close(world.now, asked.instance, why);
        world.link.close(world.now, asked.instance, why);
        let sent = world.sent();
        let [
            Kind::Cancel(cancelled),
            Kind::Settled(settled),
            Kind::CloseInstance(close),
        ] = &sent[..]
        else {
            panic!("{sent:?}");
        };
        assert_eq!(
            (cancelled.event_id, cancelled.reason()),
            (open.event_id, cancel)
        );
        assert_eq!(
            (settled.event_id, settled.settlement()),
            (1, pb::Settlement::Undone)
        );
        assert_eq!(close.reason(), why);
        assert_eq!(world.events(), [], "the caller did it itself");
        assert_eq!(world.link.questions(), 0);
    }
}

#[test]
fn idle_instances_are_parked_in_their_time() {
    let mut world = world(8, &[]);
    let busy = world.asked(1);
    let idle = world.asked(2);
    world.verdict(idle);
    world.events();
    world.advance(Duration::from_millis(59_999));
    assert_eq!(world.events(), []);
    world.advance(Duration::from_millis(1));
    assert_eq!(closed(&world.events()), [(2, Ending::Parked)]);
    world.advance(Duration::from_millis(5));
    assert_eq!(reason(&world, 2), Some(pb::CloseReason::Parked));
    assert_eq!(reason(&world, 1), None);
    assert_eq!(busy.event_id, 1);
}

#[test]
fn what_happens_in_an_instance_puts_off_its_parking() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.verdict(asked);
    world.advance(Duration::from_secs(20));
    world.tell(asked.instance);
    for seconds in [15, 30] {
        world.advance(Duration::from_secs(seconds));
        beat(&mut world);
    }
    world.advance(Duration::from_millis(14_999));
    assert_eq!(closed(&world.events()), []);
    world.advance(Duration::from_millis(1));
    assert_eq!(closed(&world.events()), [(1, Ending::Parked)]);
}

/// The sink returns its open heartbeat.
fn beat(world: &mut World) {
    world.flush();
    if let Some(sequence) = world.sink.heartbeats.last().copied() {
        world.say(0, Said::Heartbeat(pb::Heartbeat { sequence }));
    }
}

#[test]
fn an_instance_of_the_service_is_never_parked() {
    let mut world = world(8, &[]);
    let opening = Opening {
        scope: pb::Scope::Service,
        ..world.opening(1)
    };
    let instance = world.link.open(world.now, opening).expect("there is room");
    world.tell(instance);
    for _ in 0..20 {
        world.advance(Duration::from_secs(15));
        beat(&mut world);
    }
    assert_eq!(closed(&world.events()), []);
    assert_eq!(world.link.park_idle(world.now, 10), 0);
}

#[test]
fn crowded_instances_are_parked_oldest_first() {
    let mut world = world(8, &[]);
    for tag in 1..=3 {
        let asked = world.asked(tag);
        world.verdict(asked);
        world.advance(Duration::from_secs(1));
    }
    let busy = world.asked(4);
    world.events();
    assert_eq!(world.link.occupancy(world.now).idle, 3);
    assert_eq!(world.link.park_idle(world.now, 2), 2);
    assert_eq!(
        closed(&world.events()),
        [(1, Ending::Parked), (2, Ending::Parked)]
    );
    assert_eq!(world.link.park_idle(world.now, 2), 1);
    assert_eq!(world.link.occupancy(world.now).instances, 1);
    assert_eq!(busy.event_id, 1);
}

#[test]
fn an_instance_with_an_unsettled_verdict_or_an_unanswered_action_is_not_parked() {
    let mut world = world(8, &["settled", "actions"]);
    let unsettled = world.asked(1);
    world.verdict(unsettled);
    let acting = world.asked(2);
    world.verdict(acting);
    world.link.settle(world.now, acting, pb::Settled::default());
    world.say(number(acting.instance), action(5));
    world.sink.acts(number(acting.instance), 5);
    world.events();
    assert_eq!(world.link.park_idle(world.now, 10), 0);
    world
        .link
        .settle(world.now, unsettled, pb::Settled::default());
    assert_eq!(world.link.park_idle(world.now, 10), 1);
    world
        .link
        .answer_action(world.now, acting.instance, result(5, true));
    assert_eq!(world.link.park_idle(world.now, 10), 0, "more follows");
    world
        .link
        .answer_action(world.now, acting.instance, result(5, false));
    assert_eq!(world.link.park_idle(world.now, 10), 1);
}

#[test]
fn an_action_is_handed_on_and_answered_and_close_waits_for_it() {
    let mut world = world(8, &["actions"]);
    let asked = world.asked(1);
    world.verdict(asked);
    world.events();
    world.say(1, action(5));
    world.sink.acts(1, 5);
    let events = world.events();
    assert!(matches!(
        &events[..],
        [LinkEvent::Action { tag: 1, action, instance }]
            if action.action_id == 5 && *instance == asked.instance
    ));
    world
        .link
        .close(world.now, asked.instance, pb::CloseReason::Finished);
    assert_eq!(world.try_ask(asked.instance, 1), Err(Refusal::Gone));
    world.flush();
    assert_eq!(reason(&world, 1), None);
    world.say(1, action(6));
    world.sink.acts(1, 6);
    assert_eq!(world.events(), [], "it is answered, not handed on");
    world
        .link
        .answer_action(world.now, asked.instance, result(5, true));
    world
        .link
        .answer_action(world.now, asked.instance, result(99, false));
    world
        .link
        .answer_action(world.now, asked.instance, result(5, false));
    world.advance(Duration::from_millis(5));
    assert_eq!(reason(&world, 1), Some(pb::CloseReason::Finished));
    let results: Vec<(u64, pb::ActionStatus)> = world.sink.instances[&1]
        .results
        .iter()
        .map(|one| (one.action_id, one.status()))
        .collect();
    let (done, failed) = (pb::ActionStatus::Done, pb::ActionStatus::Failed);
    assert_eq!(results, [(6, failed), (5, done), (5, done)]);
}

#[test]
fn an_action_without_its_feature_is_answered() {
    let mut world = world(8, &[]);
    world.asked(1);
    world.say(1, action(5));
    assert_eq!(world.events(), [], "neither handed on nor a failure");
    world.flush();
    let results = &world.sink.instances[&1].results;
    assert_eq!(results[0].action_id, 5);
    assert_eq!(results[0].status(), pb::ActionStatus::Invalid);
    assert!(results[0].detail.contains("`actions`"));
}

fn upload(upload_id: u64, event_id: u64, octets: usize) -> Said {
    Said::Upload(pb::Upload {
        upload_id,
        event_id,
        octets: Bytes::from(vec![0; octets]),
        ..pb::Upload::default()
    })
}

#[test]
fn an_upload_without_its_feature_is_stopped() {
    let mut world = world(8, &[]);
    world.asked(1);
    world.sent();
    world.say(1, upload(3, 1, 10));
    world.say(1, upload(3, 1, 10));
    let sent = world.sent();
    let [Kind::StopUpload(stop)] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert!(stop.upload_id == 3 && stop.detail.contains("`uploads`"));
    assert_eq!(world.events(), []);
}

#[test]
fn an_upload_is_handed_on_within_its_credit() {
    let mut world = world(8, &["uploads"]);
    let asked = world.asked(1);
    world.sent();
    world.say(1, upload(3, 1, 60));
    world.say(1, upload(4, 0, 100));
    let octets: Vec<(u64, usize)> = world
        .events()
        .iter()
        .map(|event| match event {
            LinkEvent::Upload { upload, tag: 1, .. } => (upload.upload_id, upload.octets.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(octets, [(3, 60), (4, 100)]);
    world.link.want_upload(world.now, asked.instance, 3, 50);
    world.link.want_upload(world.now, asked.instance, 9, 50);
    let sent = world.sent();
    assert!(
        matches!(&sent[..], [Kind::WantUpload(want)] if want.upload_id == 3 && want.credit_bytes == 50)
    );
    world.say(1, upload(3, 1, 90));
    assert_eq!(world.events().len(), 1);
    world
        .link
        .stop_upload(world.now, asked.instance, 4, "too long");
    world
        .link
        .stop_upload(world.now, asked.instance, 4, "too long");
    let sent = world.sent();
    assert!(
        matches!(&sent[..], [Kind::StopUpload(stop)] if stop.upload_id == 4 && stop.detail == "too long")
    );
    world.say(1, upload(4, 0, 10));
    assert_eq!(world.events(), []);
    world.verdict(asked);
    let sent = world.sent();
    assert!(
        matches!(&sent[..], [Kind::StopUpload(stop)] if stop.upload_id == 3),
        "its event is over: {sent:?}"
    );
    world.events();
    world.say(1, upload(5, 1, 1));
    let sent = world.sent();
    assert!(
        matches!(&sent[..], [Kind::StopUpload(stop)] if stop.upload_id == 5),
        "{sent:?}"
    );
    world.link.release_upload(asked.instance, 4);
    world.say(1, upload(6, 0, 101));
    assert_eq!(broken(&world.events()).len(), 1);
}

fn go_away(seconds: Option<i64>) -> Said {
    Said::GoAway(pb::GoAway {
        drain: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        reason: "up\ngrade".into(),
    })
}

#[test]
fn c9_a_sink_that_goes_away_gets_nothing_new_and_ends_with_what_is_open() {
    let mut world = world(8, &[]);
    let idle = world.asked(1);
    world.verdict(idle);
    let busy = world.asked(2);
    let unasked = world.open(3);
    world.events();
    world.say(0, go_away(Some(7)));
    let events = world.events();
    assert_eq!(
        events[0],
        LinkEvent::GoingAway {
            drain: Duration::from_secs(7),
            reason: "upgrade".into()
        }
    );
    assert_eq!(
        closed(&events),
        [(1, Ending::Drained), (3, Ending::Drained)]
    );
    assert_eq!(world.try_open(4), Err(Refusal::NoRoom));
    assert_eq!(world.try_ask(unasked, 1), Err(Refusal::Gone));
    let more = world.ask(busy.instance, 21);
    world.flush();
    world.verdict(busy);
    assert_eq!(closed(&world.events()), []);
    world.verdict(more);
    let events = world.events();
    assert_eq!(closed(&events), [(2, Ending::Drained)]);
    assert_eq!(events.last(), Some(&LinkEvent::HalfClose));
    let sent = world.sent();
    assert!(
        matches!(sent.last(), Some(Kind::CloseInstance(close)) if close.reason() == pb::CloseReason::BySink)
    );
    assert_eq!(world.sink.instances.len(), 2);
    world.link.handle_end(StreamEnd::Broken {
        detail: "reset by the sink".into(),
    });
    assert_eq!(
        world.events(),
        [LinkEvent::Ended {
            end: StreamEnd::InOrder,
            reset: false
        }]
    );
    assert!(world.link.is_finished());
}

#[test]
fn what_is_left_when_the_time_to_go_is_up_fails_as_if_the_stream_had_broken() {
    for (seconds, time) in [(Some(7), 7), (None, 30), (Some(i64::MAX), 3600)] {
        let mut world = world(8, &[]);
        world.asked(1);
        world.say(0, go_away(seconds));
        world.events();
        world.advance(Duration::from_secs(time) - Duration::from_millis(1));
        assert_eq!(world.events(), [], "{seconds:?}");
        world.advance(Duration::from_millis(1));
        let events = world.events();
        let failed = failures(&events);
        assert_eq!(
            failed,
            [(10, FaultKind::Unreachable, postern_attach::Retry::Harmless)]
        );
        assert!(matches!(
            events.last(),
            Some(LinkEvent::Ended { reset: true, .. })
        ));
    }
}

#[test]
fn a_second_go_away_can_only_shorten_the_time() {
    let mut world = world(8, &[]);
    world.asked(1);
    world.say(0, go_away(Some(5)));
    world.say(0, go_away(Some(9)));
    world.advance(Duration::from_secs(5));
    assert!(world.link.is_finished() || !failures(&world.events()).is_empty());
    let mut world = self::world(8, &[]);
    world.asked(1);
    world.say(0, go_away(Some(9)));
    world.say(0, go_away(Some(5)));
    world.advance(Duration::from_secs(5));
    assert!(!failures(&world.events()).is_empty());
}

#[test]
fn a_gateway_that_goes_away_tells_the_sink_and_finishes() {
    let mut world = world(8, &[]);
    let idle = world.asked(1);
    world.verdict(idle);
    let busy = world.asked(2);
    world.events();
    world.sent();
    world.link.go_away(
        world.now,
        Duration::from_secs(20),
        "the gateway is stopping",
    );
    let sent = world.sent();
    assert!(matches!(
        &sent[0],
        Kind::GoAway(away) if away.reason == "the gateway is stopping"
            && away.drain.map(|drain| drain.seconds) == Some(20)
    ));
    assert_eq!(closed(&world.events()), [(1, Ending::Drained)]);
    world.advance(Duration::from_millis(5));
    assert_eq!(reason(&world, 1), Some(pb::CloseReason::Shutdown));
    world.verdict(busy);
    assert!(world.events().contains(&LinkEvent::HalfClose));
    let sent = world.sent();
    assert!(
        matches!(sent.last(), Some(Kind::CloseInstance(_))),
        "at once: {sent:?}"
    );
    world
        .link
        .go_away(world.now, Duration::from_secs(20), "again");
    assert_eq!(world.sent(), []);
}

#[test]
fn v21_a_stream_without_instances_is_given_back() {
    for capacity in [1, 8] {
        let mut world = World::new(LinkSettings {
            capacity,
            ..LinkSettings::default()
        });
        let asked = world.asked(1);
        world.verdict(asked);
        world
            .link
            .close(world.now, asked.instance, pb::CloseReason::Finished);
        world.events();
        world.advance(Duration::from_millis(19_999));
        assert_eq!(world.events(), [], "{capacity}");
        world.advance(Duration::from_millis(1));
        assert_eq!(world.events(), [LinkEvent::HalfClose]);
        assert_eq!(world.try_open(2), Err(Refusal::NoRoom));
        world.advance(Duration::from_millis(1999));
        assert_eq!(world.events(), []);
        world.advance(Duration::from_millis(1));
        assert_eq!(
            world.events(),
            [LinkEvent::Ended {
                end: StreamEnd::InOrder,
                reset: true
            }]
        );
        assert_eq!(world.link.poll_timeout(), None);
    }
}

#[test]
fn a_stream_that_is_given_back_is_given_back_once() {
    let settings = postern_attach::LinkSettings::default();
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.verdict(asked);
    let reason = pb::CloseReason::Finished;
    world.link.close(world.now, asked.instance, reason);
    world.events();
    world.advance(settings.idle_after);
    assert_eq!(world.events(), [LinkEvent::HalfClose]);
    // The shell may call at any time.
    world.now += Duration::from_millis(1);
    world.link.handle_timeout(world.now);
    assert_eq!(world.events(), []);
    world.advance(settings.goodbye);
    let events = world.events();
    assert!(
        matches!(events[..], [LinkEvent::Ended { reset: true, .. }]),
        "{events:?}"
    );
}

#[test]
fn v21_a_stream_for_one_at_a_time_whose_handler_may_be_stuck_is_not_used_again() {
    let mut world = world(1, &[]);
    let asked = world.asked(1);
    world.say(
        1,
        Said::Progress(pb::Progress {
            event_id: 1,
            ..pb::Progress::default()
        }),
    );
    world.events();
    world
        .link
        .cancel(world.now, asked, pb::CancelReason::Deadline);
    assert!(!world.link.occupancy(world.now).has_room);
    world
        .link
        .close(world.now, asked.instance, pb::CloseReason::Finished);
    assert_eq!(world.events(), [LinkEvent::HalfClose]);
    assert_eq!(world.try_open(2), Err(Refusal::NoRoom));
    // On a shared stream the others are not held up by one.
    let mut world = self::world(8, &[]);
    let asked = world.asked(1);
    world
        .link
        .cancel(world.now, asked, pb::CancelReason::ClientGone);
    world
        .link
        .close(world.now, asked.instance, pb::CloseReason::Finished);
    assert!(world.try_open(2).is_ok());
    // And one that has answered what was cancelled is free.
    let mut world = self::world(1, &[]);
    let asked = world.asked(1);
    world
        .link
        .cancel(world.now, asked, pb::CancelReason::ClientGone);
    world.verdict(asked);
    world
        .link
        .close(world.now, asked.instance, pb::CloseReason::Finished);
    assert!(world.try_open(2).is_ok());
}
