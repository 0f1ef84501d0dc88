//! How instances are opened.

use std::sync::Arc;
use std::time::Duration;

use postern_attach::{LinkSettings, Opening, Refusal};
use postern_events::encode::EncodedSnapshot;
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;

use crate::world::{World, binding, number, world};

#[test]
fn open_says_what_the_instance_is() {
    let mut world = World::new(LinkSettings {
        capacity: 8,
        gateway_id: [1; 16],
        spool_id: [2; 16],
        features: postern_attach::Features::from_words(["parts", "actions"]),
        ..LinkSettings::default()
    });
    let snapshot = pb::Snapshot {
        conduct: Some(pb::Conduct::default()),
        ..pb::Snapshot::default()
    };
    let opening = Opening {
        scope: pb::Scope::Transport,
        snapshot: EncodedSnapshot::new(&snapshot).expect("it is small"),
        reopened_count: 2,
        trace_parent: "parent".into(),
        trace_state: "state".into(),
        ..world.opening(1)
    };
    let instance = world.link.open(world.now, opening).expect("there is room");
    world.ask(instance, 1);
    world.flush();
    let open = &world.sink.instances[&number(instance)].open;
    assert_eq!(open.scope(), pb::Scope::Transport);
    assert_eq!(open.binding_revision, 7);
    assert_eq!(open.reopened_count, 2);
    assert_eq!(
        (&*open.trace_parent, &*open.trace_state),
        ("parent", "state")
    );
    assert_eq!(open.protocol_version, 1);
    assert_eq!(open.features, ["parts", "actions"]);
    assert_eq!(
        (&open.gateway_id[..], &open.spool_id[..]),
        (&[1; 16][..], &[2; 16][..])
    );
    assert_eq!(open.binding.as_ref().map(|one| &*one.name), Some("scan"));
    assert_eq!(
        open.limits.as_ref().map(|one| one.message_bytes),
        Some(1 << 20)
    );
    assert!(
        open.snapshot
            .as_ref()
            .is_some_and(|one| one.conduct.is_some())
    );
}

#[test]
fn a_shared_stream_names_a_binding_with_the_open_that_leaves_first() {
    let mut world = world(8, &[]);
    let first = world.open(1);
    let second = world.open(2);
    world.ask(second, 2);
    world.flush();
    world.ask(first, 1);
    world.flush();
    // The sink would have panicked over an instance whose binding it was not told.
    let named = |instance| {
        world.sink.instances[&number(instance)]
            .open
            .binding
            .is_some()
    };
    assert!(named(second) && !named(first));
    world.binding = binding(8);
    let third = world.open(3);
    world.ask(third, 3);
    world.flush();
    assert!(world.sink.instances[&number(third)].open.binding.is_some());
}

#[test]
fn limits_are_told_again_where_they_differ() {
    let mut world = world(8, &[]);
    for (message_bytes, told) in [(1 << 20, true), (1 << 20, false), (5, true), (5, false)] {
        world.limits = Arc::new(pb::Limits {
            message_bytes,
            upload_credit_bytes: 100,
            ..pb::Limits::default()
        });
        let instance = world.open(1);
        world.ask(instance, 1);
        world.flush();
        let limits = world.sink.instances[&number(instance)].open.limits.clone();
        assert_eq!(limits.is_some(), told, "{message_bytes}");
    }
}

#[test]
fn a_stream_takes_as_many_instances_as_the_sink_says() {
    let mut world = world(2, &[]);
    assert!(world.link.occupancy(world.now).has_room);
    let first = world.open(1);
    world.open(2);
    assert!(!world.link.occupancy(world.now).has_room);
    assert_eq!(world.try_open(3), Err(Refusal::NoRoom));
    world
        .link
        .close(world.now, first, pb::CloseReason::Finished);
    assert!(world.link.occupancy(world.now).has_room);
    assert!(world.try_open(3).is_ok());
}

#[test]
fn with_one_at_a_time_the_next_open_follows_close() {
    let mut world = world(1, &[]);
    for tag in 1..4 {
        let asked = world.asked(tag);
        assert_eq!(world.try_open(9), Err(Refusal::NoRoom));
        world.verdict(asked);
        world
            .link
            .close(world.now, asked.instance, pb::CloseReason::Finished);
        let sent = world.sent();
        assert!(
            matches!(sent.last(), Some(Kind::CloseInstance(_))),
            "at once: {sent:?}"
        );
        let open = &world.sink.instances[&tag].open;
        assert!(
            open.binding.is_some() && open.limits.is_some(),
            "named each time"
        );
    }
}

#[test]
fn an_instance_that_was_never_asked_leaves_no_trace() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    world
        .link
        .close(world.now, instance, pb::CloseReason::Finished);
    assert_eq!(world.try_ask(instance, 1), Err(Refusal::Gone));
    let idle = world.open(2);
    world.advance(Duration::from_secs(61));
    assert_eq!(world.try_ask(idle, 1), Err(Refusal::Gone));
    assert_eq!(world.sent(), []);
    assert!(world.sink.instances.is_empty());
}

fn long_snapshot() -> pb::Snapshot {
    let recipient = pb::Recipient {
        address: vec![b'a'; 1000].into(),
        ..pb::Recipient::default()
    };
    pb::Snapshot {
        recipients: vec![recipient; 1500],
        ..pb::Snapshot::default()
    }
}

#[test]
fn v18_a_long_snapshot_comes_in_parts() {
    let mut world = world(8, &["parts"]);
    let opening = Opening {
        snapshot: EncodedSnapshot::new(&long_snapshot()).expect("it splits"),
        ..world.opening(1)
    };
    let instance = world.link.open(world.now, opening).expect("there is room");
    assert_eq!(world.sent(), []);
    world.ask(instance, 1);
    let sent = world.sent();
    let parts = sent
        .iter()
        .filter(|kind| matches!(kind, Kind::SnapshotPart(_)))
        .count();
    assert!(parts >= 2 && matches!(sent.last(), Some(Kind::Event(_))));
    let known = &world.sink.instances[&number(instance)].snapshot;
    assert_eq!(known, &long_snapshot());
}

#[test]
fn v18_without_parts_a_long_snapshot_fails_by_size_and_nothing_else_does() {
    let mut world = world(8, &[]);
    let opening = Opening {
        snapshot: EncodedSnapshot::new(&long_snapshot()).expect("it splits"),
        ..world.opening(1)
    };
    let refused = world.link.open(world.now, opening);
    assert!(matches!(refused, Err(Refusal::Size(fault)) if fault.kind == FaultKind::Size));
    let asked = world.asked(2);
    world.verdict(asked);
    assert_eq!(world.events().len(), 1);
}

#[test]
fn v18_without_parts_what_fits_is_sent_whole() {
    let mut world = world(8, &[]);
    let mut snapshot = long_snapshot();
    snapshot.recipients.truncate(800);
    let opening = Opening {
        snapshot: EncodedSnapshot::new(&snapshot).expect("it splits"),
        ..world.opening(1)
    };
    assert!(
        !opening.snapshot.parts.is_empty(),
        "the test needs one that was split"
    );
    let instance = world.link.open(world.now, opening).expect("it fits");
    world.ask(instance, 1);
    world.flush();
    assert_eq!(world.sink.instances[&number(instance)].snapshot, snapshot);
}
