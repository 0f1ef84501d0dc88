//! What is asked of the scheduler, one after the other.

use std::time::Duration;

use super::world::{LIMITS, Link, Whereabouts, World};
use crate::scheduler::{Counts, End, HANDFUL, Limits};

const SECOND: Duration = Duration::from_secs(1);
const QUICK: Duration = Duration::from_millis(10);
/// What a destination may have in memory while it is tried for the first time.
const TRUSTED: usize = LIMITS.messages / 4;

#[test]
fn one_connection_finds_out_and_few_follow() {
    let mut world = World::new(LIMITS, 2);
    for _ in 0..20 {
        world.push(1, 1, 0);
    }
    world.park();
    let first = world.links_that_are(|_| true);
    assert_eq!(first.len(), 1);
    world.opened(first[0]);
    assert_eq!(world.links.len(), 2);
    assert_eq!(
        world
            .links_that_are(|link| matches!(link, Link::Busy(_)))
            .len(),
        1
    );
}

#[test]
fn a_slow_destination_comes_to_its_full_rate() {
    let mut world = World::new(LIMITS, 2);
    for _ in 0..400 {
        world.push(1, 1, 0);
    }
    world.work(60 * SECOND, |_| SECOND, |_| false);
    assert_eq!(world.most_links[&1], 8);
    // 60 s at 8 a second, less the time in which it was found out.
    assert!(world.delivered.len() >= 390, "{}", world.delivered.len());
}

#[test]
fn hung_destinations_hold_a_handful_and_the_healthy_one_has_its_room() {
    let mut world = World::new(LIMITS, 2);
    for destination in 1..=10 {
        for _ in 0..50 {
            world.push(destination, 1, 0);
        }
    }
    world.park();
    let held = |world: &World| -> usize { (1..=10).map(|one| world.in_memory(one)).sum() };
    assert!(held(&world) <= LIMITS.idle_messages + 10);
    // They were trusted for a moment.
    world.wait(3 * SECOND);
    for destination in 1..=10 {
        assert!(world.in_memory(destination) <= HANDFUL);
    }
    assert!(held(&world) <= LIMITS.idle_messages + 10);
    for _ in 0..500 {
        world.push(99, 2, 0);
    }
    world.work(10 * SECOND, |_| QUICK, |destination| destination != 99);
    let own = world
        .delivered
        .iter()
        .filter(|message| world.messages[message].0 == 99);
    assert_eq!(own.count(), 500);
}

#[test]
fn a_destination_that_hangs_after_it_was_at_work_gives_its_room_back() {
    let mut world = World::new(LIMITS, 2);
    for _ in 0..40 {
        world.push(1, 1, 0);
    }
    let first = world.links_that_are(|_| true)[0];
    world.opened(first);
    for _ in 0..200 {
        world.push(1, 1, 0);
    }
    world.park();
    world.fetch_all();
    assert!(world.in_memory(1) > 30);
    world.wait(3 * SECOND);
    assert!(world.in_memory(1) <= HANDFUL + 2, "{}", world.in_memory(1));
    assert_eq!(
        world.messages_that_are(|place| matches!(place, Whereabouts::PutOff(_))),
        [0; 0]
    );
    // It moves again.
    world.finished(first, End::Result, false, true);
    world.work(60 * SECOND, |_| QUICK, |_| false);
    assert_eq!(world.delivered.len(), 240);
}

#[test]
fn many_messages_of_one_sender_do_not_keep_the_one_of_another_waiting() {
    let mut world = World::new(LIMITS, 2);
    for _ in 0..5000 {
        world.push(1, 1, 0);
    }
    world.work(SECOND, |_| QUICK, |_| false);
    let before = world.delivered.len();
    let one = world.push(1, 2, 0);
    world.work(SECOND, |_| QUICK, |_| false);
    let place = world
        .delivered
        .iter()
        .position(|message| *message == one)
        .unwrap();
    // Behind what was in memory at most.
    assert!(place - before <= LIMITS.messages + 16, "{}", place - before);
    let urgent = world.push(1, 1, 9);
    let before = world.delivered.len();
    world.work(SECOND, |_| QUICK, |_| false);
    let place = world
        .delivered
        .iter()
        .position(|message| *message == urgent)
        .unwrap();
    assert!(place - before <= LIMITS.messages + 16, "{}", place - before);
}

#[test]
fn what_comes_need_not_leave_memory_because_others_wait_outside() {
    let mut world = World::new(LIMITS, 2);
    for _ in 0..200 {
        world.push(1, 1, 0);
    }
    world.park();
    let waits = |world: &World| {
        world
            .messages_that_are(|place| *place == Whereabouts::Name)
            .len()
    };
    assert_eq!(waits(&world), 200 - TRUSTED);
    // As many come as go. Half of the places are for them: were it none, all would have to be read from the disk.
    let mut came_in = 0;
    for round in 0..100 {
        for link in world.links_that_are(|link| *link == Link::Opening) {
            world.opened(link);
        }
        world.fetch_all();
        let busy = world.links_that_are(|link| matches!(link, Link::Busy(_)));
        for link in &busy {
            world.finished(*link, End::Result, false, true);
            let message = world.push(1, 1, 0);
            let came = matches!(world.at(message), Whereabouts::Memory | Whereabouts::On(_));
            came_in += usize::from(came && round >= 50);
        }
        world.park();
        world.wait(QUICK);
    }
    let went = world.delivered.len();
    assert!(went >= 200, "{went}");
    assert!(came_in >= went / 12, "{came_in} of {went}");
    // And those outside are not forgotten over them.
    let old = world
        .delivered
        .iter()
        .filter(|message| **message < 200)
        .count();
    assert_eq!(old, 200);
}

#[test]
fn a_dead_destination_is_left_alone_and_what_comes_hears_why() {
    let mut world = World::new(LIMITS, 2);
    for _ in 0..100 {
        world.push(1, 1, 0);
    }
    world.park();
    let first = world.links_that_are(|_| true)[0];
    world.refused(first, 0);
    world.fetch_all();
    let waiting = world.messages_that_are(|place| *place == Whereabouts::PutOff("refused"));
    assert_eq!(waiting.len(), TRUSTED);
    // The others are told as they are fetched, and nothing is tried meanwhile.
    for _ in 0..20 {
        world.fetch_all();
    }
    let others = world.messages_that_are(|place| *place == Whereabouts::PutOff("was refused"));
    assert_eq!(others.len(), 100 - TRUSTED);
    let late = world.push(1, 1, 0);
    assert_eq!(world.at(late), Whereabouts::PutOff("was refused"));
    assert!(world.links.is_empty());
    world.wait(SECOND);
    world.push(1, 1, 0);
    assert_eq!(world.links.len(), 1, "its rest is over");
}

#[test]
fn connections_that_fail_together_are_not_replaced_by_others() {
    let mut world = World::new(LIMITS, 4);
    for _ in 0..30 {
        world.push(1, 1, 0);
    }
    world.work(SECOND, |_| QUICK, |_| false);
    world.wait(60 * SECOND);
    for connection in world.links_that_are(|link| *link == Link::Ending) {
        world.closed(connection);
    }
    assert!(world.links.is_empty());
    // It was up when it was last seen: some are tried at once.
    for _ in 0..20 {
        world.push(1, 1, 0);
    }
    let opening = world.links_that_are(|link| *link == Link::Opening);
    assert!(opening.len() >= 2, "{opening:?}");
    for connection in &opening {
        world.refused(*connection, 0);
        assert!(world.links.len() < opening.len());
    }
    assert!(world.links.is_empty(), "it is left alone");
    assert_eq!(world.in_memory(1), 0);
}

#[test]
fn a_further_connection_that_is_refused_costs_no_message_anything() {
    let mut world = World::new(LIMITS, 2);
    for _ in 0..20 {
        world.push(1, 1, 0);
    }
    let first = world.links_that_are(|_| true)[0];
    world.opened(first);
    let second = world.links_that_are(|link| *link == Link::Opening)[0];
    world.refused(second, 0);
    world.work(5 * SECOND, |_| QUICK, |_| false);
    assert_eq!(world.most_links[&1], 2);
    assert_eq!(world.delivered.len(), 20);
}

#[test]
fn idle_connections_end_and_an_idle_destination_is_forgotten() {
    let mut world = World::new(LIMITS, 2);
    world.push(1, 1, 0);
    world.work(4 * SECOND, |_| QUICK, |_| false);
    assert_eq!(world.links_that_are(|link| *link == Link::Idle).len(), 1);
    world.work(2 * SECOND, |_| QUICK, |_| false);
    assert!(world.links.is_empty());
    let counts = world.scheduler.counts();
    assert_eq!((counts.destinations, counts.connections), (1, 0));
    world.wait(700 * SECOND);
    assert_eq!(world.scheduler.counts(), Counts::default());
    assert_eq!(world.scheduler.next_timeout(), None);
}

#[test]
fn what_was_given_to_a_connection_that_had_just_ended_goes_over_another() {
    let mut world = World::new(LIMITS, 1);
    let message = world.push(1, 1, 0);
    let first = world.links_that_are(|_| true)[0];
    world.opened(first);
    assert_eq!(world.at(message), Whereabouts::On(first));
    world.closed(first);
    let second = world.links_that_are(|_| true)[0];
    assert_ne!(first, second);
    world.opened(second);
    assert_eq!(world.at(message), Whereabouts::On(second));
}

#[test]
fn names_beyond_what_one_destination_may_have_are_left_to_their_due_time() {
    let limits = Limits { names: 5, ..LIMITS };
    let mut world = World::new(limits, 1);
    for _ in 0..TRUSTED + 7 {
        world.push(1, 1, 0);
    }
    world.park();
    let forgotten = world.messages_that_are(|place| *place == Whereabouts::Forgotten);
    assert_eq!(forgotten.len(), 2);
}
