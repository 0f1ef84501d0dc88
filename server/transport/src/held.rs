//! Messages that were accepted and are kept: held until their sink is back, or quarantined until a person acts.

use std::time::{Duration, SystemTime};

use postern_events::event::EventKind;
use postern_smtp::reply::Reply;
use postern_spool::{Due, MessageUpdate, Stage, StoredMessage};

use super::core::{Begun, Core, HeldRefusal};
use super::decided::{Decided, words};
use super::question::Held;
use super::schedule::Next;
use super::settle::{Outcome, draw};
use super::submit::{Changes, commit, edited, end};

pub(super) async fn refuse_held(
    core: &Core,
    worker: usize,
    begun: Begun,
    decided: &Decided,
    reply: &Reply,
    now: SystemTime,
) {
    let refusal = core
        .settings
        .held_refusals
        .get(&decided.binding)
        .copied()
        .unwrap_or_default();
    match refusal {
        HeldRefusal::Quarantine => {
            decided.log("quarantined", Some(reply));
            quarantine(core, &begun.stored, None, decided, reply.to_string()).await;
        }
        HeldRefusal::Discard => {
            decided.log("discarded", Some(reply));
            end(core, worker, begun, Outcome::Discarded, words(reply, now)).await;
        }
    }
}

pub(super) async fn quarantine(
    core: &Core,
    stored: &StoredMessage,
    changes: Option<&Changes>,
    decided: &Decided,
    why: String,
) {
    let by = decided.binding.clone();
    let mut update = MessageUpdate::new(stored.message.id);
    update.message = changes.and_then(|changes| edited(&stored.message, changes));
    update.stage = Some(Stage::Quarantined { by, why });
    update.due = Some(Due::Never);
    commit(core, update).await;
}

pub(super) async fn hold(
    core: &Core,
    stored: &StoredMessage,
    event: EventKind,
    held: Held,
    now: SystemTime,
) {
    let update = MessageUpdate::new(stored.message.id);
    hold_with(core, stored, event, held, None, update, now).await;
}

pub(super) async fn hold_edited(
    core: &Core,
    stored: &StoredMessage,
    event: EventKind,
    held: Held,
    changes: &Changes,
    at_most: Option<Duration>,
    now: SystemTime,
) {
    let mut update = MessageUpdate::new(stored.message.id);
    update.message = edited(&stored.message, changes);
    hold_with(core, stored, event, held, at_most, update, now).await;
}

/// Asked about again by the retry schedule, or after the time that the sink named; when that is at its end, kept for a person.
async fn hold_with(
    core: &Core,
    stored: &StoredMessage,
    event: EventKind,
    held: Held,
    at_most: Option<Duration>,
    mut update: MessageUpdate,
    now: SystemTime,
) {
    let attempts = held.attempts.saturating_add(1);
    let draw = draw(&stored.message, attempts);
    let event = event.name().to_owned();
    match core.settings.schedule.next(held.since, attempts, now, draw) {
        Next::At(at) => {
            update.stage = Some(Stage::Held {
                event,
                binding: held.binding,
                since: held.since,
                attempts: held.attempts,
                waits_for: held.waits_for,
            });
            let named = at_most.and_then(|wait| now.checked_add(wait));
            update.due = Some(Due::At(named.unwrap_or(at)));
        }
        Next::Expired => {
            let why = format!("held too long: no answer to {event} in {attempts} attempts");
            tracing::warn!(id = %update.id, event, binding = held.binding, why, "message quarantined");
            update.stage = Some(Stage::Quarantined {
                by: held.binding,
                why,
            });
            update.due = Some(Due::Never);
        }
    }
    commit(core, update).await;
}
