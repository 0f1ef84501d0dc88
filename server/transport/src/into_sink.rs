//! Messages to a sink that keeps mailboxes.

use std::sync::Arc;

use postern_delivery::{Attempted, Fate, is_damage};
use postern_dispatch::stores::Stores;

use super::job::Group;
use super::keeping;
use super::recording::Recording;
use super::results::{self, Attempt};
use super::scheduler::End;
use super::seat::{Seat, What};
use super::settle::Outcome;
use super::worker::Context;

/// Serves the mailboxes of a sink until there is nothing to do.
pub(crate) async fn carry_to_sink(
    context: &Context,
    seat: &mut Seat,
    recording: &mut Recording,
    destination: &str,
    sink: &Arc<str>,
) {
    seat.tell(What::Opened).await;
    while !context.shutdown.has_begun() {
        let group = tokio::select! {
            biased;
            () = recording.one(), if !recording.has_room() => continue,
            group = seat.next() => group,
        };
        let Some(group) = group else { return };
        into_sink(context, recording, destination, sink, group).await;
        let finished = What::Finished {
            end: End::Result,
            again: None,
            ready: true,
        };
        seat.tell(finished).await;
    }
}

async fn into_sink(
    context: &Context,
    recording: &mut Recording,
    destination: &str,
    sink: &Arc<str>,
    group: Group,
) {
    let Group { job, recipients } = group;
    let attempt = Attempt::at_store(destination.to_owned());
    let stores = Stores::Named(Arc::clone(sink));
    let deferred = |subject, detail, text: String| {
        let at = context.core.now();
        Attempted::own(Fate::Deferred, subject, detail, text, at)
    };
    let outcomes: Vec<(usize, Attempted)> = match keeping::ask(
        context,
        &job,
        &recipients,
        &stores,
        &attempt,
    )
    .await
    {
        Ok(kept) => {
            let silent = || deferred(2, 0, format!("the store {sink} said nothing of it"));
            let unasked = || {
                tracing::error!(id = %job.message.id, destination, "no binding of the sink is asked about transport.local_delivery of this message");
                let text = format!("no binding of the store {sink} is asked about it");
                deferred(3, 5, text)
            };
            let left_out = kept.left_out.into_iter().map(|at| (at, silent()));
            let unasked = kept.unasked.into_iter().map(|at| (at, unasked()));
            kept.settled
                .into_iter()
                .chain(left_out)
                .chain(unasked)
                .collect()
        }
        Err(error) if is_damage(&error) => return job.put_aside(&context.core, &error).await,
        Err(error) => {
            tracing::error!(id = %job.message.id, %error, "content cannot be read");
            let text = "the message cannot be read just now".to_owned();
            let why = deferred(3, 0, text);
            recipients.iter().map(|&at| (at, why.clone())).collect()
        }
    };
    let outcomes = outcomes.into_iter();
    let outcomes = outcomes.map(|(at, attempted)| (at, Outcome::Tried(attempted)));
    recording.begin(results::recording(
        context,
        job,
        outcomes.collect(),
        attempt,
    ));
}
