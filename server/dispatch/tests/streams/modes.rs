//! When a sink is asked, if at all: at once, with the first RCPT, or never, only told.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_events::plan::Ask;
use postern_events::ruling::Decision;
use postern_proto::rules::event_kind;
use postern_proto::v1 as pb;
use postern_proto::v1::EventKind as Kind;
use postern_proto::v1::attach_request::Kind as In;

use crate::rig::{Bound, Rig, budget, helo, mail, rcpt};
use crate::sink::{Frame, Replies, TestSink, agreeable};

const SESSION: &[&str] = &[
    "inbound.connect",
    "inbound.helo",
    "inbound.mail",
    "inbound.rcpt",
];

const LATE: &[(&str, Ask)] = &[
    ("inbound.connect", Ask::AtRcpt),
    ("inbound.helo", Ask::AtRcpt),
    ("inbound.mail", Ask::AtRcpt),
];

/// The events that came, and whether each is asked.
fn events(frames: &[Frame]) -> Vec<(Kind, bool)> {
    frames
        .iter()
        .filter_map(Frame::event)
        .map(|event| {
            let kind = event_kind(event.kind.as_ref().unwrap());
            (kind, event.deadline.is_some())
        })
        .collect()
}

#[tokio::test]
async fn what_waits_for_rcpt_is_asked_with_the_first_one_in_one_go() {
    let held: Arc<Mutex<Vec<(Replies, u64)>>> = Arc::default();
    let at = Arc::clone(&held);
    let sink = TestSink::start(16, move |frame, replies| {
        let Some(event) = frame.question() else {
            return;
        };
        // Nothing is answered before all four have come.
        let mut held = at.lock();
        held.push((replies.keep(), event.event_id));
        if held.len() >= 4 {
            for (replies, event_id) in held.drain(..) {
                replies.proceed(event_id);
            }
        }
    })
    .await;
    let rig = Rig::new(vec![Bound {
        ask: LATE,
        ..Bound::to(&sink, SESSION)
    }]);
    rig.connected(1).await;
    let scope = rig.session();
    for ruling in [
        scope.connect(&budget()).await,
        scope.helo(helo(), &budget()).await,
        scope.mail(mail(), &budget()).await,
    ] {
        assert_eq!(ruling.decision, Decision::Proceed);
    }
    assert!(sink.frames().is_empty(), "nobody was asked yet");
    scope.note_mail();
    let ruling = scope.rcpt(rcpt("b@example.test"), &budget()).await;
    assert_eq!(ruling.decision, Decision::Proceed, "{ruling:?}");
    assert_eq!(
        events(&sink.frames()),
        [
            (Kind::InboundConnect, true),
            (Kind::InboundHelo, true),
            (Kind::InboundMail, true),
            (Kind::InboundRcpt, true),
        ]
    );
}

#[tokio::test]
async fn a_refusal_of_what_waited_answers_every_rcpt_and_is_not_asked_again() {
    let sink = TestSink::start(16, |frame, replies| {
        let Some(event) = frame.question() else {
            return;
        };
        match &event.kind {
            Some(pb::event::Kind::InboundHelo(_)) => replies.reject(event.event_id),
            _ => replies.proceed(event.event_id),
        }
    })
    .await;
    let rig = Rig::new(vec![Bound {
        ask: LATE,
        ..Bound::to(&sink, SESSION)
    }]);
    let scope = rig.session();
    scope.connect(&budget()).await;
    scope.helo(helo(), &budget()).await;
    scope.mail(mail(), &budget()).await;
    scope.note_mail();
    let first = scope.rcpt(rcpt("b@example.test"), &budget()).await;
    assert!(matches!(first.decision, Decision::Reject(_)), "{first:?}");
    let asked = |frames: &[Frame]| frames.iter().filter(|one| one.question().is_some()).count();
    let before = asked(&sink.frames());
    let second = scope.rcpt(rcpt("c@example.test"), &budget()).await;
    assert_eq!(second.decision, first.decision);
    // It refuses the session: another transaction fares no better.
    scope.mail(mail(), &budget()).await;
    scope.note_mail();
    let third = scope.rcpt(rcpt("d@example.test"), &budget()).await;
    assert_eq!(third.decision, first.decision);
    assert_eq!(asked(&sink.frames()), before);
}

#[tokio::test]
async fn what_is_only_told_travels_with_the_next_question() {
    let sink = TestSink::start(16, agreeable).await;
    let rig = Rig::new(vec![Bound {
        ask: &[("inbound.helo", Ask::Told), ("inbound.mail", Ask::Told)],
        ..Bound::to(&sink, &["inbound.helo", "inbound.mail", "inbound.rcpt"])
    }]);
    rig.connected(1).await;
    let scope = rig.session();
    // A greeting that another one replaces is not told.
    scope.helo(helo(), &budget()).await;
    scope.helo(helo(), &budget()).await;
    scope.mail(mail(), &budget()).await;
    scope.note_mail();
    assert!(
        sink.frames().is_empty(),
        "an instance is not opened to tell"
    );
    scope.rcpt(rcpt("b@example.test"), &budget()).await;
    assert_eq!(
        events(&sink.frames()),
        [
            (Kind::InboundHelo, false),
            (Kind::InboundMail, false),
            (Kind::InboundRcpt, true),
        ]
    );
}

#[tokio::test]
async fn what_still_waits_to_be_told_is_told_before_the_instance_is_closed() {
    let sink = TestSink::start(16, agreeable).await;
    let rig = Rig::new(vec![Bound {
        ask: &[("inbound.helo", Ask::Told)],
        ..Bound::to(&sink, &["inbound.connect", "inbound.helo"])
    }]);
    let scope = rig.session();
    scope.connect(&budget()).await;
    scope.helo(helo(), &budget()).await;
    drop(scope);
    let frames = sink
        .until(|frames| {
            frames
                .iter()
                .any(|frame| matches!(frame.kind, In::CloseInstance(_)))
        })
        .await;
    assert_eq!(
        events(&frames),
        [(Kind::InboundConnect, true), (Kind::InboundHelo, false)]
    );
}
