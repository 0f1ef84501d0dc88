//! The replicas of one sink, behind one interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::fault::{Fault, FaultKind};
use crate::instance::Instance;
use crate::later::{Backlog, Later};
use crate::observer::Observer;
use crate::plan::{Binding, Endpoint, Sink};
use crate::replica::{Replica, Standing};
use crate::settings::Tuning;

/// All replicas of one sink, as one runtime thread uses them.
pub(crate) struct Pool {
    sink: Arc<Sink>,
    replicas: Vec<Arc<Replica>>,
    turn: AtomicU32,
    backlog: Arc<Backlog>,
}

/// A place for an instance, or what stands in the way.
pub(crate) enum Lease {
    /// A new instance.
    Instance(Arc<Instance>),
    /// A replica is being connected for the first time: wait for it and try again.
    Wait(Arc<Replica>),
}

impl Pool {
    /// A pool for a sink; `bindings` are those that it serves, for what it may ask for.
    pub(crate) fn new(
        sink: &Arc<Sink>,
        bindings: Vec<Arc<Binding>>,
        observer: &Arc<dyn Observer>,
        tuning: &Arc<Tuning>,
    ) -> Self {
        let bindings: Arc<[Arc<Binding>]> = Arc::from(bindings);
        let replica = |endpoint: &Endpoint| {
            let bindings = Arc::clone(&bindings);
            let replica = Replica::new(
                Arc::clone(sink),
                endpoint.clone(),
                bindings,
                Arc::clone(observer),
                Arc::clone(tuning),
            );
            Arc::new(replica)
        };
        Self {
            sink: Arc::clone(sink),
            replicas: sink.endpoints.iter().map(replica).collect(),
            turn: AtomicU32::new(0),
            backlog: Arc::new(Backlog::new(tuning.one_way_queue)),
        }
    }

    /// One-way events wait for the sink; new ones must not overtake them.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog.is_behind()
    }

    /// Sends a one-way event when the sink can take it.
    pub(crate) fn tell_later(&self, later: Later) {
        self.backlog.add(later);
    }

    /// Ends everything.
    pub(crate) fn shut_down(&self) {
        self.backlog.shut_down();
        for replica in &self.replicas {
            replica.shut_down();
        }
    }

    /// It leads to this sink, as it is configured now.
    pub(crate) fn serves(&self, sink: &Arc<Sink>) -> bool {
        Arc::ptr_eq(&self.sink, sink)
            || (self.sink.name == sink.name
                && self.sink.endpoints == sink.endpoints
                && self.sink.tls == sink.tls)
    }

    /// Instances are open, or events wait.
    pub(crate) fn is_used(&self) -> bool {
        self.is_behind() || self.replicas.iter().any(|replica| replica.instances() > 0)
    }

    /// Its replicas.
    pub(crate) fn replicas(&self) -> &[Arc<Replica>] {
        &self.replicas
    }

    /// A new instance on the less loaded of two replicas that can be used; not on `avoid`.
    pub(crate) fn lease(&self, avoid: Option<&Arc<Replica>>, bulky: bool) -> Result<Lease, Fault> {
        let now = Instant::now();
        let mut soon = None;
        let mut up: Vec<&Arc<Replica>> = Vec::with_capacity(self.replicas.len());
        for replica in &self.replicas {
            if avoid.is_some_and(|avoid| Arc::ptr_eq(avoid, replica)) {
                continue;
            }
            match replica.standing(now) {
                Standing::Up => up.push(replica),
                Standing::Soon => soon = Some(replica),
                Standing::Down => {}
            }
        }
        match (self.better_of_two(&up), soon) {
            (Some(replica), _) => replica.begin(bulky).map(Lease::Instance),
            (None, Some(replica)) => Ok(Lease::Wait(Arc::clone(replica))),
            (None, None) => Err(self.why_none(avoid.is_some())),
        }
    }

    /// Another replica than this one can be used now.
    pub(crate) fn has_other(&self, than: &Arc<Replica>) -> bool {
        let now = Instant::now();
        self.replicas
            .iter()
            .any(|replica| !Arc::ptr_eq(replica, than) && replica.standing(now) == Standing::Up)
    }

    fn better_of_two<'a>(&self, up: &[&'a Arc<Replica>]) -> Option<&'a Arc<Replica>> {
        // A multiplicative step through the list stands in for chance: two different ones each time.
        let turn = self
            .turn
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_mul(0x9E37_79B9)
            >> 8;
        let first = up.get(turn as usize % up.len().max(1))?;
        let step = 1 + (turn >> 12) as usize % up.len().saturating_sub(1).max(1);
        let second = up.get((turn as usize + step) % up.len())?;
        Some(if second.load() < first.load() {
            second
        } else {
            first
        })
    }

    fn why_none(&self, other_wanted: bool) -> Fault {
        match self.replicas.first() {
            Some(replica) if !other_wanted => {
                let why = replica.why_down();
                Fault::new(
                    FaultKind::Unreachable,
                    format!("{}: {}", replica.name(), why.detail),
                )
            }
            _ => Fault::new(FaultKind::Unreachable, "no other replica can be used"),
        }
    }
}
