//! The front end on one runtime: takes over the connections handed to it and owns their sessions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use postern_dispatch::dispatcher::Dispatcher;
use postern_spool::{Store, StoredMessage};
use postern_transport::Schedule;

use super::accept::Arrival;
use super::session;
use crate::metrics::Metrics;
use crate::observe::addresses::AddressLog;
use crate::runtime::handout::{Handed, Lane};
use crate::runtime::shutdown::Shutdown;
use crate::runtime::tasks::Tasks;

/// Takes messages that are durable, to send them on. It must not wait: what it has no room for is in the spool and is
/// found there when it is due.
pub trait Onward: Send + Sync {
    /// A message was committed.
    fn accept(&self, message: StoredMessage);
}

/// Time for sessions to say how they ended, once nothing is waited for any more.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What sessions work with.
pub struct Tools {
    /// Asks the sinks; that of the runtime.
    pub dispatcher: Dispatcher,
    /// Keeps messages.
    pub spool: Arc<dyn Store>,
    /// Sends them on.
    pub onward: Arc<dyn Onward>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Writes addresses to the log.
    pub addresses: Arc<AddressLog>,
    /// Tells of the end.
    pub shutdown: Shutdown,
    /// When a message that is held is asked about again.
    pub schedule: Schedule,
}

/// The front end of one runtime.
#[derive(Debug)]
pub struct FrontWorker {
    tools: Arc<Tools>,
    lane: Lane<Arrival>,
}

impl FrontWorker {
    /// Sessions will come out of `lane`.
    #[must_use]
    pub fn new(tools: Tools, lane: Lane<Arrival>) -> Self {
        Self {
            tools: Arc::new(tools),
            lane,
        }
    }

    /// Runs sessions until the end begins, then until they have ended or are to be left.
    pub async fn run(mut self) {
        let mut sessions = Tasks::new("session", self.tools.metrics.panics.clone());
        let begun = self.tools.shutdown.begun();
        let over = self.tools.shutdown.over();
        tokio::pin!(begun, over);
        loop {
            tokio::select! {
                biased;
                () = &mut begun => break,
                () = sessions.one_ended() => {}
                handed = self.lane.next() => match handed {
                    Some(Handed { item, load }) => {
                        let tools = Arc::clone(&self.tools);
                        sessions.spawn(async move {
                            session::run(tools, item).await;
                            drop(load);
                        });
                    }
                    None => break,
                },
            }
        }
        self.lane.close();
        let time_is_up = async {
            over.await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = sessions.all_ended() => {}
            () = time_is_up => {
                if !sessions.is_empty() {
                    tracing::warn!(sessions = sessions.len(), "sessions did not end in time and are cut");
                }
            }
        }
        sessions.abort().await;
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").finish_non_exhaustive()
    }
}
