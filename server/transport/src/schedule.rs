//! When a delivery that was put off is tried again, and when it is given up.

use std::time::{Duration, SystemTime};

/// The retry schedule of `[queue]`.
#[derive(Debug, Clone)]
pub struct Schedule {
    waits: Vec<Duration>,
    expire: Duration,
}

/// What follows an attempt that was put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt at this time.
    At(SystemTime),
    /// None: the message is too old.
    Expired,
}

/// The wait when the configuration names none.
const DEFAULT_WAIT: Duration = Duration::from_secs(30 * 60);

impl Schedule {
    /// Waits between attempts, the last one repeating, and the age at which a message is given up.
    pub fn new(waits: Vec<Duration>, expire: Duration) -> Self {
        Self { waits, expire }
    }

    /// What follows the attempt number `attempts` (1 is the first) that was put off at `now`, for a message received at
    /// `received`. `draw` is a random number; it moves the time by up to a tenth of the wait in either direction, so
    /// that messages which failed together are not retried together. The last attempt is made when the message expires.
    pub fn next(&self, received: SystemTime, attempts: u32, now: SystemTime, draw: u32) -> Next {
        let end = received.checked_add(self.expire);
        if end.is_some_and(|end| now >= end) {
            return Next::Expired;
        }
        let at = now.checked_add(self.wait(attempts, draw)).unwrap_or(now);
        Next::At(end.map_or(at, |end| at.min(end)))
    }

    /// The wait after the first attempt.
    pub fn first_wait(&self) -> Duration {
        self.waits.first().copied().unwrap_or(DEFAULT_WAIT)
    }

    fn wait(&self, attempts: u32, draw: u32) -> Duration {
        let place = (attempts.max(1) - 1) as usize;
        let wait = self
            .waits
            .get(place)
            .or(self.waits.last())
            .copied()
            .unwrap_or(DEFAULT_WAIT);
        let tenth = wait / 10;
        wait - tenth + (tenth * 2).mul_f64(f64::from(draw) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const MIDDLE: u32 = u32::MAX / 2;

    fn schedule() -> Schedule {
        Schedule::new(vec![5 * MINUTE, 15 * MINUTE], 60 * MINUTE)
    }

    fn seconds(next: Next, since: SystemTime) -> u64 {
        match next {
            Next::At(at) => at.duration_since(since).map_or(0, |d| d.as_secs()),
            Next::Expired => u64::MAX,
        }
    }

    #[test]
    fn waits_follow_the_list_and_the_last_one_repeats() {
        let start = SystemTime::UNIX_EPOCH;
        for (attempts, wait) in [(1, 5), (2, 15), (3, 15), (900, 15)] {
            let next = schedule().next(start, attempts, start, MIDDLE);
            assert!(seconds(next, start).abs_diff(wait * 60) <= 1, "{attempts}");
        }
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let start = SystemTime::UNIX_EPOCH;
        assert_eq!(
            schedule().next(start, 1, start, 0),
            Next::At(start + 4 * MINUTE + MINUTE / 2)
        );
        assert_eq!(
            schedule().next(start, 1, start, u32::MAX),
            Next::At(start + 5 * MINUTE + MINUTE / 2)
        );
    }

    #[test]
    fn the_last_attempt_is_at_the_end_and_then_it_is_over() {
        let start = SystemTime::UNIX_EPOCH;
        let late = start + 58 * MINUTE;
        assert_eq!(
            schedule().next(start, 5, late, MIDDLE),
            Next::At(start + 60 * MINUTE)
        );
        assert_eq!(
            schedule().next(start, 6, start + 60 * MINUTE, MIDDLE),
            Next::Expired
        );
    }

    #[test]
    fn without_a_list_there_is_a_wait_all_the_same() {
        let start = SystemTime::UNIX_EPOCH;
        let next = Schedule::new(vec![], 600 * MINUTE).next(start, 1, start, MIDDLE);
        assert!(seconds(next, start) > 60);
    }
}
