//! The two phases of the end: first what runs may finish, then nothing is waited for any more.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Time for what runs to end after a failure.
const FAILING: Duration = Duration::from_secs(5);
/// Time for what runs to end when nothing it does can be recorded any more.
const MOMENT: Duration = Duration::from_secs(1);

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No end in sight.
    Running,
    /// Nothing new is begun; what runs may finish until then.
    Draining {
        /// After it nothing is waited for.
        until: Instant,
    },
    /// Everything is to be left as it is.
    Now,
}

/// Tells and hears of the end. Clones are the same end.
#[derive(Clone, Debug)]
pub struct Shutdown {
    phase: Arc<watch::Sender<Phase>>,
    failed: Arc<AtomicBool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// An end that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Running)),
            failed: Arc::default(),
        }
    }

    /// Begins the first phase. Later calls change nothing.
    pub fn drain(&self, within: Duration) {
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Running;
            if first {
                *phase = Phase::Draining {
                    until: Instant::now() + within,
                };
            }
            first
        });
    }

    /// Ends the waiting at once.
    pub fn now(&self) {
        self.phase.send_replace(Phase::Now);
    }

    /// Something failed without which there is no use in going on: ends what can be ended in a moment.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.drain(FAILING);
    }

    /// The spool can keep no promise any more: what runs has a moment to say so.
    pub fn fail_at_once(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.drain(MOMENT);
    }

    /// The end began with a failure.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The present phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// The end has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.phase() != Phase::Running
    }

    /// Resolves when the first phase begins. Holds no borrow, so it can be kept across a task's whole life.
    pub fn begun(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut phase = self.phase.subscribe();
        async move {
            // An error means that nobody can begin the end any more; then it never comes.
            if phase
                .wait_for(|phase| *phase != Phase::Running)
                .await
                .is_err()
            {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Resolves when nothing is to be waited for any more: the deadline of the first phase is over, or it was
    /// cut short.
    pub fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut phase = self.phase.subscribe();
        async move {
            loop {
                let seen = *phase.borrow_and_update();
                let changed = match seen {
                    Phase::Now => return,
                    Phase::Draining { until } => {
                        match tokio::time::timeout_at(until, phase.changed()).await {
                            Ok(changed) => changed,
                            Err(_) => return,
                        }
                    }
                    Phase::Running => phase.changed().await,
                };
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Time that is left in the first phase; none in the second.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        match self.phase() {
            Phase::Running => None,
            Phase::Draining { until } => Some(until.saturating_duration_since(Instant::now())),
            Phase::Now => Some(Duration::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_phase_ends_at_its_deadline() {
        let end = Shutdown::new();
        let over = end.over();
        let begun = end.begun();
        assert!(!end.has_begun());
        let start = Instant::now();
        end.drain(Duration::from_secs(30));
        end.drain(Duration::from_secs(300));
        begun.await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        over.await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_word_ends_it_at_once() {
        let end = Shutdown::new();
        let over = end.over();
        end.drain(Duration::from_secs(30));
        end.now();
        let start = Instant::now();
        over.await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(end.time_left(), Some(Duration::ZERO));
    }
}
