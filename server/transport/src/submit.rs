//! What a ruling about a whole message comes to: done, and recorded with the stage that follows.

use std::sync::Arc;
use std::time::Duration;

use postern_dispatch::exchange::MessageRuling;
use postern_events::order::Injection;
use postern_events::ruling::{Decision, Ruling};
use postern_message::recipient::without_duplicates;
use postern_message::{Draft, Handling, Message, Status};
use postern_spool::{Batch, Due, MessageUpdate, Stage, StoredMessage};

use super::core::{Begun, Core};
use super::decided::{Decided, own, words};
use super::disposition::{Disposition, disposition};
use super::injection::{Cause, Injections};
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
    handling: Handling,
    skipped: Vec<String>,
    passed: Vec<String>,
    injections: Injections,
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
        orders,
        skipped,
        passed,
    } = ruled;
    let mut changes = Changes {
        draft,
        handling: orders.handling,
        skipped,
        passed,
        injections: Injections::default(),
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
    let times = &changes.handling;
    let schedule = core
        .settings
        .schedule
        .within(times.lifetime, times.warn_after);
    let comes_to = disposition(&ruling, &position, &schedule, refusal, draw, now);
    let kept = goes_on_behind(&ruling, &comes_to)
        .then(|| edited(core, &stored.message, &changes))
        .flatten();
    // What sinks put in goes with the edits beside it.
    let stands = matches!(comes_to, Disposition::Goes(_) | Disposition::Discarded)
        || goes_on_behind(&ruling, &comes_to);
    let injected = if stands { orders.injected } else { Vec::new() };
    let Some(injections) = injections(core, &stored.message, &injected).await else {
        put_off(core, stored, TROUBLE).await;
        return None;
    };
    let reply = ruling.decision.reply();
    match comes_to {
        Disposition::Goes(stage) => {
            changes.injections = injections;
            return go_on(core, worker, judge, begun, question, &changes, stage).await;
        }
        Disposition::Kept { stage, due } => {
            decided.log(kept_as(&ruling.decision), reply);
            keep(core, stored, kept, injections, stage, Due::At(due), worker).await;
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
                injections,
                Stage::Quarantined { by, why, event },
                Due::Never,
                worker,
            )
            .await;
        }
        Disposition::Discarded => {
            decided.log("discarded", reply);
            // First: asked again after a crash in between, the sink's key is used up.
            if !injections.is_empty() {
                let update = MessageUpdate::new(stored.message.id);
                if !commit_with(core, update, &injections, worker).await {
                    return None;
                }
            }
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
    injections: Injections,
    stage: Stage,
    due: Due,
    worker: usize,
) {
    let mut update = MessageUpdate::new(stored.message.id);
    update.message = edited;
    update.stage = Some(stage);
    update.due = Some(due);
    commit_with(core, update, &injections, worker).await;
}

/// Makes ready what sinks put in beside a message. `None`: it cannot be, for a reason of this host.
async fn injections(
    core: &Core,
    message: &Message,
    injections: &[Injection],
) -> Option<Injections> {
    if injections.is_empty() {
        return Some(Injections::default());
    }
    let cause = Cause {
        parent: Some(message.id),
        by_verdict: true,
        server: &message.server,
        depth: message.injected.as_ref().map_or(0, |own| own.depth),
    };
    let made = Injections::prepare(
        &*core.store,
        injections,
        cause,
        |server| core.hostname(server).to_owned(),
        |path| core.settings.routes.is_own(path),
        core.now(),
    );
    match made.await {
        Ok(made) => Some(made),
        Err(error) => {
            tracing::error!(id = %message.id, %error, "what a sink puts in with it cannot be stored");
            None
        }
    }
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
    let injections = &changes.injections;
    let recorded = edited.is_some() || question.held.is_some() || !injections.is_empty();
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
            if !commit_with(core, update, injections, worker).await {
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
    let job = Job::new(begun, 1, core.now())
        .staying_at(stays)
        .before_delivery();
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
        handling,
        skipped,
        passed,
        injections: _,
    } = changes;
    let mut recipients = draft.recipients.clone();
    without_duplicates(&mut recipients, |path| core.settings.routes.is_own(path));
    let mut handling = handling.clone();
    handling.keep_only(|id| recipients.iter().any(|one| one.id == id));
    let next = Message {
        envelope: draft.envelope.clone(),
        recipients,
        properties: draft.properties.clone(),
        skipped: skipped.clone(),
        passed: passed.clone(),
        handling,
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
    commit_with(core, update, &Injections::default(), 0).await
}

/// As [`commit`], together with what sinks put in, which is taken up on a worker.
async fn commit_with(
    core: &Core,
    update: MessageUpdate,
    injections: &Injections,
    worker: usize,
) -> bool {
    let id = update.id;
    let mut batch = Batch {
        update: vec![update],
        ..Batch::default()
    };
    injections.join(&mut batch);
    match core.store.commit(batch, &[]).await {
        Ok(_durable) => {
            for stored in injections.committed() {
                core.begin(worker, stored);
            }
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
