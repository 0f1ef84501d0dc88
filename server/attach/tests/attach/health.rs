//! Whether replicas are well: probes, failures, ejection, and the way back.

use std::time::Duration;

use postern_attach::{
    Code, FleetEvent, FleetSettings, NoReplica, Outcome, Pick, Placement, Reach, ReplicaHealth,
    Retry, StreamEnd, Tried,
};
use postern_events::fault::{Fault, FaultKind};
use postern_proto::v1 as pb;

use crate::fleet::{Harbour, broke, refused, response};

const SILENT: Outcome = Outcome::TimedOut { silent: true };

fn health(harbour: &Harbour, place: usize) -> ReplicaHealth {
    harbour.fleet.status(harbour.now).replicas[place].health
}

fn words(events: &[FleetEvent]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match event {
            FleetEvent::ReplicaUp { .. } => "up",
            FleetEvent::ReplicaDown { .. } => "down",
            FleetEvent::Described { .. } => "described",
            FleetEvent::Reachable => "reachable",
            FleetEvent::Unreachable { .. } => "unreachable",
            FleetEvent::Stalled { .. } => "stalled",
            FleetEvent::Connect { .. } | FleetEvent::Disconnect { .. } | FleetEvent::Changed => "-",
        })
        .collect()
}

#[test]
fn a_fleet_connects_and_says_when_it_is_reachable() {
    let mut harbour = Harbour::new(2, FleetSettings::default());
    assert_eq!(harbour.fleet.status(harbour.now).reach, Reach::Unknown);
    assert_eq!(harbour.events, []);
    harbour.connect_all();
    assert_eq!(
        words(&harbour.events),
        ["described", "up", "reachable", "described", "up"]
    );
    let status = harbour.fleet.status(harbour.now);
    assert_eq!(status.reach, Reach::Reachable);
    assert!(
        status
            .replicas
            .iter()
            .all(|one| one.health == ReplicaHealth::Up && one.ups == 1 && one.downs == 0)
    );
    assert_eq!(status.replicas[0].connections, 1);
    let description = harbour
        .fleet
        .description(harbour.replica(0))
        .expect("described");
    assert_eq!((description.revision, description.capacity), (1, 100));
}

#[test]
fn v11_a_sink_that_is_back_is_noticed_by_a_probe_before_anybody_asks() {
    for outage in [1, 3, 8, 20, 300] {
        let mut harbour = Harbour::new(1, FleetSettings::default());
        harbour.refuse_all();
        assert_eq!(words(&harbour.events), ["down", "unreachable"]);
        harbour.advance(Duration::from_secs(outage), false);
        assert_eq!(words(&harbour.events), ["down", "unreachable"], "said once");
        assert!(matches!(harbour.pick(), Err(NoReplica::Fault(_))));
        // It is back: nobody asks, and after at most two seconds it is known.
        harbour.advance(Duration::from_secs(2), true);
        assert_eq!(
            words(&harbour.events)[2..],
            ["described", "up", "reachable"],
            "V16: {outage}"
        );
        assert!(harbour.pick().is_ok());
        let status = harbour.fleet.status(harbour.now);
        assert_eq!((status.replicas[0].ups, status.replicas[0].downs), (1, 1));
        assert!(
            status.replicas[0].last_fault.is_some(),
            "it is still told why"
        );
    }
}

#[test]
fn probes_of_what_is_down_come_sooner_at_first() {
    let mut harbour = Harbour::new(1, FleetSettings::default());
    harbour.refuse_all();
    let mut times = Vec::new();
    for _ in 0..6 {
        let at = harbour.fleet.poll_timeout().expect("a probe");
        times.push((at - harbour.now).as_millis());
        let retry_in = harbour.fleet.status(harbour.now).replicas[0].retry_in;
        assert_eq!(retry_in, Some(at - harbour.now));
        harbour.advance(at - harbour.now, false);
    }
    assert_eq!(times, [250, 500, 1000, 2000, 2000, 2000]);
    harbour.advance(Duration::from_secs(2), true);
    let pick = harbour.pick().expect("up");
    let (stream, _) = harbour.place(pick);
    harbour.fleet.stream_ended(harbour.now, stream, &broke());
    harbour.hear();
    harbour.refuse_all();
    let at = harbour.fleet.poll_timeout().expect("a probe");
    assert_eq!((at - harbour.now).as_millis(), 250, "counted anew");
}

#[test]
fn v11_a_replica_that_is_well_is_probed_where_it_gives_no_sign() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    harbour.advance(Duration::from_millis(9_999), true);
    let before = harbour.fleet.status(harbour.now).replicas[0].connections;
    assert_eq!(before, 1);
    harbour.now += Duration::from_millis(1);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    assert_eq!(harbour.wanted.len(), 1);
    harbour.refuse_all();
    assert_eq!(
        words(&harbour.events),
        ["down", "unreachable"],
        "no question was lost for that"
    );
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    for _ in 0..10 {
        harbour.advance(Duration::from_secs(5), true);
        harbour.outcome(replica, Outcome::Answered);
        harbour.advance(Duration::from_secs(4), true);
        harbour.fleet.alive(harbour.now, replica);
    }
    assert_eq!(
        harbour.fleet.status(harbour.now).replicas[0].connections,
        1,
        "signs of life make probes needless"
    );
    assert_eq!(harbour.dropped, []);
}

#[test]
fn v11_a_restarted_sink_is_asked_who_it_is_on_every_connection() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    let (old, _) = harbour.stream(replica);
    harbour.fleet.stream_ended(harbour.now, old, &broke());
    harbour.hear();
    let (_, connection) = harbour.wanted.remove(0);
    let pick = Pick {
        replica,
        not_on: None,
    };
    let place = harbour.fleet.place(harbour.now, pick, false, []);
    assert_eq!(place, Placement::Wait, "no stream before Describe");
    let one = pb::DescribeResponse {
        instances_per_stream: 1,
        version: "2.0".into(),
        ..response()
    };
    harbour
        .fleet
        .connected(harbour.now, connection, one)
        .expect("well");
    harbour.hear();
    assert_eq!(words(&harbour.events), ["described"]);
    let place = harbour.fleet.place(harbour.now, pick, false, []);
    let Placement::Open { description, .. } = place else {
        panic!("{place:?}");
    };
    assert_eq!((description.capacity, description.revision), (1, 2));
}

#[test]
fn v11_what_was_connected_to_the_old_program_takes_nothing_new() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    let (old, first) = harbour.stream(replica);
    harbour.now += Duration::from_secs(10);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    let (_, second) = harbour.wanted.remove(0);
    let changed = pb::DescribeResponse {
        version: "2.0".into(),
        ..response()
    };
    harbour
        .fleet
        .connected(harbour.now, second, changed)
        .expect("well");
    harbour.hear();
    let (_, on) = harbour.stream(replica);
    assert_eq!(on, second);
    assert!(!harbour.dropped.contains(&first), "its streams go on");
    harbour
        .fleet
        .stream_ended(harbour.now, old, &StreamEnd::InOrder);
    harbour.hear();
    assert!(harbour.dropped.contains(&first));
}

#[test]
fn an_attempt_that_takes_too_long_has_failed() {
    let mut harbour = Harbour::new(1, FleetSettings::default());
    harbour.now += Duration::from_millis(4_999);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    assert_eq!(harbour.events, []);
    let (_, connection) = harbour.wanted[0];
    harbour.now += Duration::from_millis(1);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    assert_eq!(harbour.dropped, [connection]);
    assert_eq!(words(&harbour.events), ["down", "unreachable"]);
    assert!(
        harbour
            .fleet
            .connected(harbour.now, connection, response())
            .is_err(),
        "too late"
    );
    assert_eq!(health(&harbour, 0), ReplicaHealth::Unreachable);
}

#[test]
fn a_sink_that_does_not_say_who_it_is_is_down() {
    let mut harbour = Harbour::new(1, FleetSettings::default());
    let (_, connection) = harbour.wanted.remove(0);
    let nameless = pb::DescribeResponse::default();
    assert!(
        harbour
            .fleet
            .connected(harbour.now, connection, nameless)
            .is_err()
    );
    harbour.hear();
    assert_eq!(words(&harbour.events), ["down", "unreachable"]);
}

#[test]
fn v13_faults_of_the_application_never_count() {
    let mut harbour = Harbour::up(2, FleetSettings::default());
    let replica = harbour.replica(0);
    for code in [
        Code::Ok,
        Code::Unknown,
        Code::Internal,
        Code::ResourceExhausted,
        Code::DeadlineExceeded,
    ] {
        for _ in 0..60 {
            let mut tried = Tried::new(true);
            let stream = harbour.ask(replica, &mut tried);
            harbour.fleet.report(harbour.now, replica, Outcome::Lost);
            let end = StreamEnd::Status {
                code,
                detail: "KeyError".into(),
            };
            harbour.fleet.stream_ended(harbour.now, stream, &end);
            harbour.hear();
        }
    }
    for _ in 0..60 {
        harbour.outcome(replica, Outcome::Faulted);
    }
    assert_eq!(harbour.events, []);
    assert_eq!(health(&harbour, 0), ReplicaHealth::Up);
    assert_eq!(harbour.fleet.status(harbour.now).open, 0);
}

#[test]
fn v13_slow_questions_never_count() {
    let mut harbour = Harbour::up(2, FleetSettings::default());
    let replica = harbour.replica(0);
    for _ in 0..200 {
        harbour.outcome(replica, Outcome::TimedOut { silent: false });
        harbour.outcome(replica, Outcome::Cancelled);
        harbour.outcome(replica, Outcome::Lost);
    }
    assert_eq!(health(&harbour, 0), ReplicaHealth::Up);
}

#[test]
fn v12_silence_counts_and_a_share_of_it_ejects() {
    let mut harbour = Harbour::up(2, FleetSettings::default());
    let (hung, well) = (harbour.replica(0), harbour.replica(1));
    for _ in 0..4 {
        harbour.outcome(hung, SILENT);
        assert_eq!(
            health(&harbour, 0),
            ReplicaHealth::Up,
            "a run of a few is no share"
        );
    }
    harbour.outcome(hung, SILENT);
    assert_eq!(health(&harbour, 0), ReplicaHealth::Ejected);
    assert_eq!(words(&harbour.events), ["down"]);
    for _ in 0..20 {
        assert_eq!(harbour.pick().map(|pick| pick.replica), Ok(well));
    }
}

#[test]
fn v12_after_one_silence_others_are_asked_and_a_probe_decides() {
    for back in [false, true] {
        let mut harbour = Harbour::up(3, FleetSettings::default());
        let hung = harbour.replica(1);
        harbour.outcome(hung, SILENT);
        for _ in 0..50 {
            assert_ne!(harbour.pick().map(|pick| pick.replica), Ok(hung));
        }
        assert_eq!(harbour.fleet.poll_timeout(), Some(harbour.now), "at once");
        harbour.fleet.handle_timeout(harbour.now);
        harbour.hear();
        assert_eq!(harbour.wanted.len(), 1);
        if back {
            harbour.connect_all();
            let picks = (0..200).filter_map(|_| harbour.pick().ok());
            assert!(picks.into_iter().any(|pick| pick.replica == hung));
        } else {
            harbour.refuse_all();
            assert_eq!(
                words(&harbour.events),
                ["down"],
                "nobody else waited for it"
            );
        }
    }
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let only = harbour.replica(0);
    harbour.outcome(only, SILENT);
    for neutral in [Outcome::Faulted, Outcome::Lost, Outcome::Cancelled] {
        harbour.outcome(only, neutral);
    }
    assert_eq!(
        harbour.fleet.poll_timeout(),
        Some(harbour.now),
        "what failed with it clears nothing"
    );
    assert_eq!(
        harbour.pick().map(|pick| pick.replica),
        Ok(only),
        "there is no other"
    );
    harbour.outcome(only, Outcome::TimedOut { silent: false });
    let at = harbour.fleet.poll_timeout().expect("a probe");
    assert_eq!(
        at - harbour.now,
        Duration::from_secs(10),
        "a sign of life clears it"
    );
}

#[test]
fn v13_ejection_needs_a_share_of_failures_not_a_run_of_them() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    for _ in 0..30 {
        harbour.outcome(replica, Outcome::Answered);
    }
    for _ in 0..29 {
        harbour.outcome(replica, SILENT);
    }
    assert_eq!(health(&harbour, 0), ReplicaHealth::Up);
    harbour.outcome(replica, SILENT);
    assert_eq!(health(&harbour, 0), ReplicaHealth::Ejected);
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    for _ in 0..50 {
        harbour.outcome(replica, SILENT);
        harbour.now += Duration::from_secs(3);
    }
    assert_eq!(health(&harbour, 0), ReplicaHealth::Up, "few in a long time");
}

#[test]
fn v13_ejection_ends_nothing_that_works() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    let (working, connection) = harbour.stream(replica);
    for _ in 0..5 {
        harbour.outcome(replica, SILENT);
    }
    assert_eq!(health(&harbour, 0), ReplicaHealth::Ejected);
    assert!(!harbour.dropped.contains(&connection));
    let mut tried = Tried::new(true);
    assert_eq!(
        harbour.fleet.asked(working, &mut tried),
        Some(replica),
        "its streams are used on"
    );
    harbour
        .fleet
        .report(harbour.now, replica, Outcome::Answered);
    assert_eq!(health(&harbour, 0), ReplicaHealth::Ejected, "for its time");
    let pick = Pick {
        replica,
        not_on: None,
    };
    assert!(matches!(
        harbour.fleet.place(harbour.now, pick, false, []),
        Placement::Fault(_)
    ));
}

#[test]
fn c1_an_ejected_replica_comes_back_by_a_probe_and_is_ejected_for_longer() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    for _ in 0..5 {
        harbour.outcome(replica, SILENT);
    }
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        let FleetEvent::ReplicaDown { retry_in, .. } = harbour
            .events
            .iter()
            .rev()
            .find(|event| matches!(event, FleetEvent::ReplicaDown { .. }))
            .expect("it went out")
        else {
            panic!();
        };
        assert_eq!(*retry_in, Duration::from_secs(seconds));
        harbour.advance(
            Duration::from_secs(seconds) - Duration::from_millis(1),
            true,
        );
        assert_eq!(health(&harbour, 0), ReplicaHealth::Ejected);
        harbour.advance(Duration::from_millis(1), true);
        assert_eq!(health(&harbour, 0), ReplicaHealth::Up);
        harbour.outcome(replica, SILENT);
        assert_eq!(
            health(&harbour, 0),
            ReplicaHealth::Ejected,
            "no second run of time-outs"
        );
    }
    harbour.advance(Duration::from_secs(30), true);
    harbour.outcome(replica, Outcome::Answered);
    for _ in 0..4 {
        harbour.outcome(replica, SILENT);
    }
    assert_eq!(
        health(&harbour, 0),
        ReplicaHealth::Up,
        "it has answered: a share is needed again"
    );
    harbour.advance(Duration::from_secs(61), true);
    for _ in 0..5 {
        harbour.outcome(replica, SILENT);
    }
    let retry_in = harbour.fleet.status(harbour.now).replicas[0].retry_in;
    assert_eq!(
        retry_in,
        Some(Duration::from_secs(1)),
        "long well: counted anew"
    );
}

#[test]
fn v13_a_connection_that_breaks_with_all_its_streams_is_one_failure() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    let streams: Vec<_> = (0..20).map(|_| harbour.stream(replica)).collect();
    assert!(streams.iter().all(|(_, on)| *on == streams[0].1));
    for (stream, _) in streams {
        harbour.fleet.stream_ended(harbour.now, stream, &broke());
        harbour.hear();
    }
    assert_eq!(health(&harbour, 0), ReplicaHealth::Up);
    assert_eq!(
        harbour.wanted.len(),
        1,
        "another is made at once, before a question needs it"
    );
    harbour.connect_all();
    assert!(harbour.pick().is_ok());
}

#[test]
fn c9_a_replica_whose_connection_broke_and_cannot_be_had_again_is_out() {
    let mut harbour = Harbour::up(2, FleetSettings::default());
    let replica = harbour.replica(0);
    let (stream, connection) = harbour.stream(replica);
    let mut tried = Tried::new(true);
    harbour.fleet.asked(stream, &mut tried);
    harbour.fleet.report(harbour.now, replica, Outcome::Lost);
    harbour.fleet.stream_ended(harbour.now, stream, &broke());
    harbour.hear();
    assert!(harbour.dropped.contains(&connection));
    let again = harbour
        .fleet
        .pick_again(&mut || 0, &tried, Retry::Harmless, 0);
    assert_eq!(again.map(|pick| pick.replica), Some(harbour.replica(1)));
    harbour.refuse_all();
    assert_eq!(words(&harbour.events), ["down"]);
    assert_eq!(health(&harbour, 0), ReplicaHealth::Unreachable);
    let status = harbour.fleet.status(harbour.now);
    assert_eq!(status.replicas[0].last_fault, Some(refused()));
}

#[test]
fn v13_one_refusal_with_unavailable_ends_no_working_stream() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    let (working, connection) = harbour.stream(replica);
    let (second, _) = harbour.stream(replica);
    let end = StreamEnd::Status {
        code: Code::Unavailable,
        detail: "busy".into(),
    };
    assert!(end.counts());
    harbour.fleet.stream_ended(harbour.now, second, &end);
    harbour.hear();
    assert_eq!(health(&harbour, 0), ReplicaHealth::Up);
    assert!(!harbour.dropped.contains(&connection));
    let mut tried = Tried::new(true);
    assert_eq!(harbour.fleet.asked(working, &mut tried), Some(replica));
}

#[test]
fn v13_a_further_connection_that_cannot_be_had_takes_nothing_out_of_use_that_works() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    harbour.now += Duration::from_secs(10);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    harbour.now += Duration::from_secs(1);
    harbour.outcome(replica, Outcome::Answered);
    harbour.refuse_all();
    assert_eq!(
        health(&harbour, 0),
        ReplicaHealth::Up,
        "it has answered since the attempt began"
    );
    harbour.now += Duration::from_secs(10);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    harbour.refuse_all();
    assert_eq!(
        health(&harbour, 0),
        ReplicaHealth::Unreachable,
        "and nothing since this one"
    );
}

#[test]
fn a_lost_connection_is_replaced() {
    let mut harbour = Harbour::new(1, FleetSettings::default());
    let (_, connection) = harbour.wanted.remove(0);
    harbour
        .fleet
        .connection_lost(harbour.now, connection, &refused());
    harbour.hear();
    assert_eq!(
        health(&harbour, 0),
        ReplicaHealth::Unreachable,
        "while it was made"
    );
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    let (stream, connection) = harbour.stream(replica);
    harbour
        .fleet
        .connection_lost(harbour.now, connection, &refused());
    harbour.hear();
    assert_eq!(harbour.wanted.len(), 1);
    harbour
        .fleet
        .connection_lost(harbour.now, connection, &refused());
    harbour.fleet.stream_ended(harbour.now, stream, &broke());
    harbour.hear();
    assert_eq!(harbour.wanted.len(), 1);
    assert!(harbour.dropped.contains(&connection));
    assert_eq!(health(&harbour, 0), ReplicaHealth::Up);
    let counted = harbour.fleet.status(harbour.now).replicas[0]
        .last_fault
        .clone();
    assert_eq!(counted, Some(refused()), "counted once");
}

#[test]
fn a_watch_tells_at_once_and_spares_probes() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    harbour.fleet.serving(harbour.now, replica, Some(true));
    harbour.hear();
    assert_eq!(harbour.fleet.poll_timeout(), None);
    harbour.outcome(replica, SILENT);
    assert!(
        harbour.fleet.poll_timeout().is_some(),
        "silence is looked into all the same"
    );
    harbour.fleet.serving(harbour.now, replica, Some(false));
    harbour.hear();
    assert_eq!(words(&harbour.events), ["down", "unreachable"]);
    assert_eq!(harbour.fleet.poll_timeout(), None, "its watch will tell");
    assert!(matches!(harbour.pick(), Err(NoReplica::Fault(_))));
    harbour.now += Duration::from_secs(60);
    harbour.fleet.serving(harbour.now, replica, Some(true));
    assert_eq!(harbour.fleet.poll_timeout(), Some(harbour.now));
    harbour.advance(Duration::from_millis(1), true);
    assert_eq!(words(&harbour.events)[2..], ["up", "reachable"]);
    harbour.fleet.serving(harbour.now, replica, Some(false));
    harbour.fleet.serving(harbour.now, replica, None);
    harbour.hear();
    assert!(
        harbour.fleet.poll_timeout().is_some(),
        "without a watch probes tell"
    );
    harbour.advance(Duration::from_secs(2), true);
    assert_eq!(health(&harbour, 0), ReplicaHealth::Up);
}

#[test]
fn a_connection_does_not_override_a_watch_that_says_no() {
    let mut harbour = Harbour::up(1, FleetSettings::default());
    let replica = harbour.replica(0);
    harbour.now += Duration::from_secs(10);
    harbour.fleet.handle_timeout(harbour.now);
    harbour.hear();
    harbour.fleet.serving(harbour.now, replica, Some(false));
    harbour.connect_all();
    assert_eq!(health(&harbour, 0), ReplicaHealth::Unreachable);
}

#[test]
fn v16_reachable_is_an_edge_of_the_whole_sink() {
    let mut harbour = Harbour::up(2, FleetSettings::default());
    let (first, second) = (harbour.replica(0), harbour.replica(1));
    for replica in [first, second] {
        harbour.fleet.serving(harbour.now, replica, Some(false));
        harbour.hear();
    }
    assert_eq!(words(&harbour.events), ["down", "down", "unreachable"]);
    for replica in [second, first] {
        harbour.fleet.serving(harbour.now, replica, Some(true));
        harbour.advance(Duration::from_millis(1), true);
    }
    assert_eq!(words(&harbour.events)[3..], ["up", "reachable", "up"]);
    let FleetEvent::Unreachable { fault } = &harbour.events[2] else {
        panic!();
    };
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.detail.contains("does not serve"));
    let _: &Fault = fault;
}

#[test]
fn words_for_metrics_are_distinct() {
    let all = [
        ReplicaHealth::Unknown,
        ReplicaHealth::Up,
        ReplicaHealth::Unreachable,
        ReplicaHealth::Ejected,
        ReplicaHealth::Leaving,
    ];
    let words: std::collections::BTreeSet<&str> = all.iter().map(|one| one.name()).collect();
    assert_eq!(words.len(), all.len());
}
