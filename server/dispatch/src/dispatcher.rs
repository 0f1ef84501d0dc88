//! The dispatcher: what the gateway calls, one for each runtime thread.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use postern_message::Message;

use crate::content::Content;
use crate::inbound::InboundScope;
use crate::observer::Observer;
use crate::plan::Plan;
use crate::session::SessionInfo;
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
    pub(crate) tuning: Tuning,
}

impl Dispatcher {
    /// A dispatcher for the current runtime. Connects to nobody yet.
    #[must_use]
    pub fn new(plan: SharedPlan, observer: Arc<dyn Observer>, tuning: Tuning) -> Self {
        Self { shared: Arc::new(Shared { plan, observer, tuning }) }
    }

    /// Connects to every sink of the plan in the background, so that those which cannot be reached are
    /// reported (`What::ReplicaDown`) before the first session comes.
    pub fn warm_up(&self) {
        todo!()
    }

    /// Begins a session on a virtual server: pins the plan. Asks nobody.
    #[must_use]
    pub fn begin_session(&self, server: &str, info: SessionInfo) -> InboundScope {
        InboundScope::begin(Arc::clone(&self.shared), server, info)
    }

    /// Begins with a message that is in the spool: pins the plan. The server is the message's.
    #[must_use]
    pub fn begin_message(&self, message: Message, content: Arc<dyn Content>) -> TransportScope {
        TransportScope::begin(Arc::clone(&self.shared), message, content)
    }

    /// Tells sinks that nothing new will come, waits for open questions until `deadline`, then ends all streams.
    pub async fn drain(&self, deadline: Instant) {
        let _ = deadline;
        todo!()
    }
}
