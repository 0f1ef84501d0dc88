//! Messages that were accepted and are kept: held until their sink is back, or quarantined until a person acts.

use std::time::{Duration, SystemTime};

use postern_events::event::EventKind;
use postern_smtp::reply::Reply;
use postern_spool::{Due, MessageUpdate, Stage, StoredMessage};

use super::core::{Begun, Core, HeldRefusal};
use super::schedule::Next;
use super::settle::{Outcome, draw};
use super::submit::{Changes, commit, edited, end, words};

/// The message was accepted and held because of this binding.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) binding: String,
    pub(super) since: SystemTime,
    pub(super) attempts: u32,
}

pub(super) async fn refuse_held(
    core: &Core,
    worker: usize,
    begun: Begun,
    binding: &str,
    reply: &Reply,
    now: SystemTime,
) {
    let refusal = core
        .settings
        .held_refusals
        .get(binding)
        .copied()
        .unwrap_or_default();
    tracing::info!(id = %begun.stored.message.id, binding, %reply, ?refusal, "refused after it was held");
    match refusal {
        HeldRefusal::Quarantine => {
            quarantine(
                core,
                &begun.stored,
                None,
                binding.to_owned(),
                reply.to_string(),
            )
            .await;
        }
        HeldRefusal::Discard => {
            end(core, worker, begun, Outcome::Discarded, words(reply, now)).await
        }
    }
}

pub(super) async fn quarantine(
    core: &Core,
    stored: &StoredMessage,
    changes: Option<&Changes>,
    by: String,
    why: String,
) {
    tracing::warn!(id = %stored.message.id, binding = by, why, "kept until a person acts");
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
            tracing::info!(id = %update.id, event, binding = held.binding, attempts, "held");
            update.stage = Some(Stage::Held {
                event,
                binding: held.binding,
                since: held.since,
                attempts,
            });
            let named = at_most.and_then(|wait| now.checked_add(wait));
            update.due = Some(Due::At(named.unwrap_or(at)));
        }
        Next::Expired => {
            tracing::warn!(id = %update.id, event, binding = held.binding, "held too long, kept until a person acts");
            let why = format!("no answer to {event} since {} attempts", attempts);
            update.stage = Some(Stage::Quarantined {
                by: held.binding,
                why,
            });
            update.due = Some(Due::Never);
        }
    }
    commit(core, update).await;
}
