//! What all parts of the transport core share, on all runtime threads.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use postern_spool::{Claimed, Due, Store, StoredMessage};
use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::clock::Clock;
use super::question::Asked;
use super::queue::Queue;
use super::returns::Returns;
use super::routes::Routes;
use super::schedule::Schedule;
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
    /// Connections to one destination at the same time; deliveries at the same time to Maildirs.
    pub connections_per_destination: usize,
    /// Time for all bindings of `transport.submit` together.
    pub submit_budget: Duration,
    /// What a refusal means for a message that was held because of a binding, by the binding's name. Where none is named:
    /// [`HeldRefusal::Quarantine`].
    pub held_refusals: HashMap<String, HeldRefusal>,
    /// Messages in memory at the same time.
    pub messages_in_memory: usize,
    /// An address as it may stand in the log.
    pub shown: Arc<dyn Fn(&str) -> String + Send + Sync>,
}

/// What a refusal means for a message that was accepted and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeldRefusal {
    /// Kept until a person acts.
    #[default]
    Quarantine,
    /// Dropped, on record.
    Discard,
}

/// A sink that came back within this time may have come back between its failure and the record of what waits for it.
const LATELY: Duration = Duration::from_secs(10);
/// How long a connection waits for another message, and messages sent over it before it is closed.
pub(crate) const IDLE: Duration = Duration::from_secs(5);
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
    /// Sinks that came back.
    pub(crate) returns: Returns,
    /// Messages that nobody has been asked about.
    pub(crate) unasked: Unasked,
    workers: Vec<mpsc::Sender<Order>>,
    queues: Mutex<HashMap<Destination, Arc<Queue>>>,
}

/// What a worker is to do.
pub(crate) enum Order {
    /// Take up a message.
    Begin(Begun),
    /// Make connections for a queue.
    Serve(Arc<Queue>),
    /// Take messages from the backlog of a queue.
    Refill(Arc<Queue>),
    /// A message waits for this binding's sink: if that has come back since then, ask again.
    LookAgain(String, Instant),
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
        workers: Vec<mpsc::Sender<Order>>,
    ) -> Self {
        let slots = Arc::new(Slots::new(settings.messages_in_memory, Arc::clone(&store)));
        Self {
            settings,
            store,
            connector,
            tls,
            clock,
            slots,
            returns: Returns::default(),
            unasked: Unasked::default(),
            workers,
            queues: Mutex::default(),
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
        let place = worker % self.workers.len().max(1);
        self.workers
            .get(place)
            .is_some_and(|worker| worker.try_send(order).is_ok())
    }

    /// The queue of a destination.
    pub(crate) fn queue(&self, destination: &Destination) -> Arc<Queue> {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get(destination) {
            return Arc::clone(queue);
        }
        let mut hasher = DefaultHasher::new();
        destination.hash(&mut hasher);
        let owner = (hasher.finish() % self.workers.len().max(1) as u64) as usize;
        let queue = Arc::new(Queue::new(
            destination.clone(),
            owner,
            self.settings.connections_per_destination.max(1),
            (self.settings.messages_in_memory / 8).max(1),
        ));
        queues.insert(destination.clone(), Arc::clone(&queue));
        queue
    }

    /// Has the owner of a queue take up messages that wait for room there, if there is some.
    pub(crate) fn refill(&self, queue: &Arc<Queue>) {
        if queue.begin_refill() && !self.order(queue.owner(), Order::Refill(Arc::clone(queue))) {
            queue.end_refill();
        }
    }

    /// Has the owner of a queue make connections for it, if it needs any.
    pub(crate) fn serve(&self, queue: &Arc<Queue>) {
        if queue.ask_for_service() && !self.order(queue.owner(), Order::Serve(Arc::clone(queue))) {
            queue.service_refused();
        }
    }
}

/// Room for the orders of a worker: one for each message in memory, and two for each destination.
pub(crate) fn orders(settings: &Settings) -> usize {
    settings.messages_in_memory + 2048
}
