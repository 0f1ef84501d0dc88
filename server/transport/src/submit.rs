//! What a ruling about a whole message comes to: done, and recorded with the stage that follows.

use std::sync::Arc;
use std::time::Duration;

use postern_dispatch::exchange::MessageRuling;
use postern_events::ruling::{Decision, Ruling};
use postern_message::recipient::without_duplicates;
use postern_message::{Draft, Message, Status};
use postern_spool::{Due, MessageUpdate, Stage, StoredMessage};

use super::core::{Begun, Core};
use super::decided::{Decided, own, words};
use super::disposition::{Disposition, disposition};
use super::job::Job;
use super::judge::Judge;
use super::question::Question;
use super::settle::{Outcome, draw};
use super::stages;
use postern_delivery::{Attempted, Fate};

/// When a message is looked at again whose content or record could not be read or written.
pub(super) const TROUBLE: Duration = Duration::from_secs(60);

/// What verdicts made of a message: to be recorded with the stage that follows.
pub(super) struct Changes {
    draft: Draft,
    skipped: Vec<String>,
    passed: Vec<String>,
}

/// Does what was decided. The message goes on if this returns it.
pub(super) async fn apply(
    core: &Core,
    worker: usize,
    judge: &dyn Judge,
    begun: Begun,
    question: &Question,
    ruled: MessageRuling,
    decided: &Decided,
) -> Option<Begun> {
    let MessageRuling {
        ruling,
        draft,
        skipped,
        passed,
        ..
    } = ruled;
    let changes = Changes {
        draft,
        skipped,
        passed,
    };
    let (stored, now) = (&begun.stored, core.now());
    let held = question.held.as_ref();
    let draw = draw(
        stored.message.id,
        held.map_or(0, |held| held.attempts).saturating_add(1),
    );
    let refusals = &core.settings.held_refusals;
    let refusal = refusals.get(&decided.binding).copied().unwrap_or_default();
    let position = question.position(&stored.message);
    let comes_to = disposition(
        &ruling,
        &position,
        &core.settings.schedule,
        refusal,
        draw,
        now,
    );
    let kept = goes_on_behind(&ruling, &comes_to)
        .then(|| edited(core, &stored.message, &changes))
        .flatten();
    let reply = ruling.decision.reply();
    match comes_to {
        Disposition::Goes(stage) => {
            return go_on(core, worker, judge, begun, question, &changes, stage).await;
        }
        Disposition::Kept { stage, due } => {
            decided.log(kept_as(&ruling.decision), reply);
            keep(core, stored, kept, stage, Due::At(due)).await;
        }
        Disposition::Quarantined { by, why, event } => {
            match ruling.decision {
                Decision::Quarantine | Decision::Reject(_) => decided.log("quarantined", reply),
                // Nobody asked for it: its time is over.
                _ => {
                    let id = stored.message.id;
                    tracing::warn!(%id, event, binding = by, why, "message quarantined");
                }
            }
            keep(
                core,
                stored,
                kept,
                Stage::Quarantined { by, why, event },
                Due::Never,
            )
            .await;
        }
        Disposition::Discarded => {
            decided.log("discarded", reply);
            let status = match reply {
                Some(reply) => words(reply, now),
                None => own(2, format!("discarded by {}", decided.binding), now),
            };
            end(core, worker, begun, Outcome::Discarded, status).await;
        }
        Disposition::Refused(reply) => {
            decided.log("refused", Some(&reply));
            let failed = |status| {
                Outcome::Tried(Attempted {
                    fate: Fate::Failed,
                    status,
                })
            };
            let status = decided.status(&reply, now);
            end(core, worker, begun, failed, status).await;
        }
        Disposition::Deferred { reply: Some(reply) } => {
            decided.log("deferred", Some(&reply));
            let status = decided.status(&reply, now);
            defer_all(core, worker, judge, begun, status, decided.waits_for()).await;
        }
        Disposition::Deferred { reply: None } => {
            decided.log("postponed", None);
            let status = own(4, format!("postponed by {}", decided.binding), now);
            defer_all(core, worker, judge, begun, status, None).await;
        }
    }
    None
}

/// The message goes on from the binding that ruled: the edits of those before it hold, and they are not asked again.
/// Otherwise it goes on from where it was, as it was.
fn goes_on_behind(ruling: &Ruling, comes_to: &Disposition) -> bool {
    let ruled = ruling.by.as_ref().map(|by| &*by.binding);
    let from = match comes_to {
        Disposition::Kept {
            stage: Stage::Held { binding, .. },
            ..
        } => Some(binding.as_str()),
        Disposition::Kept {
            stage: Stage::At { from_binding, .. },
            ..
        } => from_binding.as_deref(),
        Disposition::Quarantined { by, .. } => Some(by.as_str()),
        _ => None,
    };
    ruling.decision.goes_on_here() && from == ruled
}

/// The word of the log for what is kept.
const fn kept_as(decision: &Decision) -> &'static str {
    match decision {
        Decision::Hold { .. } => "held",
        Decision::Postpone(_) => "postponed",
        _ => "deferred",
    }
}

/// Kept at a stage, as edited, until it is due.
async fn keep(
    core: &Core,
    stored: &StoredMessage,
    edited: Option<Arc<Message>>,
    stage: Stage,
    due: Due,
) {
    let mut update = MessageUpdate::new(stored.message.id);
    update.message = edited;
    update.stage = Some(stage);
    update.due = Some(due);
    commit(core, update).await;
}

/// Nobody objects: the edits are committed before anything follows.
async fn go_on(
    core: &Core,
    worker: usize,
    judge: &dyn Judge,
    begun: Begun,
    question: &Question,
    changes: &Changes,
    next: Stage,
) -> Option<Begun> {
    let edited = edited(core, &begun.stored.message, changes);
    let mut begun = begun;
    let recorded = edited.is_some() || question.held.is_some();
    if let Some(message) = &edited {
        begun.stored.message = Arc::clone(message);
    }
    let next = stages::ahead(core, judge, &begun.stored.message, next);
    // Without edits the new stage is recorded with the first result: asked again after a crash, the sinks see the same.
    match recorded {
        true => {
            let mut update = MessageUpdate::new(begun.stored.message.id);
            update.stage = Some(next.clone());
            update.message = edited;
            update.due = Some(Due::At(core.now()));
            if !commit(core, update).await {
                return None;
            }
            begun.is_at(next);
        }
        false => begun.passes_to(next),
    }
    if begun
        .stored
        .message
        .recipients
        .iter()
        .all(|recipient| recipient.state.is_done())
    {
        tracing::info!(id = %begun.stored.message.id, "no recipient left, removed");
        end(
            core,
            worker,
            begun,
            Outcome::Discarded,
            own(2, "no recipient left".to_owned(), core.now()),
        )
        .await;
        return None;
    }
    Some(begun)
}

/// All pending recipients come to the same.
pub(super) async fn end(
    core: &Core,
    worker: usize,
    begun: Begun,
    outcome: impl Fn(Status) -> Outcome,
    status: Status,
) {
    let outcomes = begun
        .stored
        .message
        .recipients
        .iter()
        .enumerate()
        .filter(|(_, recipient)| !recipient.state.is_done())
        .map(|(index, _)| (index, outcome(status.clone())))
        .collect();
    // If nobody can be told of a failure yet, it stays where it is.
    let stays = begun.unrecorded.then(|| begun.stored.stage.clone());
    Job::new(begun, 1, core.now())
        .staying_at(stays)
        .record(core, worker, outcomes, false)
        .await;
}

/// Stays queued, and is asked about again by the retry schedule, or when the sink of the binding that it `waits_for` can be
/// asked again.
async fn defer_all(
    core: &Core,
    worker: usize,
    judge: &dyn Judge,
    begun: Begun,
    status: Status,
    waits_for: Option<&str>,
) {
    let mut stage = begun.stored.stage.clone();
    if let Stage::At { waits_for: now, .. } = &mut stage {
        *now = waits_for.map(str::to_owned);
    }
    let stays = (begun.unrecorded || stage != begun.stored.stage).then_some(stage);
    let job = Job::new(begun, 1, core.now()).staying_at(stays);
    let recipients = job.message.recipients.iter().enumerate();
    let outcomes = recipients
        .filter(|(_, recipient)| !recipient.state.is_done())
        .map(|(index, _)| {
            let attempted = Attempted {
                fate: Fate::Deferred,
                status: status.clone(),
            };
            (index, Outcome::Tried(attempted))
        })
        .collect();
    let recorded = job.record(core, worker, outcomes, false).await;
    if recorded.warned {
        judge.warned(&job.message);
    }
}

/// The message is as it was, and looked at again after this time.
pub(super) async fn put_off(core: &Core, stored: &StoredMessage, wait: Duration) {
    let mut update = MessageUpdate::new(stored.message.id);
    update.due = core.now().checked_add(wait).map(Due::At);
    commit(core, update).await;
}

/// The message with the changes; `None` if they change nothing.
pub(super) fn edited(
    core: &Core,
    message: &Arc<Message>,
    changes: &Changes,
) -> Option<Arc<Message>> {
    let Changes {
        draft,
        skipped,
        passed,
    } = changes;
    let mut recipients = draft.recipients.clone();
    without_duplicates(&mut recipients, |path| core.settings.routes.is_own(path));
    let next = Message {
        envelope: draft.envelope.clone(),
        recipients,
        properties: draft.properties.clone(),
        skipped: skipped.clone(),
        passed: passed.clone(),
        version: draft
            .version
            .clone()
            .unwrap_or_else(|| message.version.clone()),
        ..Message::clone(message)
    };
    (next != **message).then(|| Arc::new(next))
}

/// False if it failed: the message is as it was, and due as it was.
pub(super) async fn commit(core: &Core, update: MessageUpdate) -> bool {
    let id = update.id;
    match core.store.update(update).await {
        Ok(_durable) => {
            core.slots.scan.notify_one();
            true
        }
        Err(error) => {
            tracing::error!(id = %id, %error, "cannot be recorded");
            // It is still due, and would be taken up again at once.
            tokio::time::sleep(Duration::from_secs(5)).await;
            false
        }
    }
}
