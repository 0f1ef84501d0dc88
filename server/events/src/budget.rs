//! How long a reply may take, all its chains together.

use std::time::{Duration, Instant};

/// The time that is left for one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    deadline: Instant,
    reserved: Duration,
}

impl Budget {
    /// A budget of `total` that starts at `now`.
    #[must_use]
    pub fn starting(now: Instant, total: Duration) -> Self {
        Self {
            deadline: now + total,
            reserved: Duration::ZERO,
        }
    }

    /// A budget that ends at `deadline`.
    #[must_use]
    pub const fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            reserved: Duration::ZERO,
        }
    }

    /// The same budget, of which the last `reserved` are kept for later chains of the same reply: `Progress` does
    /// not reach into them.
    #[must_use]
    pub const fn reserving(mut self, reserved: Duration) -> Self {
        self.reserved = reserved;
        self
    }

    /// When the reply must be there.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is left at `now`.
    #[must_use]
    pub fn left(&self, now: Instant) -> Duration {
        self.deadline.saturating_duration_since(now)
    }

    /// Whether nothing is left at `now`.
    #[must_use]
    pub fn is_spent(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    /// The deadline of a question asked at `now` with this time-out, and whether the budget is what bounds it.
    #[must_use]
    pub fn deadline_for(&self, now: Instant, timeout: Duration) -> (Instant, bool) {
        let own = now + timeout;
        if own <= self.deadline {
            (own, false)
        } else {
            (self.deadline, true)
        }
    }

    /// The latest instant to which `Progress` may extend, where `still_to_come` is what later bindings need.
    #[must_use]
    pub fn latest_extension(&self, still_to_come: Duration) -> Option<Instant> {
        self.deadline
            .checked_sub(self.reserved.saturating_add(still_to_come))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesser_of_time_out_and_rest_bounds_a_question() {
        let start = Instant::now();
        let budget = Budget::starting(start, Duration::from_secs(10));
        let late = start + Duration::from_secs(8);
        assert_eq!(
            budget.deadline_for(start, Duration::from_secs(5)),
            (start + Duration::from_secs(5), false)
        );
        assert_eq!(
            budget.deadline_for(late, Duration::from_secs(5)),
            (start + Duration::from_secs(10), true)
        );
        assert_eq!(budget.left(late), Duration::from_secs(2));
        assert!(budget.is_spent(start + Duration::from_secs(10)));
    }
}
