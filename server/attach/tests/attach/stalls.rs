//! Sinks that take nothing more of a stream, or of a whole connection: what is stuck is asked elsewhere, and nobody else
//! is held up.

use std::time::Duration;

use postern_attach::{
    BodyDepth, Ending, FleetEvent, FleetSettings, LinkEvent, LinkSettings, Occupancy, Pick,
    Placement, Progress, Retry, StreamEnd, StreamId, Tried,
};
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;

use crate::fleet::{Harbour, response};
use crate::world::{World, failures};

const TIME: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_nanos(1);

/// A stream for several instances whose network says what it takes.
fn watched() -> World {
    World::new(LinkSettings {
        capacity: 8,
        flow_timeout: Some(TIME),
        initial_credit: 1000,
        ..LinkSettings::default()
    })
}

impl World {
    /// The network takes all that it was handed.
    fn takes_all(&mut self) {
        self.flush();
        self.link.network(Progress {
            octets: self.octets,
            at: self.now,
        });
    }
}

fn stalls(world: &mut World) -> usize {
    let events = world.events();
    let stalled = |event: &&LinkEvent| matches!(event, LinkEvent::Stalled);
    events.iter().filter(stalled).count()
}

fn endings(events: &[LinkEvent]) -> Vec<(u64, Ending)> {
    let closed = |event: &LinkEvent| match event {
        LinkEvent::Closed { tag, ending, .. } => Some((*tag, *ending)),
        _ => None,
    };
    events.iter().filter_map(closed).collect()
}

#[test]
fn c3_a_stream_of_which_the_network_takes_nothing_is_stalled_after_a_time() {
    let mut world = watched();
    let asked = world.asked(1);
    world.takes_all();
    world.advance(TIME * 3);
    assert_eq!(stalls(&mut world), 0, "all was taken; the sink thinks");
    world.ask(asked.instance, 11);
    world.flush();
    world.advance(TIME - TICK);
    assert_eq!(stalls(&mut world), 0);
    world.advance(TICK);
    assert_eq!(stalls(&mut world), 1);
    // Said again while it lasts, and no more often.
    world.advance(TIME - TICK);
    assert_eq!(stalls(&mut world), 0);
    world.advance(TICK);
    assert_eq!(stalls(&mut world), 1);
    world.takes_all();
    world.advance(TIME * 3);
    assert_eq!(stalls(&mut world), 0);
}

#[test]
fn a_slow_network_is_none_that_is_stalled() {
    let mut world = watched();
    world.asked(1);
    let whole = world.octets;
    for octets in 1..whole {
        world.advance(TIME - TICK);
        let at = world.now;
        world.link.network(Progress { octets, at });
    }
    assert_eq!(stalls(&mut world), 0, "an octet at a time is progress");
    // The last octet does not come.
    world.advance(TIME);
    assert_eq!(stalls(&mut world), 1);
}

#[test]
fn a_network_that_says_nothing_is_not_watched() {
    let mut world = World::new(LinkSettings {
        capacity: 8,
        ..LinkSettings::default()
    });
    world.asked(1);
    world.advance(TIME * 4);
    assert_eq!(stalls(&mut world), 0);
}

#[test]
fn what_is_stuck_is_asked_elsewhere_and_what_the_sink_has_is_not() {
    let mut world = watched();
    let at_work = world.asked(1);
    let idle = world.open(2);
    world.tell(idle);
    world.advance(Duration::from_millis(5));
    world.takes_all();
    let body = world.open(3);
    let body = world.ask_message(body, BodyDepth::Full);
    world.link.push(world.now, body, vec![b'x'; 900].into());
    let short = world.asked(4);
    let careful = world.asked(5);
    let waiting = world.ask(careful.instance, 51);
    world.flush();
    world.events();
    world.advance(TIME);
    assert_eq!(stalls(&mut world), 1);
    world.link.forsake(world.now, |question| question != 51);
    let events = world.events();
    assert_eq!(
        failures(&events),
        [
            (90, FaultKind::Timeout, Retry::Harmless),
            (40, FaultKind::Timeout, Retry::Harmless)
        ],
        "one of the last instance's questions may not be asked twice"
    );
    let ended = [
        (3, Ending::Silent),
        (4, Ending::Silent),
        (2, Ending::Drained),
    ];
    assert_eq!(endings(&events), ended);
    assert!(world.try_open(6).is_err(), "nothing new comes here");
    assert!(!world.link.occupancy(world.now).has_room);
    // What is left has its time, and the stream ends with the last of it.
    world.verdict(at_work);
    world.verdict(careful);
    assert_eq!(endings(&world.events()), [(1, Ending::Drained)]);
    world.verdict(waiting);
    let events = world.events();
    assert_eq!(endings(&events), [(5, Ending::Drained)]);
    assert_eq!(events.last(), Some(&LinkEvent::HalfClose));
    assert_eq!(short.event_id, 1);
    let parked = world.sent().into_iter().filter(|kind| {
        matches!(kind, Kind::CloseInstance(close) if close.reason() == pb::CloseReason::Parked)
    });
    assert_eq!(parked.count(), 3);
}

#[test]
fn a_stream_that_is_left_ends_once_its_last_question_is_given_up() {
    let mut world = watched();
    let asked = world.asked(1);
    world.takes_all();
    world.link.leave(world.now);
    world.advance(Duration::from_secs(600));
    assert_eq!(world.events(), [], "no time is set but the question's own");
    let cancelled = world
        .link
        .cancel(world.now, asked, pb::CancelReason::Deadline);
    assert_eq!(cancelled, postern_attach::Cancelled::Taken { silent: true });
    assert_eq!(world.events().last(), Some(&LinkEvent::HalfClose));
    // A sink that does not read does not end it: it is reset.
    world.advance(Duration::from_secs(2));
    let events = world.events();
    assert!(
        matches!(events.last(), Some(LinkEvent::Ended { reset: true, .. })),
        "{events:?}"
    );
}

fn free(instances: usize) -> Occupancy {
    Occupancy {
        has_room: true,
        exclusive: false,
        instances,
        idle: 0,
        quiet: false,
    }
}

impl Harbour {
    fn only(&self) -> Pick {
        Pick {
            replica: self.replica(0),
            not_on: None,
        }
    }

    fn placed(&mut self, bulky: bool, streams: &[(StreamId, Occupancy)]) -> Placement {
        let pick = self.only();
        let placement = self
            .fleet
            .place(self.now, pick, bulky, streams.iter().copied());
        self.hear();
        placement
    }

    fn open(&mut self, bulky: bool, streams: &[(StreamId, Occupancy)]) -> StreamId {
        for _ in 0..2 {
            match self.placed(bulky, streams) {
                Placement::Open { stream, .. } => return stream,
                Placement::Wait => self.connect_all(),
                other => panic!("{other:?}"),
            }
        }
        panic!("no connection is made");
    }
}

#[test]
fn c3_a_stalled_connection_takes_nothing_new_and_is_closed_with_its_last_stream() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let (first, connection) = harbour.stream(harbour.replica(0));
    let (second, same) = harbour.stream(harbour.replica(0));
    assert_eq!(connection, same);
    let mut tried = Tried::new(true);
    harbour.fleet.asked(first, &mut tried);
    assert_eq!(
        harbour.fleet.stalled(harbour.now, first),
        Some(vec![second])
    );
    harbour.hear();
    let told = |event: &FleetEvent| matches!(event, FleetEvent::Stalled { .. });
    assert_eq!(harbour.events.iter().filter(|event| told(event)).count(), 1);
    assert_eq!(harbour.wanted.len(), 1, "another one is made at once");
    let streams = [(first, free(3)), (second, free(1))];
    assert_eq!(harbour.placed(false, &streams), Placement::Wait);
    harbour.connect_all();
    // Both what is new and what was stuck go there.
    let Placement::Open {
        connection: other, ..
    } = harbour.placed(false, &streams)
    else {
        panic!("nowhere");
    };
    assert_ne!(other, connection);
    let again = harbour
        .fleet
        .pick_again(&mut || 0, &tried, Retry::Harmless, 0);
    assert_eq!(again.map(|pick| pick.not_on), Some(Some(connection)));
    // The other stream is found stalled too: that is the same failure.
    assert_eq!(
        harbour.fleet.stalled(harbour.now, second),
        Some(vec![first])
    );
    harbour.hear();
    assert_eq!(harbour.events.iter().filter(|event| told(event)).count(), 1);
    for (stream, dropped) in [(first, 0), (second, 1)] {
        harbour
            .fleet
            .stream_ended(harbour.now, stream, &StreamEnd::InOrder);
        harbour.hear();
        assert_eq!(harbour.dropped.len(), dropped);
    }
    assert_eq!(harbour.dropped, [connection]);
}

#[test]
fn other_replicas_are_preferred_to_one_that_stalls_and_one_that_stalls_always_is_ejected() {
    let mut harbour = Harbour::up(2, FleetSettings::default());
    let bad = harbour.replica(0);
    let (stream, _) = harbour.stream(bad);
    harbour.fleet.stalled(harbour.now, stream);
    harbour.hear();
    for _ in 0..50 {
        assert_ne!(harbour.pick().map(|pick| pick.replica), Ok(bad));
    }
    for _ in 0..4 {
        harbour.connect_all();
        let (stream, _) = harbour.stream(bad);
        harbour.fleet.stalled(harbour.now, stream);
        harbour
            .fleet
            .stream_ended(harbour.now, stream, &StreamEnd::InOrder);
        harbour.hear();
    }
    let down = |event: &FleetEvent| matches!(event, FleetEvent::ReplicaDown { .. });
    assert!(harbour.events.iter().any(down), "{:?}", harbour.events);
}

#[test]
fn stalled_connections_are_bounded() {
    let settings = FleetSettings {
        stalled_connections: 2,
        min_failures: 100,
        ..FleetSettings::default()
    };
    let mut harbour = Harbour::up(1, settings);
    let first = harbour.open(false, &[]);
    harbour.fleet.stalled(harbour.now, first);
    let second = harbour.open(false, &[]);
    harbour.fleet.stalled(harbour.now, second);
    harbour.hear();
    // The one that was begun when the second stalled is the last.
    harbour.connect_all();
    let third = harbour.open(false, &[]);
    harbour.fleet.stalled(harbour.now, third);
    harbour.hear();
    harbour.wanted.clear();
    assert!(
        matches!(harbour.placed(false, &[]), Placement::Fault(fault) if fault.kind == FaultKind::Overload)
    );
    for stream in [first, second] {
        harbour
            .fleet
            .stream_ended(harbour.now, stream, &StreamEnd::InOrder);
    }
    assert_eq!(harbour.placed(false, &[]), Placement::Wait);
}

#[test]
fn bodies_keep_apart_for_a_while_from_what_they_could_hold_up() {
    let settings = FleetSettings {
        apart_after_stall: Duration::from_secs(60),
        ..FleetSettings::default()
    };
    let mut harbour = Harbour::up(1, settings);
    let first = harbour.open(true, &[]);
    // As long as all goes well, they share.
    assert_eq!(
        harbour.placed(true, &[(first, free(1))]),
        Placement::On(first)
    );
    harbour.fleet.stalled(harbour.now, first);
    harbour.hear();
    let body = harbour.open(true, &[(first, free(1))]);
    let streams = [(first, free(1)), (body, free(1))];
    let short = harbour.open(false, &streams);
    let streams = [(first, free(1)), (body, free(1)), (short, free(1))];
    assert_eq!(harbour.placed(false, &streams), Placement::On(short));
    let other_body = harbour.open(true, &streams);
    assert!(![first, body, short].contains(&other_body));
    // One that is alone holds up nobody, whatever becomes of it.
    assert_eq!(harbour.fleet.stalled(harbour.now, body), None);
    // Once it carries nothing, another body takes its place.
    let streams = [(body, free(0)), (other_body, free(1)), (short, free(1))];
    assert_eq!(harbour.placed(true, &streams), Placement::On(body));
    let now = harbour.now + Duration::from_secs(61);
    let pick = harbour.only();
    let later = harbour.fleet.place(now, pick, true, streams);
    assert_eq!(later, Placement::On(short), "the time is over");
}

#[test]
fn bodies_to_sinks_for_one_at_a_time_have_connections_of_their_own_anyway() {
    let mut harbour = Harbour::new(1, FleetSettings::default());
    let one_at_a_time = pb::DescribeResponse {
        instances_per_stream: 1,
        ..response()
    };
    let (_, connection) = harbour.wanted.remove(0);
    let connected = harbour
        .fleet
        .connected(harbour.now, connection, one_at_a_time.clone());
    assert_eq!(connected, Ok(()));
    let Placement::Open { stream, .. } = harbour.placed(true, &[]) else {
        panic!("nowhere");
    };
    // A handler that takes its time with a body is none that stalls.
    assert_eq!(harbour.fleet.stalled(harbour.now, stream), None);
    harbour.hear();
    assert!(
        !harbour
            .events
            .iter()
            .any(|event| matches!(event, FleetEvent::Stalled { .. }))
    );
}
