//! How much of the memory one destination may have. Time is an argument.

use std::time::{Duration, Instant};

/// Messages for a destination that did not prove itself: enough to find out, and no loss if it hangs.
pub(crate) const HANDFUL: usize = 8;
/// The part of the room of one at work that a destination has while it is being tried for the first time.
const TRUST: usize = 4;
/// After so long without a result a destination is not at work any more, whatever its connections say.
pub(crate) const STALL: Duration = Duration::from_secs(2);

/// What is known of how a destination gets on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// A connection was opened or a result came, and none has failed to open since.
    at_work_at: Option<Instant>,
    is_up: bool,
    /// Nothing is known of it; until then it is trusted.
    trusted_until: Option<Instant>,
}

impl Pace {
    /// A destination that was not there before.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            at_work_at: None,
            is_up: false,
            trusted_until: Some(now + STALL),
        }
    }

    /// A connection was opened, or a message had its result.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.is_up = true;
        self.at_work_at = Some(now);
        self.trusted_until = None;
    }

    /// No connection can be opened.
    pub(crate) fn is_down(&mut self) {
        self.is_up = false;
        self.trusted_until = None;
    }

    /// It takes messages.
    pub(crate) fn is_at_work(&self, now: Instant) -> bool {
        let moves = |at| now.saturating_duration_since(at) < STALL;
        self.is_up && self.at_work_at.is_some_and(moves)
    }

    /// When it is not at work any more, unless something moves before.
    pub(crate) fn stalls_at(&self) -> Option<Instant> {
        let works = self.at_work_at.filter(|_| self.is_up).map(|at| at + STALL);
        works.or(self.trusted_until)
    }

    /// How many messages may be in memory for the destination, those on its connections included. `most` is the bound for
    /// one that is at work, `connections` what it has at most.
    pub(crate) fn room(&self, now: Instant, most: usize, connections: usize) -> usize {
        match (self.is_up, self.is_at_work(now)) {
            (true, true) => most.max(HANDFUL),
            // Its connections may be slow with large messages, and go on being used.
            (true, false) => HANDFUL + connections,
            (false, _) if self.trusted_until.is_some_and(|until| now < until) => {
                HANDFUL.max(most / TRUST)
            }
            (false, _) => HANDFUL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_room_as_long_as_it_moves() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.room(start, 250, 4), 62, "nothing is known of it");
        assert_eq!(pace.stalls_at(), Some(start + STALL));
        assert_eq!(pace.room(start + STALL, 250, 4), HANDFUL);
        pace.moved(start);
        assert_eq!(pace.room(start, 250, 4), 250);
        assert_eq!(pace.room(start + STALL, 250, 4), HANDFUL + 4, "it hangs");
        pace.moved(start + STALL);
        assert_eq!(pace.room(start + STALL, 250, 4), 250);
        pace.is_down();
        assert_eq!(pace.room(start + STALL, 250, 4), HANDFUL);
        pace.moved(start + STALL);
        assert_eq!(pace.room(start + STALL, 1, 4), HANDFUL);
    }
}
