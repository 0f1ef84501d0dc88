//! How quick a handler is, and so where it runs: in the stream's task while it is quick, on threads of its own otherwise.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A handler that computes for longer in one step is not run in the stream's task, where it would hold up every instance.
const QUICK: Duration = Duration::from_micros(500);

/// One that takes longer by the clock waits for something in its step. Below it, it may be that the machine is busy and
/// the thread was not run: that says nothing about the handler.
const BLOCKED: Duration = Duration::from_millis(50);

/// So many quick runs in a row make a handler one that runs in the stream's task.
const PROBATION: u32 = 16;

/// So many runs on the other threads follow a slow one.
const PENALTY: u32 = 4096;

/// How quick a handler has been.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Runs that are still to be made on other threads.
    left: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            left: AtomicU32::new(PROBATION),
        }
    }
}

impl Pace {
    /// Whether the handler has been quick for long enough.
    pub(crate) fn is_quick(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// Notes the longest steps of a run.
    pub(crate) fn note(&self, longest: Step) {
        match longest.is_slow() {
            true => self.left.store(PENALTY, Ordering::Relaxed),
            false => {
                let less = |left: u32| left.checked_sub(1);
                let left = self
                    .left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
                // An error: nothing was left.
                left.unwrap_or_default();
            }
        }
    }

    /// Notes a run that panicked: perhaps over something that only the other threads allow, such as blocking in place.
    pub(crate) fn note_panic(&self) {
        self.left.store(PENALTY, Ordering::Relaxed);
    }
}

/// What a step of a handler took, from one await to the next.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    /// Time for which its thread ran.
    ran: Duration,
    /// Time by the clock.
    took: Duration,
}

impl Step {
    /// The larger of each.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            ran: self.ran.max(other.ran),
            took: self.took.max(other.took),
        }
    }

    fn is_slow(self) -> bool {
        self.ran > QUICK || self.took > BLOCKED
    }
}

/// The beginning of a step, on the thread that takes it.
pub(crate) struct Began {
    ran: Timespec,
    at: Instant,
}

impl Began {
    /// The step begins.
    pub(crate) fn now() -> Self {
        Self {
            ran: clock_gettime(ClockId::ThreadCPUTime),
            at: Instant::now(),
        }
    }

    /// The step ends, on the same thread.
    pub(crate) fn step(self) -> Step {
        let ran = clock_gettime(ClockId::ThreadCPUTime);
        let nanos = |time: Timespec| time.tv_sec * 1_000_000_000 + time.tv_nsec;
        Step {
            ran: Duration::from_nanos(u64::try_from(nanos(ran) - nanos(self.ran)).unwrap_or(0)),
            took: self.at.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(ran: u64, took: u64) -> Step {
        Step {
            ran: Duration::from_micros(ran),
            took: Duration::from_micros(took),
        }
    }

    fn proven() -> Pace {
        let pace = Pace::default();
        for _ in 0..PROBATION {
            assert!(!pace.is_quick());
            pace.note(step(3, 4));
        }
        assert!(pace.is_quick());
        pace
    }

    #[test]
    fn a_handler_runs_in_place_once_it_has_been_quick_and_until_it_is_slow() {
        for slow in [step(3_000, 3_000), step(3, 60_000)] {
            let pace = proven();
            pace.note(slow);
            assert!(!pace.is_quick());
        }
    }

    #[test]
    fn a_handler_that_panics_is_tried_on_other_threads() {
        let pace = proven();
        pace.note_panic();
        assert!(!pace.is_quick());
    }

    #[test]
    fn a_thread_that_was_not_run_is_no_slow_handler() {
        let pace = proven();
        pace.note(step(3, 20_000));
        assert!(pace.is_quick());
    }

    #[test]
    fn a_step_counts_what_its_thread_computed() {
        let began = Began::now();
        let mut sum = 0_u64;
        while began.at.elapsed() < Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let busy = began.step();
        let began = Began::now();
        std::thread::sleep(Duration::from_millis(5));
        let asleep = began.step();
        assert!(
            asleep.took >= Duration::from_millis(5) && asleep.ran < busy.ran,
            "{asleep:?} {busy:?}"
        );
    }
}
