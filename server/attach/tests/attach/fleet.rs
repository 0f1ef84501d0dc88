//! Scripted replicas, and the choice among them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_attach::{
    ConnectionId, Fleet, FleetEvent, FleetSettings, NoReplica, Occupancy, Outcome, Pick, Placement,
    ReplicaId, Retry, StreamEnd, StreamId, Tried,
};
use postern_events::fault::{Fault, FaultKind};
use postern_proto::v1 as pb;

/// A fleet on a virtual clock, with replicas that answer as the test says.
pub(crate) struct Harbour {
    pub(crate) now: Instant,
    pub(crate) fleet: Fleet,
    /// Connections that are to be made.
    pub(crate) wanted: Vec<(ReplicaId, ConnectionId)>,
    pub(crate) dropped: Vec<ConnectionId>,
    pub(crate) events: Vec<FleetEvent>,
    /// How often whoever waits was told to try again.
    pub(crate) changes: usize,
    random: u64,
}

pub(crate) fn names(count: usize) -> Vec<Arc<str>> {
    (0..count)
        .map(|n| Arc::from(format!("http://sink-{n}")))
        .collect()
}

pub(crate) fn response() -> pb::DescribeResponse {
    pb::DescribeResponse {
        name: "scan".into(),
        version: "1.0".into(),
        protocol_version: 1,
        instances_per_stream: 100,
        ..pb::DescribeResponse::default()
    }
}

pub(crate) fn refused() -> Fault {
    Fault::new(FaultKind::Unreachable, "connection refused")
}

pub(crate) fn broke() -> StreamEnd {
    StreamEnd::Broken {
        detail: "reset".into(),
    }
}

impl Harbour {
    pub(crate) fn new(count: usize, settings: FleetSettings) -> Self {
        let now = Instant::now();
        let mut harbour = Self {
            now,
            fleet: Fleet::new(now, settings, names(count)),
            wanted: Vec::new(),
            dropped: Vec::new(),
            events: Vec::new(),
            changes: 0,
            random: 1,
        };
        harbour.hear();
        harbour
    }

    /// So many replicas, all connected.
    pub(crate) fn up(count: usize, settings: FleetSettings) -> Self {
        let mut harbour = Self::new(count, settings);
        harbour.connect_all();
        harbour.events.clear();
        harbour
    }

    pub(crate) fn hear(&mut self) {
        while let Some(event) = self.fleet.poll_event() {
            match event {
                FleetEvent::Connect {
                    replica,
                    connection,
                    ..
                } => self.wanted.push((replica, connection)),
                FleetEvent::Disconnect { connection } => {
                    self.wanted.retain(|(_, wanted)| *wanted != connection);
                    self.dropped.push(connection);
                }
                FleetEvent::Changed => self.changes += 1,
                event => self.events.push(event),
            }
        }
    }

    pub(crate) fn connect_all(&mut self) {
        for (_, connection) in std::mem::take(&mut self.wanted) {
            let connected = self.fleet.connected(self.now, connection, response());
            assert_eq!(connected, Ok(()));
            self.hear();
        }
    }

    pub(crate) fn refuse_all(&mut self) {
        for (_, connection) in std::mem::take(&mut self.wanted) {
            self.fleet.connect_failed(self.now, connection, refused());
            self.hear();
        }
    }

    /// Moves the clock. `reachable`: whether attempts to connect succeed at once.
    pub(crate) fn advance(&mut self, time: Duration, reachable: bool) {
        let until = self.now + time;
        let mut stops = 0;
        while let Some(at) = self.fleet.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.fleet.handle_timeout(self.now);
            self.hear();
            if reachable {
                self.connect_all();
            } else {
                self.refuse_all();
            }
            stops += 1;
            assert!(
                stops < 10_000,
                "the fleet asks to be called again and again"
            );
        }
        self.now = until;
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random
    }

    pub(crate) fn pick(&mut self) -> Result<Pick, NoReplica> {
        let seed = self.next();
        let mut state = seed;
        self.fleet.pick(
            &mut || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(seed | 1);
                state ^ (state >> 29)
            },
            0,
        )
    }

    /// A stream to this replica that takes nothing else.
    pub(crate) fn stream(&mut self, replica: ReplicaId) -> (StreamId, ConnectionId) {
        let pick = Pick {
            replica,
            not_on: None,
        };
        self.place(pick)
    }

    pub(crate) fn place(&mut self, pick: Pick) -> (StreamId, ConnectionId) {
        let placement = self.fleet.place(self.now, pick, false, []);
        self.hear();
        match placement {
            Placement::Open {
                stream, connection, ..
            } => (stream, connection),
            other => panic!("{other:?}"),
        }
    }

    /// Asks a question on a new stream to this replica.
    pub(crate) fn ask(&mut self, replica: ReplicaId, tried: &mut Tried) -> StreamId {
        let (stream, _) = self.stream(replica);
        assert_eq!(self.fleet.asked(stream, tried), Some(replica));
        stream
    }

    pub(crate) fn replica(&self, place: usize) -> ReplicaId {
        self.fleet.status(self.now).replicas[place].replica
    }

    /// A question that has this outcome.
    pub(crate) fn outcome(&mut self, replica: ReplicaId, outcome: Outcome) {
        let mut tried = Tried::new(true);
        let stream = self.ask(replica, &mut tried);
        self.fleet.report(self.now, replica, outcome);
        self.fleet
            .stream_ended(self.now, stream, &StreamEnd::InOrder);
        self.hear();
    }
}

const fn free(instances: usize) -> Occupancy {
    Occupancy {
        has_room: true,
        exclusive: false,
        instances,
        idle: 0,
        quiet: false,
    }
}

fn only(harbour: &Harbour) -> Pick {
    Pick {
        replica: harbour.replica(0),
        not_on: None,
    }
}

#[test]
fn before_anything_is_known_whoever_asks_waits() {
    let mut harbour = Harbour::new(2, FleetSettings::default());
    assert_eq!(harbour.pick(), Err(NoReplica::Wait));
    let (_, first) = harbour.wanted.remove(0);
    harbour.fleet.connect_failed(harbour.now, first, refused());
    assert_eq!(harbour.pick(), Err(NoReplica::Wait));
    harbour.connect_all();
    assert!(harbour.pick().is_ok());
}

#[test]
fn c1_a_sink_that_is_down_is_told_at_once_with_its_reason() {
    let mut harbour = Harbour::new(2, FleetSettings::default());
    harbour.refuse_all();
    let Err(NoReplica::Fault(fault)) = harbour.pick() else {
        panic!("nothing is there");
    };
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(
        fault.detail.contains("http://sink-0") && fault.detail.contains("refused"),
        "{fault}"
    );
    let empty = Harbour::new(0, FleetSettings::default()).pick();
    assert!(matches!(empty, Err(NoReplica::Fault(fault)) if fault.detail.contains("no address")));
}

#[test]
fn of_two_at_random_the_one_with_fewer_open_questions_is_taken() {
    let mut harbour = Harbour::up(2, FleetSettings::default());
    let (first, second) = (harbour.replica(0), harbour.replica(1));
    let stream = harbour.ask(first, &mut Tried::new(true));
    for _ in 0..100 {
        assert_eq!(harbour.pick().map(|pick| pick.replica), Ok(second));
    }
    harbour.fleet.report(harbour.now, first, Outcome::Answered);
    harbour
        .fleet
        .stream_ended(harbour.now, stream, &StreamEnd::InOrder);
    let picks: Vec<ReplicaId> = (0..200)
        .filter_map(|_| harbour.pick().ok())
        .map(|pick| pick.replica)
        .collect();
    let share = picks.iter().filter(|one| **one == first).count();
    assert!((50..150).contains(&share), "{share} of 200");
}

#[test]
fn of_three_the_busiest_is_never_taken_and_the_others_both_are() {
    let mut harbour = Harbour::up(3, FleetSettings::default());
    let busiest = harbour.replica(1);
    harbour.ask(busiest, &mut Tried::new(true));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        seen.extend(harbour.pick().map(|pick| pick.replica));
    }
    assert_eq!(seen.len(), 2);
    assert!(!seen.contains(&busiest));
}

#[test]
fn concurrency_of_the_sink_sheds_load() {
    let settings = FleetSettings {
        concurrency: Some(2),
        ..FleetSettings::default()
    };
    let mut harbour = Harbour::up(2, settings);
    let replica = harbour.replica(0);
    harbour.ask(replica, &mut Tried::new(true));
    assert!(harbour.pick().is_ok());
    assert!(harbour.fleet.admit(replica, 0).is_ok());
    let overloaded = |result: Result<Pick, NoReplica>| matches!(result, Err(NoReplica::Fault(fault)) if fault.kind == FaultKind::Overload);
    assert!(
        overloaded(harbour.fleet.pick(&mut || 0, 1)),
        "others count one too"
    );
    harbour.ask(replica, &mut Tried::new(true));
    assert!(overloaded(harbour.pick()));
    assert!(harbour.fleet.admit(replica, 0).is_err());
    let mut tried = Tried::new(true);
    assert_eq!(
        harbour
            .fleet
            .pick_again(&mut || 0, &tried, Retry::Always, 0),
        None
    );
    harbour
        .fleet
        .report(harbour.now, replica, Outcome::Cancelled);
    assert!(harbour.pick().is_ok());
    assert!(
        harbour
            .fleet
            .pick_again(&mut || 0, &tried, Retry::Always, 0)
            .is_some()
    );
    assert_eq!(harbour.fleet.status(harbour.now).open, 1);
    harbour.ask(replica, &mut tried);
}

#[test]
fn questions_at_one_replica_are_bounded() {
    let settings = FleetSettings {
        questions_per_replica: 1,
        ..FleetSettings::default()
    };
    let mut harbour = Harbour::up(2, settings);
    let (first, second) = (harbour.replica(0), harbour.replica(1));
    harbour.ask(first, &mut Tried::new(true));
    assert!(harbour.fleet.admit(first, 0).is_err() && harbour.fleet.admit(second, 0).is_ok());
    for _ in 0..20 {
        assert_eq!(harbour.pick().map(|pick| pick.replica), Ok(second));
    }
    harbour.ask(second, &mut Tried::new(true));
    assert!(
        matches!(harbour.pick(), Err(NoReplica::Fault(fault)) if fault.kind == FaultKind::Overload)
    );
}

#[test]
fn v14_a_question_that_failed_is_asked_once_more_on_another_replica() {
    let mut harbour = Harbour::up(3, FleetSettings::default());
    let first = harbour.replica(1);
    let mut tried = Tried::new(true);
    harbour.ask(first, &mut tried);
    harbour.fleet.report(harbour.now, first, Outcome::Faulted);
    for _ in 0..50 {
        let mut random = harbour.next();
        let mut next = || {
            random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
            random
        };
        let again = harbour
            .fleet
            .pick_again(&mut next, &tried, Retry::Always, 0);
        let again = again.expect("there are others");
        assert_ne!(again.replica, first);
        assert_eq!(again.not_on, None);
    }
    let other = harbour.replica(0);
    harbour.ask(other, &mut tried);
    assert_eq!(tried.askings(), 2);
    let third = harbour
        .fleet
        .pick_again(&mut || 0, &tried, Retry::Always, 0);
    assert_eq!(
        third, None,
        "at most two are asked, so that no message sweeps a fleet"
    );
}

#[test]
fn v14_with_one_replica_it_is_asked_on_another_connection() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    let (stream, connection) = harbour.stream(replica);
    let mut tried = Tried::new(true);
    harbour.fleet.asked(stream, &mut tried);
    harbour.fleet.report(harbour.now, replica, Outcome::Faulted);
    let again = harbour
        .fleet
        .pick_again(&mut || 0, &tried, Retry::Always, 0)
        .expect("once");
    assert_eq!((again.replica, again.not_on), (replica, Some(connection)));
    let place = harbour
        .fleet
        .place(harbour.now, again, false, [(stream, free(0))]);
    assert_eq!(
        place,
        Placement::Wait,
        "neither the stream nor its connection is used"
    );
    harbour.hear();
    assert_eq!(harbour.wanted.len(), 1);
    let place = harbour.fleet.place(harbour.now, again, false, []);
    assert_eq!(place, Placement::Wait);
    harbour.hear();
    assert_eq!(harbour.wanted.len(), 1, "one attempt is enough");
    let before = harbour.changes;
    harbour.connect_all();
    assert!(
        harbour.changes > before,
        "whoever waited for a connection hears of it"
    );
    let (_, fresh) = harbour.place(again);
    assert_ne!(fresh, connection);
}

#[test]
fn c9_what_the_sink_may_have_acted_on_is_asked_again_only_where_that_is_harmless() {
    for (retry, harmless, again) in [
        (Retry::Never, true, false),
        (Retry::Harmless, true, true),
        (Retry::Harmless, false, false),
        (Retry::Always, false, true),
        (Retry::Always, true, true),
    ] {
        let mut harbour = Harbour::up(2, FleetSettings::default());
        let replica = harbour.replica(0);
        let mut tried = Tried::new(harmless);
        harbour.ask(replica, &mut tried);
        let pick = harbour.fleet.pick_again(&mut || 0, &tried, retry, 0);
        assert_eq!(pick.is_some(), again, "{retry:?} {harmless}");
    }
}

#[test]
fn instances_fill_streams_up_to_a_number_then_spread_then_share() {
    let settings = FleetSettings {
        shared_streams: 2,
        instances_per_shared_stream: 3,
        ..FleetSettings::default()
    };
    let mut harbour = Harbour::up(1, settings);
    let pick = only(&harbour);
    let (first, _) = harbour.place(pick);
    let on = |harbour: &mut Harbour, streams: &[(StreamId, Occupancy)]| {
        harbour
            .fleet
            .place(harbour.now, pick, false, streams.to_vec())
    };
    assert_eq!(on(&mut harbour, &[(first, free(2))]), Placement::On(first));
    let opened = on(&mut harbour, &[(first, free(3))]);
    let Placement::Open { stream: second, .. } = opened else {
        panic!("{opened:?}");
    };
    let both = |one, other| [(first, free(one)), (second, free(other))];
    assert_eq!(
        on(&mut harbour, &both(2, 1)),
        Placement::On(second),
        "the emptier one"
    );
    assert_eq!(on(&mut harbour, &both(1, 2)), Placement::On(first));
    assert_eq!(
        on(&mut harbour, &both(9, 8)),
        Placement::On(second),
        "no third is opened"
    );
    let quiet = Occupancy {
        quiet: true,
        ..free(0)
    };
    assert_eq!(
        on(&mut harbour, &[(first, quiet), (second, free(2))]),
        Placement::On(second)
    );
    assert_eq!(
        on(&mut harbour, &[(first, quiet), (second, free(9))]),
        Placement::On(second)
    );
    let full = Occupancy {
        has_room: false,
        ..free(100)
    };
    assert_eq!(
        on(&mut harbour, &[(first, full), (second, quiet)]),
        Placement::On(second)
    );
    assert!(matches!(
        on(&mut harbour, &[(first, full), (second, full)]),
        Placement::Open { .. }
    ));
}

#[test]
fn streams_to_a_replica_are_bounded_and_idle_ones_are_taken_over() {
    let settings = FleetSettings {
        streams_per_replica: 2,
        ..FleetSettings::default()
    };
    let mut harbour = Harbour::new(1, settings);
    let (_, connection) = harbour.wanted.remove(0);
    let exclusive = pb::DescribeResponse {
        instances_per_stream: 1,
        ..response()
    };
    harbour
        .fleet
        .connected(harbour.now, connection, exclusive)
        .expect("well");
    let pick = only(&harbour);
    let (first, _) = harbour.place(pick);
    let (second, _) = harbour.place(pick);
    let taken = |idle| Occupancy {
        has_room: false,
        exclusive: true,
        instances: 1,
        idle,
        quiet: false,
    };
    let streams = [(first, taken(0)), (second, taken(1))];
    let place = harbour.fleet.place(harbour.now, pick, false, streams);
    assert_eq!(place, Placement::ParkIdle(second));
    let streams = [(first, taken(0)), (second, taken(0))];
    let place = harbour.fleet.place(harbour.now, pick, false, streams);
    assert!(matches!(place, Placement::Fault(fault) if fault.kind == FaultKind::Overload));
    harbour.hear();
    let before = harbour.changes;
    harbour
        .fleet
        .stream_ended(harbour.now, first, &StreamEnd::InOrder);
    harbour.hear();
    assert!(
        harbour.changes > before,
        "whoever waited for a stream hears of it"
    );
    assert!(matches!(
        harbour
            .fleet
            .place(harbour.now, pick, false, [(second, taken(0))]),
        Placement::Open { .. }
    ));
}

#[test]
fn v21_a_full_connection_has_a_second_one_made() {
    let settings = FleetSettings {
        streams_per_connection: 2,
        ..FleetSettings::default()
    };
    let mut harbour = Harbour::up(1, settings);
    let pick = only(&harbour);
    let (_, first) = harbour.place(pick);
    harbour.place(pick);
    assert_eq!(
        harbour.fleet.place(harbour.now, pick, false, []),
        Placement::Wait
    );
    harbour.hear();
    harbour.connect_all();
    let (_, second) = harbour.place(pick);
    assert_ne!(first, second);
}

#[test]
fn v13_v21_a_refused_stream_ejects_nothing_and_opens_another_connection() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let pick = only(&harbour);
    let (working, connection) = harbour.place(pick);
    let (second, on) = harbour.place(pick);
    assert_eq!(on, connection);
    let end = StreamEnd::Refused {
        detail: "limit".into(),
    };
    harbour.fleet.stream_ended(harbour.now, second, &end);
    harbour.hear();
    let place = harbour.fleet.place(harbour.now, pick, false, []);
    assert_eq!(
        place,
        Placement::Wait,
        "the server takes one stream on a connection"
    );
    harbour.hear();
    harbour.connect_all();
    for _ in 0..20 {
        let (third, on) = harbour.place(pick);
        assert_ne!(on, connection);
        harbour.fleet.stream_ended(harbour.now, third, &end);
        harbour.hear();
        let place = harbour.fleet.place(harbour.now, pick, false, []);
        assert_eq!(place, Placement::Wait, "nor any on this one");
        harbour.hear();
        harbour.connect_all();
    }
    assert!(harbour.pick().is_ok());
    assert_eq!(harbour.events, []);
    let streams = [(working, free(0))];
    assert_eq!(
        harbour.fleet.place(harbour.now, pick, false, streams),
        Placement::On(working)
    );
    assert!(!harbour.dropped.contains(&connection), "what works goes on");
}

#[test]
fn bulky_streams_for_one_at_a_time_have_connections_of_their_own() {
    let mut harbour = Harbour::new(1, FleetSettings::default());
    let exclusive = pb::DescribeResponse {
        instances_per_stream: 1,
        ..response()
    };
    let connect = |harbour: &mut Harbour| {
        harbour.hear();
        for (_, connection) in std::mem::take(&mut harbour.wanted) {
            harbour
                .fleet
                .connected(harbour.now, connection, exclusive.clone())
                .expect("well");
        }
    };
    connect(&mut harbour);
    let pick = only(&harbour);
    let bulky = |harbour: &mut Harbour| harbour.fleet.place(harbour.now, pick, true, []);
    let Placement::Open {
        connection: first, ..
    } = bulky(&mut harbour)
    else {
        panic!("the first connection is free");
    };
    for _ in 0..10 {
        assert_eq!(bulky(&mut harbour), Placement::Wait);
    }
    harbour.hear();
    assert_eq!(harbour.wanted.len(), 8, "several at a time, not all");
    connect(&mut harbour);
    let Placement::Open {
        connection: second, ..
    } = bulky(&mut harbour)
    else {
        panic!("it was made");
    };
    assert_ne!(first, second);
    let small = harbour.fleet.place(harbour.now, pick, false, []);
    let Placement::Open {
        connection: third, ..
    } = small
    else {
        panic!("{small:?}");
    };
    assert!(third != first && third != second);
    let again = harbour.fleet.place(harbour.now, pick, false, []);
    assert!(
        matches!(again, Placement::Open { connection, .. } if connection == third),
        "small ones share"
    );
}

#[test]
fn connections_that_nothing_needs_are_dropped_save_one() {
    let settings = FleetSettings {
        streams_per_connection: 1,
        probe_interval: Duration::from_secs(1000),
        ..FleetSettings::default()
    };
    let mut harbour = Harbour::up(1, settings);
    let pick = only(&harbour);
    let (one, _) = harbour.place(pick);
    assert_eq!(
        harbour.fleet.place(harbour.now, pick, false, []),
        Placement::Wait
    );
    harbour.hear();
    harbour.connect_all();
    let (two, _) = harbour.place(pick);
    harbour.advance(Duration::from_secs(60), true);
    assert_eq!(harbour.dropped, [], "both are in use");
    for stream in [one, two] {
        harbour
            .fleet
            .stream_ended(harbour.now, stream, &StreamEnd::InOrder);
    }
    harbour.advance(Duration::from_millis(9_999), true);
    assert_eq!(harbour.dropped.len(), 0);
    harbour.advance(Duration::from_millis(1), true);
    assert_eq!(harbour.dropped.len(), 1);
    harbour.advance(Duration::from_secs(60), true);
    assert_eq!(harbour.dropped.len(), 1);
}

#[test]
fn a_name_that_resolves_anew_keeps_what_stays_and_lets_go_what_left() {
    let mut harbour = Harbour::up(2, FleetSettings::default());
    let (stays, leaves) = (harbour.replica(1), harbour.replica(0));
    let (stream, connection) = harbour.stream(leaves);
    let new: Vec<Arc<str>> = vec![
        names(2)[1].clone(),
        Arc::from("http://new"),
        Arc::from("http://new"),
    ];
    harbour.fleet.replace(harbour.now, new);
    harbour.hear();
    assert_eq!(
        harbour.wanted.len(),
        1,
        "only the new one is connected, once"
    );
    for _ in 0..20 {
        assert_eq!(harbour.pick().map(|pick| pick.replica), Ok(stays));
    }
    let pick = Pick {
        replica: leaves,
        not_on: None,
    };
    assert!(matches!(
        harbour
            .fleet
            .place(harbour.now, pick, false, [(stream, free(0))]),
        Placement::Fault(_)
    ));
    assert_eq!(harbour.fleet.status(harbour.now).replicas.len(), 3);
    assert!(!harbour.dropped.contains(&connection), "its stream goes on");
    harbour
        .fleet
        .stream_ended(harbour.now, stream, &StreamEnd::InOrder);
    harbour.hear();
    assert!(harbour.dropped.contains(&connection));
    assert_eq!(harbour.fleet.status(harbour.now).replicas.len(), 2);
    harbour.fleet.replace(harbour.now, []);
    harbour.hear();
    assert!(matches!(
        harbour.events.last(),
        Some(FleetEvent::Unreachable { .. })
    ));
}

#[test]
fn a_sink_for_one_at_a_time_shares_no_stream_that_is_quiet() {
    let settings = FleetSettings {
        streams_per_replica: 4,
        shared_streams: 1,
        ..FleetSettings::default()
    };
    let quiet = Occupancy {
        exclusive: true,
        quiet: true,
        ..free(0)
    };
    for (capacity, opens) in [(1, true), (8, false)] {
        let mut harbour = Harbour::new(1, settings.clone());
        let (_, connection) = harbour.wanted.remove(0);
        let described = pb::DescribeResponse {
            instances_per_stream: capacity,
            ..response()
        };
        let connected = harbour.fleet.connected(harbour.now, connection, described);
        connected.expect("well");
        let pick = only(&harbour);
        let (stream, _) = harbour.place(pick);
        let place = harbour
            .fleet
            .place(harbour.now, pick, false, [(stream, quiet)]);
        if opens {
            assert!(matches!(place, Placement::Open { .. }), "{place:?}");
        } else {
            assert_eq!(place, Placement::On(stream));
        }
    }
}

#[test]
fn a_stream_on_a_connection_that_takes_nothing_new_is_not_used() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let pick = only(&harbour);
    let (old, first) = harbour.place(pick);
    let place = |harbour: &mut Harbour, pick| {
        let streams = [(old, free(0))];
        harbour.fleet.place(harbour.now, pick, false, streams)
    };
    assert_eq!(place(&mut harbour, pick), Placement::On(old));
    harbour.now += Duration::from_secs(10);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    let (_, second) = harbour.wanted.remove(0);
    // Another program answers on the second connection.
    let changed = pb::DescribeResponse {
        version: "2.0".into(),
        ..response()
    };
    let connected = harbour.fleet.connected(harbour.now, second, changed);
    connected.expect("well");
    harbour.hear();
    let opened = place(&mut harbour, pick);
    assert!(
        matches!(opened, Placement::Open { connection, .. } if connection == second),
        "{opened:?}"
    );
    assert!(!harbour.dropped.contains(&first));
}

#[test]
fn a_connection_to_the_old_program_that_carries_nothing_is_dropped_at_once() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let pick = only(&harbour);
    let (stream, first) = harbour.place(pick);
    harbour
        .fleet
        .stream_ended(harbour.now, stream, &StreamEnd::InOrder);
    harbour.now += Duration::from_secs(10);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    assert!(!harbour.dropped.contains(&first));
    let (_, second) = harbour.wanted.remove(0);
    let changed = pb::DescribeResponse {
        version: "2.0".into(),
        ..response()
    };
    let connected = harbour.fleet.connected(harbour.now, second, changed);
    connected.expect("well");
    harbour.hear();
    assert!(harbour.dropped.contains(&first), "{:?}", harbour.dropped);
}
