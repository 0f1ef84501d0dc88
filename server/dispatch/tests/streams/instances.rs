//! Instances: opened lazily, told what changed, parked, replayed, one at a time where the sink wants it so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use postern_attach::FleetSettings;
use postern_dispatch::settings::Settings;
use postern_events::fault::FaultKind;
use postern_events::inbound::{Disconnect, DisconnectReason, Fate, Outcome, Reset, ResetReason};
use postern_events::ruling::Decision;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind as In;

use crate::rig::{Bound, Rig, budget, data, greeting, helo, mail, rcpt, with_recipient};
use crate::sink::{Frame, TestSink, agreeable, description};

fn opens(frames: &[Frame]) -> Vec<&pb::Open> {
    frames
        .iter()
        .filter_map(|frame| match &frame.kind {
            In::OpenInstance(open) => Some(&**open),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn an_instance_opens_with_its_first_event_and_hears_what_changed_after() {
    let sink = TestSink::start(16, agreeable).await;
    let rig = Rig::new(vec![Bound {
        reads: &["session", "sender", "recipients"],
        ..Bound::to(&sink, &["inbound.rcpt", "inbound.data"])
    }]);
    let scope = rig.session();
    scope.note_helo(greeting());
    with_recipient(&scope).await;
    scope.data(data(), &budget()).await;
    let frames = sink.frames();
    let [open] = opens(&frames)[..] else {
        panic!("{frames:#?}")
    };
    let snapshot = open.snapshot.as_ref().unwrap();
    assert_eq!(
        snapshot
            .session
            .as_ref()
            .unwrap()
            .helo
            .as_ref()
            .unwrap()
            .name,
        "client.test"
    );
    let transaction = snapshot.transaction.as_ref().unwrap();
    assert_eq!(
        transaction.envelope.as_ref().unwrap().reverse_path,
        "a@example.test"
    );
    assert!(snapshot.recipients.is_empty());
    assert_eq!(open.binding.as_ref().unwrap().name, "binding0");
    let events: Vec<_> = frames.iter().filter_map(Frame::event).collect();
    let [first, second] = events[..] else {
        panic!("{events:#?}")
    };
    assert!(first.transaction.is_none() && first.session.is_none());
    assert!(second.transaction.is_none(), "the envelope did not change");
    let change = second.recipients.as_ref().unwrap();
    assert_eq!((change.replaces_all, change.changed.len()), (false, 1));
    assert_eq!((first.event_id, second.event_id), (1, 2));
}

#[tokio::test]
async fn sinks_with_many_instances_on_a_stream_share_a_few_and_one_at_a_time_has_its_own() {
    for (instances, begun, streams) in [(64, 20, 2), (64, 200, 8), (1, 20, 20)] {
        let sink = TestSink::start(instances, agreeable).await;
        let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
        let sessions: Vec<_> = (0..begun).map(|_| rig.session()).collect();
        let rulings = join_all(sessions.iter().map(|scope| scope.connect(&budget()))).await;
        assert!(
            rulings
                .iter()
                .all(|ruling| ruling.decision == Decision::Proceed),
            "{:?}",
            rig.notes.all()
        );
        assert_eq!(sink.streams(), streams);
        drop(sessions);
        if instances == 1 {
            // A stream whose instance has closed serves the next.
            assert_eq!(
                rig.session().connect(&budget()).await.decision,
                Decision::Proceed
            );
            assert_eq!(sink.streams(), 20);
        }
    }
}

#[tokio::test]
async fn idle_instances_give_way_and_open_again_with_the_transaction_replayed() {
    let sink = TestSink::start(1, agreeable).await;
    let tuning = Settings {
        fleet: FleetSettings {
            streams_per_replica: 1,
            ..FleetSettings::default()
        },
        ..Settings::default()
    };
    let events = &["inbound.mail", "inbound.rcpt", "inbound.data"];
    let rig = Rig::tuned(
        vec![Bound {
            reads: &["sender", "recipients"],
            ..Bound::to(&sink, events)
        }],
        tuning,
    );
    let first = rig.session();
    with_recipient(&first).await;
    let second = rig.session();
    assert_eq!(
        second.mail(mail(), &budget()).await.decision,
        Decision::Proceed
    );
    assert_eq!(
        first.data(data(), &budget()).await.decision,
        Decision::Proceed
    );
    assert_eq!(sink.streams(), 1);
    let frames = sink.frames();
    let again = opens(&frames)
        .into_iter()
        .find(|open| open.reopened_count == 1)
        .unwrap();
    assert_eq!(again.snapshot.as_ref().unwrap().recipients.len(), 1);
    let last = frames.last().unwrap().instance;
    let told: Vec<_> = frames
        .iter()
        .filter(|frame| frame.instance == last)
        .filter_map(Frame::event)
        .map(|event| event.replayed)
        .collect();
    assert_eq!(told, [true, true, false]);
}

#[tokio::test]
async fn what_exceeds_the_streams_is_shed() {
    let sink = TestSink::start(1, |_, _| {}).await;
    let tuning = Settings {
        fleet: FleetSettings {
            streams_per_replica: 1,
            ..FleetSettings::default()
        },
        ..Settings::default()
    };
    let mut bound = Bound::to(&sink, &["inbound.connect"]);
    bound.timeout = Duration::from_millis(300);
    let rig = Rig::tuned(vec![bound], tuning);
    let (first, second) = (rig.session(), rig.session());
    let (one, other) = (budget(), budget());
    let (_, ruling) = tokio::join!(first.connect(&one), async {
        sink.until(|frames| frames.iter().any(|frame| frame.question().is_some()))
            .await;
        second.connect(&other).await
    });
    assert_eq!(
        ruling.failures.first().unwrap().fault.kind,
        FaultKind::Overload
    );
}

#[tokio::test]
async fn one_way_events_come_in_order_and_are_not_waited_for() {
    let sink = TestSink::start(16, |_, _| {}).await;
    let events = &["inbound.reset", "inbound.outcome", "inbound.disconnect"];
    let rig = Rig::new(vec![Bound::to(&sink, events)]);
    let scope = rig.session();
    let message_id = with_recipient(&scope).await;
    let outcome = Outcome {
        message_id,
        recipients: Vec::new(),
        fate: Fate::Accepted,
        reply: None,
        decided_by: None,
        size_bytes: 5,
    };
    scope.tell_outcome(outcome);
    scope.tell_reset(Reset {
        message_id: None,
        reason: ResetReason::Command,
    });
    let end = Disconnect {
        reason: DisconnectReason::Quit,
        received_bytes: 1,
        sent_bytes: 2,
    };
    scope.tell_disconnect(end);
    drop(scope);
    // Nothing was connected when they were told.
    let frames = sink
        .until(|frames| {
            frames
                .iter()
                .any(|frame| matches!(frame.kind, In::CloseInstance(_)))
        })
        .await;
    let told: Vec<_> = frames
        .iter()
        .filter_map(Frame::event)
        .map(|event| event.kind.clone().unwrap())
        .collect();
    assert!(
        matches!(
            told[..],
            [
                pb::event::Kind::InboundOutcome(_),
                pb::event::Kind::InboundReset(_),
                pb::event::Kind::InboundDisconnect(_)
            ]
        ),
        "{told:?}"
    );
    assert!(
        frames
            .iter()
            .filter_map(Frame::event)
            .all(|event| event.deadline.is_none())
    );
}

#[tokio::test]
async fn a_sink_that_is_done_is_asked_no_more() {
    let sink = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            let whole = pb::done::Kind::Instance(pb::DoneInstance {});
            replies.send(pb::attach_response::Kind::Done(pb::Done {
                kind: Some(whole),
            }));
            replies.proceed(event.event_id);
        }
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect", "inbound.helo"])]);
    let scope = rig.session();
    scope.connect(&budget()).await;
    assert_eq!(
        scope.helo(helo(), &budget()).await.decision,
        Decision::Proceed
    );
    assert_eq!(
        sink.frames()
            .iter()
            .filter(|frame| frame.event().is_some())
            .count(),
        1
    );
}

#[tokio::test]
async fn settled_is_sent_to_those_who_ask_for_it() {
    let describe = pb::DescribeResponse {
        grants: vec!["body".to_owned()],
        ..description(16)
    };
    let sink = TestSink::start_described(describe, agreeable).await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    let scope = rig.session();
    scope.connect(&budget()).await;
    let frames = sink
        .until(|frames| {
            frames
                .iter()
                .any(|frame| matches!(frame.kind, In::Settled(_)))
        })
        .await;
    let settled = frames.iter().find_map(|frame| match &frame.kind {
        In::Settled(settled) => Some((settled.event_id, settled.settlement())),
        _ => None,
    });
    assert_eq!(settled, Some((1, pb::Settlement::Applied)));
    assert_eq!(
        rig.notes.count("asks-for-more its sink also asks for body"),
        1,
        "{:?}",
        rig.notes.all()
    );
}

#[tokio::test]
async fn draining_waits_for_open_questions() {
    let asked = AtomicU64::new(0);
    let sink = TestSink::start(16, move |frame, replies| {
        if frame.question().is_some() {
            asked.store(frame.instance, Ordering::Relaxed);
        }
        // The goodbye is what this sink answers at.
        if let In::GoAway(_) = frame.kind {
            let replies = replies.keep_for(asked.load(Ordering::Relaxed));
            replies.proceed(1);
        }
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    let scope = rig.session();
    let budget = budget();
    let (ruling, ()) = tokio::join!(scope.connect(&budget), async {
        sink.until(|frames| frames.iter().any(|frame| frame.question().is_some()))
            .await;
        rig.dispatcher
            .drain(Instant::now() + Duration::from_secs(5))
            .await;
    });
    assert_eq!(ruling.decision, Decision::Proceed);
    let ruling = rig.session().connect(&budget).await;
    assert_eq!(
        ruling.failures.first().unwrap().fault.kind,
        FaultKind::Unreachable
    );
}

#[tokio::test]
async fn long_lists_of_recipients_travel_in_parts_that_fit() {
    let sink = TestSink::start(16, agreeable).await;
    let rig = Rig::new(vec![Bound {
        reads: &["recipients"],
        ..Bound::to(&sink, &["inbound.data"])
    }]);
    let scope = rig.session();
    scope.mail(mail(), &budget()).await;
    scope.note_mail();
    let long = ["x".repeat(60), "y".repeat(60), "z".repeat(60)].join(".");
    for number in 0..9000 {
        let rcpt = rcpt(&format!("user{number}@{long}.example.test"));
        let id = rcpt.recipient.id;
        scope.rcpt(rcpt, &budget()).await;
        scope.note_rcpt(id, true);
    }
    let ruling = scope.data(data(), &budget()).await;
    assert_eq!(ruling.decision, Decision::Proceed, "{ruling:?}");
    let frames = sink.frames();
    let parts: Vec<usize> = frames
        .iter()
        .filter_map(|frame| match &frame.kind {
            In::SnapshotPart(part) => Some(part.recipients.len()),
            _ => None,
        })
        .collect();
    let first = opens(&frames)[0].snapshot.as_ref().unwrap();
    assert!(!parts.is_empty(), "a snapshot of 9000 fits into no frame");
    assert_eq!(parts.iter().sum::<usize>() + first.recipients.len(), 9000);
}
