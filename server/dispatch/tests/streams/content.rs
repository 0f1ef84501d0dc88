//! Messages: content pushed while it arrives, to a depth, by credit, by range; edits; early refusals; bounds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use postern_dispatch::content::{Content, ContentEnd, WholeContent};
use postern_dispatch::transport::{Attempt, TransportScope};
use postern_events::chain::Start;
use postern_events::context::{MessageContext, Remote, SessionContext};
use postern_events::delivery::{self, DeliveryStatus, MessageSummary, RecipientResult};
use postern_events::fault::FaultKind;
use postern_events::plan::BodyDepth;
use postern_events::ruling::Decision;
use postern_events::transport::Submit;
use postern_message::{
    AttemptId, Envelope, HeaderLimits, HeaderParser, Message, MessageId, Origin, Properties,
    Recipient, Segment, Version,
};
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind as In;
use postern_proto::v1::attach_response::Kind as Out;
use postern_smtp::address::{ForwardPath, ReversePath};

use crate::rig::{
    Bound, Growing, HEADER, Rig, budget, greeting, incoming, session, with_recipient,
};
use crate::sink::{Frame, Replies, TestSink, agreeable, description, verdict};

const MESSAGE: &[&str] = &["inbound.message"];

fn full<'a>(sink: &TestSink) -> Bound<'a> {
    Bound {
        body: BodyDepth::Full,
        reads: &["session", "headers", "body", "digest"],
        ..Bound::to(sink, MESSAGE)
    }
}

/// Answers `proceed` once the content has ended.
fn at_the_end(frame: &Frame, replies: &Replies) {
    if let In::Content(content) = &frame.kind
        && content.ended.is_some()
        && content.read_id == 0
    {
        replies.proceed(content.event_id);
    }
}

fn edited(event_id: u64, edit: pb::edit::Kind) -> Out {
    let mut verdict = verdict(event_id, pb::decision::Kind::Proceed(pb::Proceed {}));
    verdict.edits.push(pb::Edit { kind: Some(edit) });
    Out::Verdict(Box::new(verdict))
}

fn splice(offset: u64, remove: u64, insert: &'static str) -> pb::edit::Kind {
    let data = pb::Data {
        kind: Some(pb::data::Kind::Literal(insert.into())),
    };
    pb::edit::Kind::SpliceBody(pb::SpliceBody {
        offset,
        remove_bytes: remove,
        insert: Some(data),
    })
}

#[tokio::test]
async fn content_is_pushed_while_it_arrives_and_ends_with_its_digests() {
    for instances in [1, 16] {
        let sink = TestSink::start(instances, at_the_end).await;
        let rig = Rig::new(vec![full(&sink)]);
        let scope = rig.session();
        let id = with_recipient(&scope).await;
        let content = Growing::new();
        let exchange = scope.message(incoming(id, &content), &budget());
        content.grow(b"first ");
        sink.until(|frames| {
            frames
                .iter()
                .any(|frame| matches!(&frame.kind, In::Content(one) if one.octets == "first "))
        })
        .await;
        content.grow(b"second");
        content.finish();
        let ruling = exchange.finish(&budget()).await;
        assert_eq!(
            ruling.ruling.decision,
            Decision::Proceed,
            "{:?}",
            ruling.ruling
        );
        assert_eq!(
            ruling.draft.version.unwrap().size(),
            Some(HEADER.len() as u64 + 12)
        );
        let (octets, end) = sink.content();
        assert_eq!(octets, b"first second");
        let end = end.unwrap();
        assert_eq!(
            (end.state(), end.body_size_bytes, &end.sha256[..]),
            (pb::ContentState::Complete, 12, &[1u8; 32][..])
        );
    }
}

#[tokio::test]
async fn a_prefix_is_no_more_than_asked_for_and_the_end_is_still_told() {
    for (depth, wanted) in [
        (BodyDepth::Prefix(4), &b"0123"[..]),
        (BodyDepth::Headers, &b""[..]),
    ] {
        let sink = TestSink::start(16, at_the_end).await;
        let rig = Rig::new(vec![Bound {
            body: depth,
            reads: &["headers"],
            ..full(&sink)
        }]);
        let scope = rig.session();
        let id = with_recipient(&scope).await;
        let content = Growing::new();
        content.grow(b"0123456789");
        let exchange = scope.message(incoming(id, &content), &budget());
        content.finish();
        assert_eq!(
            exchange.finish(&budget()).await.ruling.decision,
            Decision::Proceed
        );
        let (octets, end) = sink.content();
        assert_eq!(octets, wanted);
        assert_eq!(end.unwrap().body_size_bytes, 10);
    }
}

#[tokio::test]
async fn the_next_editor_sees_the_body_as_the_one_before_left_it() {
    let first = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            replies.send(edited(event.event_id, splice(0, 5, "HOWDY, ")));
        }
    })
    .await;
    let second = TestSink::start(16, at_the_end).await;
    let editor = Bound {
        may: &["body"],
        ..full(&first)
    };
    let rig = Rig::new(vec![editor, full(&second)]);
    let scope = rig.session();
    let id = with_recipient(&scope).await;
    let content = Growing::new();
    content.grow(b"hello world");
    let exchange = scope.message(incoming(id, &content), &budget());
    content.finish();
    let ruling = exchange.finish(&budget()).await;
    assert_eq!(
        ruling.ruling.decision,
        Decision::Proceed,
        "{:?}",
        ruling.ruling
    );
    let (octets, end) = second.content();
    assert_eq!(octets, b"HOWDY,  world");
    assert!(
        end.unwrap().sha256.is_empty(),
        "digests of the original are not those of the edited version"
    );
    let body = ruling.draft.version.unwrap().body_segments(0..100);
    assert!(
        matches!(&body[0], Segment::Inserted(octets) if octets == "HOWDY, "),
        "{body:?}"
    );
}

#[tokio::test]
async fn ranges_are_read_on_demand_also_before_they_have_arrived() {
    let sink = TestSink::start(16, |frame, replies| match &frame.kind {
        In::Event(event) if event.deadline.is_some() => {
            replies.send(Out::ReadContent(pb::ReadContent {
                event_id: event.event_id,
                read_id: 9,
                part: pb::ContentPart::Body.into(),
                offset: 2,
                length_bytes: 4,
                revision: 0,
            }))
        }
        In::Content(content) if content.read_id == 9 && content.ended.is_some() => {
            assert_eq!(content.octets, "cdef");
            replies.proceed(content.event_id);
        }
        _ => {}
    })
    .await;
    let rig = Rig::new(vec![Bound {
        body: BodyDepth::OnDemand,
        ..full(&sink)
    }]);
    let scope = rig.session();
    let id = with_recipient(&scope).await;
    let content = Growing::new();
    content.grow(b"abc");
    let exchange = scope.message(incoming(id, &content), &budget());
    sink.until(|frames| frames.iter().any(|frame| frame.question().is_some()))
        .await;
    content.grow(b"defgh");
    // The answer may come before the end of the content.
    while rig.notes.count("answered") == 0 {
        tokio::task::yield_now().await;
    }
    content.finish();
    assert_eq!(
        exchange.finish(&budget()).await.ruling.decision,
        Decision::Proceed
    );
    assert!(sink.content().0.is_empty(), "nothing was pushed");
}

#[tokio::test]
async fn credit_bounds_what_is_pushed_on_a_shared_stream() {
    let describe = pb::DescribeResponse {
        initial_credit_bytes: 10,
        ..description(16)
    };
    let sink = TestSink::start_described(describe, |frame, replies| match &frame.kind {
        In::Content(content) if content.ended.is_some() => replies.proceed(content.event_id),
        In::Content(content) => {
            assert!(content.octets.len() <= 10);
            replies.send(Out::WantContent(pb::WantContent {
                event_id: content.event_id,
                credit_bytes: 10,
            }));
        }
        _ => {}
    })
    .await;
    let rig = Rig::new(vec![full(&sink)]);
    let scope = rig.session();
    let id = with_recipient(&scope).await;
    let content = Growing::new();
    content.grow(&[b'x'; 95]);
    content.finish();
    let exchange = scope.message(incoming(id, &content), &budget());
    assert_eq!(
        exchange.finish(&budget()).await.ruling.decision,
        Decision::Proceed
    );
    assert_eq!(sink.content().0.len(), 95);
}

#[tokio::test]
async fn a_sink_that_does_not_read_holds_little_memory_and_no_other_session() {
    for instances in [1, 64] {
        let sink = TestSink::start(instances, |frame, replies| match frame.question() {
            Some(event) if matches!(event.kind, Some(pb::event::Kind::InboundMessage(_))) => {
                replies.turn_deaf()
            }
            Some(event) => replies.proceed(event.event_id),
            None => {}
        })
        .await;
        let mut bound = full(&sink);
        bound.events = &["inbound.message", "inbound.connect"];
        bound.timeout = Duration::from_millis(500);
        let rig = Rig::new(vec![bound]);
        let (scope, other) = (rig.session(), rig.session());
        let id = with_recipient(&scope).await;
        assert_eq!(scope.connect(&budget()).await.decision, Decision::Proceed);
        let content = Growing::new();
        content.grow(&vec![b'x'; 25 << 20]);
        content.finish();
        let stuck = tokio::spawn(
            scope
                .message(incoming(id, &content), &budget())
                .finish(&budget()),
        );
        sink.until(|frames| {
            frames.iter().any(|frame| {
                matches!(frame.kind, In::Event(_))
                    && frame.question().is_some_and(|event| event.event_id == 2)
            })
        })
        .await;
        // Where instances share a stream, a new one avoids it only once it has been silent for a while.
        tokio::time::sleep(Duration::from_millis(if instances == 1 { 0 } else { 120 })).await;
        assert_eq!(other.connect(&budget()).await.decision, Decision::Proceed);
        let ruling = stuck.await.unwrap();
        assert_eq!(
            ruling.ruling.failures.first().unwrap().fault.kind,
            FaultKind::Timeout
        );
        let read = content.read.load(Ordering::Relaxed);
        // What the pump has read is in our queue, in HTTP/2's window or at the sink: never the whole body.
        assert!(read < 4 << 20, "{read} octets were read ahead");
    }
}

#[tokio::test]
async fn an_early_refusal_is_known_before_the_end_and_stops_everything() {
    let refusing = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            replies.reject(event.event_id);
        }
    })
    .await;
    let watching = TestSink::start(16, |_, _| {}).await;
    let rig = Rig::new(vec![full(&refusing), full(&watching)]);
    rig.connected(2).await;
    let scope = rig.session();
    let id = with_recipient(&scope).await;
    let content = Growing::new();
    let exchange = scope.message(incoming(id, &content), &budget());
    content.grow(b"some of it");
    let early = tokio::time::timeout(Duration::from_secs(5), exchange.early())
        .await
        .unwrap();
    assert!(matches!(early.decision, Decision::Reject(_)));
    watching
        .until(|frames| {
            frames
                .iter()
                .any(|frame| matches!(frame.kind, In::Cancel(_)))
        })
        .await;
    let before = watching.frames().len();
    content.grow(b"and the rest");
    tokio::task::yield_now().await;
    content.finish();
    let ruling = exchange.finish(&budget()).await;
    assert_eq!(ruling.ruling.decision, early.decision);
    assert_eq!(watching.frames().len(), before);
}

#[tokio::test]
async fn agreement_before_the_end_is_no_early_refusal() {
    let sink = TestSink::start(16, agreeable).await;
    let rig = Rig::new(vec![full(&sink)]);
    let scope = rig.session();
    let id = with_recipient(&scope).await;
    let content = Growing::new();
    let exchange = scope.message(incoming(id, &content), &budget());
    while rig.notes.count("answered") == 0 {
        tokio::task::yield_now().await;
    }
    assert!(exchange.early().now_or_never().is_none());
    content.grow(b"text");
    content.finish();
    assert_eq!(
        exchange.finish(&budget()).await.ruling.decision,
        Decision::Proceed
    );
}

#[tokio::test]
async fn headers_are_a_question_of_their_own_whose_edits_the_message_shows() {
    let sink = TestSink::start(16, |frame, replies| {
        let Some(event) = frame.question() else {
            return;
        };
        match &event.kind {
            Some(pb::event::Kind::InboundHeaders(headers)) => {
                assert_eq!(event.headers.as_ref().unwrap().fields.len(), 2);
                assert!(!headers.message_id.is_empty());
                let insert = pb::InsertHeader {
                    place: Some(pb::HeaderPlace {
                        kind: Some(pb::header_place::Kind::First(pb::FirstPlace {})),
                    }),
                    name: "X-New".into(),
                    value: "yes".into(),
                };
                replies.send(edited(event.event_id, pb::edit::Kind::InsertHeader(insert)));
            }
            Some(pb::event::Kind::InboundMessage(_)) => {
                let names: Vec<_> = event
                    .headers
                    .as_ref()
                    .unwrap()
                    .fields
                    .iter()
                    .map(|one| one.name.clone())
                    .collect();
                assert_eq!(names, ["X-New", "Subject", "X-One"]);
                replies.proceed(event.event_id);
            }
            _ => {}
        }
    })
    .await;
    let mut bound = Bound {
        may: &["headers:X-*"],
        ..full(&sink)
    };
    bound.events = &["inbound.headers", "inbound.message"];
    let rig = Rig::new(vec![bound]);
    let scope = rig.session();
    let id = with_recipient(&scope).await;
    let content = Growing::new();
    content.finish();
    let ruling = scope
        .message(incoming(id, &content), &budget())
        .finish(&budget())
        .await;
    assert_eq!(
        ruling.ruling.decision,
        Decision::Proceed,
        "{:?}",
        ruling.ruling
    );
    assert_eq!(ruling.draft.version.unwrap().headers().len(), 3);
}

pub const fn again(earlier: u32) -> Attempt {
    Attempt {
        earlier,
        reason: pb::AskReason::Retry,
    }
}

pub fn at(binding: &str) -> Start {
    Start::At {
        binding: binding.to_owned(),
        passed: Vec::new(),
    }
}

fn stored_session() -> SessionContext {
    let mut session = session();
    session.helo = Some(greeting());
    session
}

pub fn begin(rig: &Rig, message: Message, content: Arc<dyn Content>) -> TransportScope {
    let context = MessageContext::new(Arc::new(message)).unwrap();
    rig.dispatcher.begin_message(context, content)
}

pub fn stored() -> (Message, Arc<dyn Content>) {
    let octets = Bytes::from([HEADER, b"body text"].concat());
    let section = HeaderParser::new(HeaderLimits::default())
        .feed(HEADER)
        .unwrap()
        .unwrap();
    let end = ContentEnd {
        complete: true,
        size_bytes: octets.len() as u64,
        sha256: Some([1; 32]),
        body_sha256: Some([2; 32]),
    };
    let message = Message {
        id: MessageId::new(),
        session: None,
        server: "mx".to_owned(),
        origin: Origin::Smtp,
        received_at: SystemTime::now(),
        context: stored_session().encode(),
        skipped: Vec::new(),
        passed: Vec::new(),
        envelope: Envelope::new(ReversePath::parse(b"<a@example.test>", false).unwrap()),
        recipients: vec![Recipient::new(
            ForwardPath::parse(b"<b@example.test>", false).unwrap(),
        )],
        properties: Properties::new(),
        version: Version::original(&section, Some(octets.len() as u64)),
        handling: postern_message::Handling::default(),
        injected: None,
        walked: false,
    };
    (message, Arc::new(WholeContent::new(octets, end)))
}

#[tokio::test]
async fn a_stored_message_is_submitted_and_its_delivery_told() {
    let sink = TestSink::start(16, |frame, replies| match &frame.kind {
        In::Content(content) if content.ended.is_some() => {
            replies.send(edited(content.event_id, splice(9, 0, "\r\nfooter")));
        }
        _ => {}
    })
    .await;
    let mut bound = Bound {
        may: &["body"],
        reads: &["headers", "body", "sender", "recipients"],
        ..full(&sink)
    };
    bound.events = &["transport.submit", "delivery.result"];
    let rig = Rig::new(vec![bound]);
    let (message, content) = stored();
    let recipient = message.recipients[0].clone();
    let summary = MessageSummary::of(&message, None);
    let scope = begin(&rig, message, content);
    let ruling = scope.judge(Submit, &budget(), Start::First, again(2)).await;
    assert_eq!(
        ruling.ruling.decision,
        Decision::Proceed,
        "{:?}",
        ruling.ruling
    );
    assert_eq!(ruling.draft.version.unwrap().body_size(), Some(17));
    assert_eq!(sink.content().0, b"body text");
    scope.tell_delivery_result(delivery::Result {
        summary,
        attempt: AttemptId::new(),
        remote: Some(Remote {
            destination: "example.test".into(),
            host: "mx.example.test".into(),
            address: "192.0.2.7".to_owned(),
            port: 25,
            ..Remote::default()
        }),
        elapsed: Duration::from_secs(1),
        recipients: vec![RecipientResult {
            id: recipient.id,
            address: recipient.address,
            given: None,
            origin: postern_events::delivery::FailureOrigin::Gateway,
            status: DeliveryStatus::Relayed,
            reply: None,
            attempts: 1,
            retry_in: None,
        }],
        age: Duration::from_secs(1),
    });
    drop(scope);
    let is_result = |frame: &Frame| {
        matches!(
            frame.event().and_then(|event| event.kind.as_ref()),
            Some(pb::event::Kind::DeliveryResult(_))
        )
    };
    let frames = sink.until(|frames| frames.iter().any(is_result)).await;
    let scopes: Vec<_> = frames
        .iter()
        .filter_map(|frame| match &frame.kind {
            In::OpenInstance(open) => Some(open.scope()),
            _ => None,
        })
        .collect();
    assert_eq!(scopes, [pb::Scope::Transport, pb::Scope::Delivery]);
    let submit = frames.iter().find_map(Frame::question).unwrap();
    assert_eq!(submit.attempt, 4);
    assert_eq!(submit.ask_reason(), pb::AskReason::Retry);
    assert_eq!(submit.headers.as_ref().unwrap().fields.len(), 2);
    let open = frames.iter().find_map(|frame| match &frame.kind {
        In::OpenInstance(open) => open.snapshot.as_ref(),
        _ => None,
    });
    assert_eq!(open.unwrap().recipients.len(), 1);
}

#[tokio::test]
async fn a_held_message_is_asked_again_from_its_binding_on() {
    let earlier = TestSink::start(16, agreeable).await;
    let later = TestSink::start(16, at_the_end).await;
    let rig = Rig::new(vec![full(&earlier), full(&later)]);
    let (message, content) = stored();
    let scope = begin(&rig, message, content);
    let event = postern_events::event::EventKind::InboundMessage;
    let ruling = scope
        .redo_inbound(&budget(), event, at("binding1"), again(1))
        .await;
    assert_eq!(
        ruling.ruling.decision,
        Decision::Proceed,
        "{:?}",
        ruling.ruling
    );
    assert!(earlier.frames().is_empty());
    let frames = later.frames();
    let In::OpenInstance(open) = &frames[0].kind else {
        panic!("{frames:#?}")
    };
    assert_eq!(open.scope(), pb::Scope::InboundSession);
    let session = open.snapshot.as_ref().unwrap().session.as_ref().unwrap();
    assert_eq!(session.helo.as_ref().unwrap().name, "client.test");
}
