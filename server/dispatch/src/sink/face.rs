//! What a sink's task is started with, and what others may see of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use parking_lot::RwLock;
use postern_attach::FleetStatus;
use postern_events::fault::{Fault, FaultKind};
use postern_events::plan::Sink;
use tokio::sync::broadcast;

use crate::observer::Observer;
use crate::settings::{Settings, SharedPlan};

/// What a sink's task is started with.
pub(crate) struct Start {
    pub(crate) sink: Arc<Sink>,
    /// The plan in force, for what the bindings that use it were granted.
    pub(crate) plan: SharedPlan,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) settings: Arc<Settings>,
    /// Hears the sink's name when it can be reached again.
    pub(crate) back: broadcast::Sender<Arc<str>>,
}

/// What others may see of a sink's task.
pub(crate) struct Face {
    /// How the sink's replicas were when that last changed, and when that was.
    pub(super) status: RwLock<(Instant, FleetStatus)>,
    /// Instances, open and being opened, and events that wait.
    pub(super) busy: AtomicUsize,
    /// Open questions.
    pub(super) questions: AtomicUsize,
    /// Some replica says that asking has side effects.
    pub(super) cautious: AtomicBool,
}

impl Face {
    pub(crate) fn new(at: Instant, status: FleetStatus) -> Self {
        Self {
            status: RwLock::new((at, status)),
            busy: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            cautious: AtomicBool::new(false),
        }
    }
}

/// Nothing is asked any more.
pub(super) fn shutting_down() -> Fault {
    Fault::new(FaultKind::Unreachable, "the gateway is shutting down")
}
