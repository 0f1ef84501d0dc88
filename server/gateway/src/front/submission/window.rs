//! Counts over the time that has just passed, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Counts by key over a sliding period: the current one, and of the one before the part that is not over yet.
#[derive(Debug)]
pub(super) struct Window<K> {
    period: Duration,
    /// Keys in one period at most.
    most: usize,
    since: Instant,
    current: HashMap<K, u32>,
    before: HashMap<K, u32>,
}

impl<K: Eq + Hash> Window<K> {
    pub(super) fn new(period: Duration, most: usize, now: Instant) -> Self {
        Self {
            period,
            most,
            since: now,
            current: HashMap::new(),
            before: HashMap::new(),
        }
    }

    /// How often the key was counted within the period that ends now.
    pub(super) fn count(&mut self, key: &K, now: Instant) -> u32 {
        self.turn(now);
        let of = |counts: &HashMap<K, u32>| counts.get(key).copied().unwrap_or(0);
        let passed =
            now.saturating_duration_since(self.since).as_secs_f64() / self.period.as_secs_f64();
        let before = f64::from(of(&self.before)) * (1.0 - passed).clamp(0.0, 1.0);
        // Rounded up: what is nearly over counts as one.
        of(&self.current).saturating_add(before.ceil() as u32)
    }

    /// Counts once more.
    pub(super) fn add(&mut self, key: K, now: Instant) {
        self.turn(now);
        if self.current.len() >= self.most && !self.current.contains_key(&key) {
            // Forgets the older half, so that a flood of keys costs memory of this bound.
            self.before = std::mem::take(&mut self.current);
            self.since = now;
        }
        let count = self.current.entry(key).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// Counts the key as seen just now: it is there for a whole period from now on, however often that happens.
    pub(super) fn touch(&mut self, key: K, now: Instant) {
        self.turn(now);
        if !self.current.contains_key(&key) {
            self.add(key, now);
        }
    }

    /// Takes one count back.
    pub(super) fn take_back(&mut self, key: &K) {
        for counts in [&mut self.current, &mut self.before] {
            if let Some(count) = counts.get_mut(key).filter(|count| **count > 0) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(key);
                }
                return;
            }
        }
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed < self.period {
            return;
        }
        self.before = std::mem::take(&mut self.current);
        self.since += self.period;
        if passed >= self.period * 2 {
            self.before.clear();
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(100);

    #[test]
    fn what_is_longer_ago_than_the_period_does_not_count() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(PERIOD, 10, start);
        for _ in 0..10 {
            window.add("a", at(50));
        }
        assert_eq!(window.count(&"a", at(99)), 10);
        assert_eq!(window.count(&"b", at(99)), 0);
        // Half of the period before still counts.
        assert_eq!(window.count(&"a", at(150)), 5);
        assert_eq!(window.count(&"a", at(199)), 1);
        assert_eq!(window.count(&"a", at(200)), 0);
        window.add("a", at(210));
        assert_eq!(window.count(&"a", at(500)), 0);
        assert!(window.current.is_empty() && window.before.is_empty());
    }

    #[test]
    fn what_is_taken_back_was_not_counted() {
        let start = Instant::now();
        let mut window = Window::new(PERIOD, 10, start);
        window.add("a", start);
        window.add("a", start);
        window.take_back(&"a");
        window.take_back(&"b");
        assert_eq!(window.count(&"a", start), 1);
        let later = start + PERIOD;
        assert_eq!(window.count(&"a", later), 1);
        window.take_back(&"a");
        assert_eq!(window.count(&"a", later), 0);
        assert!(window.current.is_empty() && window.before.is_empty());
    }

    #[test]
    fn what_is_touched_again_and_again_stays() {
        let start = Instant::now();
        let mut window = Window::new(PERIOD, 10, start);
        for passed in (0..1000).step_by(10) {
            let now = start + Duration::from_secs(passed);
            window.touch("a", now);
            window.touch("a", now);
            assert!(window.count(&"a", now + PERIOD - Duration::from_secs(1)) > 0);
        }
        assert_eq!(window.count(&"a", start + PERIOD * 12), 0);
    }

    #[test]
    fn keys_are_bounded() {
        let start = Instant::now();
        let mut window = Window::new(PERIOD, 10, start);
        for key in 0..1000 {
            window.add(key, start);
            assert!(window.current.len() <= 10 && window.before.len() <= 10);
        }
        assert_eq!(window.count(&999, start), 1);
        assert_eq!(window.count(&0, start), 0);
    }
}
