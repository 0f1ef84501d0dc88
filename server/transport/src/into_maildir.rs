//! Messages into Maildirs, one at a time.

use std::collections::HashMap;
use std::path::PathBuf;

use postern_delivery::{Attempted, Maildir, MaildirError, Occasion, is_damage};

use super::fitting::{Fitting, fit_to_mailbox};
use super::job::Group;
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
    let message = &job.message;
    let mut outcomes = Vec::with_capacity(recipients.len());
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
    let attempt = Attempt::without_host(destination.to_owned());
    recording.begin(results::recording(context, job, outcomes, attempt));
}
