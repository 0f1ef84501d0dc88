//! The task of a sink against a server of gRPC.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use postern_attach::{Deadline, Opening, Question, WireBinding};
use postern_events::encode::{EncodedEvent, EncodedSnapshot};
use postern_events::event::EventKind;
use postern_events::plan::{BindingSpec, BodyDepth, Plan, PlanSpec, ServerSpec, Sink, SinkSpec};
use postern_proto::v1::attach_request::Kind as In;
use postern_proto::v1::attach_response::Kind as Out;
use postern_proto::v1::event_sink_server::{EventSink, EventSinkServer};
use postern_proto::v1::{self as pb, AttachRequest, AttachResponse};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::answers::Answers;
use crate::attached::Attached;
use crate::observer::Deaf;
use crate::settings::Settings;

use super::{Ask, Asking, Begin, Command, Heard, SinkHandle, Start, Ticket};

#[derive(Clone)]
struct Agreeable;

#[tonic::async_trait]
impl EventSink for Agreeable {
    type AttachStream = ReceiverStream<Result<AttachResponse, Status>>;

    async fn describe(
        &self,
        request: Request<pb::DescribeRequest>,
    ) -> Result<Response<pb::DescribeResponse>, Status> {
        assert_eq!(request.into_inner().sink, "scan");
        Ok(Response::new(pb::DescribeResponse {
            name: "test".into(),
            version: "1".into(),
            protocol_version: 1,
            instances_per_stream: 16,
            ..pb::DescribeResponse::default()
        }))
    }

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut frames = request.into_inner();
        let (out, replies) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok(Some(frame)) = frames.message().await {
                let Some(In::Event(event)) = frame.kind else {
                    continue;
                };
                let verdict = pb::Verdict {
                    event_id: event.event_id,
                    decision: Some(pb::Decision {
                        kind: Some(pb::decision::Kind::Proceed(pb::Proceed {})),
                    }),
                    ..pb::Verdict::default()
                };
                let answer = AttachResponse {
                    instance_id: frame.instance_id,
                    kind: Some(Out::Verdict(Box::new(verdict))),
                };
                if out.send(Ok(answer)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(replies)))
    }
}

async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tonic::transport::Server::builder()
        .add_service(EventSinkServer::new(Agreeable))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    endpoint
}

/// A sink as a plan has it.
fn sink(endpoint: &str) -> Arc<Sink> {
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("mx")],
        sinks: vec![SinkSpec {
            name: "scan".to_owned(),
            endpoints: vec![endpoint.to_owned()],
            ..SinkSpec::default()
        }],
        bindings: vec![BindingSpec {
            events: Some(vec!["inbound.connect".to_owned()]),
            reads: Some(Vec::new()),
            may: Some(Vec::new()),
            body: Some(BodyDepth::None),
            ..BindingSpec::new("binding".to_owned(), "scan".to_owned())
        }],
    };
    let plan = Plan::build(spec, &HashMap::new()).unwrap();
    Arc::clone(&plan.sinks()[0])
}

fn start(endpoint: &str) -> SinkHandle {
    let (back, _) = broadcast::channel(4);
    SinkHandle::start(Start {
        sink: sink(endpoint),
        plan: Arc::new(ArcSwap::from_pointee(Plan::empty())),
        observer: Arc::new(Deaf),
        settings: Arc::new(Settings::default()),
        back,
    })
}

fn begin(key: u64) -> Box<Begin> {
    let binding = pb::Binding {
        name: "binding".into(),
        ..pb::Binding::default()
    };
    Box::new(Begin {
        opening: Opening {
            scope: pb::Scope::InboundSession,
            binding: Arc::new(WireBinding::new(1, &binding)),
            limits: Arc::default(),
            snapshot: EncodedSnapshot::default(),
            reopened_count: 0,
            trace_parent: String::new(),
            trace_state: String::new(),
            message: None,
            subject: Arc::from("session 1"),
            tag: key,
        },
        replayed: Vec::new(),
        bulky: false,
        avoid: None,
    })
}

fn asking(key: u64, answers: &Arc<Answers<super::Answer>>) -> Asking {
    let event = pb::Event {
        kind: Some(pb::event::Kind::InboundConnect(pb::InboundConnect {})),
        ..pb::Event::default()
    };
    Asking {
        key,
        question: Question {
            event: EncodedEvent::new(EventKind::InboundConnect, &event).unwrap(),
            deadline: Deadline::At(Instant::now() + Duration::from_secs(5)),
            attempt: 0,
            ask_reason: pb::AskReason::Happened,
            content: None,
            attributes: Bytes::new(),
            trace_parent: String::new(),
            message: None,
            tag: key,
        },
        shown: None,
        answers: Arc::clone(answers),
        ticket: Ticket {
            member: usize::try_from(key).unwrap(),
            attempt: 1,
        },
    }
}

async fn heard(answers: &Answers<super::Answer>) -> super::Answer {
    tokio::time::timeout(Duration::from_secs(5), answers.take())
        .await
        .unwrap()
}

#[tokio::test]
async fn questions_wait_for_the_first_connection_and_are_answered() {
    let handle = start(&serve().await);
    let answers = Arc::new(Answers::new());
    let attached = Arc::new(Attached::new(1, None));
    for (number, begin) in [(1, Some(begin(1))), (2, None)] {
        let ask = Ask {
            attached: Arc::clone(&attached),
            begin,
            told: Vec::new(),
            questions: vec![asking(number, &answers)],
            careful: false,
            again: None,
        };
        handle.send(Command::Ask(Box::new(ask))).unwrap();
    }
    for number in [1, 2] {
        let answer = heard(&answers).await;
        assert_eq!(answer.ticket.member, number);
        assert!(matches!(answer.heard, Heard::Verdict(_)));
    }
    assert_eq!(handle.open_questions(), 0);
    assert!(handle.is_used());
}

#[tokio::test]
async fn an_instance_that_was_never_opened_is_gone() {
    let handle = start(&serve().await);
    let answers = Arc::new(Answers::new());
    let ask = Ask {
        attached: Arc::new(Attached::new(7, None)),
        begin: None,
        told: Vec::new(),
        questions: vec![asking(1, &answers)],
        careful: false,
        again: None,
    };
    handle.send(Command::Ask(Box::new(ask))).unwrap();
    assert!(matches!(heard(&answers).await.heard, Heard::Gone));
}

#[tokio::test]
async fn where_nobody_listens_the_question_fails_as_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let handle = start(&endpoint);
    let answers = Arc::new(Answers::new());
    let ask = Ask {
        attached: Arc::new(Attached::new(1, None)),
        begin: Some(begin(1)),
        told: Vec::new(),
        questions: vec![asking(1, &answers)],
        careful: false,
        again: None,
    };
    handle.send(Command::Ask(Box::new(ask))).unwrap();
    let Heard::Failed { fault, .. } = heard(&answers).await.heard else {
        panic!("not failed");
    };
    assert_eq!(
        fault.kind,
        postern_events::fault::FaultKind::Unreachable,
        "{fault}"
    );
}
