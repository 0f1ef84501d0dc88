//! Takes up the messages in the spool whose time has come.

use std::sync::Arc;
use std::time::Duration;

use postern_message::MessageId;
use postern_spool::Due;
use tokio::time::sleep;

use super::core::Core;
use super::slots::Source;
use crate::runtime::shutdown::Shutdown;

/// Messages taken from the spool in one go.
const PORTION: usize = 128;
/// The longest sleep: also what a change of the clock may cost.
const LONGEST: Duration = Duration::from_secs(60);
/// The pause after each look, so that many small wake-ups become one.
const BREATH: Duration = Duration::from_millis(20);
/// The pause after the store failed.
const TROUBLE: Duration = Duration::from_secs(5);

/// Looks for due messages, for all runtime threads; it runs on one of them.
pub struct Scanner {
    pub(crate) core: Arc<Core>,
    pub(crate) workers: usize,
}

impl Scanner {
    /// Runs until the shutdown begins. The first look finds what was left by the last run.
    pub async fn run(self, shutdown: Shutdown) {
        let scan = async {
            let mut next = 0;
            loop {
                self.turn(&mut next).await;
            }
        };
        tokio::select! {
            () = scan => {}
            () = shutdown.begun() => {}
        }
    }

    async fn turn(&self, next_worker: &mut usize) {
        let slots = &self.core.slots;
        let told = slots.scan.notified();
        let room = slots.free().min(PORTION);
        if room == 0 {
            return told.await;
        }
        let in_memory = slots.taken();
        let due = match self.core.store.due(self.core.now(), room, &in_memory).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "the spool cannot be searched");
                return sleep(TROUBLE).await;
            }
        };
        let found = due.len();
        let mut failed = false;
        for id in due {
            failed |= !self.take_up(id, next_worker).await;
        }
        if failed {
            return sleep(TROUBLE).await;
        }
        sleep(BREATH).await;
        if found < room {
            tokio::select! {
                () = told => {}
                () = sleep(self.until_next().await) => {}
            }
        }
    }

    /// False if the store failed.
    async fn take_up(&self, id: MessageId, next_worker: &mut usize) -> bool {
        // The slot first: whoever had it before has recorded what it did, so that what is read now is the last word.
        let Some(slot) = self.core.slots.take(id, Source::Spool) else {
            return true;
        };
        match self.core.store.load(id).await {
            Ok(Some(stored)) => {
                if matches!(stored.due, Due::At(due) if due <= self.core.now()) {
                    self.core
                        .begin_in(slot, *next_worker % self.workers.max(1), stored);
                    *next_worker = next_worker.wrapping_add(1);
                }
                true
            }
            Ok(None) => true,
            Err(error) => {
                tracing::error!(%id, %error, "cannot be read");
                false
            }
        }
    }

    async fn until_next(&self) -> Duration {
        let in_memory = self.core.slots.taken();
        match self.core.store.next_due(&in_memory).await {
            Ok(Some(due)) => due
                .duration_since(self.core.now())
                .unwrap_or(Duration::ZERO)
                .min(LONGEST),
            Ok(None) => LONGEST,
            Err(error) => {
                tracing::error!(%error, "the spool cannot be searched");
                TROUBLE
            }
        }
    }
}
