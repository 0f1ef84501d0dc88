//! A sink on bare stubs that does what a test says: also hang, lie, break off, or flood.
//!
//! `test-sink --listen 127.0.0.1:7001 --on rcpt=reject --on message=hang`; what no `--on` names is
//! answered with Proceed. Each event is written to standard output as it comes and as it is
//! answered: `MICROSECONDS asked|answered INSTANCE EVENT NAME`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use postern_proto::v1::attach_request::Kind as FromGateway;
use postern_proto::v1::attach_response::Kind as FromSink;
use postern_proto::v1::decision::Kind as Decided;
use postern_proto::v1::event::Kind as Happened;
use postern_proto::v1::event_sink_server::{EventSink, EventSinkServer};
use postern_proto::v1::{self};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming, transport::Server};

#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// What to do: EVENT=ACTION, the event without its group.
    #[arg(long = "on", value_parser = parse_rule)]
    rules: Vec<(String, Action)>,
    /// How many instances a stream may carry at a time.
    #[arg(long, default_value_t = 1)]
    instances: u32,
    /// It changes something outside.
    #[arg(long)]
    side_effects: bool,
}

/// What to do when an event comes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    /// No objection.
    Proceed,
    /// 550, at once; at `message` that is while the content still arrives.
    Reject,
    /// 451, at once.
    Tempfail,
    /// 250, and dropped.
    Discard,
    /// 250, and kept for a person.
    Quarantine,
    /// 250, and asked again.
    Hold,
    /// 421.
    Disconnect,
    /// No objection, after so many milliseconds.
    Delay(u64),
    /// Never an answer.
    Hang,
    /// The stream ends.
    Close,
    /// The process ends.
    Crash,
    /// A verdict without decision.
    Undecided,
    /// A verdict for an event that was never asked.
    OtherEvent,
    /// Two verdicts.
    Twice,
    /// A refusal whose code says something else.
    Contradiction,
    /// A reply text that tries to be two replies.
    Injection,
    /// Verdicts without end.
    Flood,
    /// A header field put in front, with this name and the value `seen`, after 200 ms.
    AddHeader(String),
}

fn parse_rule(text: &str) -> Result<(String, Action), String> {
    let (event, action) = text.split_once('=').ok_or("EVENT=ACTION is due")?;
    let (name, argument) = action.split_once(':').unwrap_or((action, ""));
    let action = match name {
        "proceed" => Action::Proceed,
        "reject" => Action::Reject,
        "tempfail" => Action::Tempfail,
        "discard" => Action::Discard,
        "quarantine" => Action::Quarantine,
        "hold" => Action::Hold,
        "disconnect" => Action::Disconnect,
        "delay" => Action::Delay(argument.parse().map_err(|e| format!("{argument}: {e}"))?),
        "hang" => Action::Hang,
        "close" => Action::Close,
        "crash" => Action::Crash,
        "undecided" => Action::Undecided,
        "other-event" => Action::OtherEvent,
        "twice" => Action::Twice,
        "contradiction" => Action::Contradiction,
        "injection" => Action::Injection,
        "flood" => Action::Flood,
        "add-header" => Action::AddHeader(argument.to_owned()),
        _ => return Err(format!("no such action: {name}")),
    };
    Ok((event.to_owned(), action))
}

#[derive(Clone, Debug)]
struct TestSink {
    rules: Arc<HashMap<String, Action>>,
    instances: u32,
    side_effects: bool,
}

type Answers = mpsc::Sender<Result<v1::AttachResponse, Status>>;

#[tonic::async_trait]
impl EventSink for TestSink {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::AttachResponse, Status>> + Send>>;

    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Ok(Response::new(v1::DescribeResponse {
            name: "test-sink".to_owned(),
            version: "1".to_owned(),
            protocol_version: 1,
            instances_per_stream: self.instances,
            side_effects: self.side_effects,
            ..Default::default()
        }))
    }

    async fn attach(
        &self,
        request: Request<Streaming<v1::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (answers, out) = mpsc::channel(64);
        tokio::spawn(serve(self.clone(), request.into_inner(), answers));
        Ok(Response::new(Box::pin(ReceiverStream::new(out))))
    }
}

async fn serve(sink: TestSink, mut frames: Streaming<v1::AttachRequest>, answers: Answers) {
    while let Some(Ok(frame)) = frames.next().await {
        let Some(FromGateway::Event(event)) = frame.kind else {
            continue;
        };
        let Some(kind) = &event.kind else {
            continue;
        };
        let name = name(kind);
        log("asked", frame.instance_id, event.event_id, name);
        if event.deadline.is_none() {
            continue;
        }
        let action = sink.rules.get(name).cloned().unwrap_or(Action::Proceed);
        if action == Action::Close {
            return;
        }
        let task = answer(
            action,
            frame.instance_id,
            event.event_id,
            name,
            answers.clone(),
        );
        // Several instances on a stream are told apart; one is served in its turn.
        if sink.instances > 1 {
            tokio::spawn(task);
        } else {
            task.await;
        }
    }
}

async fn answer(action: Action, instance_id: u64, event_id: u64, name: &str, answers: Answers) {
    let mut verdict = v1::Verdict {
        event_id,
        decision: Some(v1::Decision {
            kind: Some(decision(&action)),
        }),
        ..Default::default()
    };
    let mut times = 1;
    match &action {
        Action::Delay(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Action::Hang => return std::future::pending().await,
        Action::Crash => process::exit(70),
        Action::Undecided => verdict.decision = None,
        Action::OtherEvent => verdict.event_id = event_id + 1000,
        Action::Twice => times = 2,
        Action::Flood => times = u64::MAX,
        Action::AddHeader(name) => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            verdict.edits.push(prepend(name));
        }
        _ => {}
    }
    log("answered", instance_id, event_id, name);
    for _ in 0..times {
        let frame = v1::AttachResponse {
            instance_id,
            kind: Some(FromSink::Verdict(verdict.clone())),
        };
        // The gateway may have gone: then there is nobody to tell.
        if answers.send(Ok(frame)).await.is_err() {
            return;
        }
    }
}

fn decision(action: &Action) -> Decided {
    let reply = |code: u32, enhanced: &'static str, text: &'static str| {
        Some(v1::Reply {
            code,
            enhanced_code: enhanced.into(),
            lines: vec![text.into()],
        })
    };
    match action {
        Action::Reject => Decided::Reject(v1::Reject {
            reply: reply(550, "5.7.1", "the sink objects"),
        }),
        Action::Tempfail => Decided::Tempfail(v1::Tempfail {
            reply: reply(451, "4.7.1", "the sink is not sure"),
        }),
        Action::Contradiction => Decided::Reject(v1::Reject {
            reply: reply(250, "2.0.0", "yes and no"),
        }),
        Action::Injection => Decided::Reject(v1::Reject {
            reply: reply(550, "5.7.1", "no\r\n250 2.0.0 yes"),
        }),
        Action::Discard => Decided::Discard(v1::Discard {}),
        Action::Quarantine => Decided::Quarantine(v1::Quarantine {
            reason: "odd".to_owned(),
        }),
        Action::Hold => Decided::Hold(v1::Hold {
            reason: "later".to_owned(),
        }),
        Action::Disconnect => Decided::Disconnect(v1::Disconnect {
            reply: reply(421, "4.7.0", "the sink hangs up"),
        }),
        _ => Decided::Proceed(v1::Proceed {}),
    }
}

fn prepend(name: &str) -> v1::Edit {
    v1::Edit {
        kind: Some(v1::edit::Kind::InsertHeader(v1::InsertHeader {
            place: Some(v1::HeaderPlace {
                kind: Some(v1::header_place::Kind::First(v1::FirstPlace {})),
            }),
            name: name.to_owned().into(),
            value: "seen".into(),
        })),
    }
}

fn name(kind: &Happened) -> &'static str {
    match kind {
        Happened::InboundConnect(_) => "connect",
        Happened::InboundHelo(_) => "helo",
        Happened::InboundTls(_) => "tls",
        Happened::InboundMail(_) => "mail",
        Happened::InboundRcpt(_) => "rcpt",
        Happened::InboundData(_) => "data",
        Happened::InboundHeaders(_) => "headers",
        Happened::InboundMessage(_) => "message",
        Happened::InboundCommand(_) => "command",
        Happened::InboundResponse(_) => "response",
        Happened::InboundOutcome(_) => "outcome",
        Happened::InboundReset(_) => "reset",
        Happened::InboundDisconnect(_) => "disconnect",
        Happened::TransportSubmit(_) => "submit",
        Happened::DeliveryResult(_) => "result",
        _ => "other",
    }
}

fn log(what: &str, instance: u64, event: u64, name: &str) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    println!("{} {what} {instance} {event} {name}", now.as_micros());
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let sink = TestSink {
        rules: Arc::new(arguments.rules.into_iter().collect()),
        instances: arguments.instances,
        side_effects: arguments.side_effects,
    };
    let listener = TcpListener::bind(arguments.listen).await?;
    Server::builder()
        .add_service(EventSinkServer::new(sink))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}
