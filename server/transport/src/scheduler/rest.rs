//! For how long a destination that cannot be reached is left alone. Time and randomness are arguments.

use std::time::{Duration, Instant};

/// The first rest; each failure in a row doubles it.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rest {
    failures: u32,
    until: Option<Instant>,
}

impl Rest {
    /// It could not be reached. `draw` is a random number: it shortens the rest by up to a tenth, so that gateways which lost a
    /// destination together do not come back together.
    pub(super) fn begin(&mut self, draw: u32, now: Instant) {
        let rest = (SHORTEST * (1 << self.failures.min(6))).min(LONGEST);
        let share = f64::from(draw) / f64::from(u32::MAX);
        self.until = Some(now + rest - (rest / 10).mul_f64(share));
        self.failures = self.failures.saturating_add(1);
    }

    /// It was reached.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether it is left alone.
    pub(super) fn lasts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// When it ends.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_a_minute_and_end_with_the_first_success() {
        let (mut rest, mut now) = (Rest::default(), Instant::now());
        assert!(!rest.lasts(now));
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            rest.begin(0, now);
            assert_eq!(rest.until(), Some(now + Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert!(!rest.lasts(now));
        }
        rest.end();
        rest.begin(u32::MAX, now);
        assert_eq!(rest.until(), Some(now + Duration::from_millis(900)));
    }
}
