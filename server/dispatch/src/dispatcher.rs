//! The dispatcher: what the gateway calls, one for each runtime thread.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use postern_attach::FleetStatus;
use postern_events::context::{MessageContext, SessionContext};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::content::Content;
use crate::inbound::InboundScope;
use crate::news::NewsDesk;
use crate::observer::Observer;
use crate::settings::Settings;
pub use crate::settings::SharedPlan;
use crate::shared::Shared;
use crate::sink::{Command, SinkHandle};
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
        TransportScope::begin(&self.shared, &self.news, message, content)
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
