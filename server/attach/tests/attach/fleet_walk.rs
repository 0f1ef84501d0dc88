//! Random walks of a fleet, with what must hold after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_attach::{
    Code, ConnectionId, Fleet, FleetEvent, FleetSettings, NoReplica, Occupancy, Outcome, Placement,
    Reach, ReplicaHealth, ReplicaId, Retry, StreamEnd, StreamId, Tried,
};
use postern_proto::v1 as pb;

use crate::fleet::{broke, names, refused, response};

const WALKS: u64 = 300;
const STEPS: u64 = 300;

#[derive(Clone, Copy)]
struct Stream {
    replica: ReplicaId,
    connection: ConnectionId,
}

struct Walk {
    now: Instant,
    fleet: Fleet,
    random: u64,
    connecting: BTreeMap<ConnectionId, ReplicaId>,
    connected: BTreeSet<ConnectionId>,
    ever: BTreeSet<ConnectionId>,
    stalled: BTreeSet<ConnectionId>,
    streams: BTreeMap<StreamId, Stream>,
    open: Vec<(ReplicaId, StreamId, Tried)>,
    up: BTreeMap<ReplicaId, bool>,
    reach: Reach,
    edges: u64,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let settings = FleetSettings {
            concurrency: seed.is_multiple_of(3).then_some(10),
            streams_per_connection: 3,
            streams_per_replica: 8,
            shared_streams: 3,
            ..FleetSettings::default()
        };
        let mut walk = Self {
            now,
            fleet: Fleet::new(now, settings, names(3)),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            connecting: BTreeMap::new(),
            connected: BTreeSet::new(),
            ever: BTreeSet::new(),
            stalled: BTreeSet::new(),
            streams: BTreeMap::new(),
            open: Vec::new(),
            up: BTreeMap::new(),
            reach: Reach::Unknown,
            edges: 0,
        };
        walk.hear();
        walk
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound.max(1) as u64) as usize
    }

    fn hear(&mut self) {
        while let Some(event) = self.fleet.poll_event() {
            match event {
                FleetEvent::Connect {
                    replica,
                    connection,
                    ..
                } => {
                    assert!(self.ever.insert(connection), "a number is used once");
                    self.connecting.insert(connection, replica);
                }
                FleetEvent::Disconnect { connection } => {
                    let known = self.connecting.remove(&connection).is_some()
                        | self.connected.remove(&connection);
                    assert!(known, "dropped once");
                    let carries = self
                        .streams
                        .values()
                        .any(|one| one.connection == connection);
                    assert!(!carries, "nothing that carries a stream is dropped");
                }
                FleetEvent::ReplicaUp { replica, .. } => {
                    assert_ne!(self.up.insert(replica, true), Some(true), "up once");
                }
                FleetEvent::ReplicaDown { replica, .. } => {
                    assert_ne!(self.up.insert(replica, false), Some(false), "down once");
                }
                FleetEvent::Reachable => {
                    assert_ne!(self.reach, Reach::Reachable);
                    self.reach = Reach::Reachable;
                    self.edges += 1;
                }
                FleetEvent::Unreachable { .. } => {
                    assert_ne!(self.reach, Reach::Unreachable);
                    self.reach = Reach::Unreachable;
                    self.edges += 1;
                }
                FleetEvent::Described { .. } | FleetEvent::Stalled { .. } | FleetEvent::Changed => {
                }
            }
        }
    }

    fn check(&self) {
        let status = self.fleet.status(self.now);
        assert_eq!(status.reach, self.reach);
        assert_eq!(
            status.open,
            status.replicas.iter().map(|one| one.open).sum::<usize>()
        );
        for one in &status.replicas {
            let open = self
                .open
                .iter()
                .filter(|(replica, ..)| *replica == one.replica)
                .count();
            assert_eq!(one.open, open);
            let streams = self
                .streams
                .values()
                .filter(|stream| stream.replica == one.replica)
                .count();
            assert_eq!(one.streams, streams);
            if one.health == ReplicaHealth::Up {
                assert_eq!(self.up.get(&one.replica), Some(&true));
            }
        }
        if let Some(most) = status.concurrency {
            assert!(status.open <= most);
        }
        for connection in &self.connected {
            let streams = self
                .streams
                .values()
                .filter(|stream| stream.connection == *connection);
            assert!(streams.count() <= 3);
        }
    }

    fn occupancies(&mut self) -> Vec<(StreamId, Occupancy)> {
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        ids.into_iter()
            .map(|stream| {
                let occupancy = Occupancy {
                    has_room: self.below(4) > 0,
                    exclusive: false,
                    instances: self.below(20),
                    idle: self.below(3),
                    quiet: self.below(5) == 0,
                };
                (stream, occupancy)
            })
            .collect()
    }

    fn ask(&mut self, pick: postern_attach::Pick, mut tried: Tried) {
        let health = |walk: &Self| {
            let status = walk.fleet.status(walk.now);
            let found = status
                .replicas
                .iter()
                .find(|one| one.replica == pick.replica);
            found.map(|one| one.health)
        };
        assert_eq!(
            health(self),
            Some(ReplicaHealth::Up),
            "only what is up is picked"
        );
        let streams = self.occupancies();
        let bulky = self.below(2) == 0;
        let placement = self.fleet.place(self.now, pick, bulky, streams);
        self.hear();
        let stream = match placement {
            Placement::On(stream) => {
                let place = self.streams[&stream];
                assert_eq!(place.replica, pick.replica);
                assert_ne!(Some(place.connection), pick.not_on);
                assert!(!self.stalled.contains(&place.connection));
                stream
            }
            Placement::Open {
                stream, connection, ..
            } => {
                assert!(
                    self.connected.contains(&connection),
                    "described before the first stream"
                );
                assert_ne!(Some(connection), pick.not_on);
                assert!(!self.stalled.contains(&connection));
                let replica = pick.replica;
                let place = Stream {
                    replica,
                    connection,
                };
                assert!(self.streams.insert(stream, place).is_none());
                stream
            }
            Placement::Wait => {
                assert!(
                    self.connecting
                        .values()
                        .any(|replica| *replica == pick.replica),
                    "for something"
                );
                return;
            }
            Placement::ParkIdle(_) | Placement::Fault(_) => return,
        };
        let before = tried.askings();
        assert_eq!(self.fleet.asked(stream, &mut tried), Some(pick.replica));
        assert_eq!(tried.askings(), before + 1);
        assert!(tried.askings() <= 2);
        self.open.push((pick.replica, stream, tried));
    }

    fn step(&mut self) {
        match self.below(12) {
            0..=3 => {
                let mut random = self.random;
                let mut next = || {
                    random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(3);
                    random ^ (random >> 31)
                };
                match self.fleet.pick(&mut next, 0) {
                    Ok(pick) => self.ask(pick, Tried::new(true)),
                    Err(NoReplica::Wait) => {
                        let status = self.fleet.status(self.now);
                        let mut all = status.replicas.iter();
                        assert!(all.any(|one| one.health == ReplicaHealth::Unknown));
                    }
                    Err(NoReplica::Fault(_)) => {}
                }
            }
            4 | 5 => {
                let place = self.below(self.open.len());
                if self.open.is_empty() {
                    return;
                }
                let (replica, _, tried) = self.open.swap_remove(place);
                let outcome = match self.below(6) {
                    0 => Outcome::TimedOut { silent: true },
                    1 => Outcome::TimedOut { silent: false },
                    2 => Outcome::Faulted,
                    3 => Outcome::Cancelled,
                    _ => Outcome::Answered,
                };
                self.fleet.report(self.now, replica, outcome);
                self.hear();
                if outcome == Outcome::Faulted {
                    let again = self.fleet.pick_again(&mut || 7, &tried, Retry::Always, 0);
                    if tried.askings() == 2 {
                        assert_eq!(again, None);
                    }
                    if let Some(pick) = again {
                        self.ask(pick, tried);
                    }
                }
            }
            6 => {
                let ids: Vec<StreamId> = self.streams.keys().copied().collect();
                let place = self.below(ids.len());
                let Some(stream) = ids.get(place).copied() else {
                    return;
                };
                self.streams.remove(&stream);
                let lost: Vec<ReplicaId> = self
                    .open
                    .iter()
                    .filter(|(_, on, _)| *on == stream)
                    .map(|(replica, ..)| *replica)
                    .collect();
                self.open.retain(|(_, on, _)| *on != stream);
                for replica in lost {
                    self.fleet.report(self.now, replica, Outcome::Lost);
                }
                let end = match self.below(5) {
                    0 => broke(),
                    1 => StreamEnd::Refused {
                        detail: String::new(),
                    },
                    2 => StreamEnd::Status {
                        code: Code::Internal,
                        detail: String::new(),
                    },
                    _ => StreamEnd::InOrder,
                };
                self.fleet.stream_ended(self.now, stream, &end);
            }
            7 | 8 => {
                let well = self.below(4) > 0;
                self.connect(well);
            }
            9 => {
                let until = self.now + Duration::from_millis(self.below(3000) as u64);
                self.pass(until);
            }
            10 => {
                let ids: Vec<StreamId> = self.streams.keys().copied().collect();
                let place = self.below(ids.len());
                let stream = ids.get(place).copied();
                if self.below(3) == 0
                    && let Some(stream) = stream
                    && let Some(others) = self.fleet.stalled(self.now, stream)
                {
                    let connection = self.streams[&stream].connection;
                    self.stalled.insert(connection);
                    for (id, place) in &self.streams {
                        let other = place.connection == connection && *id != stream;
                        assert_eq!(others.contains(id), other);
                    }
                    self.hear();
                }
                let all: Vec<ConnectionId> = self.connected.iter().copied().collect();
                let place = self.below(all.len());
                if self.below(3) == 0
                    && let Some(connection) = all.get(place)
                {
                    self.fleet
                        .connection_lost(self.now, *connection, &refused());
                }
            }
            _ => {
                let status = self.fleet.status(self.now);
                let place = self.below(status.replicas.len());
                let Some(one) = status.replicas.get(place) else {
                    return;
                };
                match self.below(8) {
                    0 => self.fleet.serving(self.now, one.replica, Some(false)),
                    1 => self.fleet.serving(self.now, one.replica, Some(true)),
                    2 => self.fleet.serving(self.now, one.replica, None),
                    3 => {
                        let some: Vec<Arc<str>> =
                            names(4).into_iter().filter(|_| self.below(3) > 0).collect();
                        self.fleet.replace(self.now, some);
                    }
                    _ => self.fleet.alive(self.now, one.replica),
                }
            }
        }
        self.hear();
    }

    fn connect(&mut self, well: bool) {
        let waiting: Vec<ConnectionId> = self.connecting.keys().copied().collect();
        let place = self.below(waiting.len());
        let Some(connection) = waiting.get(place).copied() else {
            return;
        };
        self.connecting.remove(&connection);
        if well {
            let version = if self.below(30) == 0 { "2.0" } else { "1.0" };
            let response = pb::DescribeResponse {
                version: version.into(),
                ..response()
            };
            self.connected.insert(connection);
            assert_eq!(self.fleet.connected(self.now, connection, response), Ok(()));
        } else {
            self.fleet.connect_failed(self.now, connection, refused());
        }
        self.hear();
    }

    fn pass(&mut self, until: Instant) {
        let mut stops = 0;
        while let Some(at) = self.fleet.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.fleet.handle_timeout(self.now);
            self.hear();
            stops += 1;
            assert!(stops < 1000, "the fleet asks to be called again and again");
        }
        self.now = until;
    }
}

#[test]
fn a_fleet_keeps_its_word() {
    let mut edges = 0;
    for seed in 1..=WALKS {
        let mut walk = Walk::new(seed);
        for _ in 0..STEPS {
            walk.step();
            walk.check();
        }
        // Whatever happened: where every replica is well again, all of them are found to be within seconds.
        walk.fleet.replace(walk.now, names(3));
        walk.hear();
        for one in walk.fleet.status(walk.now).replicas {
            walk.fleet.serving(walk.now, one.replica, None);
            walk.hear();
        }
        for _ in 0..40 {
            while !walk.connecting.is_empty() {
                walk.connect(true);
            }
            let until = walk.now + Duration::from_secs(1);
            walk.pass(until);
        }
        while !walk.connecting.is_empty() {
            walk.connect(true);
        }
        let status = walk.fleet.status(walk.now);
        let here = status
            .replicas
            .iter()
            .filter(|one| one.health != ReplicaHealth::Leaving);
        for one in here {
            assert_eq!(one.health, ReplicaHealth::Up, "seed {seed}: {one:?}");
        }
        assert_eq!(status.reach, Reach::Reachable);
        edges += walk.edges;
    }
    assert!(
        edges > 500,
        "a walk that meets nothing proves nothing: {edges}"
    );
}
