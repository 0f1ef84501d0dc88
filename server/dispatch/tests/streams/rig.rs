//! A gateway's side of the table: plans, sessions, messages, and an observer that remembers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use postern_dispatch::content::{BoxFuture, Content, ContentEnd};
use postern_dispatch::dispatcher::Dispatcher;
use postern_dispatch::exchange::IncomingMessage;
use postern_dispatch::inbound::InboundScope;
use postern_dispatch::observer::{Observer, Record, What};
use postern_dispatch::settings::Settings;
use postern_events::budget::Budget;
use postern_events::context::{Client, CommandLine, SessionContext};
use postern_events::inbound::{Command, Data, Handling, Helo, Mail, Rcpt};
use postern_events::plan::{
    Ask, BindingSpec, BodyDepth, Pin, Plan, PlanSpec, ServerSpec, SinkSpec, Timeouts,
};
use postern_events::recipient_kind::RecipientKind;
use postern_message::{Envelope, HeaderLimits, HeaderParser, MessageId, Recipient};
use postern_smtp::address::{ForwardPath, ReversePath};
use tokio::sync::Notify;

use crate::sink::TestSink;

/// Time-out of a binding where a test does not say.
pub const PATIENCE: Duration = Duration::from_millis(2000);

/// What was observed, in words.
#[derive(Default)]
pub struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    pub fn count(&self, word: &str) -> usize {
        self.all()
            .iter()
            .filter(|note| note.starts_with(word))
            .count()
    }
}

impl Observer for Notes {
    fn observe(&self, record: &Record<'_>) {
        let word = match record.what {
            What::Asked { again, .. } => if again { "asked-again" } else { "asked" }.to_owned(),
            What::Told => "told".to_owned(),
            What::Answered { decision, .. } => format!("answered {}", decision.name()),
            What::Failed { fault, .. } => format!("failed {fault}"),
            What::Skipped { .. } => "skipped".to_owned(),
            What::NotReached { because } => format!("not-reached {because}"),
            What::Ruled { decision, .. } => format!("ruled {}", decision.name()),
            What::Late => "late".to_owned(),
            What::Dropped { count } => format!("dropped {count}"),
            What::ReplicaUp { .. } => "up".to_owned(),
            What::ReplicaDown { fault, .. } => format!("down {fault}"),
            What::AsksForMore { what } => format!("asks-for-more {what}"),
            What::ContractBroken { fault } => format!("broke {} {fault}", record.detail),
            What::Acted { deed, status, .. } => format!("acted {deed} {}", status.name()),
            What::GoingAway { reason, .. } => format!("going-away {reason}"),
            What::Stalled => "stalled".to_owned(),
            What::TlsFiles { broken } => format!("files {}", broken.unwrap_or("well")),
            What::SinkReachable => "reachable".to_owned(),
            What::SinkUnreachable { .. } => "unreachable".to_owned(),
        };
        self.0.lock().push(word);
    }
}

/// A dispatcher with a plan.
pub struct Rig {
    pub dispatcher: Dispatcher,
    pub notes: Arc<Notes>,
}

/// A binding to a test sink.
pub struct Bound<'a> {
    pub endpoints: Vec<String>,
    pub events: &'a [&'a str],
    pub reads: &'a [&'a str],
    pub may: &'a [&'a str],
    pub body: BodyDepth,
    pub timeout: Duration,
    /// When it is asked, by event; at once where nothing is said.
    pub ask: &'a [(&'a str, Ask)],
    /// Name of the program whose description was accepted.
    pub accepted: Option<&'a str>,
}

impl<'a> Bound<'a> {
    pub fn to(sink: &TestSink, events: &'a [&'a str]) -> Self {
        Self {
            endpoints: vec![sink.endpoint.clone()],
            events,
            reads: &[],
            may: &[],
            body: BodyDepth::None,
            timeout: PATIENCE,
            ask: &[],
            accepted: None,
        }
    }
}

impl Rig {
    pub fn new(bound: Vec<Bound<'_>>) -> Self {
        Self::tuned(bound, Settings::default())
    }

    pub fn tuned(bound: Vec<Bound<'_>>, settings: Settings) -> Self {
        let words = |list: &[&str]| {
            list.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let mut spec = PlanSpec {
            servers: vec![ServerSpec::new("mx")],
            ..PlanSpec::default()
        };
        let mut pins = HashMap::new();
        for (number, one) in bound.into_iter().enumerate() {
            if let Some(name) = one.accepted {
                let pin = Pin {
                    name: name.to_owned(),
                    version: "1".to_owned(),
                    events: Vec::new(),
                    reads: Vec::new(),
                    may: Vec::new(),
                    side_effects: false,
                    repeatable: false,
                    users: Vec::new(),
                    ..Pin::default()
                };
                pins.insert(format!("binding{number}"), pin);
            }
            spec.sinks.push(SinkSpec {
                name: format!("sink{number}"),
                endpoints: one.endpoints,
                ..SinkSpec::default()
            });
            spec.bindings.push(BindingSpec {
                events: Some(words(one.events)),
                reads: Some(words(one.reads)),
                may: Some(words(one.may)),
                body: Some(one.body),
                timeouts: Timeouts::uniform(one.timeout),
                ask: one
                    .ask
                    .iter()
                    .map(|(event, ask)| (Some((*event).to_owned()), *ask))
                    .collect(),
                ..BindingSpec::new(format!("binding{number}"), format!("sink{number}"))
            });
        }
        let plan = Plan::build(spec, &pins).unwrap();
        let notes = Arc::new(Notes::default());
        let observer: Arc<dyn Observer> = notes.clone();
        let dispatcher = Dispatcher::new(Arc::new(ArcSwap::from_pointee(plan)), observer, settings);
        Self { dispatcher, notes }
    }

    /// Connects to all sinks and waits until so many can be used.
    pub async fn connected(&self, replicas: usize) {
        self.dispatcher.warm_up();
        while self.notes.count("up") < replicas {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn session(&self) -> InboundScope {
        self.dispatcher.begin_session(session())
    }
}

pub fn session() -> SessionContext {
    let client = Client {
        address: Some(std::net::IpAddr::from([192, 0, 2, 1])),
        port: 4321,
        ..Client::default()
    };
    SessionContext::new(
        Arc::from("mx"),
        Arc::from("mx.example.test"),
        client,
        SystemTime::now(),
    )
}

pub fn budget() -> Budget {
    Budget::starting(Instant::now(), Duration::from_secs(20))
}

pub fn line(text: &'static str) -> CommandLine {
    let verb = text.split(' ').next().unwrap();
    CommandLine {
        verb: Bytes::from_static(verb.as_bytes()),
        line: Bytes::from_static(text.as_bytes()),
        pipelined: false,
    }
}

pub fn data() -> Data {
    Data {
        command: line("DATA"),
    }
}

pub fn mail() -> Mail {
    Mail {
        message_id: MessageId::new(),
        envelope: Envelope::new(ReversePath::parse(b"<a@example.test>", false).unwrap()),
        command: line("MAIL FROM:<a@example.test>"),
        parameters: Vec::new(),
    }
}

pub fn rcpt(address: &str) -> Rcpt {
    let path = ForwardPath::parse(format!("<{address}>").as_bytes(), false).unwrap();
    Rcpt {
        recipient: Recipient::new(path),
        recipient_kind: RecipientKind::Hosted,
        duplicate_of: None,
        command: line("RCPT"),
        parameters: Vec::new(),
    }
}

/// A session with a transaction that has one recipient.
pub async fn with_recipient(scope: &InboundScope) -> MessageId {
    let mail = mail();
    let id = mail.message_id;
    scope.mail(mail, &budget()).await;
    scope.note_mail();
    let rcpt = rcpt("b@example.test");
    let recipient = rcpt.recipient.id;
    scope.rcpt(rcpt, &budget()).await;
    scope.note_rcpt(recipient, true);
    id
}

pub const HEADER: &[u8] = b"Subject: hello\r\nX-One: 1\r\n\r\n";

/// Content that grows while the test wants it to.
pub struct Growing {
    octets: Mutex<Vec<u8>>,
    end: Mutex<Option<ContentEnd>>,
    changed: Notify,
    /// Octets that were read.
    pub read: AtomicU64,
}

impl Growing {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            octets: Mutex::new(HEADER.to_vec()),
            end: Mutex::new(None),
            changed: Notify::new(),
            read: AtomicU64::new(0),
        })
    }

    pub fn grow(&self, more: &[u8]) {
        self.octets.lock().extend_from_slice(more);
        self.changed.notify_waiters();
    }

    pub fn finish(&self) {
        let size_bytes = self.octets.lock().len() as u64;
        *self.end.lock() = Some(ContentEnd {
            complete: true,
            size_bytes,
            sha256: Some([1; 32]),
            body_sha256: Some([2; 32]),
        });
        self.changed.notify_waiters();
    }
}

impl Content for Growing {
    fn read_at(&self, offset: u64, max: usize) -> BoxFuture<'_, io::Result<Bytes>> {
        let octets = self.octets.lock();
        let start = (offset as usize).min(octets.len());
        let stop = (start + max).min(octets.len());
        let part = Bytes::copy_from_slice(&octets[start..stop]);
        self.read.fetch_add(part.len() as u64, Ordering::Relaxed);
        Box::pin(async move { Ok(part) })
    }

    fn available(&self) -> u64 {
        self.octets.lock().len() as u64
    }

    fn wait_beyond(&self, offset: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if self.available() > offset || self.end().is_some() {
                    return;
                }
                changed.await;
            }
        })
    }

    fn end(&self) -> Option<ContentEnd> {
        *self.end.lock()
    }
}

pub fn incoming(message_id: MessageId, content: &Arc<Growing>) -> IncomingMessage {
    let headers = HeaderParser::new(HeaderLimits::default())
        .feed(HEADER)
        .unwrap()
        .unwrap();
    let content: Arc<dyn Content> = content.clone();
    IncomingMessage {
        message_id,
        headers,
        content,
    }
}

pub fn helo() -> Helo {
    Helo {
        command: line("EHLO client.test"),
        helo: greeting(),
    }
}

pub fn greeting() -> postern_events::context::Helo {
    postern_events::context::Helo {
        verb: Bytes::from_static(b"EHLO"),
        name: Bytes::from_static(b"client.test"),
    }
}

pub fn command(text: &'static str) -> Command {
    Command {
        command: line(text),
        handling: Handling::Inert,
        dialogue_input: None,
    }
}
