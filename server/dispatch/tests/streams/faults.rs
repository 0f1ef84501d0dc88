//! Sinks that fail: each fault is what it is called, and comes in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postern_events::fault::FaultKind;
use postern_events::ruling::{Decision, Ruling};
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind as In;
use postern_proto::v1::attach_response::Kind as Out;
use tokio::net::TcpListener;

use crate::rig::{Bound, Rig, budget, helo, mail};
use crate::sink::{TestSink, agreeable, verdict};

fn fault(ruling: &Ruling) -> FaultKind {
    assert!(
        matches!(
            ruling.decision,
            Decision::Tempfail(_) | Decision::Disconnect(_)
        ),
        "{ruling:?}"
    );
    ruling.failures.first().unwrap().fault.kind
}

#[tokio::test]
async fn an_absent_sink_is_unreachable_at_once_and_costs_nothing_after_that() {
    let sink = TestSink::start(0, agreeable).await;
    sink.kill();
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    assert_eq!(
        fault(&rig.session().connect(&budget()).await),
        FaultKind::Unreachable
    );
    // Probes find out whether it is back; questions do not try.
    for _ in 0..100 {
        assert_eq!(
            fault(&rig.session().connect(&budget()).await),
            FaultKind::Unreachable
        );
    }
    assert_eq!(rig.notes.count("down"), 1);
}

#[tokio::test]
async fn a_port_that_accepts_and_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = TestSink::start(0, agreeable).await;
    let mut bound = Bound::to(&sink, &["inbound.connect"]);
    bound.endpoints = vec![format!("http://{}", listener.local_addr().unwrap())];
    bound.timeout = Duration::from_millis(100);
    let rig = Rig::new(vec![bound]);
    let began = Instant::now();
    assert_eq!(
        fault(&rig.session().connect(&budget()).await),
        FaultKind::Timeout
    );
    assert!(
        began.elapsed() < Duration::from_millis(350),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_replica_that_comes_back_is_used_again() {
    let sink = TestSink::start(0, agreeable).await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    assert_eq!(
        rig.session().connect(&budget()).await.decision,
        Decision::Proceed
    );
    sink.kill();
    let port = sink.endpoint.rsplit(':').next().unwrap().to_owned();
    assert_eq!(
        fault(&rig.session().connect(&budget()).await),
        FaultKind::Unreachable
    );
    let listener = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let back = crate::sink::serve_on(listener, agreeable);
    let began = Instant::now();
    while rig.session().connect(&budget()).await.decision != Decision::Proceed {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            rig.notes.all()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(back);
}

#[tokio::test]
async fn a_sink_that_hangs_times_out_is_cancelled_and_its_late_verdict_is_dropped() {
    let sink = TestSink::start(16, |frame, replies| match &frame.kind {
        // It is at work, and says so: nobody takes it for dead.
        In::Event(event) if matches!(event.kind, Some(pb::event::Kind::InboundConnect(_))) => {
            replies.send(Out::Ready(pb::Ready::default()));
        }
        In::Cancel(cancel) => replies.proceed(cancel.event_id),
        In::Event(event) if matches!(event.kind, Some(pb::event::Kind::InboundHelo(_))) => {
            replies.proceed(event.event_id);
        }
        _ => {}
    })
    .await;
    let mut bound = Bound::to(&sink, &["inbound.connect", "inbound.helo"]);
    bound.timeout = Duration::from_millis(500);
    let rig = Rig::new(vec![bound]);
    let scope = rig.session();
    let began = Instant::now();
    assert_eq!(fault(&scope.connect(&budget()).await), FaultKind::Timeout);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    sink.until(|frames| {
        frames
            .iter()
            .any(|frame| matches!(frame.kind, In::Cancel(_)))
    })
    .await;
    // The same instance serves the next event; the late verdict is not taken for its answer.
    assert_eq!(
        scope.helo(helo(), &budget()).await.decision,
        Decision::Proceed
    );
    assert_eq!(rig.notes.count("late"), 1, "{:?}", rig.notes.all());
    assert_eq!(sink.streams(), 1);
}

#[tokio::test]
async fn a_stream_that_ends_with_a_question_open_is_a_failure() {
    for instances in [1, 16] {
        let sink = TestSink::start(instances, |frame, replies| {
            if frame.question().is_some() {
                replies.hang_up();
            }
        })
        .await;
        let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
        assert_eq!(
            fault(&rig.session().connect(&budget()).await),
            FaultKind::Fault
        );
    }
}

#[tokio::test]
async fn a_verdict_without_decision_is_never_consent() {
    let sink = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            replies.send(Out::Verdict(Box::new(pb::Verdict {
                event_id: event.event_id,
                ..pb::Verdict::default()
            })));
        }
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    assert_eq!(
        fault(&rig.session().connect(&budget()).await),
        FaultKind::Protocol
    );
}

#[tokio::test]
async fn a_fault_of_the_sink_is_a_fault() {
    let sink = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            let kind = pb::FaultKind::SinkError.into();
            replies.send(Out::Fault(pb::Fault {
                event_id: event.event_id,
                kind,
                detail: "oh\r\n".to_owned(),
            }));
        }
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    let ruling = rig.session().connect(&budget()).await;
    assert_eq!(fault(&ruling), FaultKind::Fault);
    assert!(!ruling.failures.first().unwrap().fault.detail.contains('\n'));
}

#[tokio::test]
async fn a_verdict_for_an_event_never_asked_ends_the_instance() {
    let sink = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            replies.proceed(event.event_id + 7);
        }
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    assert_eq!(
        fault(&rig.session().connect(&budget()).await),
        FaultKind::Protocol
    );
    sink.until(|frames| {
        frames.iter().any(|frame| match &frame.kind {
            In::CloseInstance(close) => close.reason() == pb::CloseReason::ProtocolError,
            _ => false,
        })
    })
    .await;
}

#[tokio::test]
async fn of_two_verdicts_the_first_stands_and_the_second_ends_the_instance() {
    let sink = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            replies.proceed(event.event_id);
            if matches!(event.kind, Some(pb::event::Kind::InboundConnect(_))) {
                replies.reject(event.event_id);
            }
        }
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect", "inbound.helo"])]);
    let scope = rig.session();
    assert_eq!(scope.connect(&budget()).await.decision, Decision::Proceed);
    sink.until(|frames| {
        frames
            .iter()
            .any(|frame| matches!(frame.kind, In::CloseInstance(_)))
    })
    .await;
    assert_eq!(
        scope.helo(helo(), &budget()).await.decision,
        Decision::Proceed
    );
    let opened: Vec<_> = sink
        .frames()
        .iter()
        .filter_map(|frame| match &frame.kind {
            In::OpenInstance(open) => Some((frame.instance, open.reopened_count)),
            _ => None,
        })
        .collect();
    let [(first, 0), (second, 1)] = opened.as_slice() else {
        panic!("{opened:?}")
    };
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_frame_over_the_limit_is_a_failure() {
    let sink = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            let mut large = verdict(event.event_id, pb::decision::Kind::Proceed(pb::Proceed {}));
            large.explanation = "x".repeat(2 << 20);
            replies.send(Out::Verdict(Box::new(large)));
        }
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    let ruling = rig.session().connect(&budget()).await;
    assert_eq!(fault(&ruling), FaultKind::Protocol);
}

#[tokio::test]
async fn another_replica_is_asked_when_one_dies_with_the_question() {
    let dying = |frame: &crate::sink::Frame, replies: &crate::sink::Replies| {
        if frame.question().is_some() {
            replies.hang_up();
        }
    };
    let bad = TestSink::start(16, dying).await;
    let good = TestSink::start(16, agreeable).await;
    let mut bound = Bound::to(&bad, &["inbound.connect"]);
    bound.endpoints.push(good.endpoint.clone());
    let rig = Rig::new(vec![bound]);
    rig.connected(2).await;
    for _ in 0..20 {
        assert_eq!(
            rig.session().connect(&budget()).await.decision,
            Decision::Proceed,
            "{:?}",
            rig.notes.all()
        );
    }
    assert!(rig.notes.count("asked-again") > 0, "both replicas are used");
    let again = good
        .frames()
        .into_iter()
        .filter_map(|frame| frame.event().map(|event| event.attempt))
        .max();
    assert_eq!(again, Some(1));
}

#[tokio::test]
async fn a_stream_lost_to_one_question_ejects_nobody() {
    let sink = TestSink::start(1, |frame, replies| match frame.question() {
        Some(event) if matches!(event.kind, Some(pb::event::Kind::InboundHelo(_))) => {
            replies.hang_up()
        }
        Some(event) => replies.proceed(event.event_id),
        None => {}
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect", "inbound.helo"])]);
    for _ in 0..3 {
        let scope = rig.session();
        assert_eq!(
            fault(&scope.helo(helo(), &budget()).await),
            FaultKind::Fault
        );
        assert_eq!(
            rig.session().connect(&budget()).await.decision,
            Decision::Proceed
        );
    }
    assert_eq!(rig.notes.count("down"), 0, "{:?}", rig.notes.all());
}

#[tokio::test]
async fn a_replica_that_has_gone_silent_loses_its_instances_to_another_one() {
    let answers = Arc::new(AtomicBool::new(true));
    let at = Arc::clone(&answers);
    let silent = TestSink::start(16, move |frame, replies| {
        if at.load(Ordering::Relaxed) {
            agreeable(frame, replies);
        }
    })
    .await;
    let well = TestSink::start(16, agreeable).await;
    let mut bound = Bound::to(
        &silent,
        &["inbound.connect", "inbound.helo", "inbound.mail"],
    );
    bound.timeout = Duration::from_millis(150);
    bound.endpoints.push(well.endpoint.clone());
    let rig = Rig::new(vec![bound]);
    rig.connected(2).await;
    // A session whose instance is at the one that falls silent.
    let scope = loop {
        let scope = rig.session();
        scope.connect(&budget()).await;
        if silent
            .frames()
            .iter()
            .any(|frame| frame.question().is_some())
        {
            break scope;
        }
    };
    answers.store(false, Ordering::Relaxed);
    assert_eq!(
        fault(&scope.helo(helo(), &budget()).await),
        FaultKind::Timeout
    );
    let frames = silent
        .until(|frames| {
            frames
                .iter()
                .any(|frame| matches!(frame.kind, In::CloseInstance(_)))
        })
        .await;
    let reasons: Vec<_> = frames
        .iter()
        .filter_map(|frame| match &frame.kind {
            In::CloseInstance(close) => Some(close.reason()),
            _ => None,
        })
        .collect();
    assert!(reasons.contains(&pb::CloseReason::Silent), "{reasons:?}");
    // Its next event is asked elsewhere, with a snapshot.
    let before = well.frames().len();
    assert_eq!(
        scope.mail(mail(), &budget()).await.decision,
        Decision::Proceed
    );
    let moved = well.frames().split_off(before);
    let open = moved.iter().find_map(|frame| match &frame.kind {
        In::OpenInstance(open) => Some(open.reopened_count),
        _ => None,
    });
    assert_eq!(open, Some(1), "{moved:#?}");
}
