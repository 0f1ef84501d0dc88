//! A message being delivered: the results of its groups, recorded one after the other.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use postern_message::{Message, RecipientState};
use postern_spool::{
    Batch, DestinationChange, Due, MessageUpdate, ReadAt, RecipientChange, SpoolError, Stage,
    UsedKey, Waiting,
};
use tokio::sync::Mutex;

use super::core::{Begun, Core};
use super::notification;
use super::parked::Place;
use super::settle::{Outcome, next_due, settle};
use super::slots::Slot;

/// Attempts to record a result before it is left to be found out again after a restart, and the wait between them. For want
/// of space it is tried as long as it takes: to deliver what cannot be recorded would be to deliver it twice.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);
/// Of the failures to record one result one is logged, then so many are not.
const QUIET: u32 = 30;
/// When a message is taken up again whose deferral could not be recorded.
const UNRECORDED: Duration = Duration::from_secs(60);
/// When a failure is settled again whose report could not be made.
const NO_REPORT: Duration = Duration::from_secs(300);

/// Recipients of one message for one destination.
pub(crate) struct Group {
    pub(crate) job: Arc<Job>,
    pub(crate) recipients: Vec<usize>,
}

/// A message with a slot in memory, some of its recipients on their way.
pub(crate) struct Job {
    pub(crate) message: Arc<Message>,
    pub(crate) content: Arc<dyn ReadAt>,
    progress: Mutex<Progress>,
    /// The stage that it stays at, where that changes with its results.
    stays: Option<Stage>,
    /// It is put off before any of its next hops had a turn.
    before_delivery: bool,
    /// The key that is used up by its results, unless they are taken back.
    key: Option<UsedKey>,
    /// It is at a stage that it leaves only when a person acts, and is never due.
    kept: bool,
    /// A sink keeps it: a report has no content.
    withheld: bool,
    slot: Box<Slot>,
}

struct Progress {
    states: Vec<RecipientState>,
    /// Groups that have no result yet.
    open: usize,
    /// The record in the spool is still of an earlier stage.
    earlier_stage: bool,
    /// A group has had a result.
    tried: bool,
    /// Recipients whose states the record does not have: they go with the next one.
    unrecorded: Vec<usize>,
    /// Recipients that wait for room at their destinations.
    parked: Vec<usize>,
}

/// What became of a group's recipients, as it was recorded.
pub(crate) struct Recorded {
    pub(crate) changes: Vec<(usize, RecipientState)>,
    /// The sender is told that some of them are delayed.
    pub(crate) warned: bool,
    /// They are on stable storage.
    pub(crate) lasts: bool,
}

impl Job {
    /// A message that goes to `groups` destinations from `now` on.
    pub(crate) fn new(begun: Begun, groups: usize, now: SystemTime) -> Self {
        let Begun {
            stored,
            unrecorded,
            slot,
            early,
            ..
        } = begun;
        let recipients = stored.message.recipients.iter();
        let mut states: Vec<_> = recipients.map(|r| r.state.clone()).collect();
        let now_due = match early {
            true => make_due(&mut states, now),
            false => Vec::new(),
        };
        Self {
            message: stored.message,
            content: stored.content,
            progress: Mutex::new(Progress {
                states,
                open: groups,
                earlier_stage: unrecorded,
                tried: false,
                unrecorded: now_due,
                parked: Vec::new(),
            }),
            stays: None,
            before_delivery: false,
            key: None,
            kept: stored.stage.is_kept(),
            withheld: stored.stage.is_withheld(),
            slot,
        }
    }

    /// It is not delivered but stays at this stage, which is recorded with what became of it.
    pub(crate) fn staying_at(mut self, stage: Option<Stage>) -> Self {
        self.stays = stage;
        self
    }

    /// It comes to its results at a stage before delivery: no next hop has had its turn.
    pub(crate) fn before_delivery(mut self) -> Self {
        self.before_delivery = true;
        self
    }

    /// Its results use up this key.
    pub(crate) fn using_up(mut self, key: UsedKey) -> Self {
        self.key = Some(key);
        self
    }

    /// It was worked on before, and what was done then may not have been recorded.
    pub(crate) fn may_be_done(&self) -> bool {
        self.slot.is_found()
    }

    /// The content turned out to be damaged on its way: the message is kept for a person, and the others go on.
    pub(crate) async fn put_aside(&self, core: &Core, error: &std::io::Error) {
        let id = self.message.id;
        if let Err(error) = core.store.put_aside(id, error.to_string()).await {
            tracing::error!(%id, %error, "a damaged message cannot be set aside");
            self.slot.leave();
        }
    }

    /// These recipients found no room at their destination: the message waits for some there, once its other groups are done.
    /// If none of those is tried, and the record says all there is to say, nothing is written. `asked`: sinks were asked at
    /// the submit stage, and are not to be asked again.
    pub(crate) async fn park(
        &self,
        core: &Core,
        worker: usize,
        place: Place,
        recipients: &[usize],
        asked: bool,
    ) {
        self.slot.park(place);
        self.leave_untried(core, worker, recipients, asked).await;
    }

    /// A group stays untried. If no other is tried nothing is written. `asked`: sinks were asked at the submit stage, and are
    /// not to be asked again.
    pub(crate) async fn leave(&self, core: &Core, worker: usize, asked: bool) {
        self.leave_untried(core, worker, &[], asked).await;
    }

    async fn leave_untried(&self, core: &Core, worker: usize, parked: &[usize], asked: bool) {
        let mut progress = self.progress.lock().await;
        progress.parked.extend_from_slice(parked);
        let untold = !progress.unrecorded.is_empty() || (progress.earlier_stage && asked);
        let written = progress.tried || untold;
        if progress.open == 1 && written {
            drop(progress);
            self.record(core, worker, Vec::new(), false).await;
        } else {
            progress.open = progress.open.saturating_sub(1);
        }
    }

    /// As [`Job::record_for`], for recipients that went nowhere.
    pub(crate) async fn record(
        &self,
        core: &Core,
        worker: usize,
        outcomes: Vec<(usize, Outcome)>,
        partly: bool,
    ) -> Recorded {
        self.record_for(core, worker, None, outcomes, partly).await
    }

    /// Records the results of a group that went to `destination`; returns when they are on stable storage. With the last
    /// group of the message its next due time is set, or it is removed. `partly`: more results of this group follow.
    pub(crate) async fn record_for(
        &self,
        core: &Core,
        worker: usize,
        destination: Option<&str>,
        outcomes: Vec<(usize, Outcome)>,
        partly: bool,
    ) -> Recorded {
        // Held over the commit, so that the records of one message reach the spool in order.
        let mut progress = self.progress.lock().await;
        progress.tried |= !outcomes.is_empty();
        let mut states = progress.states.clone();
        let now = core.now();
        let changes = self.apply(core, &mut states, outcomes, now);
        let open = progress.open - usize::from(!partly && progress.open > 0);
        let mut recorded = self
            .commit(
                core,
                worker,
                &mut states,
                destination,
                changes,
                open == 0,
                &progress,
                now,
            )
            .await;
        match recorded.lasts {
            true => {
                progress.earlier_stage = false;
                progress.unrecorded.clear();
            }
            false => {
                let deferred = recorded.changes.iter().map(|(index, _)| *index);
                progress.unrecorded.extend(deferred);
            }
        }
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
                let recipient = self.message.recipients.get(index);
                let schedule = core.settings.schedule_of(&self.message, recipient);
                let hops = match recipient {
                    Some(one) if !self.before_delivery => self.message.handling.hops(one.id).len(),
                    _ => 0,
                };
                *state = settle(&self.message, state, outcome, &schedule, hops, now);
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
        destination: Option<&str>,
        mut changes: Vec<(usize, RecipientState)>,
        last: bool,
        progress: &Progress,
        now: SystemTime,
    ) -> Recorded {
        let mut undone = false;
        let report = match notification::make(
            core,
            &self.message,
            &self.content,
            self.withheld,
            &changes,
            now,
        )
        .await
        {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(id = %self.message.id, %error, "report cannot be made, tried again later");
                undone = put_off_failures(&mut changes, states, &progress.states, now);
                None
            }
        };
        let (id, content) = (self.message.id, &self.content);
        let before = &progress.states;
        let warning = notification::warn(core, &self.message, content, before, &changes, now).await;
        let warning = warning.unwrap_or_else(|error| {
            tracing::error!(%id, %error, "its sender cannot be told of a delay");
            None
        });
        let mut all = changes.clone();
        let before = progress.unrecorded.iter().filter(|index| {
            let mut changes = changes.iter();
            !changes.any(|(changed, _)| changed == *index)
        });
        all.extend(before.filter_map(|&index| Some((index, states.get(index)?.clone()))));
        // What was only put off is found out again; what was done must not be done again.
        let matters = report.is_some() || all.iter().any(|(_, state)| state.is_done());
        let waits = destination.map(|destination| waits_for(destination, &changes, now));
        let reports: Vec<_> = report.iter().chain(&warning).collect();
        let recorded = self
            .commit_stubbornly(core, matters, || {
                self.batch(
                    states,
                    &all,
                    last,
                    progress.earlier_stage,
                    waits.clone(),
                    &reports,
                    self.key.as_ref().filter(|_| !undone),
                    now,
                )
            })
            .await;
        let waiting = last && states.iter().any(|state| !state.is_done());
        // A report that was not committed does not exist.
        let mut left = false;
        for report in reports.iter().filter(|_| recorded) {
            left |= !core.begin(worker, report.stored());
        }
        if waiting || left {
            core.slots.scan.notify_one();
        }
        Recorded {
            changes,
            warned: recorded && warning.is_some(),
            lasts: recorded,
        }
    }

    /// Commits, again and again if it `matters`. False if it was given up.
    async fn commit_stubbornly(
        &self,
        core: &Core,
        matters: bool,
        batch: impl Fn() -> Batch,
    ) -> bool {
        let mut attempt = 1;
        loop {
            match core.store.commit(batch(), &[self.slot.lease()]).await {
                Ok(_durable) => return true,
                Err(SpoolError::KeyUsed(_)) => return false,
                Err(SpoolError::Unknown(id)) => {
                    tracing::warn!(id = %id, "message was removed while it was being delivered");
                    return false;
                }
                Err(error) if !matters && !matches!(error, SpoolError::Failed(_)) => {
                    tracing::warn!(id = %self.message.id, %error, "a deferral cannot be recorded, tried again soon");
                    if let Some(later) = core.now().checked_add(UNRECORDED) {
                        self.slot.put_off(later);
                    }
                    return false;
                }
                Err(error) => {
                    if attempt % QUIET == 1 {
                        tracing::error!(id = %self.message.id, %error, attempt, "results cannot be recorded");
                    }
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

    #[expect(clippy::too_many_arguments, reason = "what one record is made of")]
    fn batch(
        &self,
        states: &[RecipientState],
        changes: &[(usize, RecipientState)],
        last: bool,
        earlier_stage: bool,
        waits: Option<DestinationChange>,
        reports: &[&notification::Made],
        key: Option<&UsedKey>,
        now: SystemTime,
    ) -> Batch {
        let id = self.message.id;
        let mut batch = Batch {
            insert: reports.iter().map(|report| report.new_message()).collect(),
            keys: key.into_iter().cloned().collect(),
            ..Batch::default()
        };
        let due = next_due(states.iter(), now);
        match due {
            None if last => batch.remove.push(id),
            due => {
                let mut update = MessageUpdate::new(id);
                update.recipients = self.recipient_changes(changes);
                update.destinations = waits.into_iter().collect();
                let next = earlier_stage.then_some(Stage::Deliver);
                update.stage = self.stays.clone().or(next);
                update.due = due.filter(|_| last && !self.kept).map(Due::At);
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

impl Drop for Job {
    /// What waits for room somewhere is taken up without it when other recipients of the message are due.
    fn drop(&mut self) {
        let Progress { states, parked, .. } = self.progress.get_mut();
        if parked.is_empty() {
            return;
        }
        let parked: HashSet<usize> = parked.iter().copied().collect();
        let others = states
            .iter()
            .enumerate()
            .filter_map(|(at, state)| state.due().filter(|_| !parked.contains(&at)));
        if let Some(due) = others.min() {
            self.slot.others_are_due(due);
        }
    }
}

/// All that wait are due now, whenever they were to be tried again. Returns who was not.
fn make_due(states: &mut [RecipientState], now: SystemTime) -> Vec<usize> {
    let mut changed = Vec::new();
    for (at, state) in states.iter_mut().enumerate() {
        if let RecipientState::Pending { due: Some(due), .. } = state
            && *due > now
        {
            *due = now;
            changed.push(at);
        }
    }
    changed
}

/// What is known of the recipients that went to a destination, for those who list what waits for it.
fn waits_for(
    destination: &str,
    changes: &[(usize, RecipientState)],
    now: SystemTime,
) -> DestinationChange {
    let pending = changes.iter().filter_map(|(_, state)| match state {
        RecipientState::Pending {
            attempts,
            due,
            last,
        } => Some((*attempts, due.unwrap_or(now), last)),
        _ => None,
    });
    let Some((attempts, due, last)) = pending.clone().min_by_key(|(_, due, _)| *due) else {
        return DestinationChange::Done(destination.to_owned());
    };
    DestinationChange::Waits(Waiting {
        destination: destination.to_owned(),
        due,
        recipients: u32::try_from(pending.count()).unwrap_or(u32::MAX),
        attempts,
        reason: last
            .as_ref()
            .map_or_else(String::new, |last| last.text.clone()),
    })
}

/// Takes back that recipients failed, since nobody could be told. Returns whether any had.
fn put_off_failures(
    changes: &mut [(usize, RecipientState)],
    states: &mut [RecipientState],
    before: &[RecipientState],
    now: SystemTime,
) -> bool {
    let mut any = false;
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
            any = true;
        }
    }
    any
}
