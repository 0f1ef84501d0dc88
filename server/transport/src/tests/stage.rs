//! What the tests play on.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use postern_dispatch::content::Content;
use postern_dispatch::exchange::MessageRuling;
use postern_dispatch::transport::Attempt;
use postern_events::budget::Budget;
use postern_events::chain::Start;
use postern_events::context::DestinationContext;
use postern_events::delivery;
use postern_events::event::EventKind;
use postern_events::plan::Plan;
use postern_events::ruling::Ruling;
use postern_events::transport::{Resolve, ResolveAnswer};
use postern_message::{Message, MessageId};
use postern_proto::v1::AskReason;
use postern_spool::{
    Backlog, Batch, Claimed, Due, Durable, Embedded, Entry, Filter, FromSender, Health, Lease,
    NewMessage, Options, Page, Purpose, Receiving, Seized, SpoolError, Stage, StageCounts, Store,
    StoredMessage,
};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::shutdown::Shutdown;
use crate::{
    About, Case, Clock, Empty, Handle, HeldRefusal, Judge, Routes, Schedule, Settings, Transport,
};
use postern_delivery::testing::message;
use postern_delivery::testing::peer::Peer;
use postern_delivery::{BoxFuture, Destination, Hop, HopAddress, opportunistic};

pub(super) const MAIL: &[u8] = b"Subject: x\r\nMessage-ID: <1@sender.test>\r\n\r\nText\r\n";

/// A transport core at work.
pub(super) struct Play {
    pub(super) store: Arc<Steady>,
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

/// The spool, while whose threads work the clock of the test runtime stands still: it only knows of its own tasks, and would
/// run ahead.
pub(super) struct Steady {
    store: Arc<Embedded>,
    /// What every commit fails with.
    pub(super) fails: Mutex<Option<fn() -> SpoolError>>,
    /// Messages that cannot be read.
    pub(super) unreadable: Mutex<HashSet<MessageId>>,
    /// How long the next commit waits in the store, whoever waits for it.
    pub(super) stalls: Mutex<Option<Duration>>,
    /// Commits so far.
    pub(super) commits: AtomicUsize,
}

impl Steady {
    async fn on_a_thread<T, F>(&self, call: impl FnOnce(Arc<Embedded>) -> F + Send + 'static) -> T
    where
        F: Future<Output = T>,
        T: Send + 'static,
    {
        let (store, runtime) = (Arc::clone(&self.store), tokio::runtime::Handle::current());
        tokio::task::spawn_blocking(move || runtime.block_on(call(store)))
            .await
            .unwrap()
    }
}

#[async_trait::async_trait]
impl Store for Steady {
    fn receive(&self, purpose: Purpose) -> Result<Receiving, SpoolError> {
        self.store.receive(purpose)
    }

    async fn commit(&self, batch: Batch, leases: &[Lease]) -> Result<Durable, SpoolError> {
        if let Some(failure) = *self.fails.lock() {
            return Err(failure());
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        let stall = self.stalls.lock().take();
        if let Some(stall) = stall {
            // Claims are looked at when a commit is asked for, not when its turn has come.
            if let Some(lost) = self.store.renew(leases).await?.first() {
                return Err(SpoolError::LeaseLost(lost.message));
            }
            let store = Arc::clone(&self.store);
            let queued = tokio::spawn(async move {
                tokio::time::sleep(stall).await;
                store.commit(batch, &[]).await
            });
            return queued.await.unwrap();
        }
        let leases = leases.to_vec();
        self.on_a_thread(move |store| async move { store.commit(batch, &leases).await })
            .await
    }

    async fn claim(
        &self,
        now: SystemTime,
        limit: usize,
        holder: &str,
    ) -> Result<Vec<Claimed>, SpoolError> {
        let holder = holder.to_owned();
        self.on_a_thread(move |store| async move { store.claim(now, limit, &holder).await })
            .await
    }

    fn adopt(&self, id: MessageId, due: SystemTime) -> Option<Lease> {
        self.store.adopt(id, due)
    }

    async fn take(&self, id: MessageId) -> Result<Option<Claimed>, SpoolError> {
        self.on_a_thread(move |store| async move { store.take(id).await })
            .await
    }

    async fn seize(&self, id: MessageId) -> Result<Seized, SpoolError> {
        self.on_a_thread(move |store| async move { store.seize(id).await })
            .await
    }

    async fn used(
        &self,
        owner: &str,
        key: &[u8],
    ) -> Result<Option<postern_spool::UsedKey>, SpoolError> {
        let (owner, key) = (owner.to_owned(), key.to_vec());
        self.on_a_thread(move |store| async move { store.used(&owner, &key).await })
            .await
    }

    async fn senders(&self, limit: usize) -> Result<Vec<FromSender>, SpoolError> {
        self.on_a_thread(move |store| async move { store.senders(limit).await })
            .await
    }

    async fn backlogs(&self, limit: usize) -> Result<Vec<Backlog>, SpoolError> {
        self.on_a_thread(move |store| async move { store.backlogs(limit).await })
            .await
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Lease>, SpoolError> {
        self.store.renew(leases).await
    }

    fn release(&self, lease: Lease, not_before: Option<SystemTime>) {
        self.store.release(lease, not_before);
    }

    async fn next_due(&self) -> Result<Option<SystemTime>, SpoolError> {
        self.on_a_thread(move |store| async move { store.next_due().await })
            .await
    }

    async fn load(&self, id: MessageId) -> Result<Option<StoredMessage>, SpoolError> {
        if self.unreadable.lock().contains(&id) {
            let source = std::io::Error::from_raw_os_error(24);
            return Err(SpoolError::Io {
                what: "reading",
                source,
            });
        }
        self.on_a_thread(move |store| async move { store.load(id).await })
            .await
    }

    async fn put_aside(&self, id: MessageId, why: String) -> Result<Durable, SpoolError> {
        self.on_a_thread(move |store| async move { store.put_aside(id, why).await })
            .await
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<Entry>, SpoolError> {
        let filter = filter.clone();
        self.on_a_thread(move |store| async move { store.list(&filter, page).await })
            .await
    }

    async fn counts(&self) -> Result<StageCounts, SpoolError> {
        self.on_a_thread(|store| async move { store.counts().await })
            .await
    }

    fn health(&self) -> &Health {
        self.store.health()
    }

    fn close(&self) {
        self.store.close();
    }
}

/// Says what a test makes it say.
type Answer = Box<dyn Fn(&Message, &Asked) -> MessageRuling + Send + Sync>;

/// The hosts of a name, if somebody knows.
type Resolves = Box<dyn Fn(&str) -> Option<ResolveAnswer> + Send + Sync>;

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) event: EventKind,
    pub(super) from: Option<String>,
    /// Who had had their say before that binding.
    pub(super) passed: Vec<String>,
    pub(super) attempt: u32,
    pub(super) reason: AskReason,
}

/// A judge for tests. Without an answer nothing is bound.
#[derive(Default)]
pub(super) struct Script {
    answer: Option<Answer>,
    pub(super) asked: Mutex<Vec<Asked>>,
    pub(super) told: Mutex<Vec<delivery::Result>>,
    /// The events of stages that somebody listens to. To all others somebody does.
    listens: Vec<EventKind>,
    /// Answers `transport.resolve`; without it nobody has one.
    resolves: Option<Resolves>,
    /// Whose bindings it answers for.
    pub(super) plan: Mutex<Option<Arc<Plan>>>,
    /// Names that were asked about.
    pub(super) names: Mutex<Vec<String>>,
    /// Hears of sinks that are back, each of which has one binding of the same name.
    back: Back,
}

struct Back(broadcast::Sender<Arc<str>>);

impl Default for Back {
    fn default() -> Self {
        Self(broadcast::channel(16).0)
    }
}

impl Script {
    pub(super) fn new(
        answer: impl Fn(&Message, &Asked) -> MessageRuling + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Some(Box::new(answer)),
            listens: vec![EventKind::TransportSubmit],
            ..Self::default()
        }
    }

    /// It listens at these events of stages, and at no other one.
    pub(super) fn at(self, listens: &[EventKind]) -> Self {
        Self {
            listens: listens.to_vec(),
            ..self
        }
    }

    /// This is known of names.
    pub(super) fn resolving(
        self,
        resolves: impl Fn(&str) -> Option<ResolveAnswer> + Send + Sync + 'static,
    ) -> Self {
        Self {
            resolves: Some(Box::new(resolves)),
            ..self
        }
    }

    /// A sink can be asked again.
    pub(super) fn is_back(&self, sink: &str) {
        self.back.0.send(sink.into()).unwrap();
    }
}

/// A judge that can be reached from its cases.
struct Shared(Arc<Script>);

struct OneCase {
    script: Arc<Script>,
    message: Message,
}

impl Judge for Shared {
    fn begin(&self, message: &Arc<Message>, content: Arc<dyn Content>) -> Box<dyn Case> {
        assert!(content.end().unwrap().complete);
        Box::new(OneCase {
            script: Arc::clone(&self.0),
            message: Message::clone(message),
        })
    }

    fn listens(&self, _server: &str, event: EventKind) -> bool {
        let on_the_way = postern_spool::Point::of_event(event.name()).is_some();
        self.0.answer.is_some() && (!on_the_way || self.0.listens.contains(&event))
    }

    fn plan(&self) -> Weak<Plan> {
        let plan = self.0.plan.lock();
        plan.as_ref().map_or_else(Weak::new, Arc::downgrade)
    }

    fn resolve(
        &self,
        destination: DestinationContext,
        _event: Resolve,
        _budget: &Budget,
    ) -> BoxFuture<'static, Ruling<ResolveAnswer>> {
        let name = destination.domain.to_string();
        let answer = self.0.resolves.as_ref().and_then(|answer| answer(&name));
        self.0.names.lock().push(name);
        let ruling = Ruling {
            answer,
            ..Ruling::proceed(EventKind::TransportResolve)
        };
        Box::pin(std::future::ready(ruling))
    }

    fn bindings_of(&self, sink: &str) -> Vec<String> {
        vec![sink.to_owned()]
    }

    fn is_reachable(&self, _sink: &str) -> bool {
        true
    }

    fn sinks_back(&self) -> Option<broadcast::Receiver<Arc<str>>> {
        Some(self.0.back.0.subscribe())
    }
}

impl OneCase {
    fn hear(
        &self,
        event: EventKind,
        start: Start,
        attempt: Attempt,
    ) -> BoxFuture<'static, MessageRuling> {
        let (from, passed) = match start {
            Start::First => (None, Vec::new()),
            Start::At { binding, passed } => (Some(binding), passed),
        };
        let asked = Asked {
            event,
            from,
            passed,
            attempt: attempt.earlier,
            reason: attempt.reason,
        };
        let ruling = self.script.answer.as_ref().unwrap()(&self.message, &asked);
        self.script.asked.lock().push(asked);
        Box::pin(std::future::ready(ruling))
    }
}

impl Case for OneCase {
    fn ask(
        &self,
        about: About,
        _budget: &Budget,
        start: Start,
        attempt: Attempt,
    ) -> BoxFuture<'static, MessageRuling> {
        self.hear(about.event(), start, attempt)
    }

    fn tell(&self, result: delivery::Result) {
        self.script.told.lock().push(result);
    }
}

fn settings() -> Settings {
    let hop = |host: &str| Destination::Hop(Hop::new(false, HopAddress::Tcp(host.to_owned(), 25)));
    let mut routes = Routes::new(None);
    routes.add("example.test", hop("one.test"));
    routes.add("example.org", hop("two.test"));
    routes.add("sender.test", hop("three.test"));
    Settings {
        hostname: "mx.test".to_owned(),
        hostnames: HashMap::new(),
        routes,
        schedule: Schedule::new(
            vec![Duration::from_secs(300), Duration::from_secs(900)],
            Duration::from_secs(7200),
        ),
        command_timeout: Duration::from_secs(300),
        data_timeout: Duration::from_secs(600),
        directory: Arc::new(Empty),
        convert: true,
        connections_per_destination: 4,
        submit_budget: Duration::from_secs(3600),
        held_refusals: HashMap::from([("dropper".to_owned(), HeldRefusal::Discard)]),
        messages_in_memory: 64,
        shown: Arc::new(str::to_owned),
    }
}

fn open(folder: &tempfile::TempDir, clock: &Virtual) -> Result<Embedded, SpoolError> {
    let options = Options {
        path: folder.path().to_owned(),
        min_free: 0,
        memory: 0,
    };
    Embedded::open(&options, clock.now())
}

/// Opens the spool again as soon as whoever had it has let go of it: a commit that was under way ends on its own thread.
async fn reopen(folder: &tempfile::TempDir, clock: &Virtual) -> Embedded {
    let start = std::time::Instant::now();
    loop {
        match open(folder, clock) {
            Err(SpoolError::Locked { .. }) if start.elapsed() < Duration::from_secs(20) => {
                tokio::task::yield_now().await;
            }
            opened => return opened.unwrap(),
        }
    }
}

impl Play {
    pub(super) fn new(peer: &Peer, judge: Script) -> Self {
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let clock = Arc::new(Virtual {
            start: Instant::now(),
            epoch,
        });
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, &clock).unwrap();
        Self::start(folder, store, clock, peer, judge)
    }

    fn start(
        folder: tempfile::TempDir,
        store: Embedded,
        clock: Arc<Virtual>,
        peer: &Peer,
        judge: Script,
    ) -> Self {
        let store = Arc::new(Steady {
            store: Arc::new(store),
            fails: Mutex::new(None),
            unreadable: Mutex::default(),
            stalls: Mutex::default(),
            commits: AtomicUsize::new(0),
        });
        let judge = Arc::new(judge);
        let shutdown = Shutdown::new();
        let transport = Transport::new(
            settings(),
            Arc::clone(&store) as Arc<dyn Store>,
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
        Self {
            store,
            handle,
            clock,
            judge,
            shutdown,
            tasks,
            folder,
        }
    }

    /// Ends the core at once, and starts another on the same spool.
    pub(super) async fn restart(self, peer: &Peer) -> Self {
        let Self {
            store,
            handle,
            clock,
            shutdown,
            mut tasks,
            folder,
            ..
        } = self;
        shutdown.now();
        while tasks.join_next().await.is_some() {}
        drop((store, handle));
        let store = reopen(&folder, &clock).await;
        Self::start(folder, store, clock, peer, Script::default())
    }

    /// Changes an octet in the middle of each content that is in a file of its own.
    pub(super) fn damage_contents(&self) {
        let entries = std::fs::read_dir(self.folder.path().join("content")).unwrap();
        let shards = entries.map(|entry| entry.unwrap().path());
        for shard in shards.filter(|path| path.is_dir()) {
            for file in std::fs::read_dir(shard).unwrap() {
                let file = file.unwrap().path();
                let mut octets = std::fs::read(&file).unwrap();
                let middle = octets.len() / 2;
                octets[middle] ^= 1;
                std::fs::write(file, octets).unwrap();
            }
        }
    }

    /// Stops the core, as a signal does; how long that took.
    pub(super) async fn stop(mut self, drain: Duration) -> Duration {
        let start = Instant::now();
        self.shutdown.drain(drain);
        while self.tasks.join_next().await.is_some() {}
        start.elapsed()
    }

    /// Commits a message and hands it over, as the front end does.
    pub(super) async fn accept(&self, recipients: &[&str]) -> Arc<Message> {
        self.accept_at(Stage::submit(), recipients, |_| {}).await
    }

    pub(super) async fn accept_at(
        &self,
        stage: Stage,
        recipients: &[&str],
        change: impl FnOnce(&mut Message),
    ) -> Arc<Message> {
        self.accept_due(Duration::ZERO, stage, recipients, change)
            .await
    }

    /// As [`Play::accept_at`], for a message that is due only after `wait`.
    pub(super) async fn accept_due(
        &self,
        wait: Duration,
        stage: Stage,
        recipients: &[&str],
        change: impl FnOnce(&mut Message),
    ) -> Arc<Message> {
        self.accept_content(Bytes::from_static(MAIL), wait, stage, recipients, change)
            .await
    }

    /// As [`Play::accept_due`], with a content of the test's own.
    pub(super) async fn accept_content(
        &self,
        content: Bytes,
        wait: Duration,
        stage: Stage,
        recipients: &[&str],
        change: impl FnOnce(&mut Message),
    ) -> Arc<Message> {
        let mut message = message(&content, recipients, self.clock.now());
        change(&mut message);
        let message = Arc::new(message);
        let mut incoming = self.store.receive(Purpose::Mail).unwrap();
        incoming.write(content).await.unwrap();
        let body = incoming.finish().await.unwrap();
        let due = Due::At(self.clock.now() + wait);
        let new = NewMessage {
            message: Arc::clone(&message),
            body: body.clone(),
            stage: stage.clone(),
            due,
        };
        // A search that began before ends first. The clock of a paused runtime runs on while the spool's thread writes, and
        // the scanner might find the message before it is handed over; not while something blocks.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (written, waits) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || waits.recv().is_ok());
        self.store.insert(new).await.unwrap();
        self.handle.accept(StoredMessage {
            message: Arc::clone(&message),
            stage,
            due,
            content: body.reader(),
        });
        drop(written);
        message
    }

    /// Waits until `done`, for two days at most.
    pub(super) async fn until(
        &self,
        what: &str,
        mut done: impl FnMut(&StageCounts) -> bool,
    ) -> Duration {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(48 * 3600) {
            if done(&self.store.counts().await.unwrap()) {
                return start.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "{what} never came: {:?}",
            self.store.counts().await.unwrap()
        );
    }

    /// The spool is empty now.
    pub(super) async fn store_is_empty(&self) -> bool {
        self.store.counts().await.unwrap() == StageCounts::default()
    }

    /// Waits until the spool is empty.
    pub(super) async fn until_empty(&self) -> Duration {
        self.until("an empty spool", |counts| *counts == StageCounts::default())
            .await
    }
}
