//! The dispatcher: what the gateway calls, one for each runtime thread.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

pub use postern_attach::{FleetStatus, Reach, ReplicaHealth, ReplicaStatus};
use postern_events::budget::Budget;
use postern_events::context::{
    DeliveryContext, DestinationContext, MessageContext, Remote, ServiceContext, SessionContext,
};
use postern_events::question::{Event, Question};
use postern_events::ruling::Ruling;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::content::Content;
use crate::destination;
use crate::inbound::InboundScope;
use crate::news::NewsDesk;
use crate::observer::Observer;
use crate::outgoing::OutgoingScope;
use crate::settings::Settings;
pub use crate::settings::SharedPlan;
use crate::shared::Shared;
pub use crate::shared::SinkState;
use crate::sink::Command;
use crate::transport::TransportScope;

/// How often sinks that no plan needs are looked for.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// How often a draining dispatcher looks whether everything is answered.
const DRAIN_INTERVAL: Duration = Duration::from_millis(5);

/// Asks the sinks of one runtime thread. Cheap to clone; all clones are one dispatcher.
///
/// It lives inside a `current_thread` runtime and owns that thread's connections to sinks.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
    /// Those that are told of deliveries: instances of no single message.
    news: Arc<NewsDesk>,
    _keeper: Arc<JoinSet<()>>,
}

/// Reads the states of a dispatcher's sinks from any thread, for as long as the dispatcher is there. Cheap to clone.
#[derive(Clone)]
pub struct SinkStates(Weak<Shared>);

impl SinkStates {
    /// The state of every sink that is in use; none once the dispatcher is gone.
    #[must_use]
    pub fn now(&self) -> Vec<SinkState> {
        self.0
            .upgrade()
            .map_or_else(Vec::new, |shared| shared.states())
    }
}

impl fmt::Debug for SinkStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkStates").finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Makes a dispatcher for the current runtime. It connects to nobody yet.
    #[must_use]
    pub fn new(plan: SharedPlan, observer: Arc<dyn Observer>, settings: Settings) -> Self {
        let shared = Arc::new(Shared::new(plan, observer, settings));
        let news = Arc::new(NewsDesk::default());
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(Arc::downgrade(&shared), Arc::downgrade(&news)));
        Self {
            shared,
            news,
            _keeper: Arc::new(keeper),
        }
    }

    /// Connects to every sink of the plan in the background, so that those which cannot be reached are reported before
    /// the first session comes.
    pub fn warm_up(&self) {
        for sink in self.shared.plan.load().sinks() {
            self.shared.sink(sink);
        }
    }

    /// Hears the names of sinks that can be reached again after they could not, or have a connection again after they
    /// had none: what was held for one can go on. A receiver that lagged behind takes it that all have come back.
    #[must_use]
    pub fn sinks_back(&self) -> broadcast::Receiver<Arc<str>> {
        self.shared.back.subscribe()
    }

    /// The state of every sink that is in use.
    #[must_use]
    pub fn sinks(&self) -> Vec<SinkState> {
        self.shared.states()
    }

    /// Reads the same states from other threads.
    #[must_use]
    pub fn states(&self) -> SinkStates {
        SinkStates(Arc::downgrade(&self.shared))
    }

    /// Whether a sink can be asked from this thread now.
    #[must_use]
    pub fn is_reachable(&self, sink: &str) -> bool {
        let sinks = self.shared.sinks.lock();
        let mut own = sinks.iter().filter(|handle| **handle.name() == *sink);
        own.any(|handle| handle.reach() == Reach::Reachable)
    }

    /// The sink of a binding of the plan in force.
    #[must_use]
    pub fn sink_of(&self, binding: &str) -> Option<Arc<str>> {
        let plan = self.shared.plan.load();
        let found = plan.bindings().iter().find(|own| *own.name == *binding);
        found.map(|own| Arc::clone(&own.sink.name))
    }

    /// Begins a session: pins the plan. Asks nobody.
    #[must_use]
    pub fn begin_session(&self, session: SessionContext) -> InboundScope {
        InboundScope::begin(&self.shared, session)
    }

    /// Begins with a message that is in the spool: pins the plan. The server is the message's.
    #[must_use]
    pub fn begin_message(
        &self,
        message: MessageContext,
        content: Arc<dyn Content>,
    ) -> TransportScope {
        TransportScope::begin(&self.shared, &self.news, message, content)
    }

    /// Asks about an event of a destination of a virtual server (`transport.route`, `transport.resolve`).
    pub fn ask_destination<E: Event<Context = DestinationContext>>(
        &self,
        destination: DestinationContext,
        event: E,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<E> {
        destination::ask(&self.shared, destination, event, budget)
    }

    /// Tells of an event of deliveries that belongs to no message (`delivery.link`). Never waits.
    pub fn tell_delivery<E: Event<Context = DeliveryContext>>(&self, server: &str, event: E) {
        let plan = self.shared.plan.load_full();
        let question = Question::new(event);
        self.news
            .tell(&self.shared, &plan, &server.into(), &question);
    }

    /// Tells of the gateway itself, each binding once. `servers` are all virtual servers; `event` makes the event for a
    /// binding that is for some of them. Never waits.
    pub fn tell_service<E: Event<Context = ServiceContext>>(
        &self,
        servers: &[String],
        event: impl Fn(&[String]) -> E,
    ) {
        self.news.tell_service(&self.shared, servers, event);
    }

    /// The id of the gateway, as instances are told it.
    #[must_use]
    pub fn gateway_id(&self) -> [u8; 16] {
        self.shared.settings.link.gateway_id
    }

    /// Begins a session with a remote for messages of this virtual server: pins the plan. Asks nobody.
    #[must_use]
    pub fn begin_outgoing(&self, server: Arc<str>, remote: Remote) -> OutgoingScope {
        OutgoingScope::begin(&self.shared, server, remote)
    }

    /// Tells sinks that no new instances will come, waits for open questions until `deadline`, then ends all streams. What
    /// was told before is sent first. What is asked after that fails.
    pub async fn drain(&self, deadline: Instant) {
        self.shared.drained.store(true, Ordering::Relaxed);
        let sinks = self.shared.sinks.lock().clone();
        let within = deadline.saturating_duration_since(Instant::now());
        for sink in &sinks {
            // One that cannot take the command ends with its task, below.
            let _stuck = sink.send(Command::Drain { within }).is_err();
        }
        loop {
            // Everybody else on the thread has a turn: what the last sessions told goes to the network.
            tokio::time::sleep(DRAIN_INTERVAL).await;
            let is_busy = sinks.iter().any(|sink| sink.open_questions() > 0);
            if !is_busy || Instant::now() >= deadline {
                break;
            }
        }
        for sink in &sinks {
            let within = Duration::ZERO;
            let _ended = sink.send(Command::Drain { within }).is_err();
        }
    }
}

/// Ends what no plan needs.
async fn keep(shared: Weak<Shared>, news: Weak<NewsDesk>) {
    loop {
        tokio::time::sleep(TIDY_INTERVAL).await;
        let (Some(shared), Some(news)) = (shared.upgrade(), news.upgrade()) else {
            return;
        };
        let plan = shared.plan.load_full();
        news.keep_only(&plan);
        shared.keep_only(&plan);
    }
}
