//! Who is asked when: concurrency by event, never by the wall clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;
use postern_events::budget::Budget;
use postern_events::context;
use postern_events::inbound::Tls;
use postern_events::ruling::Decision;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind as In;

use crate::rig::{
    Bound, Growing, Rig, budget, command, incoming, mail, rcpt, session, with_recipient,
};
use crate::sink::{Frame, Replies, TestSink, agreeable};

/// Answers `proceed` to everything as soon as `size` questions have been asked, of all who share it.
#[derive(Clone)]
struct Barrier {
    size: usize,
    waiting: Arc<Mutex<Vec<(Replies, u64)>>>,
}

impl Barrier {
    fn of(size: usize) -> Self {
        Self {
            size,
            waiting: Arc::new(Mutex::new(Vec::new())),
        }
    }

    fn hear(&self, frame: &Frame, replies: &Replies) {
        let Some(event) = frame.question() else {
            return;
        };
        let mut waiting = self.waiting.lock();
        waiting.push((replies.keep(), event.event_id));
        if waiting.len() == self.size {
            for (replies, event_id) in waiting.drain(..) {
                replies.proceed(event_id);
            }
        }
    }
}

#[tokio::test]
async fn five_bindings_of_equal_standing_are_all_asked_before_any_answers() {
    let barrier = Barrier::of(5);
    let mut sinks = Vec::new();
    for _ in 0..5 {
        let barrier = barrier.clone();
        sinks.push(TestSink::start(16, move |frame, replies| barrier.hear(frame, replies)).await);
    }
    let rig = Rig::new(
        sinks
            .iter()
            .map(|sink| Bound::to(sink, &["inbound.mail"]))
            .collect(),
    );
    let scope = rig.session();
    // Had one been asked only after another's answer, the barrier would never open.
    assert_eq!(
        scope.mail(mail(), &budget()).await.decision,
        Decision::Proceed
    );
    assert_eq!(rig.notes.count("answered"), 5);
}

#[tokio::test]
async fn a_binding_that_reads_what_another_may_change_waits_for_it_and_sees_the_change() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let asked = Arc::clone(&asked);
        move |frame: &Frame, replies: &Replies| {
            let Some(event) = frame.question() else {
                return;
            };
            let Some(pb::event::Kind::InboundMail(mail)) = &event.kind else {
                return;
            };
            let sender = mail.envelope.as_ref().unwrap().reverse_path.clone();
            asked.lock().push((name, sender));
            let mut verdict =
                crate::sink::verdict(event.event_id, pb::decision::Kind::Proceed(pb::Proceed {}));
            if name == "first" {
                let set = pb::edit::Kind::SetSender(pb::SetSender {
                    reverse_path: "new@example.test".into(),
                });
                verdict.edits.push(pb::Edit { kind: Some(set) });
            }
            replies.send(postern_proto::v1::attach_response::Kind::Verdict(Box::new(
                verdict,
            )));
        }
    };
    let first = TestSink::start(16, note("first")).await;
    let second = TestSink::start(16, note("second")).await;
    let rig = Rig::new(vec![
        Bound {
            may: &["sender"],
            reads: &["sender"],
            ..Bound::to(&first, &["inbound.mail"])
        },
        Bound {
            reads: &["sender"],
            ..Bound::to(&second, &["inbound.mail"])
        },
    ]);
    let scope = rig.session();
    let ruling = scope.mail(mail(), &budget()).await;
    assert_eq!(ruling.decision, Decision::Proceed, "{ruling:?}");
    let asked = asked.lock().clone();
    assert_eq!(
        asked,
        [
            ("first", "a@example.test".into()),
            ("second", "new@example.test".into())
        ]
    );
    assert_eq!(
        scope.envelope().unwrap().sender.to_string(),
        "<new@example.test>"
    );
}

#[tokio::test]
async fn a_pipelined_group_of_recipients_is_sent_before_any_answer_and_each_has_its_place() {
    let barrier = Barrier::of(3);
    let at = barrier.clone();
    let sink = TestSink::start(16, move |frame, replies| at.hear(frame, replies)).await;
    let rig = Rig::new(vec![Bound {
        reads: &["recipients"],
        ..Bound::to(&sink, &["inbound.rcpt"])
    }]);
    let scope = rig.session();
    scope.mail(mail(), &budget()).await;
    scope.note_mail();
    let group: Vec<_> = ["b@x.test", "c@x.test", "d@x.test"]
        .into_iter()
        .map(rcpt)
        .collect();
    let ids: Vec<_> = group.iter().map(|one| one.recipient.id).collect();
    let asking: Vec<_> = group
        .into_iter()
        .map(|one| scope.rcpt(one, &budget()))
        .collect();
    let rulings = join_all(asking).await;
    assert!(
        rulings
            .iter()
            .all(|ruling| ruling.decision == Decision::Proceed),
        "{rulings:?}"
    );
    let mut places = Vec::new();
    for frame in sink.frames() {
        if let Some(pb::event::Kind::InboundRcpt(rcpt)) =
            frame.event().and_then(|event| event.kind.clone())
        {
            places.push((rcpt.group_position, rcpt.group_size));
        }
    }
    assert_eq!(places, [(1, 3), (2, 3), (3, 3)]);
    scope.note_rcpt(ids[0], true);
    scope.note_rcpt(ids[1], false);
    scope.note_rcpt(ids[2], true);
    let left: Vec<_> = scope.recipients().iter().map(|one| one.id).collect();
    assert_eq!(left, [ids[0], ids[2]]);
}

#[tokio::test]
async fn a_refusal_cancels_those_behind_it_and_the_first_in_order_decides() {
    let silent = TestSink::start(16, |_, _| {}).await;
    let refusing = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            replies.reject(event.event_id);
        }
    })
    .await;
    let rig = Rig::new(vec![
        Bound::to(&refusing, &["inbound.connect"]),
        Bound::to(&silent, &["inbound.connect"]),
    ]);
    rig.connected(2).await;
    let ruling = rig.session().connect(&budget()).await;
    assert!(matches!(ruling.decision, Decision::Reject(_)));
    assert_eq!(&*ruling.by.unwrap().binding, "binding0");
    let frames = silent
        .until(|frames| {
            frames
                .iter()
                .any(|frame| matches!(frame.kind, In::Cancel(_)))
        })
        .await;
    let reasons: Vec<_> = frames
        .iter()
        .filter_map(|frame| match &frame.kind {
            In::Cancel(cancel) => Some(cancel.reason()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [pb::CancelReason::Decided]);
}

#[tokio::test]
async fn a_dropped_question_is_cancelled_at_the_sink() {
    let sink = TestSink::start(16, |_, _| {}).await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    let scope = rig.session();
    let budget = budget();
    tokio::select! {
        _ = scope.connect(&budget) => panic!("nobody answers"),
        _ = sink.until(|frames| frames.iter().any(|frame| frame.question().is_some())) => {}
    }
    sink.until(|frames| {
        frames.iter().any(|frame| match &frame.kind {
            In::Cancel(cancel) => cancel.reason() == pb::CancelReason::ClientGone,
            _ => false,
        })
    })
    .await;
}

#[tokio::test]
async fn progress_extends_the_time_of_a_question() {
    let held: Arc<Mutex<Option<(Replies, u64)>>> = Arc::default();
    let at = Arc::clone(&held);
    let sink = TestSink::start(16, move |frame, replies| {
        if let Some(event) = frame.question() {
            *at.lock() = Some((replies.keep(), event.event_id));
        }
    })
    .await;
    let mut bound = Bound::to(&sink, &["inbound.connect"]);
    bound.timeout = std::time::Duration::from_millis(600);
    let rig = Rig::new(vec![bound]);
    let scope = rig.session();
    let asking = tokio::spawn(scope.connect(&budget()));
    sink.until(|frames| frames.iter().any(|frame| frame.question().is_some()))
        .await;
    let (replies, event_id) = held.lock().take().unwrap();
    for _ in 0..4 {
        // Together longer than the time-out, each far shorter.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let progress = pb::Progress {
            event_id,
            wanted: None,
            activity: String::new(),
        };
        replies.send(postern_proto::v1::attach_response::Kind::Progress(progress));
    }
    replies.proceed(event_id);
    assert_eq!(asking.await.unwrap().decision, Decision::Proceed);
}

/// A sink that says without end that it is still at work.
async fn never_ready() -> TestSink {
    TestSink::start(16, |frame, replies| {
        let Some(event) = frame.question() else {
            return;
        };
        let (replies, event_id) = (replies.keep(), event.event_id);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let progress = pb::Progress {
                    event_id,
                    wanted: None,
                    activity: String::new(),
                };
                replies.send(postern_proto::v1::attach_response::Kind::Progress(progress));
            }
        });
    })
    .await
}

/// A sink that needs half a second, and objects if it is given that.
async fn slow_objector() -> TestSink {
    TestSink::start(16, |frame, replies| {
        let Some(event) = frame.question() else {
            return;
        };
        let time = event.deadline.unwrap_or_default();
        if time.seconds > 0 || time.nanos >= 500_000_000 {
            replies.reject(event.event_id);
        } else {
            replies.proceed(event.event_id);
        }
    })
    .await
}

/// With a time-out of its own.
fn bound<'a>(sink: &TestSink, events: &'a [&'a str]) -> Bound<'a> {
    Bound {
        timeout: Duration::from_millis(1500),
        ..Bound::to(sink, events)
    }
}

#[tokio::test]
async fn v15_progress_does_not_eat_the_time_of_the_chains_still_to_come() {
    let (hungry, objector) = tokio::join!(never_ready(), slow_objector());
    let rig = Rig::new(vec![
        bound(&hungry, &["inbound.command"]),
        bound(&objector, &["inbound.mail", "inbound.response"]),
    ]);
    rig.connected(2).await;
    let scope = rig.session();
    let begun = Instant::now();
    let budget = Budget::starting(begun, Duration::from_millis(4500));
    let ruling = scope
        .command(command("MAIL FROM:<a@example.test>"), &budget)
        .await;
    assert_eq!(ruling.failures.len(), 1, "{ruling:?}");
    // Beyond its own time-out, but not into that of MAIL and of the reply.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    assert!(took < Duration::from_millis(2500), "{took:?}");
    let ruling = scope.mail(mail(), &budget).await;
    assert!(matches!(ruling.decision, Decision::Reject(_)), "{ruling:?}");
    assert!(ruling.failures.is_empty(), "{ruling:?}");
}

/// With TLS from the first octet the banner waits for the question about the handshake too.
#[tokio::test]
async fn v15_the_banner_waits_for_the_chain_about_implicit_tls() {
    let (hungry, objector) = tokio::join!(never_ready(), slow_objector());
    let rig = Rig::new(vec![
        bound(&hungry, &["inbound.connect"]),
        bound(&objector, &["inbound.tls"]),
    ]);
    rig.connected(2).await;
    let mut session = session();
    session.client.implicit_tls = true;
    let scope = rig.dispatcher.begin_session(session);
    let begun = Instant::now();
    let budget = Budget::starting(begun, Duration::from_millis(3000));
    let ruling = scope.connect(&budget).await;
    assert_eq!(ruling.failures.len(), 1, "{ruling:?}");
    assert!(begun.elapsed() < Duration::from_millis(2500));
    let ruling = scope.tls(Tls(context::Tls::default()), &budget).await;
    assert!(matches!(ruling.decision, Decision::Reject(_)), "{ruling:?}");
}

/// The chains about the header section, the message and the reply to it have one budget where the content comes at once.
#[tokio::test]
async fn v15_the_header_section_does_not_eat_the_time_of_the_message_nor_that_the_replys() {
    let (hungry, objector) = tokio::join!(never_ready(), slow_objector());
    for (eats, objects) in [
        (&["inbound.headers"], &["inbound.message"]),
        (&["inbound.message"], &["inbound.response"]),
    ] {
        let rig = Rig::new(vec![bound(&hungry, eats), bound(&objector, objects)]);
        rig.connected(2).await;
        let scope = rig.session();
        let id = with_recipient(&scope).await;
        let content = Growing::new();
        content.finish();
        let begun = Instant::now();
        let budget = Budget::starting(begun, Duration::from_millis(3000));
        let exchange = scope.message(incoming(id, &content), &budget);
        let ruling = exchange.finish(&budget).await.ruling;
        assert_eq!(ruling.failures.len(), 1, "{ruling:?}");
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(2500), "{took:?}");
    }
}

#[tokio::test]
async fn a_scope_that_nobody_is_bound_to_asks_nobody() {
    let sink = TestSink::start(16, agreeable).await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.mail"])]);
    let scope = rig.session();
    assert_eq!(scope.connect(&budget()).await.decision, Decision::Proceed);
    assert!(!scope.wants(postern_events::event::EventKind::InboundConnect));
    assert_eq!(sink.streams(), 0);
}
