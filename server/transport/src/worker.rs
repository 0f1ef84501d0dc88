//! The transport core on one runtime thread: takes messages up, and does what its scheduler says for the destinations that it
//! owns.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use postern_delivery::{Attempted, Destination, Fate};
use postern_events::event::EventKind;
use postern_message::{MessageId, RecipientState};
use postern_spool::SpoolError;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::carrier;
use super::core::{Begun, Core, Order};
use super::job::{Group, Job};
use super::judge::Judge;
use super::links::Links;
use super::parked::{Parked, Waiting};
use super::question::Asked;
use super::release::release;
use super::results::{self, Attempt};
use super::routing::{self, Sorted};
use super::scheduler::{Action, ConnectionId, DestinationId, Limits, Load, Scheduler};
use super::seat::{Given, Seat, Told, What};
use super::settle::Outcome;
use super::slots::Source;
use super::stages::{self, Passed, pass};
use crate::shutdown::Shutdown;

/// The wait for a slot in memory, when there is room at a destination.
pub(crate) const NO_SLOT: Duration = Duration::from_millis(50);
/// When a message is taken up again that the store could not read, or for whose name there was no room.
const LATER: Duration = Duration::from_secs(60);
/// Connections that a destination begins with. So many messages may be delivered twice when the process is killed.
const FEW: usize = 2;
/// The same for Maildirs and mailbox stores, where nothing is delivered twice.
const FEW_WRITERS: usize = 8;
/// Names of messages that may wait for room at one destination.
const NAMES: usize = 200_000;
/// What connections have to tell.
const TOLD: usize = 1024;

/// The part of the transport core that runs on one runtime thread.
pub struct Worker {
    pub(crate) core: Arc<Core>,
    pub(crate) place: usize,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) parked: mpsc::Receiver<Waiting>,
}

/// What the tasks of a worker need.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) core: Arc<Core>,
    pub(crate) place: usize,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) shutdown: Shutdown,
}

impl Context {
    /// Sinks are asked about the message on its way.
    fn asks_about(&self, job: &Job) -> bool {
        stages::are_asked(&*self.judge, &job.message.server)
    }
}

/// What the scheduler of a worker schedules.
struct Mail;

impl Load for Mail {
    type Destination = Destination;
    type Item = Group;
    type Name = Arc<Parked>;
    type Reason = Attempted;
}

/// A worker at work: the one owner of its destinations.
struct Running {
    context: Context,
    scheduler: Scheduler<Mail>,
    /// What they return is a group that a connection did not touch.
    tasks: JoinSet<Option<Group>>,
    /// The tasks whose end matters.
    kinds: HashMap<Id, Kind>,
    /// What connections are given their groups by.
    connections: HashMap<ConnectionId, mpsc::Sender<Given>>,
    tell: mpsc::Sender<Told>,
    links: Links,
    random: RandomState,
    drawn: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Connection(ConnectionId),
    Fetch(DestinationId),
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
        let mut back = context.judge.sinks_back();
        let (tell, mut told) = mpsc::channel(TOLD);
        let mut running = Running::new(context, tell);
        running.all_sinks_are_back();
        let begun = shutdown.begun();
        // What cannot be recorded must not be delivered: it would be delivered again. So what is on its way is cut off.
        let health = self.core.store.health().clone();
        let failed = health.failed();
        tokio::pin!(begun, failed);
        loop {
            running.act();
            self.core.count(self.place, running.scheduler.counts());
            let timer = running.scheduler.next_timeout();
            // In this order: what a connection told comes before its end, which would make it a stranger.
            tokio::select! {
                biased;
                _why = &mut failed => return,
                () = &mut begun => break,
                () = sleep_until(timer.unwrap_or_else(std::time::Instant::now).into()), if timer.is_some() => {
                    running.scheduler.timeout(now());
                }
                Some(told) = told.recv() => running.told(told),
                Some(end) = running.tasks.join_next_with_id(), if !running.tasks.is_empty() => {
                    while let Ok(told) = told.try_recv() {
                        running.told(told);
                    }
                    running.ended(end);
                }
                Some(waiting) = self.parked.recv() => running.parked(waiting),
                heard = next_back(&mut back) => match heard {
                    Some(sink) => running.sink_is_back(sink),
                    None => running.all_sinks_are_back(),
                },
                order = self.orders.recv() => match order {
                    Some(order) => running.ordered(order),
                    None => break,
                },
            }
        }
        self.orders.close();
        drop(told);
        let mut tasks = running.into_tasks();
        let finish = async {
            while let Some(end) = tasks.join_next().await {
                if let Err(error) = end {
                    note(&error);
                }
            }
        };
        tokio::select! {
            () = finish => {}
            () = shutdown.over() => {}
            _why = failed => {}
        }
    }
}

impl Running {
    fn new(context: Context, tell: mpsc::Sender<Told>) -> Self {
        let settings = &context.core.settings;
        let limits = Limits {
            connections: settings.connections_per_destination.max(1),
            messages: (settings.messages_in_memory / 8).max(1),
            idle_messages: settings.messages_in_memory / 4 / context.core.workers(),
            names: NAMES,
        };
        Self {
            context,
            scheduler: Scheduler::new(limits),
            tasks: JoinSet::new(),
            kinds: HashMap::new(),
            connections: HashMap::new(),
            tell,
            links: Links::default(),
            random: RandomState::new(),
            drawn: 0,
        }
    }

    /// Its tasks. Connections end after what they have; what waits stays in the spool.
    fn into_tasks(self) -> JoinSet<Option<Group>> {
        self.tasks
    }

    fn ordered(&mut self, order: Order) {
        match order {
            Order::Begin(begun) => {
                let taken = take_up(self.context.clone(), begun);
                self.spawn(async move {
                    taken.await;
                });
            }
            Order::Deliver {
                destination,
                tag,
                group,
                waited,
            } => {
                let few = few(&destination);
                self.scheduler
                    .push(&destination, few, tag, group, waited, now());
            }
            Order::LookAgain(binding, since) => {
                let Context { core, judge, .. } = &self.context;
                if let Some(sink) = judge.sink_of(&binding)
                    && judge.is_reachable(&sink)
                    && core.returns.came_back(&sink, since)
                {
                    self.spawn(release(self.context.clone(), sink));
                }
            }
            Order::Withdraw(ids) => self.withdraw(&ids),
            Order::Wake(destination) => self.scheduler.wake(&destination, now()),
        }
    }

    /// Gives up what waits of these messages. What a connection has it keeps, and what a sink is asked about.
    fn withdraw(&mut self, ids: &HashSet<MessageId>) {
        let (groups, names) = self.scheduler.withdraw(
            |group: &Group| ids.contains(&group.job.message.id),
            |name: &Arc<Parked>| ids.contains(&name.id()),
            now(),
        );
        drop(names);
        for group in groups {
            let context = self.context.clone();
            self.spawn(async move {
                let asked = context.asks_about(&group.job);
                group.job.leave(&context.core, context.place, asked).await;
            });
        }
    }

    fn parked(&mut self, waiting: Waiting) {
        let Waiting {
            destination,
            tag,
            parked,
        } = waiting;
        let few = few(&destination);
        self.scheduler.park(&destination, few, tag, parked, now());
    }

    fn told(&mut self, told: Told) {
        let Told { connection, what } = told;
        match what {
            What::Opened => {
                self.reached(connection);
                self.scheduler.opened(connection, now());
            }
            What::Refused { why, lasting } => self.refused(connection, why, lasting),
            What::Handshake { succeeded } => {
                if let Some(manners) = self.scheduler.manners(connection) {
                    match succeeded {
                        true => manners.handshake_succeeded(),
                        false => manners.handshake_failed(now()),
                    }
                }
            }
            What::BdatRefused => {
                if let Some(manners) = self.scheduler.manners(connection) {
                    manners.bdat_refused(now());
                }
            }
            What::Finished { end, again, ready } => {
                let core = &self.context.core;
                let again = again.map(|group| (core.tag(&group.job.message), group));
                self.scheduler
                    .finished(connection, end, again, ready, now());
            }
        }
    }

    /// A connection was made.
    fn reached(&mut self, connection: ConnectionId) {
        let Some(destination) = self.scheduler.destination(connection) else {
            return;
        };
        let Context { core, judge, .. } = &self.context;
        core.routing.reached(destination);
        if self.links.is_empty() {
            return;
        }
        if let Some((servers, link)) = self.links.reached(destination) {
            for server in servers {
                judge.link(&server, link.clone());
            }
        }
    }

    /// Mail is put off because its destination is down: who listens hears of that once.
    fn tell_down(&mut self, destination: &Destination, groups: &[Group]) {
        let judge = &self.context.judge;
        for group in groups {
            let server = group.job.message.server.as_str();
            if judge.listens(server, EventKind::DeliveryLink)
                && let Some(link) = self.links.put_off(destination, server)
            {
                judge.link(server, link);
            }
        }
    }

    fn refused(&mut self, connection: ConnectionId, why: Attempted, lasting: bool) {
        if let Some(destination) = self.scheduler.destination(connection) {
            self.links.failed(destination, &why);
        }
        self.drawn = self.drawn.wrapping_add(1);
        let draw = (self.random.hash_one(self.drawn) >> 32) as u32;
        let later = match lasting {
            true => why.clone(),
            false => why.as_passing(),
        };
        self.scheduler.refused(connection, why, later, draw, now());
    }

    /// A task has come to its end.
    fn ended(&mut self, end: Result<(Id, Option<Group>), JoinError>) {
        let (id, left, failed) = match end {
            Ok((id, left)) => (id, left, false),
            Err(error) => {
                note(&error);
                (error.id(), None, true)
            }
        };
        match self.kinds.remove(&id) {
            Some(Kind::Fetch(destination)) => self.scheduler.fetched(destination, now()),
            Some(Kind::Connection(connection)) => {
                self.connections.remove(&connection);
                if failed {
                    // Another one at once may come to the same.
                    let text = "a delivery failed for a reason of this host".to_owned();
                    let at = self.context.core.now();
                    let why = Attempted::own(Fate::Deferred, 3, 0, text, at);
                    self.refused(connection, why, false);
                }
                let core = &self.context.core;
                let left = left.map(|group| (core.tag(&group.job.message), group));
                self.scheduler.closed(connection, left, now());
            }
            None => {}
        }
    }

    /// Does what the scheduler says.
    fn act(&mut self) {
        while let Some(action) = self.scheduler.poll() {
            let context = self.context.clone();
            match action {
                Action::Open {
                    destination,
                    connection,
                    manners,
                } => {
                    let (seat, give) = Seat::new(connection, manners, self.tell.clone());
                    self.connections.insert(connection, give);
                    let carried = carrier::carry(context, destination, seat);
                    let id = self.tasks.spawn(carried).id();
                    self.kinds.insert(id, Kind::Connection(connection));
                }
                Action::Deliver { connection, item } => self.give(connection, item),
                Action::Close { connection } => drop(self.connections.remove(&connection)),
                Action::PutOff {
                    destination,
                    items,
                    why,
                } => {
                    self.tell_down(&destination, &items);
                    self.spawn(put_off(context, destination, items, why));
                }
                Action::Park {
                    destination,
                    tag,
                    item,
                } => {
                    if let Some(place) = context.core.place(destination, tag) {
                        self.spawn(async move {
                            let asked = context.asks_about(&item.job);
                            let (core, worker) = (&context.core, context.place);
                            let recipients = &item.recipients;
                            item.job.park(core, worker, place, recipients, asked).await;
                        });
                    }
                }
                Action::Fetch { destination, name } => {
                    let fetched = fetch(context, name);
                    let id = self.spawn(fetched);
                    self.kinds.insert(id, Kind::Fetch(destination));
                }
                Action::Forget { name } => {
                    if let Some(later) = context.core.now().checked_add(LATER) {
                        name.put_off(later);
                    }
                }
            }
        }
    }

    fn give(&mut self, connection: ConnectionId, group: Group) {
        let manners = self.scheduler.manners(connection).map(|known| *known);
        let given = Given {
            group,
            manners: manners.unwrap_or_default(),
        };
        let refused = match self.connections.get(&connection) {
            Some(give) => give.try_send(given).map_err(|error| error.into_inner()),
            None => Err(given),
        };
        // It has just ended by itself, which is told next.
        if let Err(Given { group, .. }) = refused {
            let tag = self.context.core.tag(&group.job.message);
            self.scheduler.gave_in_vain(connection, tag, group, now());
        }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> Id {
        let ended = async move {
            task.await;
            None
        };
        self.tasks.spawn(ended).id()
    }

    /// The sink is back, if this thread can ask it.
    fn sink_is_back(&mut self, sink: Arc<str>) {
        let Context { core, judge, .. } = &self.context;
        if judge.is_reachable(&sink) && core.returns.back(&sink, std::time::Instant::now()) {
            self.spawn(release(self.context.clone(), sink));
        }
    }

    fn all_sinks_are_back(&mut self) {
        for sink in self.context.judge.sinks() {
            self.sink_is_back(sink);
        }
    }
}

/// The time, for what is pure.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Connections that a destination begins with.
const fn few(destination: &Destination) -> usize {
    match destination {
        Destination::Hop(_) => FEW,
        Destination::Maildir { .. } | Destination::Sink(_) => FEW_WRITERS,
    }
}

/// Logs it if a task panicked.
pub(crate) fn note(error: &JoinError) {
    if error.is_panic() {
        // Its message is still in the spool, and due: it is taken up again after a restart.
        tracing::error!(%error, "a delivery task panicked");
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

/// Takes a message through its stages and hands its recipients to the owners of their destinations. Returns whether it
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
    let Sorted {
        groups,
        lost,
        settled,
    } = routing::sort(&context, &message, pending).await;
    // The recipients without a route are a group of their own; it also stands for "nothing is due".
    let own = !lost.is_empty() || !settled.is_empty() || groups.is_empty();
    let job = Arc::new(Job::new(begun, groups.len() + usize::from(own), now));
    // A session belongs to one virtual server where somebody is asked about it; other connections are shared.
    let asked = judge.listens_outgoing(&message.server);
    for (destination, recipients) in groups {
        let group = Group {
            job: Arc::clone(&job),
            recipients,
        };
        let destination = match asked {
            true => destination.asked_for(&message.server),
            false => destination,
        };
        core.deliver(destination, group, waited).await;
    }
    if own {
        let at = core.now();
        let text = "no route is configured for this recipient";
        let unroutable = || Outcome::Tried(Attempted::own(Fate::Failed, 4, 4, text.to_owned(), at));
        let lost = lost.into_iter().map(|index| (index, unroutable()));
        let outcomes = lost.chain(settled).collect();
        let attempt = Attempt::without_host("none".to_owned());
        results::record(&context, &job, outcomes, false, &attempt).await;
    }
    false
}

/// A destination cannot be reached: what waits for it hears why, and when it is tried again.
async fn put_off(context: Context, destination: Destination, groups: Vec<Group>, why: Attempted) {
    context.core.routing.failed(&destination, &why);
    let attempt = Attempt::without_host(destination.to_string());
    let settled = groups.iter().map(|group| {
        let outcome = Outcome::Tried(why.clone());
        let outcomes = group
            .recipients
            .iter()
            .map(|&index| (index, outcome.clone()))
            .collect();
        results::record(&context, &group.job, outcomes, false, &attempt)
    });
    join_all(settled).await;
}

/// Takes up a message that waited for room at a destination, unless another one has.
async fn fetch(context: Context, parked: Arc<Parked>) {
    let core = &context.core;
    let Some((lease, octets)) = parked.take() else {
        return;
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
            if let Some(later) = core.now().checked_add(LATER) {
                slot.put_off(later);
            }
        }
    }
}
