//! The transport core on one runtime thread: takes messages up, and makes the connections of the destinations it owns.

use std::sync::Arc;

use futures_util::future::join_all;
use postern_message::RecipientState;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::carrier;
use super::core::{Begun, Core, NO_ROOM, Order};
use super::job::Job;
use super::judge::Judge;
use super::queue::{Group, Refused};
use super::results::{self, Attempt};
use super::settle::Outcome;
use super::submit::{Passed, pass};
use crate::delivery::{Attempted, Fate};
use crate::runtime::shutdown::Shutdown;

/// The part of the transport core that runs on one runtime thread.
pub struct Worker {
    pub(crate) core: Arc<Core>,
    pub(crate) place: usize,
    pub(crate) orders: mpsc::Receiver<Order>,
}

/// What the tasks of a worker need.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) core: Arc<Core>,
    pub(crate) place: usize,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) shutdown: Shutdown,
}

impl Worker {
    /// Runs until the shutdown is over: in its first phase nothing new is begun, and what is on its way may arrive; what
    /// is not done then stays in the spool. `judge` asks the sinks from this thread.
    pub async fn run(mut self, judge: Arc<dyn Judge>, shutdown: Shutdown) {
        let context = Context {
            core: Arc::clone(&self.core),
            place: self.place,
            judge,
            shutdown: shutdown.clone(),
        };
        let mut tasks = JoinSet::new();
        let begun = shutdown.begun();
        // What cannot be recorded must not be delivered: it would be delivered again. So what is on its way is cut off.
        let health = self.core.store.health().clone();
        let failed = health.failed();
        tokio::pin!(begun, failed);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Begin(begun)) => {
                        tasks.spawn(take_up(context.clone(), begun));
                    }
                    Some(Order::Serve(queue)) => {
                        for _ in 0..queue.claim() {
                            tasks.spawn(carrier::carry(context.clone(), Arc::clone(&queue)));
                        }
                    }
                    None => break,
                },
                Some(end) = tasks.join_next(), if !tasks.is_empty() => note(end),
                () = &mut begun => break,
                _why = &mut failed => return,
            }
        }
        self.orders.close();
        let finish = async {
            while let Some(end) = tasks.join_next().await {
                note(end);
            }
        };
        tokio::select! {
            () = finish => {}
            () = shutdown.over() => {}
            _why = failed => {}
        }
    }
}

fn note(end: Result<(), JoinError>) {
    if let Err(error) = end
        && error.is_panic()
    {
        // Its message is still in the spool, and due: it is taken up again after a restart.
        tracing::error!(%error, "a delivery task panicked");
    }
}

/// Takes a message through its stages and gives its recipients to the queues of their destinations.
async fn take_up(context: Context, begun: Begun) {
    let Context {
        core, place, judge, ..
    } = &context;
    let begun = match pass(core, *place, judge.as_ref(), begun).await {
        Passed::On(begun) => begun,
        Passed::Settled => return,
    };
    let now = core.now();
    let message = Arc::clone(&begun.stored.message);
    let pending = message.recipients.iter().enumerate().filter(|(_, recipient)| {
        matches!(&recipient.state, RecipientState::Pending { due, .. } if due.is_none_or(|due| due <= now))
    });
    let (groups, lost) = core
        .settings
        .routes
        .group(pending.map(|(index, recipient)| (index, &recipient.address)));
    // The recipients without a route are a group of their own; it also stands for "nothing is due".
    let own = !lost.is_empty() || groups.is_empty();
    let job = Arc::new(Job::new(begun, groups.len() + usize::from(own)));
    let mut refused = Vec::new();
    for (destination, recipients) in groups {
        let queue = core.queue(&destination);
        match queue.push(Group {
            job: Arc::clone(&job),
            recipients,
        }) {
            Ok(()) => core.serve(&queue),
            Err(why) => refused.push((destination.to_string(), why)),
        }
    }
    let settled = refused
        .into_iter()
        .map(|(destination, why)| settle_refused(&context, destination, why));
    join_all(settled).await;
    if own {
        let at = core.now();
        let text = "no route is configured for this recipient";
        let unroutable = || Outcome::Tried(Attempted::own(Fate::Failed, 4, 4, text.to_owned(), at));
        let outcomes = lost
            .into_iter()
            .map(|index| (index, unroutable()))
            .collect();
        let attempt = Attempt::without_host("none".to_owned());
        results::record(&context, &job, outcomes, false, &attempt).await;
    }
}

/// A queue did not take the group.
async fn settle_refused(context: &Context, destination: String, refused: Refused) {
    let attempt = Attempt::without_host(destination);
    let (group, outcome) = match refused {
        Refused::Full(group) => (group, Outcome::Later(NO_ROOM)),
        Refused::Down(group, why) => (group, Outcome::Tried(why)),
    };
    let outcomes = group
        .recipients
        .iter()
        .map(|&index| (index, outcome.clone()))
        .collect();
    results::record(context, &group.job, outcomes, false, &attempt).await;
}
