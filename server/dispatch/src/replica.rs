//! One replica of a sink: whether it can be used, what it said of itself, its connections and streams.
//!
//! A replica that fails is left alone for a time that doubles with each failure in a row; whoever asks meanwhile
//! is told at once. When the time is over one connection attempt decides.

mod connecting;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::transport::Endpoint as Remote;

use crate::connection::Connection;
use crate::fault::{Fault, FaultKind};
use crate::instance::Instance;
use crate::observer::{Observer, Record, What};
use crate::plan::{Binding, Endpoint, Sink};
use crate::settings::Tuning;
use crate::stream::SinkStream;

/// Time-outs and lost streams in a row after which a replica that was well is taken for dead.
const TIMEOUTS_IN_A_ROW: u32 = 20;

/// The protocol version spoken here.
pub(crate) const PROTOCOL_VERSION: u32 = 1;

/// Credit for content where the sink names none, in octets.
const CREDIT_DEFAULT: u64 = 256 << 10;

/// Largest first credit, in octets.
const CREDIT_MAX: u64 = 1 << 20;

/// What a sink said of itself, as far as streams depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// Instances that one stream may carry.
    pub(crate) instances_per_stream: usize,
    /// Octets of content that may be pushed before the first credit.
    pub(crate) initial_credit: u64,
    /// It wants to hear what became of its verdicts.
    pub(crate) wants_settled: bool,
}

/// One replica.
pub(crate) struct Replica {
    sink: Arc<Sink>,
    endpoint: Endpoint,
    name: String,
    bindings: Arc<[Arc<Binding>]>,
    observer: Arc<dyn Observer>,
    tuning: Arc<Tuning>,
    questions: AtomicIsize,
    state: Mutex<State>,
    changed: Notify,
    tasks: Mutex<JoinSet<()>>,
}

struct State {
    phase: Phase,
    failures: u32,
    timeouts: u32,
    last_fault: Option<Fault>,
    described: Option<Arc<Described>>,
    remote: Option<Remote>,
    connections: Vec<Connection>,
    streams: Vec<Arc<SinkStream>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody has asked yet.
    Idle,
    /// The first attempt: worth waiting for.
    Connecting,
    /// An attempt after a failure: nobody waits for it.
    Probing,
    Up,
    Down {
        until: Instant,
    },
}

/// Whether a replica can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can.
    Up,
    /// It will be known soon.
    Soon,
    /// It cannot.
    Down,
}

impl Replica {
    pub(crate) fn new(
        sink: Arc<Sink>,
        endpoint: Endpoint,
        bindings: Arc<[Arc<Binding>]>,
        observer: Arc<dyn Observer>,
        tuning: Arc<Tuning>,
    ) -> Self {
        let name = endpoint.to_string();
        let state = State {
            phase: Phase::Idle,
            failures: 0,
            timeouts: 0,
            last_fault: None,
            described: None,
            remote: None,
            connections: Vec::new(),
            streams: Vec::new(),
        };
        Self {
            sink,
            endpoint,
            name,
            bindings,
            observer,
            tuning,
            questions: AtomicIsize::new(0),
            state: Mutex::new(state),
            changed: Notify::new(),
            tasks: Mutex::new(JoinSet::new()),
        }
    }

    /// The endpoint as text.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Open questions.
    pub(crate) fn load(&self) -> isize {
        self.questions.load(Ordering::Relaxed)
    }

    pub(crate) fn count_questions(&self, change: isize) {
        self.questions.fetch_add(change, Ordering::Relaxed);
        self.sink.count_questions(change as i64);
    }

    /// Runs a task that ends with the replica.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        // Those that have ended are taken out, so that the set stays as small as what runs.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Whether it can be used. Starts an attempt to connect where one is due.
    pub(crate) fn standing(self: &Arc<Self>, now: Instant) -> Standing {
        let mut state = self.state.lock();
        let standing = match state.phase {
            Phase::Up => return Standing::Up,
            Phase::Connecting => return Standing::Soon,
            Phase::Probing => return Standing::Down,
            Phase::Down { until } if now < until => return Standing::Down,
            Phase::Down { .. } => Standing::Down,
            Phase::Idle => Standing::Soon,
        };
        state.phase = if standing == Standing::Soon {
            Phase::Connecting
        } else {
            Phase::Probing
        };
        drop(state);
        let replica = Arc::clone(self);
        self.spawn(async move { replica.connect().await });
        standing
    }

    /// Waits until it is known whether it can be used.
    pub(crate) async fn settled(self: &Arc<Self>) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.standing(Instant::now()) != Standing::Soon {
                return;
            }
            changed.await;
        }
    }

    /// Why it cannot be used.
    pub(crate) fn why_down(&self) -> Fault {
        match &self.state.lock().last_fault {
            Some(fault) => fault.clone(),
            None => Fault::new(FaultKind::Unreachable, "not connected yet"),
        }
    }

    /// What it said of itself.
    pub(crate) fn described(&self) -> Option<Arc<Described>> {
        self.state.lock().described.clone()
    }

    /// A new instance on one of its streams. `bulky`: content will be pushed to it.
    pub(crate) fn begin(self: &Arc<Self>, bulky: bool) -> Result<Arc<Instance>, Fault> {
        let mut state = self.state.lock();
        let Some(described) = state.described.clone() else {
            return Err(Fault::new(FaultKind::Unreachable, "not connected yet"));
        };
        self.takes_questions()?;
        state.streams.retain(|stream| !stream.is_spent());
        let few = self.tuning.instances_per_shared_stream.max(1);
        let enough = state.streams.len() >= self.tuning.shared_streams;
        let roomy = || state.streams.iter().filter(|stream| stream.has_room());
        let least = roomy().min_by_key(|stream| stream.load()).cloned();
        let best = roomy()
            .find(|stream| stream.load() < few && !stream.is_silent())
            .cloned()
            .or_else(|| least.clone().filter(|_| enough));
        if let Some(stream) = best
            && let Some(instance) = stream.begin()
        {
            return Ok(instance);
        }
        if state.streams.len() < self.tuning.leased_streams
            && let Some(stream) = self.open_stream(&mut state, &described, bulky)
            && let Some(instance) = stream.begin()
        {
            return Ok(instance);
        }
        let idle = state.streams.clone();
        drop(state);
        least
            .and_then(|stream| stream.begin())
            .or_else(|| take_from_idle(&idle))
            .ok_or_else(|| Fault::new(FaultKind::Overload, "all streams to this replica are taken"))
    }

    /// Whether another question may be open now.
    pub(crate) fn takes_questions(&self) -> Result<(), Fault> {
        if self.sink.is_full() {
            return Err(Fault::new(
                FaultKind::Overload,
                "the sink has as many open questions as its concurrency allows",
            ));
        }
        if self.load() >= self.tuning.questions_per_replica as isize {
            return Err(Fault::new(
                FaultKind::Overload,
                "too many questions are open at this replica",
            ));
        }
        Ok(())
    }

    fn open_stream(
        self: &Arc<Self>,
        state: &mut State,
        described: &Described,
        bulky: bool,
    ) -> Option<Arc<SinkStream>> {
        let remote = state.remote.as_ref()?;
        // A body that a sink does not read may hold up a whole connection: one at a time, it has its own.
        let alone = bulky && described.instances_per_stream <= 1;
        let limit = if alone {
            1
        } else {
            self.tuning.streams_per_connection
        };
        state
            .connections
            .retain(|connection| !connection.is_unused() || !alone);
        let slot = state
            .connections
            .iter()
            .filter(|_| !alone)
            .find_map(Connection::slot)
            .or_else(|| {
                let connection = Connection::lazy(remote, limit);
                let slot = connection.slot();
                state.connections.push(connection);
                slot
            });
        let (client, slot) = slot?;
        let stream = SinkStream::open(self, client, slot, described.instances_per_stream);
        state.streams.push(Arc::clone(&stream));
        Some(stream)
    }

    /// It failed: it is left alone for a while.
    pub(crate) fn went_down(&self, fault: &Fault) {
        let (streams, retry_in) = {
            let mut state = self.state.lock();
            let doubled = self
                .tuning
                .eject_min
                .saturating_mul(1 << state.failures.min(16));
            let retry_in = doubled.min(self.tuning.eject_max);
            state.failures = state.failures.saturating_add(1);
            state.timeouts = 0;
            state.last_fault = Some(fault.clone());
            state.phase = Phase::Down {
                until: Instant::now() + retry_in,
            };
            state.connections.clear();
            (std::mem::take(&mut state.streams), retry_in)
        };
        self.changed.notify_waiters();
        for stream in streams {
            stream.end(fault);
        }
        self.observe("", What::ReplicaDown { fault, retry_in });
    }

    /// A verdict came: it is well.
    pub(crate) fn heard(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        state.timeouts = 0;
    }

    /// A question found no answer in time, or its stream ended before.
    pub(crate) fn timed_out(&self) {
        let dead = {
            let mut state = self.state.lock();
            state.streams.retain(|stream| !stream.is_spent());
            if state.phase != Phase::Up {
                return;
            }
            state.timeouts += 1;
            // Back from a failure and silent again: no second run of time-outs.
            state.timeouts >= TIMEOUTS_IN_A_ROW || (state.failures > 0 && state.timeouts >= 2)
        };
        if dead {
            self.went_down(&Fault::new(
                FaultKind::Unreachable,
                "it does not answer any more",
            ));
        }
    }

    /// A stream could not be had.
    pub(crate) fn stream_refused(&self, fault: &Fault) {
        let up = self.state.lock().phase == Phase::Up;
        if up {
            self.went_down(fault);
        }
    }

    /// A stream takes no new instances.
    pub(crate) fn stream_retired(&self) {
        self.state
            .lock()
            .streams
            .retain(|stream| !stream.is_spent());
    }

    /// Closes instances that were idle since `idle_since`, asks idle streams for a sign of life, and gives up
    /// connections that are not needed.
    pub(crate) fn tidy(&self, now: Instant, idle_since: Instant) {
        let crowded = self.instances() > self.tuning.open_instances;
        let idle_since = if crowded { now } else { idle_since };
        let streams = {
            let mut state = self.state.lock();
            state.streams.retain(|stream| !stream.is_spent());
            let mut connections = std::mem::take(&mut state.connections).into_iter();
            state.connections.extend(connections.next());
            state
                .connections
                .extend(connections.filter(|connection| !connection.is_unused()));
            state.streams.clone()
        };
        for stream in streams {
            stream.park(idle_since);
            stream.flush_late();
            stream.beat(now);
        }
    }

    /// Open instances.
    pub(crate) fn instances(&self) -> usize {
        self.state
            .lock()
            .streams
            .iter()
            .map(|stream| stream.load())
            .sum()
    }

    /// Tells the sink that no new instances will come.
    pub(crate) fn say_goodbye(&self, time: Duration) {
        let streams = self.state.lock().streams.clone();
        for stream in streams {
            stream.say_goodbye(time);
        }
    }

    /// Ends everything: streams and tasks.
    pub(crate) fn shut_down(&self) {
        let streams = {
            let mut state = self.state.lock();
            state.phase = Phase::Down {
                until: Instant::now() + self.tuning.eject_max,
            };
            state.connections.clear();
            std::mem::take(&mut state.streams)
        };
        let fault = Fault::new(FaultKind::Unreachable, "the gateway is shutting down");
        for stream in &streams {
            stream.end(&fault);
        }
        self.tasks.lock().abort_all();
    }

    pub(crate) fn observe_late(&self) {
        self.observe("", What::Late);
    }

    pub(crate) fn observe_broken(&self, fault: &Fault) {
        self.observe(
            "",
            What::Failed {
                elapsed: Duration::ZERO,
                fault,
            },
        );
    }

    fn observe(&self, binding: &str, what: What<'_>) {
        self.observer.observe(&Record {
            server: "",
            session: None,
            message: None,
            event: None,
            detail: "",
            binding,
            sink: &self.sink.name,
            replica: &self.name,
            what,
        });
    }
}

/// Parks the first idle instance that holds a stream, and begins another on it.
fn take_from_idle(streams: &[Arc<SinkStream>]) -> Option<Arc<Instance>> {
    streams.iter().find_map(|stream| {
        if stream.is_exclusive() && stream.park(Instant::now()) > 0 {
            stream.begin()
        } else {
            None
        }
    })
}
