//! What is done with the results of an attempt: recorded, logged, and told to the sinks that want to know.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use postern_events::context::{Remote, SessionContext};
use postern_events::delivery::{
    DeliveryStatus, FailureOrigin, MessageSummary, RecipientResult, Result as DeliveryResult,
};
use postern_events::event::EventKind;
use postern_message::{AttemptId, Recipient, RecipientState, Status};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::{Code, EnhancedCode, Reply, ReplyText};

use super::encoding::shown;
use super::job::Job;
use super::settle::Outcome;
use super::spooled::Spooled;
use super::worker::Context;

/// Where an attempt went.
pub(crate) struct Attempt {
    id: AttemptId,
    destination: String,
    host: String,
    address: String,
    /// It went to a store and not to another host.
    store: bool,
    began: Instant,
}

impl Attempt {
    pub(crate) fn new(destination: String, host: &str, address: &str) -> Self {
        Self {
            id: AttemptId::new(),
            destination,
            host: host.to_owned(),
            address: address.to_owned(),
            store: false,
            began: Instant::now(),
        }
    }

    /// Its id.
    pub(crate) const fn id(&self) -> AttemptId {
        self.id
    }

    /// No connection was made.
    pub(crate) fn without_host(destination: String) -> Self {
        Self::new(destination, "", "")
    }

    /// It goes to a mailbox store.
    pub(crate) fn at_store(destination: String) -> Self {
        Self {
            store: true,
            ..Self::without_host(destination)
        }
    }
}

/// Records the results of a group, then tells of them. Returns when they are on stable storage.
pub(crate) async fn record(
    context: &Context,
    job: &Arc<Job>,
    outcomes: Vec<(usize, Outcome)>,
    partly: bool,
    attempt: &Attempt,
) {
    let recorded = job
        .record_for(
            &context.core,
            context.place,
            (!partly).then_some(attempt.destination.as_str()),
            outcomes,
            partly,
        )
        .await;
    for (index, state) in &recorded.changes {
        if let Some(recipient) = job.message.recipients.get(*index) {
            log(context, job, recipient, state, attempt);
        }
    }
    if recorded.warned {
        context.judge.warned(&job.message);
    }
    context.judge.became(&job.message, &recorded.changes);
    let listens = context
        .judge
        .listens(&job.message.server, EventKind::DeliveryResult);
    // It is made for those who look at it alone: a session is decoded for it, and each recipient copied.
    if !listens && !context.judge.notes() {
        return;
    }
    let Some(result) = delivery_result(context, job, &recorded.changes, attempt) else {
        return;
    };
    context.judge.note(&job.message, &result);
    if listens {
        tell(context, job, result);
    }
}

/// As [`record`], for a message that is done with, by whoever polls it.
pub(crate) fn recording(
    context: &Context,
    job: Arc<Job>,
    outcomes: Vec<(usize, Outcome)>,
    attempt: Attempt,
) -> impl Future<Output = ()> + Send + 'static {
    let context = context.clone();
    async move { record(&context, &job, outcomes, false, &attempt).await }
}

fn log(
    context: &Context,
    job: &Job,
    recipient: &Recipient,
    state: &RecipientState,
    attempt: &Attempt,
) {
    let Some(what) = word(state) else {
        return;
    };
    let ended = matches!(
        state,
        RecipientState::Failed(_) | RecipientState::Expired(_)
    );
    if ended && matches!(job.message.envelope.sender, ReversePath::Null) {
        let origin = job.message.origin;
        tracing::warn!(id = %job.message.id, recipient = %recipient.id, ?origin, "undeliverable, and nobody to tell");
    }
    let address = match &recipient.address {
        ForwardPath::Postmaster => "Postmaster",
        ForwardPath::Mailbox(mailbox) => mailbox.as_str(),
    };
    let to = (context.core.settings.shown)(address);
    // Replies often repeat the address: where that may not be in the log, they may not either.
    let reply = state
        .status()
        .map_or_else(String::new, |status| reply_shown(status, to == address));
    tracing::info!(
        id = %job.message.id,
        recipient = %recipient.id,
        to,
        attempt = %attempt.id,
        destination = attempt.destination,
        address = attempt.address,
        reply,
        "{what}"
    );
}

fn reply_shown(status: &Status, with_text: bool) -> String {
    let code = status
        .code
        .map_or_else(String::new, |code| format!("{code} "));
    match with_text {
        true => code + &shown(&status.text, 500),
        false => code,
    }
}

fn word(state: &RecipientState) -> Option<&'static str> {
    Some(match state {
        RecipientState::Delivered(_) => "delivered",
        RecipientState::Relayed(_) => "relayed",
        RecipientState::Failed(_) => "failed",
        RecipientState::Expired(_) => "expired",
        RecipientState::Pending { .. } => "deferred",
        RecipientState::Discarded(_) | RecipientState::Expanded(_) => return None,
    })
}

fn delivery_result(
    context: &Context,
    job: &Job,
    changes: &[(usize, RecipientState)],
    attempt: &Attempt,
) -> Option<DeliveryResult> {
    let message = &job.message;
    let now = context.core.now();
    let results = changes.iter().filter_map(|(index, state)| {
        recipient_result(message.recipients.get(*index)?, state, attempt, now)
    });
    let recipients: Vec<_> = results.collect();
    let (address, port) = match attempt.address.parse::<SocketAddr>() {
        Ok(address) => (address.ip().to_string(), address.port()),
        Err(_) => (attempt.address.clone(), 0),
    };
    let remote = (!attempt.address.is_empty()).then(|| Remote {
        destination: Bytes::copy_from_slice(attempt.destination.as_bytes()),
        host: Bytes::copy_from_slice(attempt.host.as_bytes()),
        address,
        port,
        ..Remote::default()
    });
    (!recipients.is_empty()).then(|| DeliveryResult {
        // Decoded for sinks that want to know; a record that cannot be read has no client to show.
        summary: MessageSummary::of(
            message,
            SessionContext::decode(&message.context).ok().as_ref(),
        ),
        attempt: attempt.id,
        remote,
        recipients,
        elapsed: attempt.began.elapsed(),
        age: now
            .duration_since(message.received_at)
            .unwrap_or(Duration::ZERO),
    })
}

fn recipient_result(
    recipient: &Recipient,
    state: &RecipientState,
    attempt: &Attempt,
    now: SystemTime,
) -> Option<RecipientResult> {
    let made = earlier_attempts(recipient) + 1;
    let (status, attempts, due) = match state {
        RecipientState::Delivered(_) => (DeliveryStatus::Delivered, made, None),
        RecipientState::Relayed(_) => (DeliveryStatus::Relayed, made, None),
        RecipientState::Failed(_) => (DeliveryStatus::Failed, made, None),
        RecipientState::Expired(_) => (DeliveryStatus::Expired, made, None),
        RecipientState::Pending { attempts, due, .. } => {
            (DeliveryStatus::Deferred, *attempts, *due)
        }
        RecipientState::Discarded(_) | RecipientState::Expanded(_) => return None,
    };
    let words = state.status();
    Some(RecipientResult {
        id: recipient.id,
        address: recipient.address.clone(),
        given: recipient.given.clone(),
        origin: match words {
            Some(words) if words.remote.is_some() => FailureOrigin::Remote,
            _ if attempt.store => FailureOrigin::Store,
            _ => FailureOrigin::Gateway,
        },
        status,
        reply: words.and_then(reply),
        attempts,
        retry_in: due.map(|due| due.duration_since(now).unwrap_or(Duration::ZERO)),
    })
}

/// Tells the sinks.
fn tell(context: &Context, job: &Job, result: DeliveryResult) {
    let message = &job.message;
    // No content goes with this event, so none is read for it.
    let content = Spooled::undigested(Arc::clone(&job.content));
    context.judge.begin(message, Arc::new(content)).tell(result);
}

fn earlier_attempts(recipient: &Recipient) -> u32 {
    match recipient.state {
        RecipientState::Pending { attempts, .. } => attempts,
        _ => 0,
    }
}

/// A status as a reply. What a reply cannot hold is left out.
pub(crate) fn reply(status: &Status) -> Option<Reply> {
    let enhanced = status
        .enhanced
        .and_then(|(class, subject, detail)| EnhancedCode::new(class, subject, detail).ok());
    let implied = || enhanced.map(|enhanced| u16::from(enhanced.class()) * 100 + 50);
    let code = Code::new(status.code.or_else(implied)?).ok()?;
    let enhanced = enhanced.filter(|enhanced| enhanced.class() == code.class());
    let text = status.text.lines().take(16).map(ReplyText::lossy).collect();
    Reply::new(code, enhanced, text).ok()
}
