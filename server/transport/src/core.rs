//! What all parts of the transport core share, on all runtime threads.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use postern_message::{Message, MessageId, Recipient};
use postern_spool::{Claimed, Due, Store, StoredMessage};
use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::categorizer::Directory;
use super::clock::Clock;
use super::disposition::HeldRefusal;
use super::halts::Halts;
use super::job::Group;
use super::parked::{Place, Waiting};
use super::question::Asked;
use super::returns::Returns;
use super::routes::Routes;
use super::routing::Routing;
use super::schedule::Schedule;
use super::scheduler::{Counts, Tag};
use super::slots::{Slot, Slots, Source, octets};
use super::unasked::Unasked;
use postern_delivery::{Connector, Destination};

/// The settings of the transport core.
#[derive(Clone)]
pub struct Settings {
    /// The name given after EHLO, and in reports of virtual servers that are no more.
    pub hostname: String,
    /// The host name of each virtual server.
    pub hostnames: HashMap<String, String>,
    /// Where which recipient's mail goes.
    pub routes: Routes,
    /// Waits between attempts, and their end.
    pub schedule: Schedule,
    /// Time for a next hop's reply to a command.
    pub command_timeout: Duration,
    /// Time for a next hop's reply to the end of the content.
    pub data_timeout: Duration,
    /// What the service itself knows of addresses.
    pub directory: Arc<dyn Directory>,
    /// Contents that a way does not take are converted for it.
    pub convert: bool,
    /// Connections to one destination at the same time; deliveries at the same time to Maildirs.
    pub connections_per_destination: usize,
    /// Time for all bindings of one stage of transport together.
    pub submit_budget: Duration,
    /// What a refusal means for a message that was held because of a binding, by the binding's name. Where none is named:
    /// [`HeldRefusal::Quarantine`].
    pub held_refusals: HashMap<String, HeldRefusal>,
    /// Messages in memory at the same time.
    pub messages_in_memory: usize,
    /// An address as it may stand in the log.
    pub shown: Arc<dyn Fn(&str) -> String + Send + Sync>,
}

impl Settings {
    /// When a message to this recipient is tried again; `None`: as usual.
    pub(crate) fn schedule_of(
        &self,
        message: &Message,
        recipient: Option<&Recipient>,
    ) -> Cow<'_, Schedule> {
        let own = recipient.and_then(|recipient| self.routes.schedule(&recipient.address));
        let handling = &message.handling;
        own.unwrap_or(&self.schedule)
            .within(handling.lifetime, handling.warn_after)
    }
}

/// A sink that came back within this time may have come back between its failure and the record of what waits for it.
const LATELY: Duration = Duration::from_secs(10);
/// Messages sent over a connection before it is closed.
pub(crate) const MESSAGES_PER_CONNECTION: u32 = 1000;
/// Recipients in one transaction, if the peer does not say that it takes fewer (RFC 5321 4.5.3.1.8).
pub(crate) const RECIPIENTS: usize = 100;

/// The shared parts.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) slots: Arc<Slots>,
    /// Destinations that sinks have halted.
    pub(crate) halts: Halts,
    /// Sinks that came back.
    pub(crate) returns: Returns,
    /// Messages that nobody has been asked about.
    pub(crate) unasked: Unasked,
    /// Routes and addresses that sinks give.
    pub(crate) routing: Routing,
    workers: Vec<Owner>,
    /// Tells senders apart, in a way that no stranger can foresee.
    senders: RandomState,
}

/// How a worker is reached.
pub(crate) struct Owner {
    pub(crate) orders: mpsc::Sender<Order>,
    /// Names of messages that wait for room at its destinations.
    pub(crate) parking: mpsc::Sender<Waiting>,
    /// What it has to do with, for who counts it.
    pub(crate) counts: Counted,
}

/// What a worker has to do with, as it says itself.
#[derive(Default)]
pub(crate) struct Counted {
    parked: AtomicUsize,
    connections: AtomicUsize,
}

impl Counted {
    pub(crate) fn set(&self, counts: Counts) {
        self.parked.store(counts.parked, Ordering::Relaxed);
        self.connections
            .store(counts.connections, Ordering::Relaxed);
    }
}

/// What the transport core has to do with, on all runtime threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages in memory.
    pub in_memory: usize,
    /// Messages that wait for room at a destination, outside memory. One that waits at two counts twice.
    pub waiting: usize,
    /// Connections to next hops, and deliveries to Maildirs that may run side by side.
    pub connections: usize,
}

/// What a worker is to do.
pub(crate) enum Order {
    /// Take up a message.
    Begin(Begun),
    /// Deliver this. `waited`: it has waited for room at the destination.
    Deliver {
        destination: Destination,
        tag: Tag,
        group: Group,
        waited: bool,
    },
    /// A message waits for this binding's sink: if that has come back since then, ask again.
    LookAgain(String, Instant),
    /// These are not to wait any more, since an operator acts on them: their claims are given back.
    Withdraw(Arc<HashSet<MessageId>>),
    /// A destination that is left alone is tried again at once.
    Wake(Destination),
}

/// A message that was taken up.
pub(crate) struct Begun {
    pub(crate) stored: StoredMessage,
    /// The stage in the spool is an earlier one than that in `stored`.
    pub(crate) unrecorded: bool,
    pub(crate) slot: Box<Slot>,
    /// It has waited for room at a destination.
    pub(crate) waited: bool,
    /// Whether it was asked about before.
    pub(crate) asked: Asked,
    /// What it waited for has come: it is taken up before its time.
    pub(crate) early: bool,
    /// Others are asked about behind it: given back once it has been asked about.
    pub(crate) turn: Option<OwnedSemaphorePermit>,
}

impl Core {
    pub(crate) fn new(
        settings: Settings,
        store: Arc<dyn Store>,
        connector: Arc<dyn Connector>,
        tls: Arc<ClientConfig>,
        clock: Arc<dyn Clock>,
        workers: Vec<Owner>,
    ) -> Self {
        let slots = Arc::new(Slots::new(settings.messages_in_memory, Arc::clone(&store)));
        Self {
            settings,
            store,
            connector,
            tls,
            clock,
            slots,
            halts: Halts::default(),
            returns: Returns::default(),
            unasked: Unasked::default(),
            routing: Routing::default(),
            workers,
            senders: RandomState::new(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The host name of a virtual server.
    pub(crate) fn hostname(&self, server: &str) -> &str {
        self.settings
            .hostnames
            .get(server)
            .unwrap_or(&self.settings.hostname)
    }

    /// Takes a message up on a worker that was just committed, if it is due and there is room in memory. Otherwise it is
    /// found again by its due time.
    pub(crate) fn begin(&self, worker: usize, stored: StoredMessage) -> bool {
        let due = match stored.due {
            Due::At(due) if due <= self.now() => due,
            // It may be due before the scanner would look again by itself.
            Due::At(_) => {
                if let Some(binding) = stored.stage.waits_for() {
                    let lately = Instant::now().checked_sub(LATELY);
                    self.look_again(worker, binding, lately.unwrap_or_else(Instant::now));
                }
                self.slots.scan.notify_one();
                return false;
            }
            Due::Never => return false,
        };
        let id = stored.message.id;
        let Some(lease) = self.store.adopt(id, due) else {
            return false;
        };
        let begun = match self.slots.take(lease, Source::Fresh, octets(&stored)) {
            Some(slot) => self.begin_in(slot, worker, stored, Asked::Never),
            None => false,
        };
        if !begun {
            self.unasked.insert(id);
        }
        begun
    }

    /// A message waits for the sink of a binding, which failed after `since`. Has it asked again if the sink has come back
    /// meanwhile; otherwise it is when the sink comes back.
    pub(crate) fn look_again(&self, worker: usize, binding: &str, since: Instant) {
        // Without room for the order it is asked again by the retry schedule.
        let _ordered = self.order(worker, Order::LookAgain(binding.to_owned(), since));
    }

    /// A slot for a message that was claimed.
    pub(crate) fn slot_for(&self, claimed: &Claimed) -> Option<Slot> {
        self.slots
            .take(claimed.lease, Source::Spool, claimed.weight)
    }

    /// Takes a message up that has its slot already.
    pub(crate) fn begin_in(
        &self,
        slot: Slot,
        worker: usize,
        stored: StoredMessage,
        asked: Asked,
    ) -> bool {
        let begun = Begun {
            stored,
            unrecorded: false,
            slot: Box::new(slot),
            waited: false,
            asked,
            early: false,
            turn: None,
        };
        self.order(worker, Order::Begin(begun))
    }

    fn order(&self, worker: usize, order: Order) -> bool {
        let place = worker % self.workers();
        self.workers
            .get(place)
            .is_some_and(|worker| worker.orders.try_send(order).is_ok())
    }

    /// Has all workers give up what waits of these messages.
    pub(crate) fn withdraw(&self, ids: HashSet<MessageId>) {
        let ids = Arc::new(ids);
        for worker in 0..self.workers() {
            // Without room for the order the message is left alone, and whoever waits for it hears that it is busy.
            let _ordered = self.order(worker, Order::Withdraw(Arc::clone(&ids)));
        }
    }

    /// Has a destination tried again that is left alone.
    pub(crate) fn wake(&self, destination: &Destination) {
        if let Some(owner) = self.owner(destination)
            && owner
                .orders
                .try_send(Order::Wake(destination.clone()))
                .is_err()
        {
            tracing::debug!(%destination, "a destination stays left alone for a while");
        }
    }

    pub(crate) fn depth(&self) -> Depth {
        let sum = |own: fn(&Counted) -> &AtomicUsize| {
            let counts = self.workers.iter().map(|worker| &worker.counts);
            counts
                .map(|counts| own(counts).load(Ordering::Relaxed))
                .sum()
        };
        Depth {
            in_memory: self.slots.count(),
            waiting: sum(|counts| &counts.parked),
            connections: sum(|counts| &counts.connections),
        }
    }

    /// Takes down what a worker has to do with.
    pub(crate) fn count(&self, worker: usize, counts: Counts) {
        if let Some(own) = self.workers.get(worker) {
            own.counts.set(counts);
        }
    }

    /// How many workers there are; at least one.
    pub(crate) fn workers(&self) -> usize {
        self.workers.len().max(1)
    }

    /// What decides on the place of a message among others.
    pub(crate) fn tag(&self, message: &Message) -> Tag {
        Tag {
            sender: self
                .senders
                .hash_one((&message.server, &message.envelope.sender)),
            priority: message.envelope.priority,
            since: message.received_at,
        }
    }

    /// Hands recipients of a message to the worker that owns their destination. If it has come to its end they stay in the spool.
    pub(crate) async fn deliver(&self, destination: Destination, group: Group, waited: bool) {
        let Some(owner) = self.owner(&destination) else {
            return;
        };
        let order = Order::Deliver {
            tag: self.tag(&group.job.message),
            destination,
            group,
            waited,
        };
        if owner.orders.send(order).await.is_err() {
            tracing::debug!("stopping, a message stays in the spool");
        }
    }

    /// Where a message can wait for room at a destination.
    pub(crate) fn place(&self, destination: Destination, tag: Tag) -> Option<Place> {
        let owner = self.owner(&destination)?.parking.clone();
        Some(Place {
            owner,
            destination,
            tag,
        })
    }

    /// The worker that a destination belongs to.
    fn owner(&self, destination: &Destination) -> Option<&Owner> {
        let mut hasher = DefaultHasher::new();
        destination.hash(&mut hasher);
        let place = hasher.finish() % self.workers() as u64;
        self.workers.get(usize::try_from(place).unwrap_or(0))
    }
}

/// Names on their way to a worker.
pub(crate) const PARKING: usize = 4096;

/// Room for the orders of a worker: one for each message in memory, and some for their destinations.
pub(crate) fn orders(settings: &Settings) -> usize {
    settings.messages_in_memory + 2048
}
