//! Sinks as mailbox stores: asked about the recipients of an attempt, and what became of each.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use postern_delivery::{Attempted, Fate};
use postern_dispatch::stores::{Mailboxes, Said, Stores};
use postern_dispatch::transport;
use postern_events::budget::Budget;
use postern_events::event::EventKind;
use postern_events::ruling::{Cause, Decision};
use postern_message::{RecipientId, RecipientState};
use postern_proto::v1::AskReason;
use postern_smtp::reply::Reply;

use super::decided::{how, words};
use super::job::Job;
use super::results::Attempt;
use super::spooled::Spooled;
use super::worker::Context;

/// What the stores that were asked made of some recipients.
#[derive(Default)]
pub(crate) struct Kept {
    /// Those of whom one said something, by their place in the message, and what it came to.
    pub(crate) settled: Vec<(usize, Attempted)>,
    /// Those of whom the stores that were asked said nothing.
    pub(crate) left_out: Vec<usize>,
    /// Those of whom no store was asked.
    pub(crate) unasked: Vec<usize>,
}

/// Asks `stores` about these recipients of a message. Resolves by the deadline of the bindings.
///
/// # Errors
/// The content cannot be read: nobody was asked.
pub(crate) async fn ask(
    context: &Context,
    job: &Job,
    recipients: &[usize],
    stores: &Stores,
    attempt: &Attempt,
) -> io::Result<Kept> {
    let core = &context.core;
    let message = &job.message;
    let shown = context
        .judge
        .shows_content(&message.server, EventKind::TransportLocalDelivery);
    let content = match shown {
        true => Spooled::read(Arc::clone(&job.content), message.version.body_offset()).await?,
        false => Spooled::undigested(Arc::clone(&job.content)),
    };
    let places: Vec<(usize, RecipientId)> = recipients
        .iter()
        .filter_map(|&place| Some((place, message.recipients.get(place)?.id)))
        .collect();
    let mailboxes = Mailboxes {
        recipients: places.iter().map(|(_, id)| *id).collect(),
        attempt: attempt.id(),
    };
    let now = tokio::time::Instant::now().into_std();
    let budget = Budget::starting(now, core.settings.submit_budget);
    let case = context.judge.begin(message, Arc::new(content));
    let said = case.local_delivery(stores, mailboxes, &budget, earlier(job, recipients));
    let said = said.await;
    for one in &said {
        log(job, one);
    }
    let now = core.now();
    let mut kept = Kept::default();
    for (place, id) in places {
        // Whom one left out another one may have had.
        let mut asked = said.iter().filter(|one| one.recipients.contains(&id));
        match asked.clone().find_map(|one| result(one, id, now)) {
            Some(attempted) => kept.settled.push((place, attempted)),
            None if asked.next().is_some() => kept.left_out.push(place),
            None => kept.unasked.push(place),
        }
    }
    Ok(kept)
}

/// How often the stores may have been asked before. An attempt whose result was not recorded is not counted by the record.
fn earlier(job: &Job, recipients: &[usize]) -> transport::Attempt {
    let recipients = recipients
        .iter()
        .filter_map(|place| job.message.recipients.get(*place));
    let recorded = recipients.filter_map(|recipient| match &recipient.state {
        RecipientState::Pending { attempts, .. } => Some(*attempts),
        _ => None,
    });
    let recorded = recorded.max().unwrap_or(0);
    let perhaps = job.may_be_done();
    transport::Attempt {
        earlier: recorded.saturating_add(u32::from(perhaps)),
        reason: match (recorded, perhaps) {
            (0, false) => AskReason::Happened,
            (0, true) => AskReason::Restart,
            _ => AskReason::Retry,
        },
    }
}

/// What a binding said of a recipient.
fn result(said: &Said, id: RecipientId, at: SystemTime) -> Option<Attempted> {
    match &said.ruling.decision {
        Decision::Reject(reply) | Decision::Tempfail(reply) | Decision::Disconnect(reply) => {
            let mut attempted = replied(reply, at);
            if let Some(Cause::Failure(_, fault)) = said.ruling.by.as_ref().map(|by| &by.cause) {
                let text = &mut attempted.status.text;
                *text = format!("{text}; the store {} {}", said.sink, how(fault.kind));
            }
            Some(attempted)
        }
        _ => {
            let statuses = &said.ruling.answer.as_ref()?.statuses;
            let (_, reply) = statuses.iter().find(|(own, _)| *own == id)?;
            Some(replied(reply, at))
        }
    }
}

fn replied(reply: &Reply, at: SystemTime) -> Attempted {
    Attempted {
        fate: match reply.code().class() {
            2 => Fate::Delivered,
            5 => Fate::Failed,
            _ => Fate::Deferred,
        },
        status: words(reply, at),
    }
}

/// A failure of a sink is the operator's affair; what a sink decided is logged with the recipients.
fn log(job: &Job, said: &Said) {
    let (id, event) = (job.message.id, EventKind::TransportLocalDelivery.name());
    let (binding, sink) = (&*said.binding, &*said.sink);
    for failure in &said.ruling.failures {
        let fault = &failure.fault;
        tracing::warn!(%id, event, binding, sink, %fault, "a mailbox store failed");
    }
}
