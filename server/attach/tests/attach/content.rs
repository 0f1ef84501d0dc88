//! Content of events.

use std::time::Duration;

use postern_attach::{Asked, BodyDepth, LinkEvent, LinkSettings, Read, Wish};
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;
use postern_proto::v1::attach_response::Kind as Said;

use crate::world::{World, broken, number, world};

fn end(octets: u64) -> pb::ContentEnd {
    pb::ContentEnd {
        state: pb::ContentState::Complete.into(),
        body_size_bytes: octets,
        size_bytes: octets + 100,
        ..pb::ContentEnd::default()
    }
}

fn shown(capacity: usize, depth: BodyDepth) -> (World, Asked) {
    let mut world = world(capacity, &[]);
    let instance = world.open(1);
    let asked = world.ask_message(instance, depth);
    world.sent();
    (world, asked)
}

fn contents(world: &mut World) -> Vec<pb::Content> {
    world
        .sent()
        .into_iter()
        .filter_map(|kind| match kind {
            Kind::Content(content) => Some(content),
            _ => None,
        })
        .collect()
}

/// Pushes whatever may be pushed of a body of so many octets. Returns how many were.
fn pump(world: &mut World, asked: Asked, body: u64) -> u64 {
    let mut pushed = 0;
    loop {
        match world.link.content_wish(asked) {
            Wish::Push { offset, most } => {
                let octets = (body - offset).min(most as u64);
                if octets == 0 {
                    return pushed;
                }
                pushed += octets;
                let octets = vec![b'x'; octets as usize].into();
                world.link.push(world.now, asked, octets);
                world.flush();
            }
            Wish::Nothing | Wish::Over | Wish::Read(_) => return pushed,
        }
    }
}

fn want(world: &mut World, asked: Asked, credit_bytes: u64) {
    let want = pb::WantContent {
        event_id: asked.event_id,
        credit_bytes,
    };
    let instance = number(asked.instance);
    if let Some(seen) = world
        .sink
        .instances
        .get_mut(&instance)
        .and_then(|known| known.events.get_mut(&asked.event_id))
    {
        seen.credit = seen.credit.saturating_add(credit_bytes);
    }
    world.say(instance, Said::WantContent(want));
}

fn read(world: &mut World, asked: Asked, read_id: u64, offset: u64, length_bytes: u64) {
    let read = pb::ReadContent {
        event_id: asked.event_id,
        read_id,
        part: pb::ContentPart::Whole.into(),
        offset,
        length_bytes,
        revision: 1,
    };
    let instance = number(asked.instance);
    if let Some(seen) = world
        .sink
        .instances
        .get_mut(&instance)
        .and_then(|known| known.events.get_mut(&asked.event_id))
    {
        seen.reads.push((read_id, 0));
    }
    world.say(instance, Said::ReadContent(read));
}

#[test]
fn a_body_is_pushed_in_chunks_and_its_last_frame_says_the_end() {
    let (mut world, asked) = shown(1, BodyDepth::Full);
    assert_eq!(
        world.link.content_wish(asked),
        Wish::Push {
            offset: 0,
            most: 64 << 10
        }
    );
    world.link.push(world.now, asked, vec![1; 64 << 10].into());
    world.link.push(world.now, asked, vec![2; 100].into());
    world
        .link
        .content_complete(world.now, asked, end((64 << 10) + 150));
    assert_eq!(
        world.link.content_wish(asked),
        Wish::Push {
            offset: (64 << 10) + 100,
            most: 50
        }
    );
    world.link.push(world.now, asked, vec![3; 60].into());
    let sent = contents(&mut world);
    let shape: Vec<(u64, usize, bool)> = sent
        .iter()
        .map(|one| (one.offset, one.octets.len(), one.ended.is_some()))
        .collect();
    let full = 64 << 10;
    assert_eq!(
        shape,
        [
            (0, full, false),
            (full as u64, 100, false),
            (full as u64 + 100, 50, true)
        ]
    );
    assert_eq!(sent[2].ended.as_deref(), Some(&end((64 << 10) + 150)));
    assert_eq!(world.link.content_wish(asked), Wish::Nothing);
    world.link.push(world.now, asked, vec![3; 60].into());
    assert_eq!(contents(&mut world), []);
}

#[test]
fn an_end_that_comes_later_is_a_frame_of_its_own() {
    let (mut world, asked) = shown(1, BodyDepth::Full);
    world.link.push(world.now, asked, vec![1; 10].into());
    world.link.content_complete(world.now, asked, end(10));
    let sent = contents(&mut world);
    assert_eq!(sent.len(), 2);
    assert!(sent[1].octets.is_empty() && sent[1].ended.is_some() && sent[1].offset == 10);
}

#[test]
fn each_depth_hears_the_end_and_gets_no_more_than_it_says() {
    for (depth, octets) in [
        (BodyDepth::Headers, 0),
        (BodyDepth::OnDemand, 0),
        (BodyDepth::Prefix(7), 7),
        (BodyDepth::Prefix(100), 20),
        (BodyDepth::Full, 20),
    ] {
        let (mut world, asked) = shown(8, depth);
        assert_eq!(pump(&mut world, asked, 20), octets, "{depth:?}");
        let before: usize = contents(&mut world)
            .iter()
            .filter(|one| one.ended.is_some())
            .count();
        assert_eq!(before, 0);
        world.link.content_complete(world.now, asked, end(20));
        let sent = contents(&mut world);
        assert!(matches!(&sent[..], [one] if one.ended.is_some() && one.octets.is_empty()));
    }
}

#[test]
fn content_on_a_shared_stream_flows_by_credit() {
    let (mut world, asked) = shown(8, BodyDepth::Full);
    assert_eq!(pump(&mut world, asked, 5000), 1000);
    assert_eq!(world.link.content_wish(asked), Wish::Nothing);
    world.link.content_complete(world.now, asked, end(5000));
    assert_eq!(
        contents(&mut world).len(),
        1,
        "what is owed comes before the end"
    );
    want(&mut world, asked, 500);
    assert_eq!(
        world.events(),
        [LinkEvent::ContentWanted { asked, tag: 90 }]
    );
    assert_eq!(pump(&mut world, asked, 5000), 500);
    want(&mut world, asked, 10_000);
    assert_eq!(pump(&mut world, asked, 5000), 3500);
    assert!(
        contents(&mut world)
            .last()
            .is_some_and(|one| one.ended.is_some())
    );
}

#[test]
fn with_one_at_a_time_no_credit_is_needed() {
    let (mut world, asked) = shown(1, BodyDepth::Full);
    assert_eq!(pump(&mut world, asked, 500_000), 500_000);
}

#[test]
fn c3_content_that_waits_for_the_network_is_bounded() {
    let mut world = World::new(LinkSettings {
        capacity: 1,
        content_bytes: 200 << 10,
        ..LinkSettings::default()
    });
    let instance = world.open(1);
    let asked = world.ask_message(instance, BodyDepth::Full);
    world.flush();
    let mut waiting = 0;
    while let Wish::Push { most, .. } = world.link.content_wish(asked) {
        world.link.push(world.now, asked, vec![0; most].into());
        waiting += most;
        assert!(waiting <= 300 << 10, "bounded");
    }
    assert!(waiting >= 200 << 10);
    assert_eq!(world.events(), []);
    world.take_frame();
    assert_eq!(
        world.events(),
        [LinkEvent::ContentWanted { asked, tag: 90 }]
    );
    assert!(matches!(world.link.content_wish(asked), Wish::Push { .. }));
    world.flush();
    assert_eq!(world.events(), []);
}

#[test]
fn c3_content_of_one_instance_holds_up_no_other() {
    let (mut world, asked) = shown(8, BodyDepth::Full);
    want(&mut world, asked, 1 << 20);
    for _ in 0..10 {
        world.link.push(world.now, asked, vec![0; 64 << 10].into());
    }
    let other = world.open(2);
    world.ask(other, 20);
    let first: Vec<bool> = (0..4)
        .filter_map(|_| world.take_frame())
        .map(|frame| frame.instance_id == number(other))
        .collect();
    assert_eq!(
        first.iter().filter(|of_other| **of_other).count(),
        2,
        "Open and event"
    );
}

#[test]
fn stop_content_ends_the_pushing_and_not_the_event() {
    let (mut world, asked) = shown(8, BodyDepth::Full);
    pump(&mut world, asked, 100);
    world.say(
        number(asked.instance),
        Said::StopContent(pb::StopContent { event_id: 1 }),
    );
    assert_eq!(world.link.content_wish(asked), Wish::Nothing);
    assert_eq!(contents(&mut world).len(), 1);
    world.link.content_complete(world.now, asked, end(5000));
    let sent = contents(&mut world);
    assert!(matches!(&sent[..], [one] if one.ended.is_some() && one.offset == 100));
    world.verdict(asked);
    assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
}

#[test]
fn c10_after_the_answer_no_more_content_is_sent() {
    let (mut world, asked) = shown(1, BodyDepth::Full);
    world.link.push(world.now, asked, vec![0; 100].into());
    world.verdict(asked);
    assert_eq!(world.link.content_wish(asked), Wish::Over);
    world.link.push(world.now, asked, vec![0; 100].into());
    world.link.content_complete(world.now, asked, end(100));
    assert_eq!(contents(&mut world), [], "what waited was dropped");
    want(&mut world, asked, 5);
    let events = world.events();
    assert!(
        matches!(
            events[..],
            [LinkEvent::Verdict { .. }, LinkEvent::Late { .. }]
        ),
        "{events:?}"
    );
}

#[test]
fn after_cancel_no_more_content_is_sent() {
    let (mut world, asked) = shown(1, BodyDepth::Full);
    world.link.push(world.now, asked, vec![0; 100].into());
    world
        .link
        .cancel(world.now, asked, pb::CancelReason::ClientGone);
    assert_eq!(world.link.content_wish(asked), Wish::Over);
    let sent = world.sent();
    assert!(matches!(&sent[..], [Kind::Cancel(_)]), "{sent:?}");
}

#[test]
fn reads_are_answered_in_turn_in_chunks() {
    let (mut world, asked) = shown(8, BodyDepth::OnDemand);
    let length = (64 << 10) + 10;
    read(&mut world, asked, 5, 1000, length);
    read(&mut world, asked, 6, 0, 3);
    assert_eq!(
        world.events(),
        [LinkEvent::ContentWanted { asked, tag: 90 }]
    );
    let wish = |offset, length, read_id| {
        Wish::Read(Read {
            read_id,
            part: pb::ContentPart::Whole,
            offset,
            length,
            revision: 1,
        })
    };
    assert_eq!(world.link.content_wish(asked), wish(1000, 64 << 10, 5));
    world
        .link
        .answer_read(world.now, asked, 6, vec![9; 3].into(), false);
    assert_eq!(contents(&mut world), [], "it is not its turn");
    world
        .link
        .answer_read(world.now, asked, 5, vec![1; 64 << 10].into(), false);
    assert_eq!(
        world.link.content_wish(asked),
        wish(1000 + (64 << 10), 10, 5)
    );
    world
        .link
        .answer_read(world.now, asked, 5, vec![2; 11].into(), false);
    assert_eq!(world.link.content_wish(asked), wish(0, 3, 6));
    world.link.content_complete(world.now, asked, end(2));
    world
        .link
        .answer_read(world.now, asked, 6, vec![3; 2].into(), true);
    let sent = contents(&mut world);
    let shape: Vec<(u64, u64, usize, bool)> = sent
        .iter()
        .map(|one| {
            (
                one.read_id,
                one.offset,
                one.octets.len(),
                one.ended.is_some(),
            )
        })
        .collect();
    assert_eq!(
        shape,
        [
            (5, 1000, 64 << 10, false),
            (5, 1000 + (64 << 10), 10, true),
            (0, 0, 0, true),
            (6, 0, 2, true)
        ]
    );
    assert_eq!(
        sent[1].ended.as_ref().map(|end| end.state()),
        Some(pb::ContentState::Complete)
    );
    assert_eq!(
        sent[3].ended.as_ref().map(|end| end.body_size_bytes),
        Some(2)
    );
    assert_eq!(world.link.content_wish(asked), Wish::Nothing);
}

#[test]
fn v25_a_read_without_content_is_out_of_range() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    let told = world.tell(asked.instance);
    world.advance(Duration::from_millis(5));
    world.sent();
    read(&mut world, asked, 1, 0, 10);
    let of_told = Asked {
        event_id: told,
        ..asked
    };
    read(&mut world, of_told, 2, 0, 10);
    let sent = contents(&mut world);
    let shape: Vec<(u64, u64, pb::ContentState)> = sent
        .iter()
        .map(|one| {
            let end = one.ended.as_ref().expect("an end");
            (one.event_id, one.read_id, end.state())
        })
        .collect();
    let out = pb::ContentState::OutOfRange;
    assert_eq!(shape, [(1, 1, out), (told, 2, out)]);
    assert_eq!(world.events(), []);
}

#[test]
fn v25_a_read_past_the_end_is_out_of_range() {
    let (mut world, asked) = shown(8, BodyDepth::OnDemand);
    read(&mut world, asked, 1, 1_000_000, 10);
    read(&mut world, asked, 2, 0, 10);
    world.link.refuse_read(world.now, asked, 2);
    assert_eq!(contents(&mut world), [], "it is not its turn");
    world.events();
    world.link.refuse_read(world.now, asked, 1);
    let sent = contents(&mut world);
    assert_eq!(
        sent[0].ended.as_ref().map(|end| end.state()),
        Some(pb::ContentState::OutOfRange)
    );
    assert_eq!(
        world.events(),
        [LinkEvent::ContentWanted { asked, tag: 90 }],
        "the next one's turn"
    );
}

#[test]
fn reads_of_an_instance_are_answered_one_after_the_other_over_all_its_events() {
    let (mut world, first) = shown(8, BodyDepth::OnDemand);
    let second = world.ask_message(first.instance, BodyDepth::OnDemand);
    let empty = world.ask(first.instance, 3);
    world.sent();
    read(&mut world, first, 1, 0, 10);
    read(&mut world, empty, 2, 0, 10);
    read(&mut world, second, 3, 0, 10);
    assert_eq!(contents(&mut world), []);
    assert_eq!(world.events().len(), 1);
    assert_eq!(world.link.content_wish(second), Wish::Nothing);
    world.verdict(first);
    let ids: Vec<u64> = contents(&mut world).iter().map(|one| one.read_id).collect();
    assert_eq!(ids, [2], "the event's verdict ended the first");
    assert!(matches!(world.link.content_wish(second), Wish::Read(read) if read.read_id == 3));
}

#[test]
fn v25_a_read_that_breaks_its_bounds_is_a_failure() {
    for (read_id, length) in [(0, 1), (1, 0), (1, (1 << 20) + 1)] {
        let (mut world, asked) = shown(8, BodyDepth::OnDemand);
        read(&mut world, asked, read_id, 0, length);
        assert_eq!(broken(&world.events()).len(), 1, "{read_id} {length}");
    }
    let (mut world, asked) = shown(8, BodyDepth::OnDemand);
    for id in 1..=65 {
        read(&mut world, asked, id, 0, 1);
    }
    assert_eq!(broken(&world.events()).len(), 1, "64 may wait");
}

#[test]
fn credit_of_nothing_or_too_much_is_a_failure() {
    for credit in [0, 16 << 20] {
        let (mut world, asked) = shown(8, BodyDepth::Full);
        want(&mut world, asked, credit);
        assert_eq!(broken(&world.events()).len(), 1, "{credit}");
    }
    let (mut world, asked) = shown(8, BodyDepth::Full);
    want(&mut world, asked, (16 << 20) - 1000);
    assert_eq!(broken(&world.events()).len(), 0);
}

#[test]
fn steering_content_of_an_event_without_any_changes_nothing() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    want(&mut world, asked, 5);
    world.say(1, Said::StopContent(pb::StopContent { event_id: 1 }));
    assert_eq!(world.events(), []);
    assert_eq!(world.link.content_wish(asked), Wish::Nothing);
    world.say(1, Said::StopContent(pb::StopContent { event_id: 9 }));
    assert_eq!(broken(&world.events()).len(), 1);
}

#[test]
fn a_sink_that_reads_without_end_and_takes_nothing_loses_its_stream() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    let mut resets = 0;
    for id in 1..200_000 {
        let read = pb::ReadContent {
            event_id: asked.event_id,
            read_id: id,
            length_bytes: 1,
            ..pb::ReadContent::default()
        };
        world.say(1, Said::ReadContent(read));
        resets += world
            .events()
            .iter()
            .filter(|event| matches!(event, LinkEvent::Ended { reset: true, .. }))
            .count();
    }
    assert_eq!(resets, 1);
    assert!(world.link.is_finished());
}
