//! Getting hold of a message by its name while the queue is at work, for operators and for sinks that act on it.
//!
//! One that nobody has is claimed at once. One that waits in a worker's memory, or by its name, is given up by its worker. One
//! that a connection or a sink has just now is not pulled away: its claim is waited for a moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use postern_message::MessageId;
use postern_spool::Seized;
use tokio::time::timeout;

use super::core::Core;
use super::slots::{Awaited, Slot};
use super::worker::note;

/// How long a message is waited for that a connection or a sink has.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far a message was reached.
pub(crate) enum Reached {
    Claimed(Box<Slot>),
    Awaited(Awaited),
    Busy,
    Gone,
    Failed(String),
}

/// Reaches for messages, in their order.
pub(crate) async fn reach_all(core: &Arc<Core>, ids: &[MessageId]) -> Vec<(MessageId, Reached)> {
    let mut reached = Vec::with_capacity(ids.len());
    let mut waits = HashSet::new();
    for &id in ids {
        let one = reach(core, id).await;
        if matches!(one, Reached::Awaited(_)) {
            waits.insert(id);
        }
        reached.push((id, one));
    }
    if !waits.is_empty() {
        core.withdraw(waits);
    }
    reached
}

async fn reach(core: &Arc<Core>, id: MessageId) -> Reached {
    match seize(core, id).await {
        Reached::Busy => {}
        other => return other,
    }
    let Some(awaited) = core.slots.await_claim(id) else {
        return Reached::Busy;
    };
    // It may have been given back before anybody waited for it.
    match seize(core, id).await {
        Reached::Busy => Reached::Awaited(awaited),
        other => other,
    }
}

/// Claims a message in a task of its own: whenever nobody waits for it any more, its claim has a slot to go back with.
async fn seize(core: &Arc<Core>, id: MessageId) -> Reached {
    let core = Arc::clone(core);
    let seized = tokio::spawn(async move {
        match core.store.seize(id).await {
            Ok(Seized::Taken { lease, weight }) => {
                let slot = core.slots.take_for_operator(lease, weight);
                Reached::Claimed(Box::new(slot))
            }
            Ok(Seized::Busy) => Reached::Busy,
            Ok(Seized::Gone) => Reached::Gone,
            Err(error) => Reached::Failed(error.to_string()),
        }
    });
    seized.await.unwrap_or_else(|error| {
        note(&error);
        Reached::Failed("it could not be claimed".to_owned())
    })
}

/// Why there is no claim.
pub(crate) enum Unclaimed {
    Busy,
    Gone,
    Failed(String),
}

impl Reached {
    /// The claim, waited for a moment where somebody has it.
    pub(crate) async fn claim(self) -> Result<Slot, Unclaimed> {
        match self {
            Self::Claimed(slot) => Ok(*slot),
            Self::Awaited(mut awaited) => match timeout(PATIENCE, awaited.claim()).await {
                Ok(Some(slot)) => Ok(slot),
                Ok(None) | Err(_) => Err(Unclaimed::Busy),
            },
            Self::Busy => Err(Unclaimed::Busy),
            Self::Gone => Err(Unclaimed::Gone),
            Self::Failed(why) => Err(Unclaimed::Failed(why)),
        }
    }
}
