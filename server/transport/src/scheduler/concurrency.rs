//! How many connections a destination may have. Time is an argument.
//!
//! It begins with few, and twice as many are tried while messages wait. A trial stands if the destination takes messages faster
//! by at least a fifth of what the number of connections grew by, and ends otherwise, for a second, two, and so on. After trouble
//! only a quarter more are tried at a time. A connection that is refused, and one that breaks, makes it fewer at once.

use std::time::{Duration, Instant};

/// Results that a rate is measured by: at least so many, and so many of each connection, over so long a time.
const RESULTS: usize = 8;
const RESULTS_EACH: usize = 2;
const MEASURED: Duration = Duration::from_millis(100);
/// The share of the hoped-for gain that makes a trial worth it. What takes messages and brings them shares a machine now and then:
/// the last connections gain less than the first ones and still are what keeps a queue from growing.
const WORTH: f64 = 0.2;
/// Measurements in a row that have to disappoint before a trial ends: one may be an accident.
const PATIENCE: u32 = 2;
/// The pause after a trial that was not worth it. It doubles each time.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The pause after trouble.
const TROUBLE: Duration = Duration::from_secs(60);
/// Trouble of many connections within this time is one.
const ONE_TROUBLE: Duration = Duration::from_secs(1);

/// The number of connections that one destination may have.
#[derive(Debug, Clone)]
pub(crate) struct Concurrency {
    most: usize,
    allowed: usize,
    /// There was no trouble yet.
    doubles: bool,
    measure: Option<Measure>,
    trial: Option<Trial>,
    paused_until: Option<Instant>,
    pause: Duration,
    troubled_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Measure {
    since: Instant,
    results: usize,
}

#[derive(Debug, Clone, Copy)]
struct Trial {
    before: usize,
    rate: f64,
    disappointments: u32,
}

impl Concurrency {
    /// Begins with `few` connections, and never allows more than `most`.
    pub(crate) fn new(few: usize, most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            allowed: few.clamp(1, most),
            doubles: true,
            measure: None,
            trial: None,
            paused_until: None,
            pause: PAUSE,
            troubled_at: None,
        }
    }

    /// Connections that may be open now.
    pub(crate) fn allowed(&self) -> usize {
        self.allowed
    }

    /// A message had its result. `busy`: all connections that are allowed are open, and more messages wait.
    pub(crate) fn result(&mut self, busy: bool, now: Instant) {
        if !busy {
            // What it can do is not seen while there is nothing to do.
            self.measure = None;
            return;
        }
        let Some(measure) = &mut self.measure else {
            self.measure = Some(Measure {
                since: now,
                results: 0,
            });
            return;
        };
        measure.results += 1;
        let took = now.saturating_duration_since(measure.since);
        if measure.results < RESULTS.max(RESULTS_EACH * self.allowed) || took < MEASURED {
            return;
        }
        let rate = measure.results as f64 / took.as_secs_f64();
        self.measure = Some(Measure {
            since: now,
            results: 0,
        });
        self.measured(rate, now);
    }

    fn measured(&mut self, rate: f64, now: Instant) {
        if let Some(trial) = &mut self.trial {
            let growth = self.allowed as f64 / trial.before as f64 - 1.0;
            if rate < trial.rate * (1.0 + growth * WORTH) {
                trial.disappointments += 1;
                if trial.disappointments >= PATIENCE {
                    self.allowed = trial.before;
                    self.pause_until(now + self.pause);
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
                return;
            }
            self.trial = None;
            self.pause = PAUSE;
        }
        let pauses = self.paused_until.is_some_and(|until| now < until);
        if pauses || self.allowed >= self.most {
            return;
        }
        let more = match self.doubles {
            true => self.allowed,
            false => (self.allowed / 4).max(1),
        };
        self.trial = Some(Trial {
            before: self.allowed,
            rate,
            disappointments: 0,
        });
        self.allowed = (self.allowed + more).min(self.most);
        self.measure = None;
    }

    /// The destination refused a further connection to those that are `open`.
    pub(crate) fn refused(&mut self, open: usize, now: Instant) {
        self.shrink(open, now);
    }

    /// A connection broke, or the destination said that it has enough.
    pub(crate) fn troubled(&mut self, now: Instant) {
        let again = |at| now.saturating_duration_since(at) < ONE_TROUBLE;
        if !self.troubled_at.is_some_and(again) {
            self.shrink(self.allowed / 2, now);
        }
    }

    fn shrink(&mut self, to: usize, now: Instant) {
        self.allowed = self.allowed.min(to).max(1);
        self.doubles = false;
        self.troubled_at = Some(now);
        self.pause_until(now + TROUBLE);
    }

    fn pause_until(&mut self, until: Instant) {
        self.trial = None;
        self.measure = None;
        self.paused_until = self.paused_until.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A destination that takes messages one after the other on each connection, at a rate that follows from how many there
    /// are. Returns the most connections that were allowed, and how many were at the end.
    fn run(
        concurrency: &mut Concurrency,
        start: Instant,
        time: Duration,
        rate: impl Fn(usize) -> f64,
    ) -> (usize, usize) {
        let (mut now, mut peak) = (start, 0);
        while now < start + time {
            now += Duration::from_secs_f64(1.0 / rate(concurrency.allowed()));
            concurrency.result(true, now);
            peak = peak.max(concurrency.allowed());
        }
        (peak, concurrency.allowed())
    }

    #[test]
    fn connections_grow_while_they_help() {
        let mut concurrency = Concurrency::new(2, 20);
        assert_eq!(concurrency.allowed(), 2);
        let start = Instant::now();
        // A second for each message, whatever the others do.
        let (_, end) = run(&mut concurrency, start, Duration::from_secs(20), |n| {
            n as f64
        });
        assert_eq!(end, 20);
    }

    #[test]
    fn where_more_do_not_help_few_are_left() {
        let mut concurrency = Concurrency::new(2, 20);
        let start = Instant::now();
        let (peak, end) = run(&mut concurrency, start, Duration::from_secs(60), |_| 100.0);
        assert!(peak <= 4 && end <= 3, "{peak}, {end}");
        let mut limited = Concurrency::new(2, 64);
        let (peak, end) = run(&mut limited, start, Duration::from_secs(60), |n| {
            100.0 * n.min(8) as f64
        });
        assert!(peak <= 16 && (8..=10).contains(&end), "{peak}, {end}");
    }

    #[test]
    fn it_is_tried_again_when_the_destination_has_become_quicker() {
        let mut concurrency = Concurrency::new(2, 20);
        let start = Instant::now();
        run(&mut concurrency, start, Duration::from_secs(60), |_| 10.0);
        let later = start + Duration::from_secs(60);
        let (_, end) = run(&mut concurrency, later, Duration::from_secs(600), |n| {
            10.0 * n as f64
        });
        assert!(end >= 16, "{end}");
    }

    #[test]
    fn nothing_is_tried_while_nothing_waits() {
        let mut concurrency = Concurrency::new(2, 20);
        let mut now = Instant::now();
        for _ in 0..1000 {
            now += Duration::from_millis(10);
            concurrency.result(false, now);
        }
        assert_eq!(concurrency.allowed(), 2);
    }

    #[test]
    fn trouble_halves_once_and_a_refusal_says_how_many() {
        let (mut concurrency, now) = (Concurrency::new(16, 16), Instant::now());
        for _ in 0..16 {
            concurrency.troubled(now);
        }
        assert_eq!(concurrency.allowed(), 8);
        concurrency.refused(5, now);
        assert_eq!(concurrency.allowed(), 5);
        concurrency.refused(9, now);
        assert_eq!(concurrency.allowed(), 5);
        let later = now + Duration::from_secs(30);
        let (peak, _) = run(&mut concurrency, later, Duration::from_secs(29), |n| {
            n as f64 * 100.0
        });
        assert_eq!(peak, 5, "it is left in peace for a minute");
        concurrency.troubled(later + TROUBLE);
        concurrency.troubled(later + 2 * TROUBLE);
        concurrency.troubled(later + 3 * TROUBLE);
        assert_eq!(concurrency.allowed(), 1);
    }
}
