//! How much of the memory one destination may have. Time is an argument.

use std::time::{Duration, Instant};

/// Messages for a destination that has not proved itself: enough to find out, and no loss if it hangs.
pub(crate) const HANDFUL: usize = 8;
/// After so long without a result a destination is not at work any more, whatever its connections say.
pub(crate) const STALL: Duration = Duration::from_secs(2);

/// What is known of how a destination gets on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// A connection was opened or a result came, and none has failed to open since.
    at_work_at: Option<Instant>,
    is_up: bool,
}

impl Pace {
    /// A connection was opened, or a message had its result.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.is_up = true;
        self.at_work_at = Some(now);
    }

    /// No connection can be opened.
    pub(crate) fn is_down(&mut self) {
        self.is_up = false;
    }

    /// It takes messages.
    pub(crate) fn is_at_work(&self, now: Instant) -> bool {
        let moves = |at| now.saturating_duration_since(at) < STALL;
        self.is_up && self.at_work_at.is_some_and(moves)
    }

    /// When it is not at work any more, unless something moves before.
    pub(crate) fn stalls_at(&self) -> Option<Instant> {
        self.at_work_at.filter(|_| self.is_up).map(|at| at + STALL)
    }

    /// How many messages may be in memory for the destination, those on its connections included. `most` is the bound for
    /// one that is at work, `connections` what it has at most.
    pub(crate) fn room(&self, now: Instant, most: usize, connections: usize) -> usize {
        match (self.is_up, self.is_at_work(now)) {
            (true, true) => most.max(HANDFUL),
            // Its connections may be slow with large messages, and go on being used.
            (true, false) => HANDFUL + connections,
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
        let mut pace = Pace::default();
        assert_eq!(pace.room(start, 250, 4), HANDFUL, "nothing is known of it");
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
