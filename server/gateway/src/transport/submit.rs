//! The submit stage: what the sinks make of an accepted message before it is delivered, and of one that was held.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use postern_dispatch::exchange::MessageRuling;
use postern_dispatch::transport::Attempt;
use postern_events::budget::Budget;
use postern_events::chain::Start;
use postern_events::event::EventKind;
use postern_events::ruling::Decision;
use postern_message::{Draft, Message, RecipientState, Status};
use postern_proto::v1::AskReason;
use postern_smtp::reply::Reply;
use postern_spool::{Due, MessageUpdate, Stage, StoredMessage};

use super::core::{Begun, Core};
use super::held::{Held, hold, hold_edited, quarantine, refuse_held};
use super::job::Job;
use super::judge::Judge;
use super::schedule::Next;
use super::settle::Outcome;
use super::spooled::Spooled;
use crate::delivery::{Attempted, Fate};

/// When a message is looked at again whose content or record could not be read or written.
const TROUBLE: Duration = Duration::from_secs(60);

/// How a stage ended.
pub(crate) enum Passed {
    /// The message goes on to its delivery.
    On(Begun),
    /// It does not, and that is recorded.
    Settled,
}

/// What is being asked about.
struct Question {
    event: EventKind,
    from: Option<String>,
    attempt: u32,
    held: Option<Held>,
}

impl Question {
    fn reason(&self) -> AskReason {
        match (&self.held, &self.from) {
            (Some(_), _) => AskReason::Released,
            (None, Some(_)) => AskReason::Postponed,
            (None, None) if self.attempt > 0 => AskReason::Retry,
            (None, None) => AskReason::Happened,
        }
    }
}

/// What verdicts made of a message: to be recorded with the stage that follows.
pub(super) struct Changes {
    draft: Draft,
    skipped: Vec<String>,
    passed: Vec<String>,
}

/// Takes a message through the stages before its delivery.
pub(crate) async fn pass(
    core: &Core,
    worker: usize,
    judge: &dyn Judge,
    mut begun: Begun,
) -> Passed {
    // Twice at most: a message that was held at its way in is asked about there, and then submitted.
    loop {
        let Some(question) = question(&begun.stored) else {
            return match begun.stored.stage {
                Stage::Quarantined { .. } => Passed::Settled,
                _ => Passed::On(begun),
            };
        };
        let server = begun.stored.message.server.as_str();
        if question.held.is_none() && !judge.listens(server, question.event) {
            return Passed::On(begun.submitted());
        }
        let Some(ruling) = ask(core, judge, &question, &begun.stored).await else {
            return put_off(core, &begun.stored, None, TROUBLE).await;
        };
        match apply(core, worker, begun, &question, ruling).await {
            Some(next) if question.event == EventKind::TransportSubmit => return Passed::On(next),
            Some(next) => begun = next,
            None => return Passed::Settled,
        }
    }
}

fn question(stored: &StoredMessage) -> Option<Question> {
    let pending = stored
        .message
        .recipients
        .iter()
        .filter_map(|recipient| match &recipient.state {
            RecipientState::Pending { attempts, .. } => Some(*attempts),
            _ => None,
        });
    let attempt = pending.max().unwrap_or(0);
    match &stored.stage {
        Stage::Submit { from_binding } => Some(Question {
            event: EventKind::TransportSubmit,
            from: from_binding.clone(),
            attempt,
            held: None,
        }),
        Stage::Held {
            event,
            binding,
            since,
            attempts,
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
        }),
        Stage::Deliver | Stage::Quarantined { .. } => None,
    }
}

async fn ask(
    core: &Core,
    judge: &dyn Judge,
    question: &Question,
    stored: &StoredMessage,
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
    let answer = match question.event {
        EventKind::TransportSubmit => case.submit(&budget, start, attempt),
        event => case.redo_inbound(&budget, event, start, attempt),
    };
    Some(answer.await)
}

/// Does what was decided. The message goes on if this returns it.
async fn apply(
    core: &Core,
    worker: usize,
    begun: Begun,
    question: &Question,
    ruled: MessageRuling,
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
    let binding = ruling
        .by
        .as_ref()
        .map_or_else(String::new, |by| by.binding.to_string());
    let now = core.now();
    let id = begun.stored.message.id;
    let event = question.event.name();
    match ruling.decision {
        Decision::Proceed | Decision::Finish(_) | Decision::Respond(_) => {
            go_on(core, worker, begun, question, &changes).await
        }
        Decision::Reject(reply) => {
            if let Some(held) = &question.held
                && (question.event != EventKind::TransportSubmit || held.binding == binding)
            {
                refuse_held(core, worker, begun, &binding, &reply, now).await;
            } else {
                tracing::info!(id = %id, event, binding, %reply, "refused");
                let status = words(&reply, now);
                end(
                    core,
                    worker,
                    begun,
                    |status| {
                        Outcome::Tried(Attempted {
                            fate: Fate::Failed,
                            status,
                        })
                    },
                    status,
                )
                .await;
            }
            None
        }
        Decision::Tempfail(reply) | Decision::Disconnect(reply) => {
            tracing::info!(id = %id, event, binding, %reply, "put off");
            match &question.held {
                Some(held) => hold(core, &begun.stored, question.event, held.clone(), now).await,
                None => {
                    let status = words(&reply, now);
                    defer_all(core, worker, begun, status).await;
                }
            }
            None
        }
        Decision::Discard => {
            tracing::info!(id = %id, event, binding, "discarded");
            let status = own(2, format!("discarded by {binding}"), now);
            end(core, worker, begun, Outcome::Discarded, status).await;
            None
        }
        Decision::Quarantine => {
            let why = if ruling.reason_code.is_empty() {
                event.to_owned()
            } else {
                ruling.reason_code
            };
            quarantine(core, &begun.stored, Some(&changes), binding, why).await;
            None
        }
        Decision::Hold { at_most } => {
            let first = Held {
                binding: binding.clone(),
                since: now,
                attempts: 0,
            };
            let held = match &question.held {
                Some(held) => Held {
                    binding,
                    ..held.clone()
                },
                None => first,
            };
            hold_edited(
                core,
                &begun.stored,
                ruling.event,
                held,
                &changes,
                at_most,
                now,
            )
            .await;
            None
        }
        Decision::Postpone(wait) => {
            tracing::info!(id = %id, event, binding, ?wait, "postponed");
            postpone(
                core,
                worker,
                begun,
                question,
                ruling.event,
                binding,
                wait,
                &changes,
            )
            .await;
            None
        }
    }
}

/// Asked about again at a time, from this binding on: the edits of those before it are committed, so they must not be asked
/// again. A message that is too old for another attempt has come to its end.
#[expect(
    clippy::too_many_arguments,
    reason = "one arm of apply, cut off for its length"
)]
async fn postpone(
    core: &Core,
    worker: usize,
    begun: Begun,
    question: &Question,
    event: EventKind,
    binding: String,
    wait: Duration,
    changes: &Changes,
) {
    let now = core.now();
    let since = question
        .held
        .as_ref()
        .map_or(begun.stored.message.received_at, |held| held.since);
    if core.settings.schedule.next(since, 1, now, 0) == Next::Expired {
        let status = own(4, format!("postponed by {binding}"), now);
        return match &question.held {
            Some(held) => hold(core, &begun.stored, question.event, held.clone(), now).await,
            None => defer_all(core, worker, begun, status).await,
        };
    }
    let mut update = MessageUpdate::new(begun.stored.message.id);
    update.message = edited(&begun.stored.message, changes);
    update.stage = Some(match &question.held {
        Some(held) => Stage::Held {
            event: event.name().to_owned(),
            binding,
            since: held.since,
            attempts: held.attempts,
        },
        None => Stage::Submit {
            from_binding: Some(binding),
        },
    });
    update.due = now.checked_add(wait).map(Due::At);
    commit(core, update).await;
}

/// Nobody objects: the edits are committed before anything is delivered.
async fn go_on(
    core: &Core,
    worker: usize,
    begun: Begun,
    question: &Question,
    changes: &Changes,
) -> Option<Begun> {
    let edited = edited(&begun.stored.message, changes);
    let next = match question.event {
        EventKind::TransportSubmit => Stage::Deliver,
        _ => Stage::Submit { from_binding: None },
    };
    let mut begun = begun;
    // Without edits the new stage is recorded with the first result: asked again after a crash, the sinks see the same.
    if edited.is_some() || question.held.is_some() {
        let mut update = MessageUpdate::new(begun.stored.message.id);
        update.stage = Some(next.clone());
        update.message.clone_from(&edited);
        update.due = Some(Due::At(core.now()));
        if !commit(core, update).await {
            return None;
        }
        begun.stored.stage = next;
    }
    if let Some(message) = edited {
        begun.stored.message = message;
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
    Some(match question.event {
        EventKind::TransportSubmit => begun.submitted(),
        _ => begun,
    })
}

impl Begun {
    /// The sinks have been asked: what follows is the delivery, whatever the record says yet.
    fn submitted(mut self) -> Self {
        if matches!(self.stored.stage, Stage::Submit { .. }) {
            self.unrecorded = true;
            self.stored.stage = Stage::Deliver;
        }
        self
    }
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
    Job::new(begun, 1)
        .record(core, worker, outcomes, false)
        .await;
}

/// Stays queued, and is asked about again by the retry schedule. The stage in the spool stays what it is.
async fn defer_all(core: &Core, worker: usize, begun: Begun, status: Status) {
    let job = Job::new(begun, 1);
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
    job.record(core, worker, outcomes, false).await;
}

async fn put_off(
    core: &Core,
    stored: &StoredMessage,
    stage: Option<Stage>,
    wait: Duration,
) -> Passed {
    let mut update = MessageUpdate::new(stored.message.id);
    update.stage = stage;
    update.due = core.now().checked_add(wait).map(Due::At);
    commit(core, update).await;
    Passed::Settled
}

/// The message with the changes; `None` if they change nothing.
pub(super) fn edited(message: &Arc<Message>, changes: &Changes) -> Option<Arc<Message>> {
    let Changes {
        draft,
        skipped,
        passed,
    } = changes;
    let next = Message {
        envelope: draft.envelope.clone(),
        recipients: draft.recipients.clone(),
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

pub(super) fn words(reply: &Reply, at: SystemTime) -> Status {
    let text: Vec<_> = reply.text().iter().map(|line| line.as_str()).collect();
    Status {
        at,
        code: Some(reply.code().value()),
        enhanced: reply
            .enhanced()
            .map(|code| (code.class(), code.subject(), code.detail())),
        text: text.join("\n"),
        remote: None,
    }
}

fn own(class: u8, text: String, at: SystemTime) -> Status {
    Status {
        at,
        code: None,
        enhanced: Some((class, 0, 0)),
        text,
        remote: None,
    }
}
