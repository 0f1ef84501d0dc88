//! The state of a fleet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_events::fault::{Fault, FaultKind};

use super::connection::Connection;
use super::description::Description;
use super::ids::{ConnectionId, ReplicaId, StreamId};
use super::replica::{Health, Replica};
use super::settings::FleetSettings;

/// What a fleet has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum FleetEvent {
    /// Make a connection, ask `Describe` on it, and say what came of it.
    Connect {
        /// The replica.
        replica: ReplicaId,
        /// Its endpoint.
        name: Arc<str>,
        /// The number of the connection.
        connection: ConnectionId,
    },
    /// Drop a connection, or the attempt to make it.
    Disconnect {
        /// Its number.
        connection: ConnectionId,
    },
    /// A replica takes instances.
    ReplicaUp {
        /// The replica.
        replica: ReplicaId,
        /// Its endpoint.
        name: Arc<str>,
        /// What it said of itself.
        description: Arc<Description>,
    },
    /// A replica takes no new instances.
    ReplicaDown {
        /// The replica.
        replica: ReplicaId,
        /// Its endpoint.
        name: Arc<str>,
        /// Why.
        fault: Fault,
        /// When it is probed.
        retry_in: Duration,
    },
    /// A connection to a replica takes nothing more, because the sink does not read. Another one takes its place.
    Stalled {
        /// The replica.
        replica: ReplicaId,
        /// Its endpoint.
        name: Arc<str>,
    },
    /// A replica said something else of itself than before, or spoke for the first time. Compare it with what was
    /// accepted.
    Described {
        /// The replica.
        replica: ReplicaId,
        /// Its endpoint.
        name: Arc<str>,
        /// What it said.
        description: Arc<Description>,
    },
    /// The sink can be asked, for the first time or again. What was held for it may go.
    Reachable,
    /// No replica takes instances any more.
    Unreachable {
        /// Why not.
        fault: Fault,
    },
    /// Whoever waits for a connection or a replica may try again.
    Changed,
}

/// Whether the sink as a whole can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its first connection is being made.
    Unknown,
    /// At least one replica takes instances.
    Reachable,
    /// None does.
    Unreachable,
}

/// Where a stream runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamPlace {
    pub(crate) replica: ReplicaId,
    pub(crate) connection: ConnectionId,
}

/// The replicas of one sink.
///
/// It says when to connect and to probe, which replica a new instance goes to and on which stream, and what is tried
/// when a question fails. Health is a state of its own, fed by probes and outcomes; metrics, log and readiness read it
/// from here.
#[derive(Debug)]
pub struct Fleet {
    pub(super) settings: FleetSettings,
    pub(super) replicas: Vec<Replica>,
    pub(super) streams: HashMap<StreamId, StreamPlace>,
    pub(super) events: VecDeque<FleetEvent>,
    pub(super) reach: Reach,
    last_id: u64,
}

impl Fleet {
    /// A fleet of the replicas at these endpoints. They are connected at once.
    #[must_use]
    pub fn new(
        now: Instant,
        settings: FleetSettings,
        names: impl IntoIterator<Item = Arc<str>>,
    ) -> Self {
        let mut fleet = Self {
            settings,
            replicas: Vec::new(),
            streams: HashMap::new(),
            events: VecDeque::new(),
            reach: Reach::Unknown,
            last_id: 0,
        };
        fleet.replace(now, names);
        fleet
    }

    /// Takes in the endpoints that the sink has now. Replicas that it has no more end with their last stream.
    pub fn replace(&mut self, now: Instant, names: impl IntoIterator<Item = Arc<str>>) {
        let names: Vec<Arc<str>> = names.into_iter().collect();
        for replica in &mut self.replicas {
            replica.leaving = !names.contains(&replica.name);
        }
        for name in names {
            if self.replicas.iter().all(|replica| replica.name != name) {
                let id = ReplicaId(self.number());
                let window = self.settings.window;
                self.replicas.push(Replica::new(id, name, now, window));
                self.connect(now, id);
            }
        }
        self.clear_out();
        self.changed();
    }

    /// Returns what happened next.
    pub fn poll_event(&mut self) -> Option<FleetEvent> {
        self.events.pop_front()
    }

    /// Returns what a replica said of itself last.
    #[must_use]
    pub fn description(&self, replica: ReplicaId) -> Option<&Arc<Description>> {
        self.replica(replica)?.description.as_ref()
    }

    pub(super) fn replica(&self, id: ReplicaId) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.id == id)
    }

    pub(super) fn replica_mut(&mut self, id: ReplicaId) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.id == id)
    }

    /// The replica that has this connection.
    pub(super) fn owner(&mut self, connection: ConnectionId) -> Option<&mut Replica> {
        self.replicas
            .iter_mut()
            .find(|replica| replica.connections.iter().any(|one| one.id == connection))
    }

    pub(super) const fn number(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Open questions of all replicas.
    pub(super) fn open(&self) -> usize {
        self.replicas.iter().map(|replica| replica.open).sum()
    }

    /// Begins a connection to a replica.
    pub(super) fn connect(&mut self, now: Instant, replica: ReplicaId) {
        let connection = ConnectionId(self.number());
        let until = now + self.settings.connect_timeout;
        let limit = self.settings.streams_per_connection.max(1);
        let Some(one) = self.replica_mut(replica) else {
            return;
        };
        let name = Arc::clone(&one.name);
        one.connections
            .push(Connection::new(connection, now, until, limit));
        self.events.push_back(FleetEvent::Connect {
            replica,
            name,
            connection,
        });
    }

    /// Takes a connection out and has it dropped.
    pub(super) fn disconnect(&mut self, connection: ConnectionId) {
        if let Some(replica) = self.owner(connection) {
            replica.connections.retain(|one| one.id != connection);
            self.events.push_back(FleetEvent::Disconnect { connection });
        }
    }

    /// Drops what nothing needs: retired connections without streams, and replicas that have left.
    pub(super) fn clear_out(&mut self) {
        let useless: Vec<ConnectionId> = self
            .replicas
            .iter()
            .flat_map(|replica| {
                replica
                    .connections
                    .iter()
                    .filter(|one| one.streams == 0 && (one.retired || replica.leaving))
            })
            .map(|one| one.id)
            .collect();
        for connection in useless {
            self.disconnect(connection);
        }
        self.replicas
            .retain(|replica| !replica.leaving || !replica.connections.is_empty());
    }

    /// Something changed that somebody may wait for. Says so, and whether the sink as a whole can be asked.
    pub(super) fn changed(&mut self) {
        self.events.push_back(FleetEvent::Changed);
        let reach = self.current_reach();
        if reach == self.reach {
            return;
        }
        self.reach = reach;
        match reach {
            Reach::Unknown => {}
            Reach::Reachable => self.events.push_back(FleetEvent::Reachable),
            Reach::Unreachable => {
                let fault = self.why_unreachable();
                self.events.push_back(FleetEvent::Unreachable { fault });
            }
        }
    }

    /// Why no replica can be asked.
    pub(super) fn why_unreachable(&self) -> Fault {
        let down = self.replicas.iter().filter(|replica| !replica.leaving);
        let why = down
            .filter_map(|replica| replica.fault().map(|fault| (&replica.name, fault)))
            .next();
        match why {
            Some((name, fault)) => {
                Fault::new(FaultKind::Unreachable, format!("{name}: {}", fault.detail))
            }
            None if self.replicas.is_empty() => {
                Fault::new(FaultKind::Unreachable, "the sink's name has no address")
            }
            None => Fault::new(FaultKind::Unreachable, "not connected yet"),
        }
    }

    fn current_reach(&self) -> Reach {
        let mut here = self.replicas.iter().filter(|replica| !replica.leaving);
        if here.clone().any(Replica::is_usable) {
            return Reach::Reachable;
        }
        if here.any(|replica| replica.health == Health::Unknown) && self.reach == Reach::Unknown {
            return Reach::Unknown;
        }
        Reach::Unreachable
    }
}
