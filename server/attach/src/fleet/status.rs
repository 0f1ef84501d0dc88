//! How a sink and its replicas stand: the one state that metrics, log and readiness read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_events::fault::Fault;

use super::description::Description;
use super::ids::ReplicaId;
use super::replica::{Cause, Health, Replica};
use super::state::{Fleet, Reach};

/// How a sink stands.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetStatus {
    /// Whether it can be asked.
    pub reach: Reach,
    /// Open questions.
    pub open: usize,
    /// Questions that may be open.
    pub concurrency: Option<usize>,
    /// Its replicas.
    pub replicas: Vec<ReplicaStatus>,
}

/// How a replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaHealth {
    /// Its first connection is being made.
    Unknown,
    /// It takes instances.
    Up,
    /// It cannot be reached.
    Unreachable,
    /// It can be reached, but too many questions to it failed.
    Ejected,
    /// It is no longer one of the sink's, and ends with its last stream.
    Leaving,
}

impl ReplicaHealth {
    /// Returns the word for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Unreachable => "unreachable",
            Self::Ejected => "ejected",
            Self::Leaving => "leaving",
        }
    }
}

/// How one replica stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaStatus {
    /// The replica.
    pub replica: ReplicaId,
    /// Its endpoint.
    pub name: Arc<str>,
    /// Its health.
    pub health: ReplicaHealth,
    /// For how long it has been that.
    pub for_time: Duration,
    /// When it is probed, where it takes no instances.
    pub retry_in: Option<Duration>,
    /// What failed last, also where it takes instances again.
    pub last_fault: Option<Fault>,
    /// Open questions.
    pub open: usize,
    /// Open streams.
    pub streams: usize,
    /// Connections that have been made.
    pub connections: usize,
    /// How often it came up.
    pub ups: u64,
    /// How often it went out.
    pub downs: u64,
    /// What it said of itself last.
    pub description: Option<Arc<Description>>,
}

impl Fleet {
    /// Returns how the sink stands.
    #[must_use]
    pub fn status(&self, now: Instant) -> FleetStatus {
        FleetStatus {
            reach: self.reach,
            open: self.open(),
            concurrency: self.settings.concurrency,
            replicas: self
                .replicas
                .iter()
                .map(|replica| status(replica, now))
                .collect(),
        }
    }
}

fn status(replica: &Replica, now: Instant) -> ReplicaStatus {
    let (health, retry_in) = match &replica.health {
        _ if replica.leaving => (ReplicaHealth::Leaving, None),
        Health::Unknown => (ReplicaHealth::Unknown, None),
        Health::Up => (ReplicaHealth::Up, None),
        Health::Out {
            cause, retry_at, ..
        } => {
            let health = match cause {
                Cause::Unreachable => ReplicaHealth::Unreachable,
                Cause::Ejected => ReplicaHealth::Ejected,
            };
            (health, Some(retry_at.saturating_duration_since(now)))
        }
    };
    ReplicaStatus {
        replica: replica.id,
        name: Arc::clone(&replica.name),
        health,
        for_time: now.saturating_duration_since(replica.since),
        retry_in,
        last_fault: replica.last_fault.clone(),
        open: replica.open,
        streams: replica.streams,
        connections: replica
            .connections
            .iter()
            .filter(|one| !one.is_connecting())
            .count(),
        ups: replica.ups,
        downs: replica.downs,
        description: replica.description.clone(),
    }
}
