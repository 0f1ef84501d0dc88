//! What an operator does to messages in the queue while it is at work.
//!
//! Whoever changes a message holds the claim on it, the operator like everybody else; [`reach`](super::reach) gets it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use parking_lot::Mutex;
use postern_delivery::{Attempted, Destination, Fate};
use postern_message::{Message, MessageId, RecipientState};
use postern_smtp::address::ReversePath;
use postern_spool::{
    Batch, DestinationChange, Due, Filter, MessageUpdate, Page, Point, RecipientChange, Seized,
    SpoolError, Stage, StageKind, StoredMessage, Waiting,
};
use tokio::time::timeout;

use super::Handle;
use super::core::{Begun, Core};
use super::question::Asked;
use super::reach::{Reached, Unclaimed, reach_all};
use super::settle::{Outcome, wants_report};
use super::slots::Slot;
use super::submit::end;
use super::way;
use super::worker::note;

/// How long the record of one change is waited for. It is made all the same.
pub(super) const RECORDING: Duration = Duration::from_secs(30);
/// Messages that are changed at the same time.
pub(super) const AT_ONCE: usize = 16;
/// Destinations that one operator has tried again, remembered.
const WOKEN: usize = 4096;

/// What an operator wants of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They stay where they are.
    Hold,
    /// They go on, without the binding that keeps them.
    Release,
    /// They are tried again at once.
    Retry,
    /// Their recipients fail, and the senders are told.
    Bounce,
    /// They are gone.
    Remove,
}

/// What a change came to for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// It was done, with these words.
    Done(String),
    /// Somebody has the message just now. It was left alone.
    Busy,
    /// It cannot be done at the message's stage, for this reason. It was left alone.
    Unfit(&'static str),
    /// There is no such message.
    Gone,
    /// It could not be done.
    Failed(String),
}

/// One operator with one intention.
pub struct Operator(Arc<Intent>);

/// What the operator wants, for the tasks that do it.
struct Intent {
    core: Arc<Core>,
    worker: usize,
    change: Change,
    by: String,
    why: String,
    /// Destinations that were had tried again: once each, or a dead one is asked for every message.
    woken: Mutex<HashSet<Destination>>,
}

impl Change {
    /// Why it cannot be done to a message at this stage; `None`: it can.
    #[must_use]
    pub fn unfit(self, stage: StageKind) -> Option<&'static str> {
        match (self, stage) {
            (Self::Remove, _) => None,
            (_, StageKind::Damaged) => Some("it is damaged and can only be removed"),
            (Self::Hold, StageKind::OnHold) => Some("it is on hold already"),
            (Self::Hold, StageKind::Quarantined) => Some("it is quarantined, and stays so"),
            (Self::Retry, StageKind::OnHold) => Some("it is on hold: release it"),
            (Self::Retry, StageKind::Quarantined) => Some("it is quarantined: release it"),
            (Self::Release, StageKind::Deliver) => Some("nothing keeps it: retry it"),
            _ => None,
        }
    }
}

impl Handle {
    /// An operator, called `by` in the record, who wants this change, because of `why`.
    #[must_use]
    pub fn operator(&self, change: Change, by: &str, why: &str) -> Operator {
        Operator(Arc::new(Intent {
            core: Arc::clone(&self.core),
            worker: self.worker,
            change,
            by: by.to_owned(),
            why: why.to_owned(),
            woken: Mutex::default(),
        }))
    }
}

impl Operator {
    /// Changes these messages, and says what came of each, in their order. A few hundred at a time are reasonable.
    ///
    /// Dropped, it begins no further change: what it has begun is finished, and all other messages are given back.
    pub async fn act(&self, ids: &[MessageId]) -> Vec<(MessageId, Changed)> {
        let intent = &self.0;
        let reached = reach_all(&intent.core, ids).await;
        let changes = reached
            .into_iter()
            .map(|(id, one)| async move { (id, intent.change_one(id, one).await) });
        iter(changes).buffered(AT_ONCE).collect().await
    }
}

impl Intent {
    async fn change_one(self: &Arc<Self>, id: MessageId, reached: Reached) -> Changed {
        let slot = match reached.claim().await {
            Ok(slot) => slot,
            Err(Unclaimed::Busy) => return Changed::Busy,
            Err(Unclaimed::Gone) => return Changed::Gone,
            Err(Unclaimed::Failed(why)) => return Changed::Failed(why),
        };
        // The task has the claim until the record is made, whoever still waits for it: given back earlier, the message would
        // be worked on while the store still has a change of it to make.
        let intent = Arc::clone(self);
        let changing = tokio::spawn(async move { intent.change_claimed(id, slot).await });
        match timeout(RECORDING, changing).await {
            Ok(Ok(changed)) => changed,
            Ok(Err(error)) => {
                note(&error);
                Changed::Failed("it was not recorded; the log says why".to_owned())
            }
            Err(_) => Changed::Failed(
                "it is not recorded yet, and will be if the spool recovers: look again".to_owned(),
            ),
        }
    }

    async fn change_claimed(&self, id: MessageId, slot: Slot) -> Changed {
        let core = &self.core;
        let stored = match core.store.load(id).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Changed::Gone,
            Err(SpoolError::Damaged { .. }) if self.change == Change::Remove => {
                return self.remove(id, None, &slot).await;
            }
            Err(SpoolError::Damaged { .. }) => {
                return Changed::Unfit("it is damaged and can only be removed");
            }
            Err(error) => return Changed::Failed(error.to_string()),
        };
        if let Due::At(due) = stored.due {
            // Where nothing is changed it is due as it was.
            slot.put_off(due);
        }
        if let Some(why) = self.change.unfit(kind(&stored.stage)) {
            return Changed::Unfit(why);
        }
        match self.change {
            Change::Hold => self.hold(stored, &slot).await,
            Change::Release => self.release(stored, &slot).await,
            Change::Retry => self.retry(stored, &slot).await,
            Change::Bounce => self.bounce(stored, slot).await,
            Change::Remove => self.remove(id, Some(&stored.message), &slot).await,
        }
    }

    async fn hold(&self, stored: StoredMessage, slot: &Slot) -> Changed {
        let mut update = MessageUpdate::new(stored.message.id);
        update.stage = Some(Stage::OnHold {
            was: Box::new(stored.stage),
            by: self.by.clone(),
            why: self.why.clone(),
            since: self.core.now(),
        });
        update.due = Some(Due::Never);
        self.commit(update, slot, "on hold").await
    }

    async fn release(&self, stored: StoredMessage, slot: &Slot) -> Changed {
        let now = self.core.now();
        let mut update = MessageUpdate::new(stored.message.id);
        let (stage, without) = match stored.stage {
            Stage::OnHold { was, .. } => (*was, None),
            stage => {
                let binding = stage.kept_by().map(|(binding, _)| binding.to_owned());
                let Some(binding) = binding else {
                    return Changed::Unfit("nothing keeps it: retry it");
                };
                (onward(stage, now), Some(binding))
            }
        };
        // What was quarantined when it was held goes back there.
        let stays = matches!(stage, Stage::Quarantined { .. });
        update.stage = Some(stage);
        update.due = Some(Due::Never);
        let words = match &without {
            Some(binding) => format!("released, without {binding}"),
            None if stays => "released, and quarantined as before".to_owned(),
            None => "released".to_owned(),
        };
        if let Some(binding) = without {
            let mut message = Message::clone(&stored.message);
            if !message.passed.contains(&binding) {
                message.passed.push(binding);
            }
            update.message = Some(Arc::new(message));
        }
        if !stays {
            self.hurry(&stored.message, &mut update, now).await;
        }
        self.commit(update, slot, &words).await
    }

    async fn retry(&self, stored: StoredMessage, slot: &Slot) -> Changed {
        let now = self.core.now();
        let mut update = MessageUpdate::new(stored.message.id);
        self.hurry(&stored.message, &mut update, now).await;
        self.commit(update, slot, "tried again").await
    }

    /// All recipients that are left are due at once, and their destinations are asked at once.
    async fn hurry(&self, message: &Message, update: &mut MessageUpdate, now: SystemTime) {
        let wake = |destination: &Destination| self.wake(destination);
        hurry(&self.core, message, update, now, wake).await;
    }

    fn wake(&self, destination: &Destination) {
        let mut woken = self.woken.lock();
        if woken.len() < WOKEN && woken.insert(destination.clone()) {
            self.core.wake(destination);
        }
    }

    async fn bounce(&self, stored: StoredMessage, slot: Slot) -> Changed {
        let core = &self.core;
        let message = Arc::clone(&stored.message);
        let text = match self.why.as_str() {
            "" => "returned by the postmaster".to_owned(),
            why => format!("returned by the postmaster: {why}"),
        };
        let failed = Attempted::own(Fate::Failed, 3, 0, text, core.now());
        let begun = Begun {
            stored,
            unrecorded: false,
            slot: Box::new(slot),
            waited: false,
            asked: Asked::Counted,
            early: false,
            turn: None,
        };
        let outcome = |status| {
            Outcome::Tried(Attempted {
                fate: Fate::Failed,
                status,
            })
        };
        end(core, self.worker, begun, outcome, failed.status).await;
        // The record is the last word.
        match core.store.seize(message.id).await {
            Ok(Seized::Gone) => {}
            Ok(Seized::Taken { lease, .. }) => {
                core.store.release(lease, None);
                return Changed::Failed("no report could be made; the log says why".to_owned());
            }
            _ => return Changed::Failed("it was not recorded; the log says why".to_owned()),
        }
        self.log(&message, "bounced by an operator");
        let told = message
            .recipients
            .iter()
            .any(|recipient| !recipient.state.is_done() && wants_report(recipient));
        Changed::Done(match &message.envelope.sender {
            ReversePath::Null => {
                "failed, and nobody is told: it is from the null sender".to_owned()
            }
            ReversePath::Mailbox(_) if !told => {
                "failed, and nobody is told: the sender asked for no reports".to_owned()
            }
            ReversePath::Mailbox(sender) => format!("bounced to {sender}"),
        })
    }

    async fn remove(&self, id: MessageId, message: Option<&Message>, slot: &Slot) -> Changed {
        let batch = Batch {
            remove: vec![id],
            ..Batch::default()
        };
        match self.core.store.commit(batch, &[slot.lease()]).await {
            Ok(_durable) => {
                match message {
                    Some(message) => self.log(message, "removed by an operator"),
                    None => {
                        let Self { by, why, .. } = self;
                        tracing::warn!(%id, by, why, "damaged message removed by an operator");
                    }
                }
                Changed::Done("removed".to_owned())
            }
            Err(error) => Changed::Failed(error.to_string()),
        }
    }

    async fn commit(&self, update: MessageUpdate, slot: &Slot, words: &str) -> Changed {
        let id = update.id;
        let batch = Batch {
            update: vec![update],
            ..Batch::default()
        };
        match self.core.store.commit(batch, &[slot.lease()]).await {
            Ok(_durable) => {
                slot.do_not_put_off();
                let Self { by, why, .. } = self;
                tracing::info!(%id, by, why, "message {words}, by an operator");
                Changed::Done(words.to_owned())
            }
            Err(error) => Changed::Failed(error.to_string()),
        }
    }

    /// What is gone is on record: who took it away, and whose it was.
    fn log(&self, message: &Message, what: &str) {
        let Self { by, why, .. } = self;
        let sender = match &message.envelope.sender {
            ReversePath::Null => "<>".to_owned(),
            ReversePath::Mailbox(mailbox) => (self.core.settings.shown)(mailbox.as_str()),
        };
        let recipients = message.recipients.len();
        tracing::warn!(id = %message.id, by, why, sender, recipients, "message {what}");
    }
}

/// All recipients that are left are due at once; `wake` hears where they go.
pub(super) async fn hurry(
    core: &Core,
    message: &Message,
    update: &mut MessageUpdate,
    now: SystemTime,
    wake: impl Fn(&Destination),
) {
    update.due = Some(Due::At(now));
    for recipient in &message.recipients {
        if let RecipientState::Pending { attempts, last, .. } = &recipient.state {
            if let Some(destination) = way::destination(core, message, recipient) {
                wake(&destination);
                // Where sessions are asked about, the virtual server has a destination of its own.
                wake(&destination.asked_for(&message.server));
            }
            update.recipients.push(RecipientChange {
                id: recipient.id,
                state: RecipientState::Pending {
                    attempts: *attempts,
                    due: None,
                    last: last.clone(),
                },
            });
        }
    }
    update.destinations = waiting(core, message.id, now).await;
}

/// What the message waits for, due now: a record that is written anew forgets it.
async fn waiting(core: &Core, id: MessageId, due: SystemTime) -> Vec<DestinationChange> {
    let filter = Filter {
        id: Some(id),
        ..Filter::default()
    };
    let entries = core.store.list(&filter, Page::default()).await;
    let entries = entries.unwrap_or_default();
    let waiting = entries.into_iter().flat_map(|entry| entry.waiting);
    waiting
        .map(|one| DestinationChange::Waits(Waiting { due, ..one }))
        .collect()
}

/// The kind of a stage.
pub(super) fn kind(stage: &Stage) -> StageKind {
    match stage {
        Stage::At {
            point: Point::Submit,
            ..
        } => StageKind::Submit,
        Stage::At { .. } => StageKind::Categorize,
        Stage::Deliver => StageKind::Deliver,
        Stage::Held { .. } => StageKind::Held,
        Stage::Quarantined { .. } => StageKind::Quarantined,
        Stage::OnHold { .. } => StageKind::OnHold,
    }
}

/// Where a message goes on that a binding kept. That binding is in `Message::passed` and is not asked again.
fn onward(stage: Stage, now: SystemTime) -> Stage {
    match stage {
        // It was before anybody noted the event: only that binding is left out.
        Stage::Quarantined { event, .. } if event.is_empty() => Stage::At {
            point: Point::Submit,
            from_binding: Some(String::new()),
            attempts: 0,
            waits_for: None,
        },
        Stage::Quarantined { by, event, .. } => match Point::of_event(&event) {
            Some(point) => Stage::At {
                point,
                from_binding: Some(by),
                attempts: 0,
                waits_for: None,
            },
            None => Stage::Held {
                event,
                binding: by,
                since: now,
                attempts: 0,
                waits_for: None,
            },
        },
        Stage::Held {
            event,
            binding,
            attempts,
            ..
        } => Stage::Held {
            event,
            binding,
            since: now,
            attempts,
            waits_for: None,
        },
        Stage::At {
            point,
            from_binding,
            attempts,
            ..
        } => Stage::At {
            point,
            // What the others said was not kept: they are asked again.
            from_binding: Some(from_binding.unwrap_or_default()),
            attempts,
            waits_for: None,
        },
        other => other,
    }
}
