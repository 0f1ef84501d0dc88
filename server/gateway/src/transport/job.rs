//! A message being delivered: the results of its groups, recorded one after the other.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use postern_message::{Message, RecipientState};
use postern_spool::{Batch, Due, MessageUpdate, ReadAt, RecipientChange, SpoolError, Stage};
use tokio::sync::Mutex;

use super::core::{Begun, Core};
use super::notification;
use super::settle::{Outcome, next_due, settle};
use super::slots::Slot;

/// Attempts to record a result before it is left to be found out again after a restart, and the wait between them. For want
/// of space it is tried as long as it takes: to deliver what cannot be recorded would be to deliver it twice.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);
/// When a failure is settled again whose report could not be made.
const NO_REPORT: Duration = Duration::from_secs(300);

/// A message with a slot in memory, some of its recipients on their way.
pub(crate) struct Job {
    pub(crate) message: Arc<Message>,
    pub(crate) content: Arc<dyn ReadAt>,
    progress: Mutex<Progress>,
    slot: Slot,
}

struct Progress {
    states: Vec<RecipientState>,
    /// Groups that have no result yet.
    open: usize,
    /// The record in the spool is still of an earlier stage.
    earlier_stage: bool,
}

/// What became of a group's recipients, as it was recorded.
pub(crate) struct Recorded {
    pub(crate) changes: Vec<(usize, RecipientState)>,
}

impl Job {
    /// A message that goes to `groups` destinations.
    pub(crate) fn new(begun: Begun, groups: usize) -> Self {
        let Begun {
            stored,
            unrecorded,
            slot,
        } = begun;
        let states = stored
            .message
            .recipients
            .iter()
            .map(|r| r.state.clone())
            .collect();
        Self {
            message: stored.message,
            content: stored.content,
            progress: Mutex::new(Progress {
                states,
                open: groups,
                earlier_stage: unrecorded,
            }),
            slot,
        }
    }

    /// Records the results of a group; returns when they are on stable storage. With the last group of the message its
    /// next due time is set, or it is removed. `partly`: more results of this group follow.
    pub(crate) async fn record(
        &self,
        core: &Core,
        worker: usize,
        outcomes: Vec<(usize, Outcome)>,
        partly: bool,
    ) -> Recorded {
        // Held over the commit, so that the records of one message reach the spool in order.
        let mut progress = self.progress.lock().await;
        let mut states = progress.states.clone();
        let now = core.now();
        let changes = self.apply(core, &mut states, outcomes, now);
        let open = progress.open - usize::from(!partly && progress.open > 0);
        let mut recorded = self
            .commit(
                core,
                worker,
                &mut states,
                changes,
                open == 0,
                &progress,
                now,
            )
            .await;
        progress.earlier_stage = false;
        progress.states = states;
        progress.open = open;
        recorded.changes.sort_by_key(|(index, _)| *index);
        recorded
    }

    fn apply(
        &self,
        core: &Core,
        states: &mut [RecipientState],
        outcomes: Vec<(usize, Outcome)>,
        now: SystemTime,
    ) -> Vec<(usize, RecipientState)> {
        let mut changes = Vec::with_capacity(outcomes.len());
        for (index, outcome) in outcomes {
            if let Some(state) = states.get_mut(index) {
                *state = settle(&self.message, state, outcome, &core.settings.schedule, now);
                changes.push((index, state.clone()));
            }
        }
        changes
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step of record, cut off for its length"
    )]
    async fn commit(
        &self,
        core: &Core,
        worker: usize,
        states: &mut [RecipientState],
        mut changes: Vec<(usize, RecipientState)>,
        last: bool,
        progress: &Progress,
        now: SystemTime,
    ) -> Recorded {
        let report = match notification::make(core, &self.message, &self.content, &changes, now)
            .await
        {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(id = %self.message.id, %error, "report cannot be made, tried again later");
                put_off_failures(&mut changes, states, &progress.states, now);
                None
            }
        };
        let recorded = self
            .commit_stubbornly(core, || {
                self.batch(
                    states,
                    &changes,
                    last,
                    progress.earlier_stage,
                    report.as_ref(),
                    now,
                )
            })
            .await;
        let waiting = last && states.iter().any(|state| !state.is_done());
        // A report that was not committed does not exist.
        let left = report
            .filter(|_| recorded)
            .is_some_and(|report| !core.begin(worker, report.stored()));
        if waiting || left {
            core.slots.scan.notify_one();
        }
        Recorded { changes }
    }

    /// Commits, again and again if need be. False if it was given up.
    async fn commit_stubbornly(&self, core: &Core, batch: impl Fn() -> Batch) -> bool {
        let mut attempt = 1;
        loop {
            match core.store.commit(batch(), &[self.slot.lease()]).await {
                Ok(_durable) => return true,
                Err(SpoolError::Unknown(id)) => {
                    tracing::warn!(id = %id, "message was removed while it was being delivered");
                    return false;
                }
                Err(error) => {
                    tracing::error!(id = %self.message.id, %error, attempt, "results cannot be recorded");
                    let passing = matches!(error, SpoolError::NoSpace | SpoolError::Io { .. });
                    if attempt >= TRIES && !passing {
                        tracing::error!(id = %self.message.id, "left alone until a restart");
                        self.slot.leave();
                        return false;
                    }
                    tokio::time::sleep(PAUSE).await;
                    attempt += 1;
                }
            }
        }
    }

    fn batch(
        &self,
        states: &[RecipientState],
        changes: &[(usize, RecipientState)],
        last: bool,
        earlier_stage: bool,
        report: Option<&notification::Made>,
        now: SystemTime,
    ) -> Batch {
        let id = self.message.id;
        let mut batch = Batch {
            insert: report
                .map(notification::Made::new_message)
                .into_iter()
                .collect(),
            ..Batch::default()
        };
        let due = next_due(states.iter(), now);
        match due {
            None if last => batch.remove.push(id),
            due => {
                let mut update = MessageUpdate::new(id);
                update.recipients = self.recipient_changes(changes);
                update.stage = earlier_stage.then_some(Stage::Deliver);
                update.due = due.filter(|_| last).map(Due::At);
                batch.update.push(update);
            }
        }
        batch
    }

    fn recipient_changes(&self, changes: &[(usize, RecipientState)]) -> Vec<RecipientChange> {
        let change = |(index, state): &(usize, RecipientState)| {
            let recipient = self.message.recipients.get(*index)?;
            Some(RecipientChange {
                id: recipient.id,
                state: state.clone(),
            })
        };
        changes.iter().filter_map(change).collect()
    }
}

/// Takes back that recipients failed, since nobody could be told.
fn put_off_failures(
    changes: &mut [(usize, RecipientState)],
    states: &mut [RecipientState],
    before: &[RecipientState],
    now: SystemTime,
) {
    for (index, state) in changes {
        let failed = matches!(
            state,
            RecipientState::Failed(_) | RecipientState::Expired(_)
        );
        if let (true, Some(RecipientState::Pending { attempts, last, .. })) =
            (failed, before.get(*index))
        {
            *state = RecipientState::Pending {
                attempts: *attempts,
                due: now.checked_add(NO_REPORT),
                last: last.clone(),
            };
            if let Some(slot) = states.get_mut(*index) {
                *slot = state.clone();
            }
        }
    }
}
