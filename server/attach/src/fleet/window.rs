//! The share of failures among the outcomes of the last while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Slices of the window, dropped one by one as they grow old.
const SLICES: u32 = 10;

#[derive(Clone, Copy, Debug)]
struct Slice {
    begun: Instant,
    good: u32,
    bad: u32,
}

/// Outcomes of one replica.
#[derive(Debug)]
pub(crate) struct Window {
    length: Duration,
    slices: VecDeque<Slice>,
}

/// Outcomes in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) good: u32,
    pub(crate) bad: u32,
}

impl Counts {
    /// At least so many failures, and at least such a share of them.
    pub(crate) fn fails(self, least: u32, percent: u32) -> bool {
        let all = u64::from(self.good) + u64::from(self.bad);
        self.bad >= least && u64::from(self.bad) * 100 >= all * u64::from(percent)
    }
}

impl Window {
    pub(crate) const fn new(length: Duration) -> Self {
        Self {
            length,
            slices: VecDeque::new(),
        }
    }

    /// Counts an outcome.
    pub(crate) fn record(&mut self, now: Instant, good: bool) {
        self.age(now);
        let begun = self.slices.back().map(|slice| slice.begun);
        if begun.is_none_or(|begun| now >= begun + self.length / SLICES) {
            self.slices.push_back(Slice {
                begun: now,
                good: 0,
                bad: 0,
            });
        }
        if let Some(slice) = self.slices.back_mut() {
            let count = if good {
                &mut slice.good
            } else {
                &mut slice.bad
            };
            *count = count.saturating_add(1);
        }
    }

    /// The outcomes of the last while.
    pub(crate) fn counts(&mut self, now: Instant) -> Counts {
        self.age(now);
        self.slices
            .iter()
            .fold(Counts::default(), |sum, slice| Counts {
                good: sum.good.saturating_add(slice.good),
                bad: sum.bad.saturating_add(slice.bad),
            })
    }

    /// Forgets all outcomes.
    pub(crate) fn clear(&mut self) {
        self.slices.clear();
    }

    fn age(&mut self, now: Instant) {
        while self
            .slices
            .front()
            .is_some_and(|slice| now >= slice.begun + self.length)
        {
            self.slices.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    #[test]
    fn outcomes_are_counted_until_they_are_old() {
        let start = Instant::now();
        let mut window = Window::new(LENGTH);
        window.record(start, true);
        window.record(start + Duration::from_millis(999), false);
        window.record(start + Duration::from_secs(1), false);
        assert_eq!(window.slices.len(), 2);
        let just_before = start + LENGTH - Duration::from_nanos(1);
        assert_eq!(window.counts(just_before), Counts { good: 1, bad: 2 });
        assert_eq!(window.counts(start + LENGTH), Counts { good: 0, bad: 1 });
        assert_eq!(
            window.counts(start + LENGTH + Duration::from_secs(1)),
            Counts::default()
        );
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut window = Window::new(LENGTH);
        for n in 0..100_000u64 {
            window.record(start + Duration::from_millis(n), n % 2 == 0);
            assert!(window.slices.len() <= SLICES as usize);
        }
        let counts = window.counts(start + Duration::from_millis(99_999));
        assert!(counts.good >= 4_500 && counts.bad >= 4_500, "{counts:?}");
        window.clear();
        assert_eq!(
            window.counts(start + Duration::from_secs(99)),
            Counts::default()
        );
    }

    #[test]
    fn a_share_needs_failures_and_a_share_of_them() {
        let counts = |good, bad| Counts { good, bad };
        assert!(counts(5, 5).fails(5, 50));
        assert!(!counts(6, 5).fails(5, 50));
        assert!(!counts(0, 4).fails(5, 50));
        assert!(counts(0, 5).fails(5, 50));
        assert!(counts(100, 100).fails(5, 50));
        assert!(!counts(0, 0).fails(1, 50));
    }
}
