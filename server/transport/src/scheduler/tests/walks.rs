//! Random walks: whatever happens in whatever order, each message is at one place, bounds hold, and in the end, when all
//! destinations are well, everything has been delivered or put off.

use std::collections::HashMap;
use std::time::Duration;

use super::world::{LIMITS, Link, Whereabouts, World};
use crate::scheduler::{End, HANDFUL, Limits};

/// A seeded generator (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.below(of.len())])
    }
}

fn step(world: &mut World, random: &mut Random) {
    match random.below(20) {
        0..7 => {
            let (to, from) = (random.below(5) as u32, random.below(4) as u64);
            let priority = [0, 0, 0, 4, -4][random.below(5)];
            world.push(to, from, priority);
        }
        7..9 => {
            if let Some(connection) =
                random.one(&world.links_that_are(|link| *link == Link::Opening))
            {
                world.opened(connection);
            }
        }
        9 => {
            if let Some(connection) =
                random.one(&world.links_that_are(|link| *link == Link::Opening))
            {
                world.refused(connection, random.below(1000) as u32);
            }
        }
        10..14 => {
            let busy = world.links_that_are(|link| matches!(link, Link::Busy(_)));
            if let Some(connection) = random.one(&busy) {
                match random.below(8) {
                    0 => world.finished(connection, End::Trouble, true, false),
                    1 => world.finished(connection, End::Result, false, false),
                    2 => world.finished(connection, End::Result, true, true),
                    3 => world.closed(connection),
                    _ => world.finished(connection, End::Result, false, true),
                }
            }
        }
        14 => {
            if let Some(connection) = random.one(&world.links_that_are(|link| *link == Link::Idle))
            {
                world.closed(connection);
            }
        }
        15 => {
            for connection in world.links_that_are(|link| *link == Link::Ending) {
                world.closed(connection);
            }
        }
        16 => world.park(),
        17 => {
            let fetched = world.messages_that_are(|place| matches!(place, Whereabouts::Fetched(_)));
            if let Some(message) = random.one(&fetched) {
                world.fetch(message, random.below(4) == 0);
            }
        }
        18 => world.fetch_all(),
        _ => {
            let time = [1, 50, 1000, 7000, 90_000][random.below(5)];
            world.wait(Duration::from_millis(time));
        }
    }
}

fn bounds(world: &World, limits: Limits) {
    let (mut links, mut memory) = (HashMap::<u32, usize>::new(), HashMap::<u32, usize>::new());
    for (to, link) in world.links.values() {
        *links.entry(*to).or_default() += usize::from(*link != Link::Ending);
    }
    for (to, _, place) in world.messages.values() {
        let there = matches!(place, Whereabouts::Memory | Whereabouts::On(_));
        *memory.entry(*to).or_default() += usize::from(there);
    }
    assert!(
        links.values().all(|count| *count <= limits.connections),
        "{links:?}"
    );
    // What is tried again, and what was fetched for room that is gone, comes on top.
    let most = limits.messages.max(HANDFUL + limits.connections) + limits.connections + 8;
    assert!(memory.values().all(|count| *count <= most), "{memory:?}");
}

/// All destinations are well from now on.
fn settle(world: &mut World) {
    for _ in 0..200 {
        world.work(
            Duration::from_secs(60),
            |_| Duration::from_millis(5),
            |_| false,
        );
        let waits = |place: &Whereabouts| {
            !matches!(
                place,
                Whereabouts::Delivered | Whereabouts::PutOff(_) | Whereabouts::Forgotten
            )
        };
        if world.messages_that_are(waits).is_empty() {
            return;
        }
    }
    let left = world.messages_that_are(|place| {
        !matches!(place, Whereabouts::Delivered | Whereabouts::PutOff(_))
    });
    panic!(
        "these wait for ever: {:?}",
        left.iter()
            .map(|message| world.messages[message])
            .collect::<Vec<_>>()
    );
}

#[test]
fn whatever_happens_each_message_comes_to_an_end() {
    for seed in 1..=40 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let limits = Limits {
            connections: 1 + random.below(8),
            messages: 8 + random.below(40),
            idle_messages: 10 + random.below(40),
            ..LIMITS
        };
        let mut world = World::new(limits, 1 + random.below(3));
        for _ in 0..800 {
            step(&mut world, &mut random);
            bounds(&world, limits);
        }
        settle(&mut world);
        let mut delivered = world.delivered.clone();
        delivered.sort_unstable();
        delivered.dedup();
        assert_eq!(
            delivered.len(),
            world.delivered.len(),
            "seed {seed}: one was delivered twice"
        );
        world.wait(Duration::from_secs(3600));
        for connection in world.links_that_are(|_| true) {
            world.closed(connection);
        }
        world.wait(Duration::from_secs(3600));
        assert_eq!(world.scheduler.counts(), (0, 0), "seed {seed}");
    }
}
