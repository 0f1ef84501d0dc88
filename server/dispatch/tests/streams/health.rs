//! Whether a sink can be asked: who says so, who hears of it, and what waits until then.

use std::time::Duration;

use postern_attach::{FleetSettings, Reach};
use postern_dispatch::settings::Settings;
use postern_events::fault::FaultKind;
use postern_events::inbound::{Reset, ResetReason};
use postern_events::ruling::Decision;
use tonic_health::ServingStatus;

use crate::rig::{Bound, Rig, budget};
use crate::sink::{Health, TestSink, agreeable, description, serve_on};

const LIMIT: Duration = Duration::from_secs(5);

async fn until(rig: &Rig, note: &str, times: usize) {
    let waiting = async {
        while rig.notes.count(note) < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(
        tokio::time::timeout(LIMIT, waiting).await.is_ok(),
        "no {note}: {:?}",
        rig.notes.all()
    );
}

#[tokio::test]
async fn a_sink_that_says_it_does_not_serve_is_not_asked_until_it_does() {
    let health = Health::serving().await;
    let sink = TestSink::start_with(description(16), Some(health.clone()), agreeable).await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.connect"])]);
    let mut back = rig.dispatcher.sinks_back();
    assert_eq!(
        rig.session().connect(&budget()).await.decision,
        Decision::Proceed
    );
    health.say(ServingStatus::NotServing).await;
    until(&rig, "unreachable", 1).await;
    let asked = sink.frames().len();
    let ruling = rig.session().connect(&budget()).await;
    assert_eq!(
        ruling.failures.first().unwrap().fault.kind,
        FaultKind::Unreachable
    );
    assert_eq!(rig.dispatcher.sinks()[0].status.reach, Reach::Unreachable);
    assert!(
        sink.frames()[asked..]
            .iter()
            .all(|one| one.question().is_none())
    );
    while back.try_recv().is_ok() {}
    health.say(ServingStatus::Serving).await;
    let name = tokio::time::timeout(LIMIT, back.recv()).await.unwrap();
    assert_eq!(&*name.unwrap(), "sink0");
    assert_eq!(
        rig.session().connect(&budget()).await.decision,
        Decision::Proceed
    );
}

#[tokio::test]
async fn v16_a_sink_that_is_back_is_announced_without_anybody_asking_it() {
    let sink = TestSink::start(16, agreeable).await;
    let address = sink.endpoint.strip_prefix("http://").unwrap().to_owned();
    let settings = Settings {
        fleet: FleetSettings {
            probe_min: Duration::from_millis(20),
            probe_max: Duration::from_millis(50),
            ..FleetSettings::default()
        },
        ..Settings::default()
    };
    let rig = Rig::tuned(vec![Bound::to(&sink, &["inbound.connect"])], settings);
    rig.connected(1).await;
    let mut back = rig.dispatcher.sinks_back();
    sink.kill();
    until(&rig, "unreachable", 1).await;
    while back.try_recv().is_ok() {}
    let _server = serve_on(std::net::TcpListener::bind(address).unwrap(), agreeable);
    let name = tokio::time::timeout(LIMIT, back.recv()).await.unwrap();
    assert_eq!(&*name.unwrap(), "sink0");
    // Whoever waited for it is served.
    assert_eq!(
        rig.session().connect(&budget()).await.decision,
        Decision::Proceed
    );
}

#[tokio::test]
async fn x3_another_program_behind_the_endpoint_is_asked_nothing() {
    let sink = TestSink::start(16, agreeable).await;
    let rig = Rig::new(vec![Bound {
        accepted: Some("scanner"),
        ..Bound::to(&sink, &["inbound.connect"])
    }]);
    let ruling = rig.session().connect(&budget()).await;
    assert!(
        matches!(ruling.decision, Decision::Tempfail(_)),
        "{ruling:?}"
    );
    assert!(sink.frames().is_empty(), "{:?}", sink.frames());
    let notes = rig.notes.all();
    assert!(
        notes.iter().any(|note| note.starts_with("down ")
            && note.contains("\"scanner\" was accepted")
            && note.contains("\"test\" answers")),
        "{notes:?}"
    );
}

#[tokio::test]
async fn one_way_events_that_find_no_room_are_lost_in_number() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let stand_in = TestSink::start(16, agreeable).await;
    let settings = Settings {
        one_way_bytes: 200,
        ..Settings::default()
    };
    let mut bound = Bound::to(&stand_in, &["inbound.reset"]);
    bound.endpoints = vec![endpoint];
    let rig = Rig::tuned(vec![bound], settings);
    // The port takes connections, and says nothing yet.
    let scope = rig.session();
    let reset = || Reset {
        message_id: None,
        reason: ResetReason::Command,
    };
    for _ in 0..100 {
        scope.tell_reset(reset());
    }
    tokio::task::yield_now().await;
    let _server = serve_on(listener, agreeable);
    until(&rig, "told", 1).await;
    until(&rig, "dropped", 1).await;
    let notes = rig.notes.all();
    let lost: u64 = notes
        .iter()
        .filter_map(|note| note.strip_prefix("dropped "))
        .map(|count| count.parse::<u64>().unwrap())
        .sum();
    while rig.notes.count("told") as u64 + lost < 100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.notes.count("told") as u64 + lost, 100, "{notes:?}");
    assert!(lost > 50, "200 octets hold few of them: {lost} were lost");
}
