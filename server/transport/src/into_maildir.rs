//! Messages into Maildirs, one at a time.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use postern_delivery::{Attempted, Fate, Maildir, MaildirError, Occasion, is_damage};
use postern_dispatch::stores::Stores;
use postern_events::event::EventKind;

use super::fitting::{Fitting, fit_to_mailbox};
use super::job::{Group, Job};
use super::keeping;
use super::recording::Recording;
use super::results::{self, Attempt};
use super::scheduler::End;
use super::seat::{Seat, What};
use super::settle::Outcome;
use super::worker::Context;

/// Serves the Maildirs of a destination until there is nothing to do.
pub(crate) async fn carry_to_maildir(
    context: &Context,
    seat: &mut Seat,
    recording: &mut Recording,
    destination: &str,
    maildir: &Maildir,
) {
    seat.tell(What::Opened).await;
    while !context.shutdown.has_begun() {
        let group = tokio::select! {
            biased;
            () = recording.one(), if !recording.has_room() => continue,
            group = seat.next() => group,
        };
        let Some(group) = group else { return };
        into_maildir(context, recording, destination, maildir, group).await;
        let finished = What::Finished {
            end: End::Result,
            again: None,
            ready: true,
        };
        seat.tell(finished).await;
    }
}

async fn into_maildir(
    context: &Context,
    recording: &mut Recording,
    destination: &str,
    maildir: &Maildir,
    group: Group,
) {
    let Group { job, recipients } = group;
    let attempt = Attempt::at_store(destination.to_owned());
    let (kept, recipients) = match kept_elsewhere(context, &job, recipients, &attempt).await {
        Ok(kept) => kept,
        Err(error) => return job.put_aside(&context.core, &error).await,
    };
    if recipients.is_empty() {
        return recording.begin(results::recording(context, job, kept, attempt));
    }
    let message = &job.message;
    let mut outcomes = kept;
    let mut done: HashMap<Option<PathBuf>, Attempted> = HashMap::new();
    let fitting = fit_to_mailbox(&context.core, &job, destination).await;
    for &index in &recipients {
        let Some(recipient) = message.recipients.get(index) else {
            continue;
        };
        // A client that names one mailbox twice means one message.
        let folder = maildir.folder(&recipient.address);
        if let Some(attempted) = done.get(&folder) {
            outcomes.push((index, Outcome::Tried(attempted.clone())));
            continue;
        }
        let content = match &fitting {
            Fitting::Fits(fitted) => fitted.content(message, &job.content),
            Fitting::Unfit(why) => {
                outcomes.push((index, Outcome::Tried(why.clone())));
                continue;
            }
            Fitting::Damaged(error) => return job.put_aside(&context.core, error).await,
        };
        let occasion = Occasion {
            message: message.id,
            recipient: recipient.id,
            received_at: message.received_at,
            again: job.may_be_done(),
        };
        let result = maildir
            .deliver(
                &message.envelope.sender,
                &recipient.address,
                occasion,
                content,
            )
            .await;
        if let Err(MaildirError::Content(error)) = &result
            && is_damage(error)
        {
            return job.put_aside(&context.core, error).await;
        }
        let attempted = Attempted::from_maildir(&result, context.core.now());
        done.insert(folder, attempted.clone());
        outcomes.push((index, Outcome::Tried(attempted)));
    }
    recording.begin(results::recording(context, job, outcomes, attempt));
}

/// Has sinks keep what they want to, where any listens. Returns what became of that, and the others, who go to their
/// Maildirs.
///
/// # Errors
/// The content is damaged.
async fn kept_elsewhere(
    context: &Context,
    job: &Job,
    recipients: Vec<usize>,
    attempt: &Attempt,
) -> io::Result<(Vec<(usize, Outcome)>, Vec<usize>)> {
    let server = job.message.server.as_str();
    if !context
        .judge
        .listens(server, EventKind::TransportLocalDelivery)
    {
        return Ok((Vec::new(), recipients));
    }
    let stores = Stores::Others(context.core.settings.routes.stores());
    match keeping::ask(context, job, &recipients, &stores, attempt).await {
        Ok(kept) => {
            let settled = kept.settled.into_iter();
            let settled = settled.map(|(at, attempted)| (at, Outcome::Tried(attempted)));
            let mut others = [kept.left_out, kept.unasked].concat();
            others.sort_unstable();
            Ok((settled.collect(), others))
        }
        Err(error) if is_damage(&error) => Err(error),
        Err(error) => {
            tracing::error!(id = %job.message.id, %error, "content cannot be read");
            let text = "the message cannot be read just now".to_owned();
            let why = Attempted::own(Fate::Deferred, 3, 0, text, context.core.now());
            let all = recipients.into_iter();
            Ok((
                all.map(|at| (at, Outcome::Tried(why.clone()))).collect(),
                Vec::new(),
            ))
        }
    }
}
