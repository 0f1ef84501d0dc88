//! Where handlers run: in the stream's task while they are quick, on threads of their own otherwise.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tracing::warn;

/// A handler whose steps take longer is not run in the stream's task, where it would hold up every instance.
const QUICK: Duration = Duration::from_micros(500);

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

    /// Notes the longest step of a run.
    pub(crate) fn note(&self, longest: Duration) {
        match longest > QUICK {
            true => self.left.store(PENALTY, Ordering::Relaxed),
            false => {
                // Lost updates only make the probation longer.
                let left = self.left.load(Ordering::Relaxed);
                self.left.store(left.saturating_sub(1), Ordering::Relaxed);
            }
        }
    }
}

/// Threads for handlers, started when they are first needed.
pub(crate) enum Workers {
    /// There are none: everything runs where the stream is driven.
    #[cfg(feature = "testing")]
    InPlace,
    /// There may be some.
    Threads(OnceLock<Option<Pool>>),
}

pub(crate) struct Pool(Option<Runtime>);

impl Workers {
    pub(crate) fn threads() -> Self {
        Self::Threads(OnceLock::new())
    }

    /// Where a handler is to run that may hold others up. None: in place.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        let pool = match self {
            #[cfg(feature = "testing")]
            Self::InPlace => return None,
            Self::Threads(pool) => pool,
        };
        let pool = pool.get_or_init(|| {
            let made = Builder::new_multi_thread()
                .thread_name("handler")
                .enable_all()
                .build();
            match made {
                Ok(runtime) => Some(Pool(Some(runtime))),
                Err(error) => {
                    warn!(%error, "no threads for handlers: they run in the stream's task");
                    None
                }
            }
        });
        pool.as_ref()?.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Waiting for the threads would block whoever drops it, which may be an async task.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_runs_in_place_once_it_has_been_quick_and_until_it_is_slow() {
        let pace = Pace::default();
        for _ in 0..PROBATION {
            assert!(!pace.is_quick());
            pace.note(Duration::from_micros(3));
        }
        assert!(pace.is_quick());
        pace.note(Duration::from_millis(3));
        assert!(!pace.is_quick());
    }
}
