//! What a handler asks of the gateway while it runs: time, fewer events, actions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::FromEvent;
use crate::Fault;
use crate::call::{Call, Context, Needs};
use crate::commands::Command;
use crate::v1::{self, done, sink_action};

/// More time for the event.
#[derive(Clone)]
pub struct Progress {
    context: Arc<Context>,
    event_id: u64,
}

impl Progress {
    /// Starts the deadline anew, within the budget of the reply that is waited for. `activity` says in the trace what goes
    /// on; it may be empty.
    pub async fn tell(&self, activity: &str) {
        let progress = self.progress(None, activity);
        let command = Command::Progress(progress, None);
        self.context
            .commands
            .send(self.context.instance_id, command)
            .await;
    }

    /// Asks for so much time from now on, and returns how much was granted. None: the gateway did not say, or the
    /// instance is over.
    pub async fn ask(&self, wanted: Duration, activity: &str) -> Option<Duration> {
        let (granted, answer) = oneshot::channel();
        let command = Command::Progress(self.progress(Some(wanted), activity), Some(granted));
        self.context
            .commands
            .send(self.context.instance_id, command)
            .await;
        answer.await.ok()
    }

    fn progress(&self, wanted: Option<Duration>, activity: &str) -> v1::Progress {
        let mut activity = activity.to_owned();
        let mut end = activity.len().min(200);
        while !activity.is_char_boundary(end) {
            end -= 1;
        }
        activity.truncate(end);
        v1::Progress {
            event_id: self.event_id,
            wanted: wanted.and_then(|wanted| wanted.try_into().ok()),
            activity,
        }
    }
}

impl<B> FromEvent<B> for Progress {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self {
            context: Arc::clone(&call.context),
            event_id: call.about.event_id,
        })
    }
}

/// The instance: an end to its events.
#[derive(Clone)]
pub struct Instance {
    context: Arc<Context>,
    message_id: Bytes,
}

impl Instance {
    /// How often it was opened before, at most.
    pub fn reopened_count(&self) -> u32 {
        self.context.opening.reopened_count
    }

    /// What it is about.
    pub fn scope(&self) -> v1::Scope {
        self.context.opening.scope
    }

    /// W3C traceparent. Empty: none.
    pub fn trace_parent(&self) -> &str {
        &self.context.opening.trace_parent
    }

    /// Narrows what it gets to these events, from the next one on. Once, and before its first verdict.
    pub async fn narrow(&self, events: &[v1::EventKind]) {
        let wanted = |event: &v1::EventKind| v1::EventInterest {
            event: (*event).into(),
            ..Default::default()
        };
        let command = Command::Ready(v1::Ready {
            events: events.iter().map(wanted).collect(),
        });
        self.context
            .commands
            .send(self.context.instance_id, command)
            .await;
    }

    /// Nothing further is needed of it: no later event is sent, neither asked nor told.
    pub async fn done(&self) {
        self.send(done::Kind::Instance(v1::DoneInstance {})).await;
    }

    /// Nothing further is needed of the running transaction or of the message.
    pub async fn done_with_message(&self) {
        if !self.message_id.is_empty() {
            self.send(done::Kind::MessageId(self.message_id.clone()))
                .await;
        }
    }

    async fn send(&self, kind: done::Kind) {
        let command = Command::Done(v1::Done { kind: Some(kind) });
        self.context
            .commands
            .send(self.context.instance_id, command)
            .await;
    }
}

impl<B> FromEvent<B> for Instance {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self {
            context: Arc::clone(&call.context),
            message_id: call.picture.message_id(),
        })
    }
}

/// Things that the sink wants done of its own accord. It may be kept beyond the handler, for as long as the instance is
/// open; a sink that needs one at all times binds `service.start`.
#[derive(Clone)]
pub struct Actions {
    context: Arc<Context>,
}

/// Why an action has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// The gateway of this instance takes no actions.
    #[error("this gateway takes no actions")]
    NotInForce,
    /// The stream or the instance ended first. The action may or may not have been carried out: send it again with the
    /// same key.
    #[error("the instance ended before the result came")]
    Gone,
}

/// Numbers of actions: unique in each instance because they are unique in the process.
static NEXT_ACTION: AtomicU64 = AtomicU64::new(1);

/// Results of one action that may wait.
const RESULTS_MAX: usize = 64;

impl Actions {
    /// Asks for an action and waits for its result. `key` makes it happen once: another action with the key is not carried
    /// out. `reason` is for the record. Long results come merged.
    ///
    /// # Errors
    /// [`ActionError`]; what the gateway makes of the action is in the result's status.
    pub async fn act(
        &self,
        kind: sink_action::Kind,
        key: &str,
        reason: &str,
    ) -> Result<v1::ActionResult, ActionError> {
        if !self.context.opening.has("actions") {
            return Err(ActionError::NotInForce);
        }
        let action = v1::SinkAction {
            action_id: NEXT_ACTION.fetch_add(1, Ordering::Relaxed),
            idempotency_key: key.to_owned(),
            reason: reason.to_owned(),
            kind: Some(kind),
        };
        let (results, mut answers) = mpsc::channel(RESULTS_MAX);
        let command = Command::Act(action, results);
        self.context
            .commands
            .send(self.context.instance_id, command)
            .await;
        let mut merged: Option<v1::ActionResult> = None;
        loop {
            let result = answers.recv().await.ok_or(ActionError::Gone)?;
            let more = result.more_follows;
            let whole = match merged.take() {
                None => result,
                Some(before) => merge(before, &result),
            };
            if !more {
                return Ok(whole);
            }
            merged = Some(whole);
        }
    }

    /// Changes queued messages, as [`Actions::act`] with [`v1::ChangeQueued`]: holds, releases, recalls, expires, retries,
    /// reroutes them, or has them judged again.
    ///
    /// # Errors
    /// [`ActionError`].
    pub async fn change(
        &self,
        messages: impl IntoIterator<Item = Bytes>,
        change: v1::change_queued::Change,
        key: &str,
        reason: &str,
    ) -> Result<v1::ActionResult, ActionError> {
        let change = v1::ChangeQueued {
            message_ids: messages.into_iter().collect(),
            recipient_ids: Vec::new(),
            change: Some(change),
        };
        self.act(sink_action::Kind::ChangeQueued(change), key, reason)
            .await
    }

    /// Ends the hold of a message: what this sink's verdict held is judged again.
    ///
    /// # Errors
    /// [`ActionError`].
    pub async fn release(
        &self,
        message: Bytes,
        key: &str,
        reason: &str,
    ) -> Result<v1::ActionResult, ActionError> {
        let release = v1::change_queued::Change::ReleaseQueued(v1::ReleaseQueued {});
        self.change([message], release, key, reason).await
    }

    /// Puts a message in. Its key is that of the action.
    ///
    /// # Errors
    /// [`ActionError`].
    pub async fn inject(
        &self,
        inject: v1::Inject,
        key: &str,
        reason: &str,
    ) -> Result<v1::ActionResult, ActionError> {
        self.act(sink_action::Kind::Inject(inject), key, reason)
            .await
    }

    /// The spool that the instance's gateway keeps: actions on its messages go to an instance with this id.
    pub fn spool_id(&self) -> Bytes {
        self.context.opening.spool_id.clone()
    }
}

/// Several results of one action, merged like parts.
fn merge(mut before: v1::ActionResult, next: &v1::ActionResult) -> v1::ActionResult {
    use prost::Message as _;
    before.more_follows = false;
    match before.merge(next.encode_to_vec().as_slice()) {
        Ok(()) => before,
        Err(_) => next.clone(),
    }
}

impl<B> FromEvent<B> for Actions {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self {
            context: Arc::clone(&call.context),
        })
    }

    fn needs(needs: &mut Needs) {
        needs.feature("actions");
    }
}
