//! The dispatcher: what the gateway calls, one for each runtime thread.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use postern_message::Message;
use tokio::task::JoinSet;

use crate::content::Content;
use crate::inbound::InboundScope;
use crate::observer::Observer;
use crate::plan::{Binding, Plan, Sink};
use crate::pool::Pool;
use crate::seat::Seat;
use crate::session::SessionContext;
use crate::settings::Tuning;
use crate::transport::TransportScope;

/// The plan that new sessions and messages begin with; swapped whole when bindings change.
pub type SharedPlan = Arc<ArcSwap<Plan>>;

/// Asks the sinks of one runtime thread. Cheap to clone; all clones are one dispatcher.
///
/// It lives inside a current_thread runtime and owns that thread's connections to sinks.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

/// What all scopes of a dispatcher use.
pub(crate) struct Shared {
    pub(crate) plan: SharedPlan,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) tuning: Arc<Tuning>,
    pools: Mutex<Vec<Arc<Pool>>>,
    /// Places of bindings that are told of deliveries: instances of the service, not of one message.
    service: Mutex<Vec<Arc<Seat>>>,
    keeper: Mutex<JoinSet<()>>,
}

/// How often idle instances, streams and pools are looked at.
const KEEPING: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// A dispatcher for the current runtime. Connects to nobody yet.
    #[must_use]
    pub fn new(plan: SharedPlan, observer: Arc<dyn Observer>, tuning: Tuning) -> Self {
        let shared = Arc::new(Shared {
            plan,
            observer,
            tuning: Arc::new(tuning),
            pools: Mutex::new(Vec::new()),
            service: Mutex::new(Vec::new()),
            keeper: Mutex::new(JoinSet::new()),
        });
        shared.keeper.lock().spawn(keep(Arc::downgrade(&shared)));
        Self { shared }
    }

    /// Connects to every sink of the plan in the background, so that those which cannot be reached are
    /// reported (`What::ReplicaDown`) before the first session comes.
    pub fn warm_up(&self) {
        let now = Instant::now();
        for sink in self.shared.plan.load().sinks() {
            for replica in self.shared.pool(sink).replicas() {
                replica.standing(now);
            }
        }
    }

    /// Begins a session on a virtual server: pins the plan. Asks nobody.
    #[must_use]
    pub fn begin_session(&self, server: &str, session: SessionContext) -> InboundScope {
        InboundScope::begin(&self.shared, server, session)
    }

    /// Begins with a message that is in the spool: pins the plan. The server is the message's.
    #[must_use]
    pub fn begin_message(
        &self,
        message: impl Into<Arc<Message>>,
        content: Arc<dyn Content>,
    ) -> TransportScope {
        TransportScope::begin(&self.shared, message.into(), content)
    }

    /// Tells sinks that no new instances will come, waits for open questions until `deadline`, then ends all
    /// streams. What is asked after that fails.
    pub async fn drain(&self, deadline: Instant) {
        let pools = self.shared.pools.lock().clone();
        let replicas: Vec<_> = pools
            .iter()
            .flat_map(|pool| pool.replicas().iter().cloned())
            .collect();
        for replica in &replicas {
            replica.say_goodbye(deadline.saturating_duration_since(Instant::now()));
        }
        let quiet = || {
            replicas.iter().all(|replica| replica.load() <= 0)
                && !pools.iter().any(|pool| pool.is_behind())
        };
        while !quiet() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for pool in pools {
            pool.shut_down();
        }
    }
}

impl Shared {
    /// The replicas of a sink. A sink that stayed as it was keeps its connections when the plan changes.
    pub(crate) fn pool(&self, sink: &Arc<Sink>) -> Arc<Pool> {
        let mut pools = self.pools.lock();
        if let Some(pool) = pools.iter().find(|pool| pool.serves(sink)) {
            return Arc::clone(pool);
        }
        let bindings = self
            .plan
            .load()
            .bindings()
            .iter()
            .filter(|one| one.sink.name == sink.name)
            .cloned()
            .collect();
        let pool = Arc::new(Pool::new(sink, bindings, &self.observer, &self.tuning));
        pools.push(Arc::clone(&pool));
        pool
    }

    /// The place of a binding at the service itself.
    pub(crate) fn service_seat(&self, binding: &Arc<Binding>) -> Arc<Seat> {
        let mut seats = self.service.lock();
        if let Some(seat) = seats
            .iter()
            .find(|seat| Arc::ptr_eq(seat.binding(), binding))
        {
            return Arc::clone(seat);
        }
        let seat = Arc::new(Seat::new(
            postern_proto::v1::Scope::Service,
            Arc::clone(binding),
            self.pool(&binding.sink),
        ));
        seats.push(Arc::clone(&seat));
        seat
    }

    fn tidy(&self, now: Instant) {
        let plan = self.plan.load();
        let (needed, left): (Vec<_>, Vec<_>) = std::mem::take(&mut *self.service.lock())
            .into_iter()
            .partition(|seat| {
                plan.bindings()
                    .iter()
                    .any(|binding| Arc::ptr_eq(binding, seat.binding()))
            });
        self.service.lock().extend(needed);
        for seat in left {
            seat.close(postern_proto::v1::CloseReason::Finished);
        }
        let (kept, gone): (Vec<_>, Vec<_>) = {
            let mut pools = self.pools.lock();
            let (kept, gone) =
                std::mem::take(&mut *pools)
                    .into_iter()
                    .partition(|pool: &Arc<Pool>| {
                        pool.is_used() || plan.sinks().iter().any(|sink| pool.serves(sink))
                    });
            *pools = kept;
            (pools.clone(), gone)
        };
        for pool in gone {
            pool.shut_down();
        }
        let idle_since = now.checked_sub(self.tuning.park_after).unwrap_or(now);
        for replica in kept.iter().flat_map(|pool| pool.replicas()) {
            replica.tidy(now, idle_since);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for pool in self.pools.get_mut().drain(..) {
            pool.shut_down();
        }
    }
}

/// Parks idle instances, asks idle streams for a sign of life, gives up pools that no plan needs.
async fn keep(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(KEEPING).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.tidy(Instant::now());
    }
}
