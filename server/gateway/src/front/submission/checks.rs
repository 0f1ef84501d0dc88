//! Passwords are checked on threads for what blocks: a check takes all of a core, and the memory that its hash asks for.
//! Both are bounded, so that guessing takes neither from sessions.

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

/// MiB that all checks of a moment take together. One that takes more alone is made while there are no others.
const MEMORY: u32 = 160;

/// How long one may wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// There are too many checks to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) struct Busy;

/// The place where passwords are checked, for all virtual servers.
#[derive(Debug)]
pub struct Checks {
    threads: Arc<Semaphore>,
    /// By MiB.
    memory: Arc<Semaphore>,
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
            threads: Arc::new(Semaphore::new(threads())),
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
            waiting: AtomicUsize::new(0),
        }
    }
}

/// How many checks run at a time at most: the other half of the cores is for mail.
fn threads() -> usize {
    (runtime::cores() / 2).max(1)
}

/// MiB that are held for a check of so many KiB.
fn held_for(memory: u32) -> u32 {
    memory.div_ceil(1024).clamp(1, MEMORY)
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
        let memory = held_for(users.memory_to_check(&credentials));
        let acquire = async {
            let thread = Arc::clone(&self.threads).acquire_owned().await;
            let memory = Arc::clone(&self.memory).acquire_many_owned(memory).await;
            thread.ok().zip(memory.ok())
        };
        let Ok(Some(room)) = timeout(PATIENCE, acquire).await else {
            return Err(Busy);
        };
        let checked = spawn_blocking(move || {
            let found = users.check(&credentials).cloned();
            // It counts to its end, also where nobody waits for it any more.
            drop(room);
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
    #![allow(clippy::panic)]
    use super::*;

    fn nobody() -> Credentials {
        Credentials {
            claim: postern_auth::Claim {
                name: None,
                for_another: false,
            },
            password: postern_auth::Password::parse(b"x").ok(),
        }
    }

    #[test]
    fn the_dearest_hash_is_checked_too() {
        for (memory, held) in [(0, 1), (64, 1), (19 << 10, 19), (256 << 10, MEMORY)] {
            assert_eq!(held_for(memory), held);
        }
        assert!((1..=runtime::cores()).contains(&threads()));
    }

    #[tokio::test]
    async fn checks_have_so_much_memory_in_all() {
        let checks = Checks::default();
        let users = Arc::new(Users::new([], [0; 32]));
        // What a check of 19 MiB leaves, but for one of them.
        let held = checks.memory.acquire_many(MEMORY - 18).await;
        let mut check = Box::pin(checks.check(Arc::clone(&users), nobody()));
        tokio::select! {
            biased;
            _ = &mut check => panic!("checked without memory"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(checks.threads.available_permits(), threads() - 1);
        drop(held);
        assert!(matches!(check.await, Ok(None)));
        assert_eq!(checks.memory.available_permits(), MEMORY as usize);
    }

    #[tokio::test]
    async fn checks_are_bounded() {
        let checks = Arc::new(Checks::default());
        let threads = Arc::clone(&checks.threads);
        let all = u32::try_from(super::threads()).unwrap_or(u32::MAX);
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
