//! What all scopes of a dispatcher use: the plan in force, the way to each sink, and what bindings are told of themselves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_attach::{FleetStatus, WireBinding};
use postern_events::plan::{Binding, Plan, Sink};
use tokio::sync::broadcast;

use crate::observer::Observer;
use crate::settings::{Settings, SharedPlan};
use crate::sink::{Command, SinkHandle, Start};

/// Names of sinks that came back and were not heard of yet, at most.
const BACK: usize = 64;

/// The state of one sink, as this thread sees it.
#[derive(Clone, Debug)]
pub struct SinkState {
    /// Its name in the configuration.
    pub sink: Arc<str>,
    /// When the status was taken: since then no replica has come up or gone out.
    pub at: Instant,
    /// Its replicas, and whether any can be used.
    pub status: FleetStatus,
    /// Questions that are open.
    pub open_questions: usize,
    /// Instances, open and being opened.
    pub instances: usize,
}

/// What all scopes of a dispatcher use.
pub(crate) struct Shared {
    pub(crate) plan: SharedPlan,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) settings: Arc<Settings>,
    /// Hears the names of sinks that came back.
    pub(crate) back: broadcast::Sender<Arc<str>>,
    pub(crate) sinks: Mutex<Vec<Arc<SinkHandle>>>,
    wires: Mutex<HashMap<u64, Arc<WireBinding>>>,
    /// The dispatcher is going down, or has: nothing is asked any more.
    pub(crate) drained: AtomicBool,
}

impl Shared {
    pub(crate) fn new(plan: SharedPlan, observer: Arc<dyn Observer>, settings: Settings) -> Self {
        let (back, _) = broadcast::channel(BACK);
        Self {
            plan,
            observer,
            settings: Arc::new(settings),
            back,
            sinks: Mutex::new(Vec::new()),
            wires: Mutex::new(HashMap::new()),
            drained: AtomicBool::new(false),
        }
    }

    /// The state of every sink that is in use.
    pub(crate) fn states(&self) -> Vec<SinkState> {
        let state = |handle: &Arc<SinkHandle>| {
            let (at, status) = handle.status();
            SinkState {
                sink: Arc::clone(handle.name()),
                at,
                status,
                open_questions: handle.open_questions(),
                instances: handle.instances(),
            }
        };
        self.sinks.lock().iter().map(state).collect()
    }

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

    /// Ends sinks and forgets bindings that this plan does not have.
    pub(crate) fn keep_only(&self, plan: &Plan) {
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
