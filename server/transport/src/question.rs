//! What is asked about a message that is in the spool, and how often it may have been asked before.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use postern_dispatch::exchange::MessageRuling;
use postern_dispatch::transport::Attempt;
use postern_events::budget::Budget;
use postern_events::chain::Start;
use postern_events::event::EventKind;
use postern_message::{Message, RecipientState};
use postern_proto::v1::AskReason;
use postern_spool::{Batch, MessageUpdate, Stage, StoredMessage};
use tokio::sync::OwnedSemaphorePermit;

use super::core::{Begun, Core};
use super::disposition::Position;
use super::judge::Judge;
use super::spooled::Spooled;

/// What is known of earlier questions about a message at its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// There was none.
    Never,
    /// There may have been one that the record does not count: by an earlier process, or by this one.
    Perhaps,
    /// The record counts all of them.
    Counted,
}

/// The message was accepted and held because of this binding.
pub(super) struct Held {
    pub(super) binding: String,
    pub(super) since: SystemTime,
    pub(super) attempts: u32,
}

/// What is being asked about.
pub(super) struct Question {
    pub(super) event: EventKind,
    pub(super) from: Option<String>,
    /// How often it may have been asked before.
    pub(super) attempt: u32,
    pub(super) held: Option<Held>,
    /// It stayed queued after an earlier question.
    was_put_off: bool,
}

impl Question {
    /// Where the message is that is asked about.
    pub(super) fn position(&self, message: &Message) -> Position<'_> {
        match &self.held {
            Some(held) => Position::Held {
                event: self.event,
                binding: &held.binding,
                since: held.since,
                attempts: held.attempts,
            },
            None => Position::Queued {
                received_at: message.received_at,
                attempts: self.attempt,
            },
        }
    }

    fn reason(&self) -> AskReason {
        match (&self.held, &self.from) {
            (Some(_), _) => AskReason::Released,
            (None, Some(_)) => AskReason::Postponed,
            (None, None) if self.was_put_off => AskReason::Retry,
            (None, None) if self.attempt > 0 => AskReason::Restart,
            (None, None) => AskReason::Happened,
        }
    }
}

/// What is to be asked about a message at its stage, if anything.
pub(super) fn question(stored: &StoredMessage) -> Option<Question> {
    let pending = stored
        .message
        .recipients
        .iter()
        .filter_map(|recipient| match &recipient.state {
            RecipientState::Pending { attempts, .. } => Some(*attempts),
            _ => None,
        });
    let put_off = pending.max().unwrap_or(0);
    match &stored.stage {
        Stage::Submit {
            from_binding,
            attempts,
            ..
        } => Some(Question {
            event: EventKind::TransportSubmit,
            from: from_binding.clone(),
            attempt: put_off.max(*attempts),
            held: None,
            was_put_off: put_off > 0,
        }),
        Stage::Held {
            event,
            binding,
            since,
            attempts,
            ..
        } => Some(Question {
            event: [EventKind::TransportSubmit, EventKind::InboundHeaders]
                .into_iter()
                .find(|kind| kind.name() == event)
                .unwrap_or(EventKind::InboundMessage),
            from: Some(binding.clone()),
            attempt: *attempts,
            held: Some(Held {
                binding: binding.clone(),
                since: *since,
                attempts: *attempts,
            }),
            was_put_off: false,
        }),
        Stage::Deliver | Stage::Quarantined { .. } | Stage::OnHold { .. } => None,
    }
}

/// Records that messages are about to be asked about once more, all in one commit: whatever becomes of this process, the
/// number that the sinks see next time is no lower. `None`: it could not be recorded, and nothing may be asked.
pub(super) async fn count(core: &Core, mut begun: Vec<Begun>) -> Option<Vec<Begun>> {
    let mut batch = Batch::default();
    let mut leases = Vec::new();
    for one in &mut begun {
        if one.asked != Asked::Perhaps {
            continue;
        }
        one.asked = Asked::Counted;
        match &mut one.stored.stage {
            Stage::Submit { attempts, .. } | Stage::Held { attempts, .. } => {
                *attempts = attempts.saturating_add(1);
            }
            Stage::Deliver | Stage::Quarantined { .. } | Stage::OnHold { .. } => continue,
        }
        let mut update = MessageUpdate::new(one.stored.message.id);
        update.stage = Some(one.stored.stage.clone());
        batch.update.push(update);
        leases.push(one.slot.lease());
    }
    if batch.update.is_empty() {
        return Some(begun);
    }
    match core.store.commit(batch, &leases).await {
        Ok(_durable) => Some(begun),
        Err(error) => {
            for one in &begun {
                tracing::error!(id = %one.stored.message.id, %error, "cannot be recorded, asked later");
                if let Some(later) = core.now().checked_add(super::submit::TROUBLE) {
                    one.slot.put_off(later);
                }
            }
            None
        }
    }
}

/// Asks, and ends the `turn` once the question is on its way. `None`: the content cannot be read.
pub(super) async fn ask(
    core: &Core,
    judge: &dyn Judge,
    question: &Question,
    stored: &StoredMessage,
    turn: Option<OwnedSemaphorePermit>,
) -> Option<MessageRuling> {
    let message = &stored.message;
    // To read all of it only to know its digests costs more than the question.
    let submit = question.event == EventKind::TransportSubmit;
    let content = if submit && !judge.shows_content(&message.server, question.event) {
        Ok(Spooled::undigested(Arc::clone(&stored.content)))
    } else {
        Spooled::read(Arc::clone(&stored.content), message.version.body_offset()).await
    };
    let content = match content {
        Ok(content) => Arc::new(content),
        Err(error) => {
            tracing::error!(id = %message.id, %error, "content cannot be read");
            return None;
        }
    };
    let case = judge.begin(message, content);
    let now = tokio::time::Instant::now().into_std();
    let budget = Budget::starting(now, core.settings.submit_budget);
    let start = match &question.from {
        Some(binding) => Start::At {
            binding: binding.clone(),
            passed: message.passed.clone(),
        },
        None => Start::First,
    };
    let attempt = Attempt {
        earlier: question.attempt,
        reason: question.reason(),
    };
    let mut answer = match question.event {
        EventKind::TransportSubmit => case.submit(&budget, start, attempt),
        event => case.redo_inbound(&budget, event, start, attempt),
    };
    let early = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    drop(turn);
    match early {
        Poll::Ready(ruling) => Some(ruling),
        Poll::Pending => Some(answer.await),
    }
}
