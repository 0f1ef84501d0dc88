//! How the sinks stand, all runtime threads taken together: the one state that metrics and readiness show, read from where
//! the log's lines about it come from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use postern_dispatch::dispatcher::{Reach, ReplicaHealth, SinkState, SinkStates};

/// How one sink stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its name.
    pub sink: Arc<str>,
    /// Whether it can be asked: not while one thread cannot. `None`: nothing is known yet.
    pub is_up: Option<bool>,
    /// Why not.
    pub why: Option<String>,
    /// Questions that are open.
    pub open_questions: usize,
    /// Instances, open and being opened.
    pub instances: usize,
    /// Its replicas by endpoint.
    pub replicas: Vec<ReplicaStanding>,
}

/// How one replica stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaStanding {
    /// Its endpoint.
    pub name: Arc<str>,
    /// Its health: the worst that a thread knows.
    pub health: ReplicaHealth,
    /// Since when.
    pub since: SystemTime,
    /// Streams, of all threads.
    pub streams: usize,
    /// Connections, of all threads.
    pub connections: usize,
}

/// Where the threads' dispatchers are read from.
#[derive(Debug, Default)]
pub struct Board {
    threads: Mutex<Vec<SinkStates>>,
}

impl Board {
    /// Reads this thread's dispatcher too.
    pub fn add(&self, states: SinkStates) {
        self.threads.lock().push(states);
    }

    /// How all sinks stand, by name.
    #[must_use]
    pub fn now(&self) -> Vec<Standing> {
        let threads = self.threads.lock();
        let states = threads.iter().flat_map(SinkStates::now);
        merge(states, Instant::now(), SystemTime::now())
    }
}

/// One state of each sink, from those of the threads.
fn merge(states: impl Iterator<Item = SinkState>, now: Instant, time: SystemTime) -> Vec<Standing> {
    let mut sinks: BTreeMap<Arc<str>, Standing> = BTreeMap::new();
    for state in states {
        let name = Arc::clone(&state.sink);
        let one = sinks.entry(name).or_insert_with(|| Standing {
            sink: Arc::clone(&state.sink),
            is_up: None,
            why: None,
            open_questions: 0,
            instances: 0,
            replicas: Vec::new(),
        });
        one.add(&state, now, time);
    }
    sinks.into_values().collect()
}

impl Standing {
    fn add(&mut self, state: &SinkState, now: Instant, time: SystemTime) {
        self.open_questions += state.open_questions;
        self.instances += state.instances;
        self.is_up = match (self.is_up, state.status.reach) {
            (_, Reach::Unreachable) => Some(false),
            (known, Reach::Unknown) => known,
            (known, Reach::Reachable) => Some(known.unwrap_or(true)),
        };
        for replica in &state.status.replicas {
            if replica.health == ReplicaHealth::Leaving {
                continue;
            }
            let age = now.saturating_duration_since(state.at) + replica.for_time;
            let own = ReplicaStanding {
                name: Arc::clone(&replica.name),
                health: replica.health,
                since: time.checked_sub(age).unwrap_or(time),
                streams: replica.streams,
                connections: replica.connections,
            };
            if is_down(replica.health) && self.why.is_none() {
                let fault = replica.last_fault.as_ref();
                self.why = fault.map(|fault| format!("{}: {fault}", replica.name));
            }
            match self
                .replicas
                .iter_mut()
                .find(|known| known.name == own.name)
            {
                Some(known) => known.add(own),
                None => self.replicas.push(own),
            }
        }
    }
}

impl ReplicaStanding {
    fn add(&mut self, other: Self) {
        self.streams += other.streams;
        self.connections += other.connections;
        let (worse, same) = (
            rank(other.health) > rank(self.health),
            other.health == self.health,
        );
        // An outage began when the first noticed it, and was over when the last had heard.
        let earlier = match is_down(self.health) {
            true => other.since < self.since,
            false => other.since > self.since,
        };
        if worse || (same && earlier) {
            self.health = other.health;
            self.since = other.since;
        }
    }
}

/// It takes no new instances.
#[must_use]
pub const fn is_down(health: ReplicaHealth) -> bool {
    matches!(health, ReplicaHealth::Unreachable | ReplicaHealth::Ejected)
}

const fn rank(health: ReplicaHealth) -> u8 {
    match health {
        ReplicaHealth::Leaving => 0,
        ReplicaHealth::Unknown => 1,
        ReplicaHealth::Up => 2,
        ReplicaHealth::Ejected => 3,
        ReplicaHealth::Unreachable => 4,
    }
}

impl Standing {
    /// A line for people: the sink, and why it cannot be asked.
    #[must_use]
    pub fn line(&self) -> String {
        let state = match self.is_up {
            Some(true) => "up",
            Some(false) => "down",
            None => "not connected yet",
        };
        match &self.why {
            Some(why) if self.is_up == Some(false) => format!("sink {}: {state}: {why}", self.sink),
            _ => format!("sink {}: {state}", self.sink),
        }
    }
}

/// How long ago that was, in seconds.
#[must_use]
pub fn seconds_since(then: SystemTime, now: SystemTime) -> f64 {
    let age = now.duration_since(then).unwrap_or(Duration::ZERO);
    age.as_secs_f64()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use postern_attach::{Fleet, FleetSettings};
    use postern_events::fault::{Fault, FaultKind};

    const SECOND: Duration = Duration::from_secs(1);

    /// A fleet of one replica on one thread: made at `start`, down since `down` seconds later, if at all.
    fn state(start: Instant, down: Option<u32>) -> SinkState {
        let names = [Arc::from("http://127.0.0.1:7001")];
        let mut fleet = Fleet::new(start, FleetSettings::default(), names);
        let connection = loop {
            match fleet.poll_event().unwrap() {
                postern_attach::FleetEvent::Connect { connection, .. } => break connection,
                _ => continue,
            }
        };
        let at = start + SECOND * down.unwrap_or(0);
        if down.is_some() {
            let fault = Fault::new(FaultKind::Unreachable, "refused");
            fleet.connect_failed(at, connection, fault);
        } else {
            let response = postern_proto::v1::DescribeResponse {
                name: "s".to_owned(),
                version: "1".to_owned(),
                protocol_version: 1,
                ..Default::default()
            };
            fleet.connected(at, connection, response).unwrap();
        }
        SinkState {
            sink: Arc::from("scanner"),
            at,
            status: fleet.status(at),
            open_questions: 2,
            instances: 1,
        }
    }

    #[test]
    fn a_sink_is_up_where_all_threads_can_ask_it_and_down_since_the_first_could_not() {
        let (start, time) = (Instant::now(), SystemTime::now());
        let now = start + 60 * SECOND;
        let both = merge(
            [state(start, None), state(start, None)].into_iter(),
            now,
            time,
        );
        let one = both.first().unwrap();
        assert_eq!(
            (one.is_up, one.open_questions, one.instances),
            (Some(true), 4, 2)
        );
        assert_eq!(one.replicas.len(), 1);
        assert_eq!(one.line(), "sink scanner: up");

        let states = [
            state(start, Some(20)),
            state(start, None),
            state(start, Some(10)),
        ];
        let some = merge(states.into_iter(), now, time);
        let one = some.first().unwrap();
        assert_eq!(one.is_up, Some(false));
        let replica = one.replicas.first().unwrap();
        assert_eq!(replica.health, ReplicaHealth::Unreachable);
        assert!((seconds_since(replica.since, time) - 50.0).abs() < 0.1);
        assert!(
            one.line().ends_with("unreachable: refused"),
            "{}",
            one.line()
        );
    }
}
