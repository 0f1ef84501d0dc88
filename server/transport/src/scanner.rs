//! Takes up the messages in the spool whose time has come.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use postern_spool::{Claimed, Due, SpoolError};
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::question::Asked;
use crate::shutdown::Shutdown;

/// Who claims messages, for people who look at a store that several processes share.
const HOLDER: &str = "transport";
/// Messages taken from the spool in one go.
const PORTION: usize = 128;
/// The longest sleep: also what a change of the clock may cost.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait for room in memory. Whoever is told of room is told when there is plenty: with a little of it, work goes on too.
const CROWDED: Duration = Duration::from_secs(1);
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
            let _told = timeout(CROWDED, told).await;
            return;
        }
        let mut left_over = false;
        let mut left = room;
        while left > 0
            && let Some(claimed) = slots.alarms.take(self.core.now())
        {
            left -= 1;
            left_over |= !self.take_up(&claimed, next_worker).await;
        }
        let claimed = match left {
            0 => Ok(Vec::new()),
            _ => self.core.store.claim(self.core.now(), left, HOLDER).await,
        };
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(%error, "the spool cannot be searched");
                return sleep(TROUBLE).await;
            }
        };
        left -= claimed.len().min(left);
        for claimed in claimed {
            left_over |= !self.take_up(&claimed, next_worker).await;
        }
        if left_over {
            // There is no room for it; it goes on when there is some.
            let _told = timeout(CROWDED, told).await;
            return;
        }
        sleep(BREATH).await;
        if left > 0 {
            tokio::select! {
                () = told => {}
                () = sleep(self.until_next().await) => {}
            }
        }
    }

    /// False if there is no room for it.
    async fn take_up(&self, claimed: &Claimed, next_worker: &mut usize) -> bool {
        // What is read under the claim is the last word: whoever had it before has recorded what it did.
        let Some(slot) = self.core.slot_for(claimed) else {
            return false;
        };
        let id = claimed.lease.message;
        match self.core.store.load(id).await {
            Ok(Some(stored)) => {
                if matches!(stored.due, Due::At(due) if due <= self.core.now()) {
                    let asked = match self.core.unasked.take(id) {
                        true => Asked::Never,
                        false => Asked::Perhaps,
                    };
                    let worker = *next_worker % self.workers.max(1);
                    let begun = self.core.begin_in(slot, worker, stored, asked);
                    if !begun && asked == Asked::Never {
                        self.core.unasked.insert(id);
                    }
                    *next_worker = next_worker.wrapping_add(1);
                }
            }
            Ok(None) => {}
            // It was set aside, and is due no more. The others are none the worse for it.
            Err(SpoolError::Damaged { .. }) => {}
            Err(error) => {
                tracing::error!(%id, %error, "cannot be read");
                if let Some(later) = self.core.now().checked_add(LONGEST) {
                    slot.put_off(later);
                }
            }
        }
        true
    }

    async fn until_next(&self) -> Duration {
        let stored = match self.core.store.next_due().await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "the spool cannot be searched");
                return TROUBLE;
            }
        };
        let next = [stored, self.core.slots.alarms.next()];
        let now = self.core.now();
        let until = |due: SystemTime| due.duration_since(now).unwrap_or(Duration::ZERO);
        let next = next.into_iter().flatten().min();
        next.map_or(LONGEST, |due| until(due).min(LONGEST))
    }
}
