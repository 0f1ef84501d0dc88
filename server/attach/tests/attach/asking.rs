//! Questions and their answers.

use std::time::Duration;

use postern_attach::{Cancelled, Deadline, LinkEvent, Question, Refusal, Retry};
use postern_events::event::EventKind;
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;
use postern_proto::v1::attach_response::Kind as Said;

use crate::world::{DEADLINE, World, broken, failures, number, proceed, world};

#[test]
fn open_and_event_leave_together_and_a_verdict_comes_back() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    assert_eq!(world.sent(), [], "Open waits for the first event");
    let asked = world.ask(instance, 42);
    let sent = world.sent();
    assert!(
        matches!(&sent[..], [Kind::OpenInstance(_), Kind::Event(_)]),
        "{sent:?}"
    );
    assert_eq!(world.link.questions(), 1);
    world.verdict(asked);
    let events = world.events();
    let at = world.now;
    assert_eq!(
        events,
        [LinkEvent::Verdict {
            asked,
            tag: 42,
            verdict: Box::new(proceed(1)),
            at
        }]
    );
    assert_eq!(world.link.questions(), 0);
    assert!(world.events().is_empty());
}

#[test]
fn an_event_says_how_much_time_is_left_when_it_leaves() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    let question = Question {
        attempt: 3,
        ask_reason: pb::AskReason::FailOver,
        trace_parent: "00-ab-cd-01".into(),
        attributes: pb::Event {
            attributes: vec![pb::NamedValue {
                name: "country".into(),
                value: None,
            }],
            ..pb::Event::default()
        }
        .encode_to_vec()
        .into(),
        ..world.question(EventKind::InboundRcpt, 1)
    };
    let asked = world.link.ask(world.now, instance, question);
    let after = Question {
        deadline: Deadline::AfterContent(Duration::from_millis(1500)),
        ..world.question(EventKind::InboundRcpt, 2)
    };
    let second = world.link.ask(world.now, instance, after);
    assert!(asked.is_ok() && second.is_ok());
    world.now += Duration::from_millis(900);
    let left: Vec<pb::Event> = world
        .sent()
        .into_iter()
        .filter_map(|kind| match kind {
            Kind::Event(event) => Some(*event),
            _ => None,
        })
        .collect();
    let span = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    assert_eq!(left[0].deadline, span(4, 100_000_000));
    assert_eq!(left[0].attempt, 3);
    assert_eq!(left[0].ask_reason(), pb::AskReason::FailOver);
    assert_eq!(left[0].trace_parent, "00-ab-cd-01");
    assert_eq!(left[0].attributes[0].name, "country");
    assert!(!left[0].replayed);
    assert!(matches!(
        left[0].kind,
        Some(pb::event::Kind::InboundRcpt(_))
    ));
    assert_eq!(left[1].deadline, span(1, 500_000_000));
    assert_eq!(left[1].attempt, 0);
}

#[test]
fn a_deadline_that_has_passed_is_no_time_and_still_a_question() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    world.ask(instance, 1);
    world.now += DEADLINE * 2;
    let sent = world.sent();
    let Some(Kind::Event(event)) = sent.last() else {
        panic!("{sent:?}");
    };
    assert_eq!(event.deadline, Some(prost_types::Duration::default()));
}

#[test]
fn a_group_is_asked_with_consecutive_numbers_and_answered_in_any_order() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    world.tell(instance);
    let group = (0..3)
        .map(|n| world.question(EventKind::InboundRcpt, 100 + n))
        .collect();
    let asked = world
        .link
        .ask_group(world.now, instance, group)
        .expect("taken");
    let ids: Vec<u64> = asked.iter().map(|one| one.event_id).collect();
    assert_eq!(ids, [2, 3, 4]);
    world.flush();
    for one in [2, 0, 1] {
        world.verdict(asked[one]);
    }
    let tags: Vec<u64> = world
        .events()
        .iter()
        .filter_map(|event| match event {
            LinkEvent::Verdict { tag, .. } => Some(*tag),
            _ => None,
        })
        .collect();
    assert_eq!(tags, [102, 100, 101]);
}

#[test]
fn a_group_has_1_to_100_members_and_is_taken_whole() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    for count in [0, 101] {
        let group = vec![world.question(EventKind::InboundRcpt, 1); count];
        let refused = world.link.ask_group(world.now, instance, group);
        assert!(matches!(refused, Err(Refusal::Size(_))), "{count}");
    }
    assert_eq!(world.link.questions(), 0);
    let mixed = vec![
        world.question(EventKind::InboundRcpt, 1),
        Question {
            attributes: vec![0; 1 << 20].into(),
            ..world.question(EventKind::InboundRcpt, 2)
        },
    ];
    let refused = world.link.ask_group(world.now, instance, mixed);
    assert!(matches!(refused, Err(Refusal::Size(fault)) if fault.kind == FaultKind::Size));
    assert_eq!(world.link.questions(), 0);
    let group = vec![world.question(EventKind::InboundRcpt, 1); 100];
    assert!(world.link.ask_group(world.now, instance, group).is_ok());
    assert_eq!(world.link.questions(), 100);
}

#[test]
fn what_is_told_is_not_asked_and_waits_a_little_for_company() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    let news = postern_attach::News {
        replayed: true,
        ..World::news(EventKind::InboundMail)
    };
    assert_eq!(world.link.tell(world.now, instance, news), Ok(1));
    assert_eq!(world.sent(), []);
    world.advance(Duration::from_millis(4));
    assert_eq!(world.sent(), []);
    world.advance(Duration::from_millis(1));
    let sent = world.sent();
    let [Kind::OpenInstance(_), Kind::Event(told)] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert!(told.replayed && told.deadline.is_none());
    assert_eq!(world.link.questions(), 0);
    world.tell(instance);
    world.ask(instance, 1);
    assert_eq!(world.sent().len(), 2, "a question takes along what waits");
}

#[test]
fn c12_a_second_verdict_is_the_sinks_failure_and_ends_the_instance() {
    let mut world = world(8, &[]);
    let first = world.asked(1);
    let other = world.asked(2);
    let second = world.ask(first.instance, 11);
    world.flush();
    world.verdict(first);
    world.events();
    world.verdict(first);
    let events = world.events();
    assert_eq!(failures(&events), [(11, FaultKind::Protocol, Retry::Never)]);
    assert!(broken(&events)[0].contains("second answer"), "{events:?}");
    assert!(matches!(
        &events[0],
        LinkEvent::Broken { place, .. } if place.binding.as_deref() == Some("scan")
            && place.subject.as_deref() == Some("session 1")
            && place.event_id == Some(1)
    ));
    assert_eq!(world.try_ask(first.instance, 1), Err(Refusal::Gone));
    world.advance(Duration::from_millis(5));
    let close = world.sink.instances[&number(first.instance)].close.clone();
    let close = close.expect("it is closed");
    assert_eq!(close.reason(), pb::CloseReason::ProtocolError);
    assert!(close.detail.contains("second answer"));
    world.verdict(other);
    assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
    assert_eq!(second.event_id, 2);
}

#[test]
fn c12_a_fault_after_a_verdict_is_a_second_answer() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.verdict(asked);
    world.events();
    world.fault(asked.instance, asked.event_id, pb::FaultKind::SinkError);
    assert_eq!(broken(&world.events()).len(), 1);
}

#[test]
fn c13_a_verdict_for_what_was_never_asked_is_the_sinks_failure() {
    for event_id in [0, 2, 99] {
        let mut world = world(8, &[]);
        let asked = world.asked(1);
        world.say(
            number(asked.instance),
            Said::Verdict(Box::new(proceed(event_id))),
        );
        let events = world.events();
        assert_eq!(failures(&events), [(10, FaultKind::Protocol, Retry::Never)]);
        assert!(broken(&events)[0].contains("never asked"), "{events:?}");
    }
}

#[test]
fn c13_a_verdict_that_guesses_what_is_about_to_be_asked_is_the_sinks_failure() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    let unsent = world.ask(asked.instance, 11);
    world.say(
        number(asked.instance),
        Said::Verdict(Box::new(proceed(unsent.event_id))),
    );
    let events = world.events();
    assert_eq!(
        failures(&events),
        [
            (10, FaultKind::Protocol, Retry::Never),
            (11, FaultKind::Protocol, Retry::Always),
        ],
        "what the sink never got may be asked elsewhere"
    );
}

#[test]
fn c14_a_late_verdict_is_dropped_and_counted() {
    let mut world = world(8, &["settled"]);
    let asked = world.asked(1);
    let open = world.ask(asked.instance, 11);
    world.flush();
    let reason = pb::CancelReason::ClientGone;
    assert_eq!(
        world.link.cancel(world.now, asked, reason),
        Cancelled::Taken { silent: false }
    );
    assert_eq!(
        world.link.cancel(world.now, asked, reason),
        Cancelled::AlreadyOver
    );
    assert_eq!(world.events(), []);
    let sent = world.sent();
    assert!(
        matches!(
            &sent[..],
            [
                Kind::OpenInstance(_),
                Kind::Event(_),
                Kind::Event(_),
                Kind::Cancel(_)
            ]
        ),
        "{sent:?}"
    );
    world.verdict(asked);
    let events = world.events();
    assert!(matches!(&events[..], [LinkEvent::Late { place }] if place.event_id == Some(1)));
    assert_eq!(world.sent(), [], "nobody waits for it");
    world.advance(Duration::from_millis(5));
    let sent = world.sent();
    assert!(
        matches!(&sent[..], [Kind::Settled(late)] if late.settlement() == pb::Settlement::Late),
        "{sent:?}"
    );
    world.verdict(asked);
    assert_eq!(
        broken(&world.events()).len(),
        1,
        "a second one is its failure"
    );
    assert_eq!(open.event_id, 2);
}

#[test]
fn a_verdict_for_what_was_only_told_is_dropped_and_counted() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    let told = world.tell(instance);
    world.advance(Duration::from_millis(5));
    world.say(number(instance), Said::Verdict(Box::new(proceed(told))));
    world.fault(instance, told, pb::FaultKind::SinkError);
    let events = world.events();
    assert!(
        matches!(
            &events[..],
            [LinkEvent::Late { .. }, LinkEvent::Late { .. }]
        ),
        "{events:?}"
    );
}

#[test]
fn a_fault_fails_its_event_in_the_way_that_the_sink_says() {
    for (said, kind, retry) in [
        (pb::FaultKind::Unspecified, FaultKind::Fault, Retry::Never),
        (pb::FaultKind::SinkError, FaultKind::Fault, Retry::Never),
        (pb::FaultKind::Overload, FaultKind::Overload, Retry::Always),
        (
            pb::FaultKind::Unavailable,
            FaultKind::Unreachable,
            Retry::Always,
        ),
        (pb::FaultKind::Properties, FaultKind::Fault, Retry::Never),
        (pb::FaultKind::UnknownEvent, FaultKind::Fault, Retry::Never),
        (
            pb::FaultKind::ProtocolError,
            FaultKind::Protocol,
            Retry::Never,
        ),
    ] {
        let mut world = world(8, &["settled"]);
        let asked = world.asked(1);
        let other = world.ask(asked.instance, 11);
        world.flush();
        world.fault(asked.instance, 1, said);
        let events = world.events();
        assert_eq!(failures(&events), [(10, kind, retry)]);
        let LinkEvent::Failed { fault, .. } = &events[0] else {
            panic!("{events:?}");
        };
        assert_eq!(fault.detail, "the sink says: noway");
        world.verdict(other);
        assert!(
            matches!(world.events()[..], [LinkEvent::Verdict { .. }]),
            "the instance lives"
        );
        world.link.settle(world.now, asked, pb::Settled::default());
        world.advance(Duration::from_millis(5));
        let settled = world
            .sent()
            .iter()
            .any(|kind| matches!(kind, Kind::Settled(_)));
        assert!(!settled, "a fault is no verdict");
    }
}

#[test]
fn a_fault_for_the_whole_instance_fails_all_of_it() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.ask(asked.instance, 11);
    let other = world.asked(2);
    world.fault(asked.instance, 0, pb::FaultKind::Overload);
    let events = world.events();
    assert_eq!(
        failures(&events),
        [
            (10, FaultKind::Overload, Retry::Always),
            (11, FaultKind::Overload, Retry::Always)
        ]
    );
    assert!(matches!(
        events.last(),
        Some(LinkEvent::Closed { tag: 1, ending, .. })
            if *ending == postern_attach::Ending::BySink && ending.may_reopen()
    ));
    world.advance(Duration::from_millis(5));
    let close = world.sink.instances[&number(asked.instance)].close.clone();
    assert_eq!(
        close.map(|close| close.reason()),
        Some(pb::CloseReason::BySink)
    );
    world.verdict(other);
    assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
}

#[test]
fn progress_is_passed_on_and_extended_says_what_was_granted() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.sent();
    let progress = |wanted| {
        Said::Progress(pb::Progress {
            event_id: 1,
            wanted,
            activity: "un\npacking".into(),
        })
    };
    world.say(1, progress(None));
    world.link.extend(world.now, asked, DEADLINE);
    assert_eq!(world.sent(), [], "nothing was asked");
    let wanted = prost_types::Duration {
        seconds: 7,
        nanos: 0,
    };
    world.say(1, progress(Some(wanted)));
    let events = world.events();
    assert_eq!(
        events,
        [None, Some(Duration::from_secs(7))].map(|wanted| LinkEvent::Progress {
            asked,
            tag: 10,
            wanted,
            activity: "unpacking".into()
        })
    );
    world.link.extend(world.now, asked, Duration::from_secs(3));
    world.link.extend(world.now, asked, Duration::from_secs(3));
    let sent = world.sent();
    let [Kind::Extended(extended)] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(extended.event_id, 1);
    assert_eq!(extended.remaining.map(|time| time.seconds), Some(3));
    let wrong = prost_types::Duration {
        seconds: -1,
        nanos: 0,
    };
    world.say(1, progress(Some(wrong)));
    assert_eq!(broken(&world.events()).len(), 1);
}

#[test]
fn each_verdict_is_settled_once_where_the_sink_wants_it() {
    for wants in [false, true] {
        let features: &[&str] = if wants { &["settled"] } else { &[] };
        let mut world = world(8, features);
        let asked = world.asked(1);
        world.link.settle(world.now, asked, pb::Settled::default());
        world.verdict(asked);
        world.sent();
        for _ in 0..2 {
            let settled = pb::Settled {
                settlement: pb::Settlement::NotReached.into(),
                because_of_binding: "other".into(),
                ..pb::Settled::default()
            };
            world.link.settle(world.now, asked, settled);
        }
        world.advance(Duration::from_millis(5));
        let sent = world.sent();
        let expected = if wants { 1 } else { 0 };
        assert_eq!(sent.len(), expected, "{sent:?}");
        if let Some(Kind::Settled(settled)) = sent.first() {
            assert_eq!(settled.event_id, 1);
            assert_eq!(settled.settlement(), pb::Settlement::NotReached);
            assert_eq!(settled.because_of_binding, "other");
        }
    }
}

#[test]
fn events_are_refused_while_too_many_octets_wait() {
    let mut world = World::new(postern_attach::LinkSettings {
        capacity: 8,
        queue_bytes: 2000,
        ..postern_attach::LinkSettings::default()
    });
    let instance = world.open(1);
    let mut taken = 0;
    while world.try_ask(instance, 1).is_ok() {
        taken += 1;
        assert!(taken < 100, "V25: bounded in octets");
    }
    assert_eq!(world.try_ask(instance, 1), Err(Refusal::Busy));
    assert_eq!(world.try_open(2), Err(Refusal::Busy));
    let group = vec![world.question(EventKind::InboundRcpt, 1)];
    assert_eq!(
        world.link.ask_group(world.now, instance, group),
        Err(Refusal::Busy)
    );
    let news = World::news(EventKind::InboundOutcome);
    assert_eq!(
        world.link.tell(world.now, instance, news),
        Err(Refusal::Busy)
    );
    assert!(!world.events().contains(&LinkEvent::Room));
    assert!(world.take_frame().is_some());
    assert!(
        !world.events().contains(&LinkEvent::Room),
        "not before half of it has left"
    );
    world.flush();
    assert_eq!(world.events(), [LinkEvent::Room]);
    assert!(world.try_ask(instance, 1).is_ok());
    world.flush();
    assert_eq!(world.events(), []);
}

use prost::Message as _;
