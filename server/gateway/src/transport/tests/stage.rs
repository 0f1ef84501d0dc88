//! What the tests play on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use postern_dispatch::budget::Budget;
use postern_dispatch::content::Content;
use postern_dispatch::event::EventKind;
use postern_dispatch::exchange::MessageRuling;
use postern_dispatch::transport::DeliveryResult;
use postern_message::{Draft, Message};
use postern_spool::{Due, Embedded, NewMessage, Options, Stage, StageCounts, StoreDriver, StoredMessage};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::delivery::tests::message;
use crate::delivery::tests::peer::Peer;
use crate::delivery::{BoxFuture, Destination, Hop, HopAddress, opportunistic};
use crate::runtime::shutdown::Shutdown;
use crate::transport::{Case, Clock, Handle, HeldRefusal, Judge, Routes, Schedule, Settings, Transport};

pub(super) const MAIL: &[u8] = b"Subject: x\r\nMessage-ID: <1@sender.test>\r\n\r\nText\r\n";

/// A transport core at work.
pub(super) struct Play {
    pub(super) store: Arc<Embedded>,
    pub(super) handle: Handle,
    pub(super) clock: Arc<Virtual>,
    pub(super) judge: Arc<Script>,
    shutdown: Shutdown,
    tasks: JoinSet<()>,
    folder: tempfile::TempDir,
}

/// The time of day, moved by the clock of the test runtime.
pub(super) struct Virtual {
    start: Instant,
    epoch: SystemTime,
}

impl Clock for Virtual {
    fn now(&self) -> SystemTime {
        self.epoch + self.start.elapsed()
    }
}

/// Says what a test makes it say.
type Answer = Box<dyn Fn(&Message, &Asked) -> MessageRuling + Send + Sync>;

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) event: EventKind,
    pub(super) from: Option<String>,
    pub(super) attempt: u32,
}

/// A judge for tests. Without an answer nothing is bound.
#[derive(Default)]
pub(super) struct Script {
    answer: Option<Answer>,
    pub(super) asked: Mutex<Vec<Asked>>,
    pub(super) told: Mutex<Vec<DeliveryResult>>,
}

impl Script {
    pub(super) fn new(answer: impl Fn(&Message, &Asked) -> MessageRuling + Send + Sync + 'static) -> Self {
        Self { answer: Some(Box::new(answer)), ..Self::default() }
    }
}

/// A judge that can be reached from its cases.
struct Shared(Arc<Script>);

struct OneCase {
    script: Arc<Script>,
    message: Message,
}

impl Judge for Shared {
    fn begin(&self, message: &Message, content: Arc<dyn Content>) -> Box<dyn Case> {
        assert!(content.end().unwrap().complete);
        Box::new(OneCase { script: Arc::clone(&self.0), message: message.clone() })
    }

    fn listens(&self, _server: &str, _event: EventKind) -> bool {
        self.0.answer.is_some()
    }
}

impl OneCase {
    fn ask(&self, event: EventKind, from: Option<&str>, attempt: u32) -> BoxFuture<'static, MessageRuling> {
        let asked = Asked { event, from: from.map(str::to_owned), attempt };
        let ruling = self.script.answer.as_ref().unwrap()(&self.message, &asked);
        self.script.asked.lock().push(asked);
        Box::pin(std::future::ready(ruling))
    }
}

impl Case for OneCase {
    fn submit(&self, _budget: &Budget, from: Option<&str>, attempt: u32) -> BoxFuture<'static, MessageRuling> {
        self.ask(EventKind::TransportSubmit, from, attempt)
    }

    fn redo_inbound(
        &self,
        _budget: &Budget,
        event: EventKind,
        from: &str,
        attempt: u32,
    ) -> BoxFuture<'static, MessageRuling> {
        self.ask(event, Some(from), attempt)
    }

    fn tell(&self, result: DeliveryResult) {
        self.script.told.lock().push(result);
    }
}

pub(super) fn draft(message: &Message) -> Draft {
    Draft {
        envelope: message.envelope.clone(),
        recipients: message.recipients.clone(),
        properties: message.properties.clone(),
        session_properties: message.session_properties.clone(),
        version: Some(message.version.clone()),
    }
}

fn settings() -> Settings {
    let hop = |host: &str| {
        Destination::Hop(Hop { lmtp: false, address: HopAddress::Tcp(host.to_owned(), 25) })
    };
    let mut routes = Routes::new(None);
    routes.add("example.test", hop("one.test"));
    routes.add("example.org", hop("two.test"));
    routes.add("sender.test", hop("three.test"));
    Settings {
        hostname: "mx.test".to_owned(),
        hostnames: HashMap::new(),
        routes,
        schedule: Schedule::new(vec![Duration::from_secs(300), Duration::from_secs(900)], Duration::from_secs(7200)),
        command_timeout: Duration::from_secs(300),
        data_timeout: Duration::from_secs(600),
        connections_per_destination: 4,
        submit_budget: Duration::from_secs(3600),
        held_refusals: HashMap::from([("dropper".to_owned(), HeldRefusal::Discard)]),
        messages_in_memory: 64,
    }
}

impl Play {
    pub(super) fn new(peer: &Peer, judge: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::in_folder(folder, peer, judge)
    }

    fn in_folder(folder: tempfile::TempDir, peer: &Peer, judge: Script) -> Self {
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let clock = Arc::new(Virtual { start: Instant::now(), epoch });
        let options = Options { path: folder.path().to_owned(), min_free: 0 };
        let store = Arc::new(Embedded::open(&options, epoch).unwrap());
        let judge = Arc::new(judge);
        let shutdown = Shutdown::new();
        let transport = Transport::new(
            settings(),
            Arc::clone(&store) as Arc<dyn StoreDriver>,
            Arc::new(peer.clone()),
            opportunistic().unwrap(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            2,
        );
        let handle = transport.handle(0);
        let mut tasks = JoinSet::new();
        for worker in transport.workers {
            let judge: Arc<dyn Judge> = Arc::new(Shared(Arc::clone(&judge)));
            tasks.spawn(worker.run(judge, shutdown.clone()));
        }
        tasks.spawn(transport.scanner.run(shutdown.clone()));
        Self { store, handle, clock, judge, shutdown, tasks, folder }
    }

    /// Ends the core, and starts another on the same spool. The clock goes on.
    pub(super) async fn restart(mut self, peer: &Peer) -> Self {
        self.shutdown.now();
        while self.tasks.join_next().await.is_some() {}
        drop(self.handle);
        let clock = self.clock;
        drop(self.store);
        let mut next = Self::in_folder(self.folder, peer, Script::default());
        // Both count from the same epoch, so that due times in the spool keep their meaning.
        next.shutdown.now();
        while next.tasks.join_next().await.is_some() {}
        let judge: Arc<dyn Judge> = Arc::new(Shared(Arc::clone(&next.judge)));
        next.shutdown = Shutdown::new();
        let transport = Transport::new(
            settings(),
            Arc::clone(&next.store) as Arc<dyn StoreDriver>,
            Arc::new(peer.clone()),
            opportunistic().unwrap(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            1,
        );
        next.handle = transport.handle(0);
        for worker in transport.workers {
            next.tasks.spawn(worker.run(Arc::clone(&judge), next.shutdown.clone()));
        }
        next.tasks.spawn(transport.scanner.run(next.shutdown.clone()));
        next.clock = clock;
        next
    }

    /// Commits a message and hands it over, as the front end does.
    pub(super) async fn accept(&self, recipients: &[&str]) -> Arc<Message> {
        self.accept_at(Stage::Submit { from_binding: None }, recipients, |_| {}).await
    }

    pub(super) async fn accept_at(
        &self,
        stage: Stage,
        recipients: &[&str],
        change: impl FnOnce(&mut Message),
    ) -> Arc<Message> {
        let content = Bytes::from_static(MAIL);
        let mut message = message(&content, recipients, self.clock.now());
        change(&mut message);
        let message = Arc::new(message);
        let mut incoming = self.store.begin().unwrap();
        incoming.write(content).await.unwrap();
        let body = incoming.finish().await.unwrap();
        let due = Due::At(self.clock.now());
        let new = NewMessage { message: Arc::clone(&message), body: body.clone(), stage: stage.clone(), due };
        self.store.commit(new).await.unwrap();
        self.handle.accept(StoredMessage { message: Arc::clone(&message), stage, due, content: body.reader() });
        message
    }

    /// Waits until `done`, for two days at most.
    pub(super) async fn until(&self, what: &str, mut done: impl FnMut(&StageCounts) -> bool) -> Duration {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(48 * 3600) {
            if done(&self.store.counts().await.unwrap()) {
                return start.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what} never came: {:?}", self.store.counts().await.unwrap());
    }

    /// Waits until the spool is empty.
    pub(super) async fn until_empty(&self) -> Duration {
        self.until("an empty spool", |counts| *counts == StageCounts::default()).await
    }
}
