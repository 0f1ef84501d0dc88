//! Passwords are checked on threads for what blocks, as many at a time as there are cores: a check takes all of one, and
//! memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern_auth::{Credentials, User, Users};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::runtime;

/// Checks that may wait for a thread.
const MOST_WAITING: usize = 200;

/// How long one may wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// There are too many checks to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) struct Busy;

/// The place where passwords are checked, for all virtual servers.
#[derive(Debug)]
pub struct Checks {
    threads: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// One that waits, or is being made.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            threads: Arc::new(Semaphore::new(runtime::cores())),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Checks {
    /// The user whose name and password these are.
    pub(in crate::front) async fn check(
        &self,
        users: Arc<Users>,
        credentials: Credentials,
    ) -> Result<Option<Arc<User>>, Busy> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let _waiting = Waiting(&self.waiting);
        let thread = timeout(PATIENCE, Arc::clone(&self.threads).acquire_owned()).await;
        let Ok(Ok(thread)) = thread else {
            return Err(Busy);
        };
        let checked = spawn_blocking(move || {
            let found = users.check(&credentials).cloned();
            // It counts to its end, also where nobody waits for it any more.
            drop(thread);
            found
        });
        checked.await.map_err(|error| {
            tracing::error!(%error, "checking a password failed");
            Busy
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn checks_are_bounded() {
        let checks = Arc::new(Checks::default());
        let threads = Arc::clone(&checks.threads);
        let all = u32::try_from(runtime::cores()).unwrap_or(u32::MAX);
        let held = threads.acquire_many(all).await;
        let users = Arc::new(Users::new([], [0; 32]));
        let credentials = Credentials {
            claim: postern_auth::Claim {
                name: None,
                for_another: false,
            },
            password: None,
        };
        let mut waiting = Vec::new();
        for _ in 0..MOST_WAITING {
            let (checks, users, credentials) =
                (Arc::clone(&checks), Arc::clone(&users), credentials.clone());
            waiting.push(tokio::spawn(async move {
                checks.check(users, credentials).await.is_ok()
            }));
        }
        while checks.waiting.load(Ordering::Relaxed) < MOST_WAITING {
            tokio::task::yield_now().await;
        }
        let one_more = checks.check(Arc::clone(&users), credentials.clone()).await;
        assert!(matches!(one_more, Err(Busy)));
        drop(held);
        for task in waiting {
            assert!(task.await.is_ok_and(|checked| checked));
        }
        assert!(checks.check(users, credentials).await.is_ok());
    }
}
