//! What outcomes, connections and probes say about a replica.

use std::sync::Arc;
use std::time::Instant;

use postern_events::fault::{Fault, FaultKind};
use postern_proto::v1 as pb;

use crate::end::StreamEnd;

use super::connection::Stage;
use super::description::Description;
use super::ids::{ConnectionId, ReplicaId, StreamId};
use super::replica::Health;
use super::state::{Fleet, FleetEvent};
use super::tried::Tried;

/// What became of a question, as far as it speaks of the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A verdict came, good or bad.
    Answered,
    /// It failed for a reason of the application's, or on a stream that went silent. Speaks neither for nor against the
    /// replica.
    Faulted,
    /// Its deadline passed.
    TimedOut {
        /// No frame at all came on the stream since it was asked.
        silent: bool,
    },
    /// Its stream or its instance was lost. What that means is said by the end of the stream.
    Lost,
    /// Nobody waited for it any more.
    Cancelled,
}

impl Fleet {
    /// Counts a question that was asked on a stream. Returns the replica, to be named when its outcome is reported.
    pub fn asked(&mut self, stream: StreamId, tried: &mut Tried) -> Option<ReplicaId> {
        let place = *self.streams.get(&stream)?;
        tried.asked(place.replica, place.connection);
        let replica = self.replica_mut(place.replica)?;
        replica.open += 1;
        Some(replica.id)
    }

    /// Takes in what became of a question: once for each that was counted.
    pub fn report(&mut self, now: Instant, replica: ReplicaId, outcome: Outcome) {
        let Some(one) = self.replicas.iter_mut().find(|one| one.id == replica) else {
            return;
        };
        one.open = one.open.saturating_sub(1);
        match outcome {
            Outcome::Answered => one.good(now),
            Outcome::TimedOut { silent: false } => one.sign(now),
            Outcome::TimedOut { silent: true } => {
                let fault = Fault::new(FaultKind::Timeout, "it does not answer");
                self.bad(now, replica, &fault);
            }
            Outcome::Faulted | Outcome::Lost | Outcome::Cancelled => {}
        }
    }

    /// Takes in that a stream is stalled. Returns the other streams of its connection: that one takes nothing new any more,
    /// and their instances are to leave it, as well as those of the stalled one; it is closed with the last of them. `None`:
    /// the stream has its connection for itself, and holds up nobody.
    pub fn stalled(&mut self, now: Instant, stream: StreamId) -> Option<Vec<StreamId>> {
        let place = *self.streams.get(&stream)?;
        let apart = now + self.settings.apart_after_stall;
        let replica = self.replica_mut(place.replica)?;
        let (id, name) = (replica.id, Arc::clone(&replica.name));
        replica.apart_until = Some(apart);
        let connection = replica.connection(place.connection)?;
        if connection.reserved {
            return None;
        }
        connection.retired = true;
        if !std::mem::replace(&mut connection.stalled, true) {
            let counted = std::mem::replace(&mut connection.counted, true);
            self.events
                .push_back(FleetEvent::Stalled { replica: id, name });
            if !counted {
                let fault = Fault::new(FaultKind::Timeout, "it takes nothing more on a connection");
                self.bad(now, id, &fault);
            }
            self.reconnect(now, id);
            self.changed();
        }
        let mut others: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(other, at)| at.connection == place.connection && **other != stream)
            .map(|(other, _)| *other)
            .collect();
        others.sort_unstable();
        Some(others)
    }

    /// Takes in the end of a stream.
    pub fn stream_ended(&mut self, now: Instant, stream: StreamId, end: &StreamEnd) {
        let Some(place) = self.streams.remove(&stream) else {
            return;
        };
        let Some(replica) = self.replica_mut(place.replica) else {
            return;
        };
        replica.streams -= 1;
        let Some(connection) = replica.connection(place.connection) else {
            self.clear_out();
            return;
        };
        connection.release(now);
        if matches!(end, StreamEnd::Refused { .. }) {
            connection.refuse();
        }
        if end.counts() {
            // A connection that breaks takes all its streams along: that is one failure, not many.
            connection.retired = true;
            if !std::mem::replace(&mut connection.counted, true) {
                self.bad(now, place.replica, &end.fault());
                self.reconnect(now, place.replica);
            }
        }
        self.clear_out();
        self.changed();
    }

    /// Takes in that a connection was made, and what the sink said of itself on it.
    ///
    /// # Errors
    ///
    /// What is wrong with it: drop the connection. It counts as an attempt that failed.
    pub fn connected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        response: pb::DescribeResponse,
    ) -> Result<(), Fault> {
        let Some(replica) = self.owner(connection) else {
            return Err(Fault::new(
                FaultKind::Timeout,
                "the connection came too late",
            ));
        };
        let known = replica.description.clone();
        let revision = known.as_ref().map_or(0, |known| known.revision);
        let description = match Description::new(revision, response) {
            Ok(description) => description,
            Err(fault) => {
                self.connect_failed(now, connection, fault.clone());
                return Err(fault);
            }
        };
        let (description, is_new) = match known {
            Some(known) if *known == description => (known, false),
            _ => {
                let revision = revision + 1;
                (
                    Arc::new(Description {
                        revision,
                        ..description
                    }),
                    true,
                )
            }
        };
        self.ready(now, connection, description, is_new);
        Ok(())
    }

    /// Takes in that a connection could not be made, or that its sink did not say who it is.
    pub fn connect_failed(&mut self, now: Instant, connection: ConnectionId, fault: Fault) {
        let Some(replica) = self.owner(connection) else {
            return;
        };
        let id = replica.id;
        let begun = replica.connection(connection).map(|one| match one.stage {
            Stage::Connecting { since, .. } => since,
            Stage::Ready(_) => now,
        });
        replica.connections.retain(|one| one.id != connection);
        // Nothing that works is taken out of use because a further connection cannot be had.
        let works = replica.health == Health::Up
            && begun.is_some_and(|begun| replica.last_sign > begun)
            && replica.connections.iter().any(|one| one.is_usable());
        if works {
            self.bad(now, id, &fault);
        } else {
            self.unreachable(now, id, &fault);
        }
        self.clear_out();
        self.changed();
    }

    /// Takes in that a connection was lost, with or without streams on it. Those are reported on their own.
    pub fn connection_lost(&mut self, now: Instant, connection: ConnectionId, fault: &Fault) {
        let Some(replica) = self.owner(connection) else {
            return;
        };
        let id = replica.id;
        let Some(one) = replica.connection(connection) else {
            return;
        };
        if one.is_connecting() {
            return self.connect_failed(now, connection, fault.clone());
        }
        one.retired = true;
        if !std::mem::replace(&mut one.counted, true) {
            self.bad(now, id, fault);
            self.reconnect(now, id);
        }
        self.clear_out();
        self.changed();
    }

    /// Takes in a sign of life that answers no question: a heartbeat.
    pub fn alive(&mut self, now: Instant, replica: ReplicaId) {
        if let Some(one) = self.replica_mut(replica) {
            one.sign(now);
        }
    }

    /// Takes in what a replica's own health service says. `None`: it is not watched, and probes tell.
    pub fn serving(&mut self, now: Instant, replica: ReplicaId, serving: Option<bool>) {
        let Some(one) = self.replica_mut(replica) else {
            return;
        };
        one.watch = serving;
        match serving {
            Some(false) => {
                let fault = Fault::new(FaultKind::Unreachable, "it says that it does not serve");
                self.unreachable(now, replica, &fault);
                self.changed();
            }
            Some(true) => {
                one.sign(now);
                if let Health::Out { retry_at, .. } = &mut one.health {
                    *retry_at = now;
                }
            }
            None => {}
        }
    }

    /// A connection can be used.
    fn ready(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        description: Arc<Description>,
        is_new: bool,
    ) {
        let Some(replica) = self.owner(connection) else {
            return;
        };
        let (id, name) = (replica.id, Arc::clone(&replica.name));
        let others = replica
            .connections
            .iter_mut()
            .filter(|one| one.id != connection);
        if is_new {
            // It is another program now, or another version: what was connected before ends with its streams.
            others.for_each(|one| one.retired |= !one.is_connecting());
        }
        replica.description = Some(Arc::clone(&description));
        if let Some(one) = replica.connection(connection) {
            one.stage = Stage::Ready(Arc::clone(&description));
            one.unused_since = now;
        }
        let came_up = replica.reached(now);
        if is_new {
            self.events.push_back(FleetEvent::Described {
                replica: id,
                name: Arc::clone(&name),
                description: Arc::clone(&description),
            });
        }
        if came_up {
            self.events.push_back(FleetEvent::ReplicaUp {
                replica: id,
                name,
                description,
            });
        }
        self.clear_out();
        self.changed();
    }

    /// A failure speaks against a replica.
    fn bad(&mut self, now: Instant, replica: ReplicaId, fault: &Fault) {
        let Some(one) = self.replicas.iter_mut().find(|one| one.id == replica) else {
            return;
        };
        if one.bad(now, fault, &self.settings) {
            self.went_out(now, replica);
            self.changed();
        }
    }

    fn unreachable(&mut self, now: Instant, replica: ReplicaId, fault: &Fault) {
        let Some(one) = self.replicas.iter_mut().find(|one| one.id == replica) else {
            return;
        };
        if one.unreachable(now, fault, &self.settings) {
            self.went_out(now, replica);
        }
    }

    fn went_out(&mut self, now: Instant, replica: ReplicaId) {
        let Some(one) = self.replica(replica) else {
            return;
        };
        if let Health::Out {
            fault, retry_at, ..
        } = &one.health
        {
            let event = FleetEvent::ReplicaDown {
                replica,
                name: Arc::clone(&one.name),
                fault: fault.clone(),
                retry_in: retry_at.saturating_duration_since(now),
            };
            self.events.push_back(event);
        }
    }

    /// Makes a connection at once where a replica that takes instances has none left: before the next question needs
    /// it, and so that it is known whether the replica is there.
    fn reconnect(&mut self, now: Instant, replica: ReplicaId) {
        let needs = self.replica(replica).is_some_and(|one| {
            one.is_usable()
                && !one.is_connecting()
                && !one.connections.iter().any(|one| one.is_usable())
        });
        if needs {
            self.connect(now, replica);
        }
    }
}
