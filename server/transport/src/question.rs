//! What is asked about a message that is in the spool, and how often it may have been asked before.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use postern_delivery::BoxFuture;
use postern_dispatch::exchange::MessageRuling;
use postern_dispatch::transport::Attempt;
use postern_events::budget::Budget;
use postern_events::chain::Start;
use postern_events::event::EventKind;
use postern_message::{Message, RecipientState};
use postern_proto::v1::AskReason;
use postern_spool::{Batch, MessageUpdate, Point, Stage, StoredMessage};
use tokio::sync::OwnedSemaphorePermit;

use super::core::{Begun, Core};
use super::disposition::Position;
use super::judge::{About, Case, Judge};
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
    /// The point of its way that the message is at; `None`: it was held before it was submitted.
    pub(super) point: Option<Point>,
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
                point: self.point.unwrap_or(Point::Submit),
                received_at: message.received_at,
                attempts: self.attempt,
            },
        }
    }

    /// Where its chain begins.
    pub(super) fn start(&self, message: &Message) -> Start {
        let passed = || message.passed.clone();
        match (&self.from, self.point) {
            // Recipients that are asked about one by one have a chain each: all begin with the first binding, but for those
            // that an operator lets the message go without.
            (from, Some(Point::Expand)) if from.is_some() || !message.passed.is_empty() => {
                Start::At {
                    binding: String::new(),
                    passed: passed(),
                }
            }
            (Some(binding), _) => Start::At {
                binding: binding.clone(),
                passed: passed(),
            },
            (None, _) => Start::First,
        }
    }

    /// How often, and why, it is asked.
    pub(super) fn attempt(&self) -> Attempt {
        Attempt {
            earlier: self.attempt,
            reason: self.reason(),
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
        Stage::At {
            point,
            from_binding,
            attempts,
            ..
        } => Some(Question {
            event: event_of(*point),
            point: Some(*point),
            from: from_binding.clone(),
            attempt: match point {
                Point::Submit => put_off.max(*attempts),
                // Behind it, recipients may have been put off where they were before.
                _ => *attempts,
            },
            held: None,
            was_put_off: put_off > 0 && (*point == Point::Submit || *attempts > 0),
        }),
        Stage::Held {
            event,
            binding,
            since,
            attempts,
            ..
        } => Some(Question {
            event: match Point::of_event(event) {
                Some(point) => event_of(point),
                None if event == EventKind::InboundHeaders.name() => EventKind::InboundHeaders,
                None => EventKind::InboundMessage,
            },
            point: Point::of_event(event),
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

/// The event of a point.
pub(super) const fn event_of(point: Point) -> EventKind {
    match point {
        Point::Submit => EventKind::TransportSubmit,
        Point::PreCategorize => EventKind::TransportPreCategorize,
        Point::Categorize => EventKind::TransportCategorize,
        Point::Expand => EventKind::TransportExpand,
        Point::PostCategorize => EventKind::TransportPostCategorize,
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
            Stage::At { attempts, .. } | Stage::Held { attempts, .. } => {
                *attempts = attempts.saturating_add(1);
                one.unrecorded = false;
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

/// Shows a message to the sinks, to be asked about at `event`. `None`: the content cannot be read.
pub(super) async fn show(
    judge: &dyn Judge,
    event: EventKind,
    stored: &StoredMessage,
) -> Option<Box<dyn Case>> {
    let message = &stored.message;
    // To read all of it only to know its digests costs more than the question.
    let in_transport = Point::of_event(event.name()).is_some();
    let content = if in_transport && !judge.shows_content(&message.server, event) {
        Ok(Spooled::undigested(Arc::clone(&stored.content)))
    } else {
        Spooled::read(Arc::clone(&stored.content), message.version.body_offset()).await
    };
    match content {
        Ok(content) => Some(judge.begin(message, Arc::new(content))),
        Err(error) => {
            tracing::error!(id = %message.id, %error, "content cannot be read");
            None
        }
    }
}

/// Asks, and ends the `turn` once the question is on its way. `None`: the content cannot be read.
pub(super) async fn ask(
    core: &Core,
    judge: &dyn Judge,
    question: &Question,
    about: About,
    stored: &StoredMessage,
    turn: Option<OwnedSemaphorePermit>,
) -> Option<MessageRuling> {
    let case = show(judge, question.event, stored).await?;
    let mut answer = put(core, &*case, question, about, &stored.message);
    let early = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    drop(turn);
    match early {
        Poll::Ready(ruling) => Some(ruling),
        Poll::Pending => Some(answer.await),
    }
}

/// Puts a question about a message that is shown.
pub(super) fn put(
    core: &Core,
    case: &dyn Case,
    question: &Question,
    about: About,
    message: &Message,
) -> BoxFuture<'static, MessageRuling> {
    let now = tokio::time::Instant::now().into_std();
    let budget = Budget::starting(now, core.settings.submit_budget);
    case.ask(about, &budget, question.start(message), question.attempt())
}
