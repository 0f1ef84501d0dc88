//! Which replica is asked, and on which stream.

use std::sync::Arc;
use std::time::Instant;

use postern_events::fault::{Fault, FaultKind};

use crate::link::Occupancy;
use crate::random::{Random, below};
use crate::retry::Retry;

use super::connection::Connection;
use super::description::Description;
use super::ids::{ConnectionId, ReplicaId, StreamId};
use super::replica::{Health, Replica};
use super::state::{Fleet, StreamPlace};
use super::tried::Tried;

/// Connections of one replica that may be in the making at a time.
const CONNECTING: usize = 8;

/// A replica that was chosen for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The replica.
    pub replica: ReplicaId,
    /// A connection that is not to be used: what was asked on it failed.
    pub not_on: Option<ConnectionId>,
}

/// Why no replica was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReplica {
    /// The first connection is being made: try again at [`FleetEvent::Changed`](super::FleetEvent::Changed).
    Wait,
    /// None can be asked, or none may be.
    Fault(Fault),
}

/// Where an instance goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// To this stream.
    On(StreamId),
    /// To a stream that is to be opened.
    Open {
        /// The number of the stream.
        stream: StreamId,
        /// The connection that it is opened on.
        connection: ConnectionId,
        /// What the sink said on that connection.
        description: Arc<Description>,
    },
    /// To this stream, once an idle instance on it has been parked. Then ask again.
    ParkIdle(StreamId),
    /// A connection is being made: try again at [`FleetEvent::Changed`](super::FleetEvent::Changed).
    Wait,
    /// Nowhere.
    Fault(Fault),
}

impl Fleet {
    /// Chooses a replica for an instance: of two that can be asked, taken at random, the one with fewer open questions.
    ///
    /// # Errors
    ///
    /// [`NoReplica`]. `elsewhere` is the number of open questions that others count for this sink.
    pub fn pick(&self, random: &mut impl Random, elsewhere: usize) -> Result<Pick, NoReplica> {
        self.admits(elsewhere).map_err(NoReplica::Fault)?;
        let usable: Vec<&Replica> = self.usable().collect();
        if usable.is_empty() {
            let unknown = |replica: &Replica| replica.health == Health::Unknown && !replica.leaving;
            return Err(if self.replicas.iter().any(unknown) {
                NoReplica::Wait
            } else {
                NoReplica::Fault(self.why_unreachable())
            });
        }
        match self.better_of_two(random, &usable) {
            Some(replica) => Ok(Pick {
                replica,
                not_on: None,
            }),
            None => Err(NoReplica::Fault(too_many())),
        }
    }

    /// Chooses where a question is asked once more that failed: on another replica, or on another connection of the only
    /// one. `None`: the failure stands.
    pub fn pick_again(
        &self,
        random: &mut impl Random,
        tried: &Tried,
        retry: Retry,
        elsewhere: usize,
    ) -> Option<Pick> {
        if tried.is_spent() || !retry.allows(tried.harmless) || self.admits(elsewhere).is_err() {
            return None;
        }
        let (last, connection) = tried.last().unzip();
        let others: Vec<&Replica> = self
            .usable()
            .filter(|replica| Some(replica.id) != last)
            .collect();
        if !others.is_empty() {
            let replica = self.better_of_two(random, &others)?;
            return Some(Pick {
                replica,
                not_on: None,
            });
        }
        let only: Vec<&Replica> = self.usable().collect();
        self.better_of_two(random, &only).map(|replica| Pick {
            replica,
            not_on: connection,
        })
    }

    /// Checks whether one more question may be open, also in an instance that is open already.
    ///
    /// # Errors
    ///
    /// A fault of kind `overload`.
    pub fn admit(&self, replica: ReplicaId, elsewhere: usize) -> Result<(), Fault> {
        self.admits(elsewhere)?;
        match self.replica(replica) {
            Some(one) if one.open >= self.settings.questions_per_replica => Err(too_many()),
            _ => Ok(()),
        }
    }

    /// Finds a stream for an instance on the replica that was chosen. `bulky`: it will be shown whole bodies. `streams`
    /// are those that run, with what each could carry.
    pub fn place(
        &mut self,
        now: Instant,
        pick: Pick,
        bulky: bool,
        streams: impl IntoIterator<Item = (StreamId, Occupancy)>,
    ) -> Placement {
        let Some(replica) = self.replica(pick.replica).filter(|one| one.is_usable()) else {
            return Placement::Fault(self.why_unreachable());
        };
        let Some(description) = replica.description.clone() else {
            return Placement::Wait;
        };
        let shared = description.capacity > 1;
        let alone = bulky && (!shared || replica.keeps_bodies_apart(now));
        let candidates: Vec<(StreamId, Occupancy)> = streams
            .into_iter()
            .filter(|(stream, occupancy)| {
                self.connection_of(*stream, replica, pick.not_on)
                    .is_some_and(|connection| {
                        let own = connection.reserved && occupancy.instances == 0;
                        !shared || if alone { own } else { !connection.reserved }
                    })
            })
            .collect();
        let roomy = || {
            candidates
                .iter()
                .filter(|(_, occupancy)| occupancy.has_room)
        };
        let few = self.settings.instances_per_shared_stream.max(1);
        let good = roomy()
            .filter(|(_, occupancy)| !occupancy.quiet && occupancy.instances < few)
            .min_by_key(|(stream, occupancy)| (occupancy.instances, *stream))
            .map(|(stream, _)| *stream);
        if let Some(stream) = good {
            return Placement::On(stream);
        }
        let least = roomy()
            .min_by_key(|(stream, occupancy)| (occupancy.quiet, occupancy.instances, *stream))
            .map(|(stream, _)| *stream);
        let enough = shared && replica.streams >= self.settings.shared_streams;
        if let Some(stream) = least.filter(|_| enough) {
            return Placement::On(stream);
        }
        if replica.streams < self.settings.streams_per_replica {
            return self.open_stream(now, pick, alone, least);
        }
        let idle = candidates
            .iter()
            .filter(|(_, occupancy)| occupancy.exclusive && occupancy.idle > 0)
            .min_by_key(|(stream, _)| *stream);
        match (least, idle) {
            (Some(stream), _) => Placement::On(stream),
            (None, Some((stream, _))) => Placement::ParkIdle(*stream),
            (None, None) => Placement::Fault(Fault::new(
                FaultKind::Overload,
                "all streams to this replica are taken",
            )),
        }
    }

    /// Opens a stream on a connection with room for it, or makes a connection. While one is being made `instead` is
    /// used, if there is such a stream.
    fn open_stream(
        &mut self,
        now: Instant,
        pick: Pick,
        alone: bool,
        instead: Option<StreamId>,
    ) -> Placement {
        let stream = StreamId(self.number());
        let most_stalled = self.settings.stalled_connections;
        let Some(replica) = self.replica_mut(pick.replica) else {
            return Placement::Wait;
        };
        let allowed = |one: &&mut Connection| Some(one.id) != pick.not_on && one.has_slot(alone);
        let found = replica
            .connections
            .iter_mut()
            .find(allowed)
            .and_then(|one| {
                let description = Arc::clone(one.description()?);
                one.take(alone);
                Some((one.id, description))
            });
        if let Some((connection, description)) = found {
            replica.streams += 1;
            let replica = pick.replica;
            self.streams.insert(
                stream,
                StreamPlace {
                    replica,
                    connection,
                },
            );
            return Placement::Open {
                stream,
                connection,
                description,
            };
        }
        let connecting = replica
            .connections
            .iter()
            .filter(|one| one.is_connecting())
            .count();
        if replica.stalled() >= most_stalled {
            let detail = "as many connections to this replica as may be are stalled";
            let fault = Fault::new(FaultKind::Overload, detail);
            return instead.map_or(Placement::Fault(fault), Placement::On);
        }
        if connecting == 0 || (alone && connecting < CONNECTING) {
            self.connect(now, pick.replica);
        }
        instead.map_or(Placement::Wait, Placement::On)
    }

    /// The connection of a stream to this replica, if it may be used.
    fn connection_of<'a>(
        &self,
        stream: StreamId,
        replica: &'a Replica,
        not_on: Option<ConnectionId>,
    ) -> Option<&'a Connection> {
        let place = self.streams.get(&stream)?;
        if place.replica != replica.id || Some(place.connection) == not_on {
            return None;
        }
        replica
            .connections
            .iter()
            .find(|one| one.id == place.connection && one.is_usable())
    }

    fn usable(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|replica| replica.is_usable())
    }

    fn admits(&self, elsewhere: usize) -> Result<(), Fault> {
        match self.settings.concurrency {
            Some(most) if self.open() + elsewhere >= most => Err(Fault::new(
                FaultKind::Overload,
                "the sink has as many open questions as its concurrency allows",
            )),
            _ => Ok(()),
        }
    }

    fn better_of_two(&self, random: &mut impl Random, among: &[&Replica]) -> Option<ReplicaId> {
        let has_room = |replica: &&&Replica| replica.open < self.settings.questions_per_replica;
        let trusted = |replica: &&&Replica| has_room(replica) && !replica.is_suspect();
        let mut room: Vec<&&Replica> = among.iter().filter(trusted).collect();
        if room.is_empty() {
            room = among.iter().filter(has_room).collect();
        }
        let place = below(random, room.len());
        let first = room.get(place)?;
        // The second is another one, each of the rest as likely.
        let step = 1 + below(random, room.len().saturating_sub(1));
        let second = room.get((place + step) % room.len())?;
        Some(if second.open < first.open {
            second.id
        } else {
            first.id
        })
    }
}

fn too_many() -> Fault {
    Fault::new(
        FaultKind::Overload,
        "too many questions are open at this sink's replicas",
    )
}
