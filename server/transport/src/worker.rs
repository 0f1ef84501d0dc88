//! The transport core on one runtime thread: takes messages up, and makes the connections of the destinations it owns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use postern_events::event::EventKind;
use postern_message::RecipientState;
use postern_spool::SpoolError;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use super::carrier;
use super::core::{Begun, Core, Order};
use super::job::Job;
use super::judge::Judge;
use super::question::Asked;
use super::queue::{Group, Queue, Refused};
use super::release::release;
use super::results::{self, Attempt};
use super::settle::Outcome;
use super::slots::Source;
use super::submit::{Passed, pass};
use crate::shutdown::Shutdown;
use postern_delivery::{Attempted, Fate};

/// The wait for a slot in memory, when there is room at a destination.
pub(crate) const NO_SLOT: Duration = Duration::from_millis(50);
/// When a message is taken up again that the store could not read.
const UNREADABLE: Duration = Duration::from_secs(60);

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
        let mut back = context.judge.sinks_back();
        let all_sinks = |tasks: &mut JoinSet<()>| {
            for sink in context.judge.sinks() {
                sink_is_back(&context, tasks, sink);
            }
        };
        all_sinks(&mut tasks);
        let begun = shutdown.begun();
        // What cannot be recorded must not be delivered: it would be delivered again. So what is on its way is cut off.
        let health = self.core.store.health().clone();
        let failed = health.failed();
        tokio::pin!(begun, failed);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Begin(begun)) => {
                        let taken = take_up(context.clone(), begun);
                        tasks.spawn(async move {
                            taken.await;
                        });
                    }
                    Some(Order::Serve(queue)) => {
                        for _ in 0..queue.claim() {
                            tasks.spawn(carrier::carry(context.clone(), Arc::clone(&queue)));
                        }
                    }
                    Some(Order::Refill(queue)) => {
                        tasks.spawn(refill(context.clone(), queue));
                    }
                    Some(Order::LookAgain(binding, since)) => {
                        if let Some(sink) = context.judge.sink_of(&binding)
                            && context.judge.is_reachable(&sink)
                            && self.core.returns.came_back(&sink, since)
                        {
                            tasks.spawn(release(context.clone(), sink));
                        }
                    }
                    None => break,
                },
                Some(end) = tasks.join_next(), if !tasks.is_empty() => note(end),
                heard = next_back(&mut back) => match heard {
                    Some(sink) => sink_is_back(&context, &mut tasks, sink),
                    None => all_sinks(&mut tasks),
                },
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

pub(crate) fn note(end: Result<(), JoinError>) {
    if let Err(error) = end
        && error.is_panic()
    {
        // Its message is still in the spool, and due: it is taken up again after a restart.
        tracing::error!(%error, "a delivery task panicked");
    }
}

/// The sink is back, if this thread can ask it.
fn sink_is_back(context: &Context, tasks: &mut JoinSet<()>, sink: Arc<str>) {
    let is_reachable = context.judge.is_reachable(&sink);
    if is_reachable && context.core.returns.back(&sink, Instant::now()) {
        tasks.spawn(release(context.clone(), sink));
    }
}

/// The next sink that is back; `None`: more came back than could be told. Never, where nobody tells.
async fn next_back(back: &mut Option<broadcast::Receiver<Arc<str>>>) -> Option<Arc<str>> {
    if let Some(told) = back {
        match told.recv().await {
            Ok(sink) => return Some(sink),
            Err(RecvError::Lagged(_)) => return None,
            Err(RecvError::Closed) => *back = None,
        }
    }
    std::future::pending().await
}

/// Takes a message through its stages and gives its recipients to the queues of their destinations. Returns whether it
/// waits for a sink instead.
pub(crate) async fn take_up(context: Context, begun: Begun) -> bool {
    let Context {
        core, place, judge, ..
    } = &context;
    let begun = match pass(core, *place, judge.as_ref(), begun).await {
        Passed::On(begun) => begun,
        Passed::Settled => return false,
        Passed::Waits => return true,
    };
    let now = core.now();
    let (waited, early) = (begun.waited, begun.early);
    let message = Arc::clone(&begun.stored.message);
    let pending = message.recipients.iter().enumerate().filter(|(_, recipient)| {
        matches!(&recipient.state, RecipientState::Pending { due, .. } if early || due.is_none_or(|due| due <= now))
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
        let group = Group {
            job: Arc::clone(&job),
            recipients,
        };
        match queue.push(group, waited) {
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
    false
}

/// A queue did not take the group.
async fn settle_refused(context: &Context, destination: String, refused: Refused) {
    let attempt = Attempt::without_host(destination);
    let (group, why) = match refused {
        Refused::Full(queue, group) => return park(context, &queue, vec![group]).await,
        Refused::Down(group, why) => (group, why),
    };
    let outcome = Outcome::Tried(why);
    let outcomes = group
        .recipients
        .iter()
        .map(|&index| (index, outcome.clone()))
        .collect();
    results::record(context, &group.job, outcomes, false, &attempt).await;
}

/// Has messages wait for room at a destination: they leave memory, and nothing of it is recorded.
pub(crate) async fn park(context: &Context, queue: &Arc<Queue>, groups: Vec<Group>) {
    let core = &context.core;
    for Group { job, .. } in groups {
        let server = job.message.server.as_str();
        let asked = context.judge.listens(server, EventKind::TransportSubmit);
        job.park(core, context.place, queue, asked).await;
    }
    core.refill(queue);
}

/// Takes up messages that wait for room at a destination, as long as there is some.
async fn refill(context: Context, queue: Arc<Queue>) {
    let core = &context.core;
    while let Some(parked) = queue.refill() {
        if context.shutdown.has_begun() {
            return queue.end_refill();
        }
        let Some((lease, octets)) = parked.take() else {
            continue;
        };
        let slot = loop {
            match core.slots.try_take(lease, Source::Spool, octets) {
                Some(slot) => break slot,
                None => sleep(NO_SLOT).await,
            }
        };
        match core.store.load(lease.message).await {
            Ok(Some(stored)) => {
                let begun = Begun {
                    stored,
                    unrecorded: false,
                    slot: Box::new(slot),
                    waited: true,
                    asked: Asked::Perhaps,
                    early: false,
                    turn: None,
                };
                take_up(context.clone(), begun).await;
            }
            Ok(None) | Err(SpoolError::Damaged { .. }) => {}
            Err(error) => {
                tracing::error!(id = %lease.message, %error, "cannot be read");
                if let Some(later) = core.now().checked_add(UNREADABLE) {
                    slot.put_off(later);
                }
            }
        }
    }
}
