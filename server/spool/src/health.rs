//! Whether a store can still keep its promises.

use std::sync::Arc;

use tokio::sync::watch;

use crate::SpoolError;

/// Whether a store can still keep its promises. Cheap to clone; all clones are one.
///
/// After a sync failed nobody knows what the disk holds, and asking again proves nothing: the system
/// reports such a failure once and forgets the pages. So the first failure is the end of the store,
/// and whoever runs it has to end the process: the next start reads what is there and brings it to
/// stable storage before it promises anything.
#[derive(Debug, Clone)]
pub struct Health {
    failure: Arc<watch::Sender<Option<Arc<str>>>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            failure: Arc::new(watch::Sender::new(None)),
        }
    }
}

impl Health {
    /// Why the store has failed; `None` while it is well.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<str>> {
        self.failure.borrow().clone()
    }

    /// Resolves when the store has failed, with the reason. May be dropped at any time.
    pub async fn failed(&self) -> Arc<str> {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(why) = failure.borrow_and_update().clone() {
                return why;
            }
            // The sender is held by `self`.
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Notes the failure. The first reason stands.
    pub(crate) fn fail(&self, why: &str) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                tracing::error!(
                    error = why,
                    "the spool's disk failed; nothing more is taken"
                );
                *failure = Some(why.into());
            }
            first
        });
    }

    /// # Errors
    /// [`SpoolError::Failed`] once the store has failed.
    pub(crate) fn check(&self) -> Result<(), SpoolError> {
        match self.failure() {
            None => Ok(()),
            Some(why) => Err(SpoolError::Failed(why.to_string())),
        }
    }
}
