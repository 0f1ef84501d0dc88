//! When a delivery that was put off is tried again, and when it is given up.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// The retry schedule of `[queue]`.
#[derive(Debug, Clone)]
pub struct Schedule {
    waits: Vec<Duration>,
    expire: Duration,
    /// The age at which a sender is told that a message still waits.
    warn_after: Option<Duration>,
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
        Self {
            waits,
            expire,
            warn_after: None,
        }
    }

    /// As it is, and the sender of a message of this `age` is told that it still waits; not where it is given up before.
    #[must_use]
    pub fn warning_after(self, age: Duration) -> Self {
        let warn_after = (age < self.expire).then_some(age);
        Self { warn_after, ..self }
    }

    /// As it is, but for a message that has times of its own, both from its acceptance. A warning that would not come
    /// before the end comes never.
    #[must_use]
    pub fn within(
        &self,
        lifetime: Option<Duration>,
        warn_after: Option<Duration>,
    ) -> Cow<'_, Self> {
        if lifetime.is_none() && warn_after.is_none() {
            return Cow::Borrowed(self);
        }
        let expire = lifetime.unwrap_or(self.expire);
        Cow::Owned(Self {
            waits: self.waits.clone(),
            expire,
            warn_after: warn_after.or(self.warn_after).filter(|age| *age < expire),
        })
    }

    /// As [`Schedule::next`], with an attempt at the time of the warning: what the sender is told is true then.
    pub fn retry(&self, received: SystemTime, attempts: u32, now: SystemTime, draw: u32) -> Next {
        match (
            self.next(received, attempts, now, draw),
            self.warns_at(received),
        ) {
            (Next::At(at), Some(warns_at)) if now < warns_at => Next::At(at.min(warns_at)),
            (next, _) => next,
        }
    }

    /// When the sender of a message received at `received` is told that it still waits.
    pub fn warns_at(&self, received: SystemTime) -> Option<SystemTime> {
        received.checked_add(self.warn_after?)
    }

    /// When a message received at `received` is given up.
    pub fn ends_at(&self, received: SystemTime) -> Option<SystemTime> {
        received.checked_add(self.expire)
    }

    /// What follows the attempt number `attempts` (1 is the first) that was put off at `now`, for a message received at
    /// `received`. `draw` is a random number; it moves the time by up to a tenth of the wait in either direction, so
    /// that messages which failed together are not retried together. The last attempt is made when the message expires.
    pub fn next(&self, received: SystemTime, attempts: u32, now: SystemTime, draw: u32) -> Next {
        let end = self.ends_at(received);
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
    fn one_attempt_is_made_when_the_sender_is_to_be_warned() {
        let start = SystemTime::UNIX_EPOCH;
        let schedule = schedule().warning_after(18 * MINUTE);
        let warns_at = start + 18 * MINUTE;
        assert_eq!(schedule.warns_at(start), Some(warns_at));
        let retry = |attempts, now| schedule.retry(start, attempts, start + now, MIDDLE);
        assert!(seconds(retry(1, Duration::ZERO), start).abs_diff(300) <= 1);
        assert_eq!(retry(2, 5 * MINUTE), Next::At(warns_at));
        // From then on as always.
        let next = seconds(retry(3, 18 * MINUTE), start);
        assert!(next.abs_diff(33 * 60) <= 1, "{next}");
        assert_eq!(retry(9, 60 * MINUTE), Next::Expired);
        // Who is given up is told that.
        assert_eq!(
            Schedule::new(vec![], MINUTE)
                .warning_after(MINUTE)
                .warns_at(start),
            None
        );
    }

    #[test]
    fn a_message_may_have_times_of_its_own() {
        let start = SystemTime::UNIX_EPOCH;
        let usual = schedule().warning_after(18 * MINUTE);
        let times = |lifetime: Option<u32>, warn: Option<u32>| {
            let own = usual.within(
                lifetime.map(|own| own * MINUTE),
                warn.map(|own| own * MINUTE),
            );
            let minutes = |at: Option<SystemTime>| {
                at.and_then(|at| at.duration_since(start).ok())
                    .map(|span| span.as_secs() / 60)
            };
            (minutes(own.ends_at(start)), minutes(own.warns_at(start)))
        };
        assert_eq!(times(None, None), (Some(60), Some(18)));
        assert_eq!(times(Some(10), None), (Some(10), None));
        assert_eq!(times(Some(90), Some(70)), (Some(90), Some(70)));
        assert_eq!(times(None, Some(60)), (Some(60), None));
        assert!(matches!(usual.within(None, None), Cow::Borrowed(_)));
    }

    #[test]
    fn without_a_list_there_is_a_wait_all_the_same() {
        let start = SystemTime::UNIX_EPOCH;
        let next = Schedule::new(vec![], 600 * MINUTE).next(start, 1, start, MIDDLE);
        assert!(seconds(next, start) > 60);
    }
}
