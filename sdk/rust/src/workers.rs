//! Threads for handlers that are not run in the stream's task.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};
use tracing::warn;

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
