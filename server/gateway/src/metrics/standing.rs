//! Gauges of the present: how the sinks stand, and what waits in the queue. They are set anew for each scrape, so that what
//! is no more has no value that stays.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use postern_spool::Backlog;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::labels::{Endpoint, OfDestination, Replica, Stage, StageLabel};
use super::register::Register;
use crate::observe::standing::{Standing, is_down, seconds_since};
use postern_dispatch::dispatcher::ReplicaHealth;

/// Destinations with gauges of their own: those for which most messages wait.
pub const DESTINATIONS: usize = 32;

type Seconds = Gauge<f64, AtomicU64>;

/// The gauges.
#[derive(Default)]
pub(super) struct Present {
    sink_up: Family<Endpoint, Gauge>,
    open_questions: Family<Endpoint, Gauge>,
    instances: Family<Endpoint, Gauge>,
    replica_up: Family<Replica, Gauge>,
    replica_ejected: Family<Replica, Gauge>,
    replica_since: Family<Replica, Seconds>,
    streams: Family<Replica, Gauge>,
    connections: Family<Replica, Gauge>,
    oldest: Family<StageLabel, Seconds>,
    destination_messages: Family<OfDestination, Gauge>,
    destination_recipients: Family<OfDestination, Gauge>,
    destination_retry: Family<OfDestination, Seconds>,
}

impl Present {
    pub(super) fn register(&self, registry: &mut Register<'_>) {
        registry.add(
            "sink_up",
            "1 where the sink can be asked, 0 where it cannot; absent until that is known",
            self.sink_up.clone(),
        );
        registry.add(
            "sink_open_questions",
            "Questions that the sink has not answered yet",
            self.open_questions.clone(),
        );
        registry.add(
            "sink_instances",
            "Instances at the sink, open and being opened",
            self.instances.clone(),
        );
        registry.add(
            "sink_replica_up",
            "1 where the replica takes instances, 0 where it does not",
            self.replica_up.clone(),
        );
        registry.add(
            "sink_replica_ejected",
            "1 where the replica can be reached but is left alone, since too many questions to it failed",
            self.replica_ejected.clone(),
        );
        registry.add_with_unit(
            "sink_replica_state",
            "For how long the replica has been up or down",
            Unit::Seconds,
            self.replica_since.clone(),
        );
        registry.add(
            "sink_replica_streams",
            "Streams to the replica",
            self.streams.clone(),
        );
        registry.add(
            "sink_replica_connections",
            "Connections to the replica",
            self.connections.clone(),
        );
        registry.add_with_unit(
            "spool_oldest_age",
            "Age of the oldest message at a stage",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.add(
            "destination_messages",
            "Messages that wait for another attempt at a destination",
            self.destination_messages.clone(),
        );
        registry.add(
            "destination_recipients",
            "Recipients that wait for another attempt at a destination",
            self.destination_recipients.clone(),
        );
        registry.add_with_unit(
            "destination_next_attempt",
            "Time until the next attempt at a destination",
            Unit::Seconds,
            self.destination_retry.clone(),
        );
    }

    /// How the sinks stand.
    pub(super) fn set_sinks(&self, sinks: &[Standing], now: SystemTime) {
        self.sink_up.clear();
        self.open_questions.clear();
        self.instances.clear();
        self.replica_up.clear();
        self.replica_ejected.clear();
        self.replica_since.clear();
        self.streams.clear();
        self.connections.clear();
        for one in sinks {
            let sink = Endpoint {
                sink: (&one.sink).into(),
            };
            if let Some(is_up) = one.is_up {
                self.sink_up.get_or_create(&sink).set(i64::from(is_up));
            }
            set(&self.open_questions, &sink, one.open_questions);
            set(&self.instances, &sink, one.instances);
            for replica in &one.replicas {
                let label = Replica {
                    sink: (&one.sink).into(),
                    replica: (&replica.name).into(),
                };
                set(&self.streams, &label, replica.streams);
                set(&self.connections, &label, replica.connections);
                if replica.health == ReplicaHealth::Unknown {
                    continue;
                }
                let is_up = usize::from(!is_down(replica.health));
                set(&self.replica_up, &label, is_up);
                let is_ejected = usize::from(replica.health == ReplicaHealth::Ejected);
                set(&self.replica_ejected, &label, is_ejected);
                let age = seconds_since(replica.since, now);
                self.replica_since.get_or_create(&label).set(age);
            }
        }
    }

    /// The ages of the oldest messages, where there are any.
    pub(super) fn set_oldest(&self, received: &[(Stage, SystemTime)], now: SystemTime) {
        self.oldest.clear();
        for &(stage, received) in received {
            let age = seconds_since(received, now);
            self.oldest.get_or_create(&StageLabel { stage }).set(age);
        }
    }

    /// What waits for which destination.
    pub(super) fn set_backlogs(&self, backlogs: &[Backlog], now: SystemTime) {
        self.destination_messages.clear();
        self.destination_recipients.clear();
        self.destination_retry.clear();
        for backlog in backlogs {
            let label = OfDestination {
                destination: backlog.destination.as_str().into(),
            };
            set(
                &self.destination_messages,
                &label,
                clamped(backlog.messages),
            );
            set(
                &self.destination_recipients,
                &label,
                clamped(backlog.recipients),
            );
            let wait = seconds_since(now, backlog.next);
            self.destination_retry.get_or_create(&label).set(wait);
        }
    }
}

fn clamped(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn set<L>(family: &Family<L, Gauge>, label: &L, value: usize)
where
    L: Clone + std::hash::Hash + Eq,
{
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    family.get_or_create(label).set(value);
}
