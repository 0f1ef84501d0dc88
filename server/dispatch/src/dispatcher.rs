//! The dispatcher: what the gateway calls, one for each runtime thread.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_attach::{FleetStatus, WireBinding};
use postern_events::context::{MessageContext, SessionContext};
use postern_events::plan::{Binding, Sink};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::content::Content;
use crate::inbound::InboundScope;
use crate::news::NewsDesk;
use crate::observer::Observer;
use crate::settings::Settings;
pub use crate::settings::SharedPlan;
use crate::sink::{Command, SinkHandle, Start};
use crate::transport::TransportScope;

/// Names of sinks that came back and were not heard of yet, at most.
const BACK: usize = 64;

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
}

/// What all scopes of a dispatcher use.
pub(crate) struct Shared {
    pub(crate) plan: SharedPlan,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) settings: Arc<Settings>,
    back: broadcast::Sender<Arc<str>>,
    sinks: Mutex<Vec<Arc<SinkHandle>>>,
    /// Those that are told of deliveries: instances of no single message.
    pub(crate) news: NewsDesk,
    wires: Mutex<HashMap<u64, Arc<WireBinding>>>,
    /// The dispatcher is going down, or has: nothing is asked any more.
    drained: AtomicBool,
    keeper: Mutex<JoinSet<()>>,
}

/// The state of one sink, as this thread sees it.
#[derive(Clone, Debug)]
pub struct SinkState {
    /// Its name in the configuration.
    pub sink: Arc<str>,
    /// Its replicas, and whether any can be used.
    pub status: FleetStatus,
    /// Questions that are open.
    pub open_questions: usize,
}

impl Dispatcher {
    /// Makes a dispatcher for the current runtime. It connects to nobody yet.
    #[must_use]
    pub fn new(plan: SharedPlan, observer: Arc<dyn Observer>, settings: Settings) -> Self {
        let (back, _) = broadcast::channel(BACK);
        let shared = Arc::new(Shared {
            plan,
            observer,
            settings: Arc::new(settings),
            back,
            sinks: Mutex::new(Vec::new()),
            news: NewsDesk::default(),
            wires: Mutex::new(HashMap::new()),
            drained: AtomicBool::new(false),
            keeper: Mutex::new(JoinSet::new()),
        });
        shared.keeper.lock().spawn(keep(Arc::downgrade(&shared)));
        Self { shared }
    }

    /// Connects to every sink of the plan in the background, so that those which cannot be reached are reported before
    /// the first session comes.
    pub fn warm_up(&self) {
        for sink in self.shared.plan.load().sinks() {
            self.shared.sink(sink);
        }
    }

    /// Hears the names of sinks that can be reached again after they could not: what was held for one can go on. A
    /// receiver that lagged behind takes it that all have come back.
    #[must_use]
    pub fn sinks_back(&self) -> broadcast::Receiver<Arc<str>> {
        self.shared.back.subscribe()
    }

    /// The state of every sink that is in use.
    #[must_use]
    pub fn sinks(&self) -> Vec<SinkState> {
        let state = |handle: &Arc<SinkHandle>| SinkState {
            sink: Arc::clone(handle.name()),
            status: handle.status(),
            open_questions: handle.open_questions(),
        };
        self.shared.sinks.lock().iter().map(state).collect()
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
        TransportScope::begin(&self.shared, message, content)
    }

    /// Tells sinks that no new instances will come, waits for open questions until `deadline`, then ends all streams. What
    /// was told before is sent first. What is asked after that fails.
    pub async fn drain(&self, deadline: Instant) {
        self.shared.drained.store(true, Ordering::Relaxed);
        // Its scopes own this dispatcher, as it owns them.
        self.shared.news.end();
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

impl Shared {
    /// The way to a sink. One that stayed as it was keeps its connections when the plan changes.
    pub(crate) fn sink(&self, sink: &Arc<Sink>) -> Arc<SinkHandle> {
        let mut sinks = self.sinks.lock();
        if let Some(handle) = sinks.iter().find(|handle| handle.serves(sink)) {
            return Arc::clone(handle);
        }
        let handle = Arc::new(SinkHandle::start(Start {
            sink: Arc::clone(sink),
            plan: Arc::clone(&self.plan),
            observer: Arc::clone(&self.observer),
            settings: Arc::clone(&self.settings),
            back: self.back.clone(),
        }));
        if self.drained.load(Ordering::Relaxed) {
            let within = Duration::ZERO;
            let _ended = handle.send(Command::Drain { within }).is_err();
        }
        sinks.push(Arc::clone(&handle));
        handle
    }

    /// A binding as sinks are told of it, encoded once for all scopes.
    pub(crate) fn wire(&self, binding: &Binding) -> Arc<WireBinding> {
        let mut wires = self.wires.lock();
        let made = wires
            .entry(binding.revision)
            .or_insert_with(|| Arc::new(WireBinding::new(binding.revision, &binding.wire())));
        Arc::clone(made)
    }

    fn tidy(&self) {
        let plan = self.plan.load_full();
        self.news.keep_only(&plan);
        self.wires.lock().retain(|revision, _| {
            plan.bindings()
                .iter()
                .any(|binding| binding.revision == *revision)
        });
        self.sinks.lock().retain(|handle| {
            handle.is_used() || plan.sinks().iter().any(|sink| handle.serves(sink))
        });
    }
}

/// Ends what no plan needs.
async fn keep(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(TIDY_INTERVAL).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.tidy();
    }
}
