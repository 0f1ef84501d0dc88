//! What is counted, under names that start with `postern_`. Labels are enums, or names from the configuration:
//! nothing that a client sends becomes a label.

pub mod endpoint;
pub mod labels;
mod lookups;
mod register;
mod standing;
mod tenants;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use postern_spool::{Backlog, StageCounts};
use postern_transport::Depth;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::labels::{
    ActedLabel, AuthMechanism, AuthResult, Authenticated, Categorized, Delivered, Endpoint,
    Faulted, Handshake, LimitName, Limited, MessageEnd, Messages, OfServer, OfSink, Reasoned,
    Replied, Ruled, Stage, StageLabel, Waited, WaitedFor,
};

use self::lookups::Lookups;
use self::register::{PREFIX, Register};
pub use self::standing::DESTINATIONS;
use self::standing::Present;
use self::tenants::Tenants;
use crate::observe::standing::Standing;

/// Bounds of the latency histograms in seconds: from a verdict on the same core to the longest budget.
const LATENCY: [f64; 13] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 240.0,
];

/// Bounds of the message size histogram in octets.
const SIZES: [f64; 7] = [
    4_096.0,
    32_768.0,
    262_144.0,
    1_048_576.0,
    5_242_880.0,
    26_214_400.0,
    104_857_600.0,
];

/// All counters of the gateway. Shared by all runtimes.
pub struct Metrics {
    registry: Registry,
    names: Vec<String>,
    present: Present,
    /// Sessions begun.
    pub sessions: Family<OfServer, Counter>,
    /// Sessions now.
    pub sessions_open: Family<OfServer, Gauge>,
    /// Replies sent to clients.
    pub replies: Family<Replied, Counter>,
    /// From the end of a command, or of a message, to its reply.
    pub reply_time: Family<Waited, Histogram, fn() -> Histogram>,
    /// Transactions that reached content, by what became of them.
    pub messages: Family<Messages, Counter>,
    /// Accepted messages by tenant.
    pub tenants: Tenants,
    /// Octets of content received.
    pub received_bytes: Family<OfServer, Counter>,
    /// Sizes of accepted messages.
    pub message_size: Family<OfServer, Histogram, fn() -> Histogram>,
    /// Memory that sessions have set aside.
    session_memory: Gauge,
    /// Times that a limit was hit.
    pub limits: Family<Limited, Counter>,
    /// Authentications of clients.
    authentications: Family<Authenticated, Counter>,
    /// TLS handshakes with clients.
    pub handshakes: Family<Handshake, Counter>,
    /// Verdicts of sinks.
    pub verdicts: Family<Ruled, Counter>,
    /// Verdicts that give a reason.
    pub reasons: Family<Reasoned, Counter>,
    /// Failures of sinks.
    pub faults: Family<Faulted, Counter>,
    /// From the question to the verdict.
    pub sink_time: Family<OfSink, Histogram, fn() -> Histogram>,
    /// What sinks did of their own accord.
    pub actions: Family<ActedLabel, Counter>,
    /// Verdicts that came when nobody waited any more.
    pub late: Family<Endpoint, Counter>,
    /// One-way events that were lost because a queue was full.
    pub dropped: Family<Endpoint, Counter>,
    /// Connections that were given up because the sink did not read.
    pub stalls: Family<Endpoint, Counter>,
    /// Times that a replica went down, and came up again.
    pub replica_changes: Family<labels::ReplicaChange, Counter>,
    /// Attempts to deliver, one for each recipient.
    pub deliveries: Family<Delivered, Counter>,
    /// Recipients that were found to be something else than they are.
    pub categorized: Family<Categorized, Counter>,
    /// Messages that are being worked on by the transport core.
    pub queue_active: Gauge,
    /// Messages that wait for room at a destination.
    pub queue_waiting: Gauge,
    /// Connections to next hops, and writers to Maildirs.
    pub delivery_connections: Gauge,
    /// Names looked up to find next hops.
    pub lookups: Lookups,
    /// Tasks that panicked.
    pub panics: Counter,
    /// Notifications that could not be delivered.
    pub lost_notifications: Counter,
    /// Notifications of delays.
    pub delay_notifications: Counter,
    /// Times that the system had no descriptor or memory for a new connection.
    pub accept_errors: Counter,
    /// Messages in the spool.
    spool: Family<StageLabel, Gauge>,
    /// Free space in the spool's file system.
    pub spool_free: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let latency = (|| Histogram::new(LATENCY)) as fn() -> Histogram;
        let sizes = (|| Histogram::new(SIZES)) as fn() -> Histogram;
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            names: Vec::new(),
            present: Present::default(),
            sessions: Family::default(),
            sessions_open: Family::default(),
            replies: Family::default(),
            reply_time: Family::new_with_constructor(latency),
            messages: Family::default(),
            tenants: Tenants::default(),
            received_bytes: Family::default(),
            message_size: Family::new_with_constructor(sizes),
            session_memory: Gauge::default(),
            limits: Family::default(),
            authentications: Family::default(),
            handshakes: Family::default(),
            verdicts: Family::default(),
            reasons: Family::default(),
            faults: Family::default(),
            sink_time: Family::new_with_constructor(latency),
            actions: Family::default(),
            late: Family::default(),
            dropped: Family::default(),
            stalls: Family::default(),
            replica_changes: Family::default(),
            deliveries: Family::default(),
            categorized: Family::default(),
            queue_active: Gauge::default(),
            queue_waiting: Gauge::default(),
            delivery_connections: Gauge::default(),
            lookups: Lookups::new(latency),
            panics: Counter::default(),
            lost_notifications: Counter::default(),
            delay_notifications: Counter::default(),
            accept_errors: Counter::default(),
            spool: Family::default(),
            spool_free: Gauge::default(),
        };
        metrics.register_front();
        metrics.register_sinks();
        metrics.register_rest();
        Arc::new(metrics)
    }

    fn register_front(&mut self) {
        let registry = &mut Register::new(&mut self.registry, &mut self.names);
        registry.add("sessions", "Sessions begun", self.sessions.clone());
        registry.add("sessions_open", "Sessions now", self.sessions_open.clone());
        registry.add(
            "replies",
            "Replies sent to clients by class",
            self.replies.clone(),
        );
        registry.add_with_unit(
            "reply_time",
            "From the end of a command or a message to its reply",
            Unit::Seconds,
            self.reply_time.clone(),
        );
        registry.add(
            "messages",
            "Transactions by what became of them and their messages",
            self.messages.clone(),
        );
        self.tenants.register(registry);
        registry.add_with_unit(
            "received",
            "Content received",
            Unit::Bytes,
            self.received_bytes.clone(),
        );
        registry.add_with_unit(
            "message_size",
            "Sizes of accepted messages",
            Unit::Bytes,
            self.message_size.clone(),
        );
        registry.add_with_unit(
            "session_memory",
            "Memory that sessions of clients have set aside",
            Unit::Bytes,
            self.session_memory.clone(),
        );
        registry.add("limits", "Times that a limit was hit", self.limits.clone());
        registry.add(
            "authentications",
            "Authentications of clients",
            self.authentications.clone(),
        );
        registry.add(
            "tls_handshakes",
            "TLS handshakes with clients",
            self.handshakes.clone(),
        );
    }

    fn register_sinks(&mut self) {
        let registry = &mut Register::new(&mut self.registry, &mut self.names);
        registry.add(
            "sink_verdicts",
            "Verdicts by binding, event and decision",
            self.verdicts.clone(),
        );
        registry.add(
            "sink_reasons",
            "Verdicts by binding, event and the reason that the sink gives",
            self.reasons.clone(),
        );
        registry.add(
            "sink_faults",
            "Failures of sinks by binding, event and kind",
            self.faults.clone(),
        );
        registry.add_with_unit(
            "sink_time",
            "From the question to the verdict",
            Unit::Seconds,
            self.sink_time.clone(),
        );
        registry.add(
            "sink_actions",
            "What sinks did of their own accord, by binding, what it was and what became of it",
            self.actions.clone(),
        );
        registry.add(
            "sink_late",
            "Verdicts that came when nobody waited any more",
            self.late.clone(),
        );
        registry.add(
            "sink_dropped",
            "One-way events lost because a queue was full",
            self.dropped.clone(),
        );
        registry.add(
            "sink_stalls",
            "Connections that were given up because the sink did not read",
            self.stalls.clone(),
        );
        registry.add(
            "sink_replica_changes",
            "Times that a replica went down, and came up again",
            self.replica_changes.clone(),
        );
    }

    /// Sets what the transport core has to do with.
    pub fn set_depth(&self, depth: Depth) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue_active.set(number(depth.in_memory));
        self.queue_waiting.set(number(depth.waiting));
        self.delivery_connections.set(number(depth.connections));
    }

    fn register_rest(&mut self) {
        let registry = &mut Register::new(&mut self.registry, &mut self.names);
        registry.add(
            "deliveries",
            "Attempts to deliver, by recipient and result",
            self.deliveries.clone(),
        );
        registry.add(
            "categorized_recipients",
            "Recipients that were found to be something else, by what",
            self.categorized.clone(),
        );
        registry.add(
            "queue_active",
            "Messages being worked on by the transport core",
            self.queue_active.clone(),
        );
        registry.add(
            "queue_waiting",
            "Messages that wait for room at their destination",
            self.queue_waiting.clone(),
        );
        registry.add(
            "delivery_connections",
            "Connections to next hops and writers to Maildirs",
            self.delivery_connections.clone(),
        );
        self.lookups.register(registry);
        registry.add("task_panics", "Tasks that panicked", self.panics.clone());
        registry.add(
            "lost_notifications",
            "Notifications about undeliverable mail that could not be delivered themselves",
            self.lost_notifications.clone(),
        );
        registry.add(
            "delay_notifications",
            "Notifications to senders that their mail still waits",
            self.delay_notifications.clone(),
        );
        registry.add(
            "accept_errors",
            "Times that the system had no descriptor or memory for a connection",
            self.accept_errors.clone(),
        );
        registry.add(
            "spool_messages",
            "Messages in the spool by stage",
            self.spool.clone(),
        );
        registry.add_with_unit(
            "spool_free",
            "Free space for the spool",
            Unit::Bytes,
            self.spool_free.clone(),
        );
        registry.add(
            "log_lines_lost",
            "Lines of the log that nobody read in time or that could not be written",
            crate::log::lost(),
        );
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.add("build", "The program's version", build);
        self.present.register(registry);
    }

    /// A reply goes to a client.
    pub fn count_reply(&self, server: &Arc<str>, class: u8) {
        self.replies
            .get_or_create(&Replied {
                server: server.into(),
                class: class.into(),
            })
            .inc();
    }

    /// A client waited this long.
    pub fn observe_wait(&self, server: &Arc<str>, kind: WaitedFor, time: Duration) {
        self.reply_time
            .get_or_create(&Waited {
                server: server.into(),
                kind,
            })
            .observe(time.as_secs_f64());
    }

    /// A transaction came to this end.
    pub fn count_message(&self, server: &Arc<str>, end: MessageEnd) {
        self.messages
            .get_or_create(&Messages {
                server: server.into(),
                end,
            })
            .inc();
    }

    /// A limit was hit.
    pub fn count_limit(&self, server: &Arc<str>, limit: LimitName) {
        self.limits
            .get_or_create(&Limited {
                server: server.into(),
                limit,
            })
            .inc();
    }

    /// An authentication came to this end.
    pub fn count_authentication(
        &self,
        server: &Arc<str>,
        mechanism: AuthMechanism,
        result: AuthResult,
    ) {
        self.authentications
            .get_or_create(&Authenticated {
                server: server.into(),
                mechanism,
                result,
            })
            .inc();
    }

    /// What sessions have set aside of their memory now.
    pub fn set_session_memory(&self, octets: u64) {
        let octets = i64::try_from(octets).unwrap_or(i64::MAX);
        self.session_memory.set(octets);
    }

    /// What the spool counts now.
    pub fn set_spool(&self, counts: &StageCounts) {
        let all = [
            (Stage::Submit, counts.submit),
            (Stage::Categorize, counts.categorize),
            (Stage::Deliver, counts.deliver),
            (Stage::Held, counts.held),
            (Stage::Quarantined, counts.quarantined),
            (Stage::OnHold, counts.on_hold),
            (Stage::Damaged, counts.damaged),
        ];
        for (stage, count) in all {
            self.spool
                .get_or_create(&StageLabel { stage })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// How the sinks stand now.
    pub fn set_sinks(&self, sinks: &[Standing], now: SystemTime) {
        self.present.set_sinks(sinks, now);
    }

    /// When the oldest messages were received, by stage.
    pub fn set_oldest(&self, received: &[(Stage, SystemTime)], now: SystemTime) {
        self.present.set_oldest(received, now);
    }

    /// What waits for which destination.
    pub fn set_backlogs(&self, backlogs: &[Backlog], now: SystemTime) {
        self.present.set_backlogs(backlogs, now);
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// Never in practice: the text goes to a string.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
