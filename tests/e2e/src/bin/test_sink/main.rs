//! A sink on bare stubs that does what a test says: also hang, lie, break off, or flood.
//!
//! `test-sink --listen 127.0.0.1:7001 --on rcpt=reject --on message=hang`; what no `--on` names is
//! answered with Proceed. `--on command:NOOP=reject` is for the events whose subject (verb, address)
//! contains the text after the colon; the first rule that fits decides. Each event is written to
//! standard output as it comes and as it is answered:
//! `MICROSECONDS asked|told|answered|cancelled INSTANCE EVENT NAME DETAIL`.

mod action;
mod event;
mod facts;
mod outgoing;
mod routers;
mod stores;
mod verdict;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use postern_proto::v1;
use postern_proto::v1::attach_request::Kind as FromGateway;
use postern_proto::v1::attach_response::Kind as FromSink;
use postern_proto::v1::event_sink_server::{EventSink, EventSinkServer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::action::{Action, Breach, Rule};
use crate::event::Known;

#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// What to do: EVENT=ACTION or EVENT:SUBJECT=ACTION, the event without its group.
    #[arg(long = "on", value_parser = action::parse)]
    rules: Vec<Rule>,
    /// The name that it gives itself.
    #[arg(long, default_value = "test-sink")]
    name: String,
    /// How many instances a stream may carry at a time.
    #[arg(long, default_value_t = 1)]
    instances: u32,
    /// It changes something outside.
    #[arg(long)]
    side_effects: bool,
    /// Show with each event all that is known of session, conduct and transaction, as KEY=VALUE.
    #[arg(long)]
    facts: bool,
    /// Writes Describe calls (`described`), streams that begin (`attached`) and that are refused (`shed`) too, and names the
    /// sender of a message.
    #[arg(long)]
    verbose: bool,
    /// Streams that a connection may have at a time, by the server's settings.
    #[arg(long)]
    streams: Option<u32>,
    /// Streams beyond so many at a time are refused as unavailable.
    #[arg(long)]
    shed_over: Option<usize>,
    /// Has a health service. SIGUSR1: it does not serve; SIGUSR2: it serves again.
    #[arg(long)]
    health: bool,
    /// Certificate in PEM: serve over TLS.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key in PEM.
    #[arg(long)]
    key: Option<PathBuf>,
    /// Certificates in PEM that the gateway's own certificate has to lead to.
    #[arg(long)]
    client_ca: Option<PathBuf>,
}

#[derive(Clone, Debug)]
struct TestSink {
    name: String,
    rules: Arc<Vec<Rule>>,
    instances: u32,
    side_effects: bool,
    facts: bool,
    verbose: bool,
    shed_over: Option<usize>,
    open: Arc<AtomicUsize>,
}

impl TestSink {
    fn tell(&self, what: &str) {
        if self.verbose {
            log(what, 0, 0, "-", "");
        }
    }
}

type Answers = mpsc::Sender<Result<v1::AttachResponse, Status>>;

#[tonic::async_trait]
impl EventSink for TestSink {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::AttachResponse, Status>> + Send>>;

    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        self.tell("described");
        Ok(Response::new(v1::DescribeResponse {
            name: self.name.clone(),
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
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if self.shed_over.is_some_and(|most| open >= most) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.tell("shed");
            return Err(Status::unavailable("no more streams, as the test says"));
        }
        self.tell("attached");
        let (answers, out) = mpsc::channel(64);
        let sink = self.clone();
        tokio::spawn(async move {
            serve(sink.clone(), request.into_inner(), answers).await;
            sink.open.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(out))))
    }
}

/// A question in hand.
struct Question {
    instance: u64,
    event_id: u64,
    name: &'static str,
    /// The answer, if the action has one.
    verdict: v1::Verdict,
}

async fn serve(sink: TestSink, mut frames: Streaming<v1::AttachRequest>, answers: Answers) {
    let mut instances: HashMap<u64, Known> = HashMap::new();
    while let Some(Ok(frame)) = frames.next().await {
        let event = match frame.kind {
            Some(FromGateway::OpenInstance(open)) => {
                instances.insert(frame.instance_id, Known::open(&open));
                continue;
            }
            Some(FromGateway::CloseInstance(_)) => {
                instances.remove(&frame.instance_id);
                continue;
            }
            Some(FromGateway::Event(event)) => event,
            Some(FromGateway::Cancel(cancel)) => {
                let why = cancel.reason().as_str_name();
                log(
                    "cancelled",
                    frame.instance_id,
                    cancel.event_id,
                    "cancel",
                    why,
                );
                continue;
            }
            Some(FromGateway::Heartbeat(heartbeat)) => {
                let frame = v1::AttachResponse {
                    instance_id: 0,
                    kind: Some(FromSink::Heartbeat(heartbeat)),
                };
                // The gateway may have gone: then there is nobody to tell.
                answers.send(Ok(frame)).await.ok();
                continue;
            }
            _ => continue,
        };
        let known = instances.entry(frame.instance_id).or_default();
        known.update(&event);
        let name = event::name(&event);
        let asked = event.deadline.is_some();
        let mut detail = event::detail(&event, known, sink.facts);
        if sink.verbose && matches!(name, "message" | "headers" | "submit") {
            detail = format!("from={} {detail}", known.sender)
                .trim_end()
                .to_owned();
        }
        let what = if asked { "asked" } else { "told" };
        log(what, frame.instance_id, event.event_id, name, &detail);
        if !asked {
            continue;
        }
        let action = action::choose(&sink.rules, name, &detail);
        if action == Action::Close {
            return;
        }
        let question = Question {
            instance: frame.instance_id,
            event_id: event.event_id,
            name,
            verdict: verdict::verdict(&action, &event, known),
        };
        let task = answer(action, question, answers.clone());
        // Several instances on a stream are told apart; one is served in its turn.
        if sink.instances > 1 {
            tokio::spawn(task);
        } else {
            task.await;
        }
    }
}

async fn answer(action: Action, question: Question, answers: Answers) {
    let event_id = question.event_id;
    let mut verdict = question.verdict;
    let mut times = 1;
    match &action {
        Action::Delay(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Action::Progress => return progress(question.instance, event_id, &answers).await,
        Action::Hang => return std::future::pending().await,
        Action::Crash => process::exit(70),
        Action::Undecided => verdict.decision = None,
        Action::OtherEvent => verdict.event_id = event_id + 1000,
        Action::Twice => times = 2,
        Action::Flood => times = u64::MAX,
        Action::AddHeader(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        _ => {}
    }
    log("answered", question.instance, event_id, question.name, "");
    let verdict = FromSink::Verdict(Box::new(verdict));
    let frames = match action {
        Action::Fault => vec![FromSink::Fault(v1::Fault {
            event_id,
            kind: v1::FaultKind::SinkError.into(),
            detail: "as the test says".to_owned(),
        })],
        Action::Overload => vec![FromSink::Fault(v1::Fault {
            event_id,
            kind: v1::FaultKind::Overload.into(),
            detail: "as the test says".to_owned(),
        })],
        Action::Breach(Breach::LateReady) => vec![verdict, breach(Breach::LateReady)],
        Action::Breach(Breach::NoInstance) => vec![verdict],
        Action::Breach(Breach::Empty) => Vec::new(),
        Action::Breach(kind) => vec![breach(kind), verdict],
        _ => vec![verdict],
    };
    let instance_id = match action {
        Action::Breach(Breach::NoInstance) => question.instance + 1_000_000,
        _ => question.instance,
    };
    let mut frames: Vec<_> = frames.into_iter().map(Some).collect();
    if frames.is_empty() {
        frames.push(None);
    }
    for kind in (0..times).flat_map(|_| frames.clone()) {
        let frame = v1::AttachResponse { instance_id, kind };
        // The gateway may have gone: then there is nobody to tell.
        if answers.send(Ok(frame)).await.is_err() {
            return;
        }
    }
}

/// Says again and again that it is still at work.
async fn progress(instance_id: u64, event_id: u64, answers: &Answers) {
    loop {
        let kind = Some(FromSink::Progress(v1::Progress {
            event_id,
            ..Default::default()
        }));
        let frame = v1::AttachResponse { instance_id, kind };
        if answers.send(Ok(frame)).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A frame that breaks the protocol.
fn breach(breach: Breach) -> FromSink {
    match breach {
        Breach::DoneWithOther => FromSink::Done(v1::Done {
            kind: Some(v1::done::Kind::MessageId(vec![7; 16].into())),
        }),
        Breach::DoneUnset => FromSink::Done(v1::Done { kind: None }),
        Breach::ReadyForOther | Breach::LateReady | Breach::NoInstance | Breach::Empty => {
            FromSink::Ready(v1::Ready {
                events: vec![v1::EventInterest {
                    event: v1::EventKind::DeliveryTrack.into(),
                    ..Default::default()
                }],
            })
        }
    }
}

fn log(what: &str, instance: u64, event: u64, name: &str, detail: &str) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    println!(
        "{} {what} {instance} {event} {name} {detail}",
        now.as_micros()
    );
}

/// A health service that says what the signals say.
async fn health() -> std::io::Result<HealthServer<HealthService>> {
    let reporter = HealthReporter::new();
    let service = HealthService::from_health_reporter(reporter.clone());
    reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    let mut stops = signal(SignalKind::user_defined1())?;
    let mut serves = signal(SignalKind::user_defined2())?;
    tokio::spawn(async move {
        loop {
            let status = tokio::select! {
                Some(()) = stops.recv() => ServingStatus::NotServing,
                Some(()) = serves.recv() => ServingStatus::Serving,
                else => return,
            };
            reporter.set_service_status("", status).await;
        }
    });
    Ok(HealthServer::new(service))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut server = Server::builder();
    if let (Some(certificate), Some(key)) = (&arguments.certificate, &arguments.key) {
        let own = Identity::from_pem(std::fs::read(certificate)?, std::fs::read(key)?);
        let mut tls = ServerTlsConfig::new().identity(own);
        if let Some(ca) = &arguments.client_ca {
            tls = tls.client_ca_root(Certificate::from_pem(std::fs::read(ca)?));
        }
        server = server.tls_config(tls)?;
    }
    let sink = TestSink {
        name: arguments.name,
        rules: Arc::new(arguments.rules),
        instances: arguments.instances,
        side_effects: arguments.side_effects,
        facts: arguments.facts,
        verbose: arguments.verbose,
        shed_over: arguments.shed_over,
        open: Arc::default(),
    };
    if let Some(most) = arguments.streams {
        server = server.max_concurrent_streams(most);
    }
    let health = match arguments.health {
        true => Some(health().await?),
        false => None,
    };
    // Small frames leave at once: times are measured with this sink.
    let incoming = TcpIncoming::bind(arguments.listen)?.with_nodelay(Some(true));
    server
        .add_service(EventSinkServer::new(sink))
        .add_optional_service(health)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
