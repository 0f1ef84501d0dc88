//! The loop of a sink's task: takes what has come, acts on it, sends what came of that, and sleeps until the next time
//! that a link, the fleet or the queue names.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use postern_attach::{Fleet, FleetSettings, News, ReplicaId};
use postern_events::plan::{Endpoint, Sink};
use postern_proto::v1::CloseReason;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Sleep;

use crate::attached::Key;
use crate::connection::Target;
use crate::observer::{Observer, Record, What};
use crate::randomness::Randomness;
use crate::settings::{Settings, SharedPlan};

use super::acts::Acts;
use super::command::Command;
use super::connections::{Connections, Note};
use super::face::{Face, Start};
use super::fetching::Fetches;
use super::questions::Questions;
use super::queue::{Instances, Waiting};
use super::streams::Streams;

/// Times that each source is asked for more before the others have their turn.
const TURN: usize = 128;

/// How often names that stand for several replicas are resolved anew.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(30);

/// The task.
pub(super) struct SinkTask {
    pub(super) sink: Arc<Sink>,
    pub(super) plan: SharedPlan,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) settings: Arc<Settings>,
    pub(super) back: broadcast::Sender<Arc<str>>,
    pub(super) face: Arc<Face>,
    pub(super) fleet: Fleet,
    pub(super) random: Randomness,
    pub(super) targets: HashMap<Arc<str>, Target>,
    pub(super) names: HashMap<ReplicaId, Arc<str>>,
    pub(super) connections: Connections,
    pub(super) streams: Streams,
    pub(super) instances: Instances,
    pub(super) questions: Questions,
    pub(super) fetches: Fetches,
    pub(super) acts: Acts,
    /// Streams and connections, as others see them.
    published: (usize, usize),
    /// Something changed for those who wait.
    pub(super) stirred: bool,
    /// No new instances are opened, and the task is over at this time.
    pub(super) draining: Option<Instant>,
    commands: mpsc::Receiver<Command>,
    sleep: Pin<Box<Sleep>>,
    sleeps_until: Option<Instant>,
}

impl SinkTask {
    pub(super) fn new(start: Start, commands: mpsc::Receiver<Command>) -> (Self, Arc<Face>) {
        let now = Instant::now();
        let Start {
            sink,
            plan,
            observer,
            settings,
            back,
        } = start;
        let target = |endpoint: &Endpoint| {
            let target = Target {
                endpoint: endpoint.clone(),
                address: None,
            };
            (Arc::from(endpoint.to_string()), target)
        };
        let targets: Vec<(Arc<str>, Target)> = sink.endpoints.iter().map(target).collect();
        let fleet_settings = FleetSettings {
            concurrency: sink
                .concurrency
                .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            ..settings.fleet.clone()
        };
        let names = targets.iter().map(|(name, _)| Arc::clone(name));
        let fleet = Fleet::new(now, fleet_settings, names);
        let face = Arc::new(Face::new(now, fleet.status(now)));
        let mut connections = Connections::new(sink.tls.clone());
        let by_name = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Dns { .. });
        if sink.endpoints.iter().any(by_name) {
            connections.resolve(&sink, Duration::ZERO);
        }
        let task = Self {
            sink,
            plan,
            observer,
            settings,
            back,
            face: Arc::clone(&face),
            fleet,
            random: Randomness::new(),
            targets: targets.into_iter().collect(),
            names: HashMap::new(),
            connections,
            streams: Streams::default(),
            instances: Instances::default(),
            questions: Questions::default(),
            fetches: Fetches::default(),
            acts: Acts::default(),
            published: (0, 0),
            stirred: false,
            draining: None,
            commands,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            sleeps_until: Some(now),
        };
        (task, face)
    }

    /// One round. True if something was done.
    fn round(&mut self, cx: &mut Context<'_>) -> bool {
        let mut busy = false;
        // What the sink said counts before what time it is: a verdict that came in time is in time.
        for _ in 0..TURN {
            let Some((stream, incoming)) = self.streams.poll_incoming(cx) else {
                break;
            };
            self.incoming(stream, incoming);
            busy = true;
        }
        while let Some(note) = self.connections.poll_note(cx) {
            self.noted(note);
            busy = true;
        }
        for _ in 0..TURN {
            let Poll::Ready(Some(command)) = self.commands.poll_recv(cx) else {
                break;
            };
            self.command(command);
            busy = true;
        }
        for _ in 0..TURN {
            let Some(fetched) = self.fetches.poll_fetched(cx) else {
                break;
            };
            self.fetched(fetched);
            busy = true;
        }
        for _ in 0..TURN {
            let Some(ended) = self.acts.poll_ended(cx) else {
                break;
            };
            self.acted(ended);
            busy = true;
        }
        busy |= self.timers(Instant::now());
        self.streams.retry_blocked();
        busy |= self.settle_streams(cx);
        busy |= self.fleet_events();
        if std::mem::take(&mut self.stirred) && self.instances.anything_waits() {
            self.serve_waiting();
            busy = true;
        }
        busy
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Ask(ask) => self.ask(ask),
            Command::Tell(tell) => self.tell(tell),
            Command::Cancel {
                key,
                question,
                reason,
            } => self.cancel(key, question, reason),
            Command::Extend {
                question,
                remaining,
            } => self.extend(question, remaining),
            Command::Settle { question, settled } => self.settle(question, *settled),
            Command::Close { key, told, reason } => self.close(key, told, reason),
            Command::Drain { within } => self.drain(within),
        }
    }

    fn close(&mut self, key: Key, told: Vec<News>, reason: CloseReason) {
        let Some(entry) = self.instances.get_mut(key) else {
            return;
        };
        // What was asked is given up by who asked it; what is to be told is told first.
        entry
            .waiting
            .retain(|waiting| matches!(waiting, Waiting::Tell { .. }));
        if !entry.waiting.is_empty() {
            entry.closing = Some(reason);
            return;
        }
        if let Some(entry) = self.instances.remove(key)
            && let Some((stream, instance)) = entry.place
        {
            let now = Instant::now();
            if let Some(stream) = self.streams.touch(stream) {
                for news in told {
                    // What the sink does not want or take is not told.
                    let _refused = stream.link.tell(now, instance, news).is_err();
                }
                stream.link.close(now, instance, reason);
            }
            // A place on a stream is free.
            self.stirred = true;
        }
        self.questions.forget_instance(key);
    }

    fn drain(&mut self, within: Duration) {
        let now = Instant::now();
        self.draining = Some(now + within);
        for id in self.streams.ids() {
            if let Some(stream) = self.streams.touch(id) {
                stream
                    .link
                    .go_away(now, within, "the gateway is shutting down");
            }
        }
    }

    fn noted(&mut self, note: Note) {
        let now = Instant::now();
        if let Some(broken) = self.connections.files_news() {
            let what = What::TlsFiles {
                broken: broken.as_deref(),
            };
            self.observe("", "", what);
        }
        match note {
            Note::Made(connection, replica, Ok(connected)) => {
                if let Some(fault) = self.stranger(&connected) {
                    self.connections.drop_one(connection);
                    let what = fault.detail.as_str();
                    let name = self.name_of(replica);
                    self.observe("", &name, What::AsksForMore { what });
                    return self.fleet.connect_failed(now, connection, fault);
                }
                let response = connected.response.clone();
                // A sink that restarts between two probes never counts as unreachable.
                let was_cut_off = self.connections.len() == 0;
                match self.fleet.connected(now, connection, response) {
                    Ok(()) => {
                        self.connections.keep(connection, replica, *connected);
                        if was_cut_off {
                            self.announce();
                        }
                    }
                    Err(fault) => {
                        self.connections.drop_one(connection);
                        self.observe_fault(&self.name_of(replica), &fault);
                    }
                }
            }
            Note::Made(connection, _, Err(fault)) => {
                self.connections.drop_one(connection);
                self.fleet.connect_failed(now, connection, fault);
            }
            Note::Gone(connection) => {
                if self.connections.channel(connection).is_some() {
                    let fault = postern_events::fault::Fault::new(
                        postern_events::fault::FaultKind::Unreachable,
                        "the connection was closed",
                    );
                    self.connections.drop_one(connection);
                    self.fleet.connection_lost(now, connection, &fault);
                }
            }
            Note::Health(connection, replica, serves) => {
                if self.connections.channel(connection).is_some() {
                    self.fleet.serving(now, replica, serves);
                }
            }
            Note::Resolved(targets) => {
                self.targets = targets.into_iter().collect();
                self.fleet.replace(now, self.targets.keys().cloned());
                self.connections.resolve(&self.sink, RESOLVE_INTERVAL);
            }
        }
        self.stirred = true;
    }

    fn timers(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some(id) = self.streams.pop_due(now) {
            if let Some(stream) = self.streams.touch(id) {
                stream.handle_timeout(now);
            }
            busy = true;
        }
        if self.fleet.poll_timeout().is_some_and(|at| at <= now) {
            self.fleet.handle_timeout(now);
            busy = true;
        }
        for tell in self.instances.expire(now) {
            self.too_late(tell);
            busy = true;
        }
        busy
    }

    /// Looks at every stream that something was done to.
    fn settle_streams(&mut self, cx: &mut Context<'_>) -> bool {
        let mut busy = false;
        while let Some(id) = self.streams.pop_touched() {
            let now = Instant::now();
            while let Some(event) = self
                .streams
                .touch(id)
                .and_then(|stream| stream.link.poll_event())
            {
                self.heard(id, event, now);
                busy = true;
            }
            self.streams.untouch(id);
            self.streams.transmit(id, now, cx);
        }
        busy
    }

    /// Tries again whatever waits.
    fn serve_waiting(&mut self) {
        let keys: VecDeque<Key> = self.instances.take_waiting();
        for key in keys {
            while let Some(waiting) = self.instances.pop(key) {
                let stuck = match waiting {
                    Waiting::Ask(ask) => self.try_ask(ask).map(Waiting::Ask),
                    Waiting::Tell {
                        tell,
                        octets,
                        until,
                    } => self.try_tell(tell).map(|tell| Waiting::Tell {
                        tell,
                        octets,
                        until,
                    }),
                };
                if let Some(stuck) = stuck {
                    self.instances.wait_on(key, stuck);
                    break;
                }
            }
            let closing = self
                .instances
                .get_mut(key)
                .filter(|entry| entry.waiting.is_empty())
                .and_then(|entry| entry.closing.take());
            if let Some(reason) = closing {
                self.close(key, Vec::new(), reason);
            }
        }
    }

    /// Sleeps until the next time that anybody named. True if that has come already.
    fn sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let next = [
            self.streams.next_timeout(),
            self.fleet.poll_timeout(),
            self.instances.next_expiry(),
            self.draining,
        ]
        .into_iter()
        .flatten()
        .min();
        if next != self.sleeps_until {
            self.sleeps_until = next;
            if let Some(next) = next {
                self.sleep.as_mut().reset(next.into());
            }
        }
        next.is_some() && self.sleep.as_mut().poll(cx).is_ready()
    }

    /// Lets others see how the replicas are.
    pub(super) fn publish_status(&mut self) {
        let now = Instant::now();
        self.published = (self.streams.len(), self.connections.len());
        *self.face.status.write() = (now, self.fleet.status(now));
    }

    fn publish(&mut self) {
        if self.published != (self.streams.len(), self.connections.len()) {
            self.publish_status();
        }
        self.face
            .busy
            .store(self.instances.len(), Ordering::Relaxed);
        self.face
            .questions
            .store(self.questions.open(), Ordering::Relaxed);
    }

    /// What was held for the sink may go.
    pub(super) fn announce(&self) {
        // Nobody listens where nothing is ever held.
        let _unheard = self.back.send(Arc::clone(&self.sink.name)).is_err();
    }

    pub(super) fn name_of(&self, replica: ReplicaId) -> Arc<str> {
        self.names
            .get(&replica)
            .cloned()
            .unwrap_or_else(|| Arc::from(""))
    }

    pub(super) fn observe(&self, binding: &str, replica: &str, what: What<'_>) {
        self.observer.observe(&Record {
            server: "",
            session: None,
            message: None,
            event: None,
            detail: "",
            binding,
            sink: &self.sink.name,
            replica,
            what,
        });
    }

    pub(super) fn observe_fault(&self, replica: &str, fault: &postern_events::fault::Fault) {
        let elapsed = Duration::ZERO;
        self.observe("", replica, What::Failed { elapsed, fault });
    }
}

impl Future for SinkTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..TURN {
            let busy = this.round(cx);
            if !busy && !this.sleep(cx) {
                this.publish();
                return Poll::Pending;
            }
            let over = this.draining.is_some_and(|at| at <= Instant::now());
            if over {
                this.publish();
                return Poll::Ready(());
            }
        }
        // Others have their turn.
        this.publish();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
