//! What is being carried out for a sink, and how much more it may begin.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use postern_attach::{InstanceId, StreamId};
use postern_events::action::{Outcome, Status};
use postern_events::plan::{ACTIONS_PER_MINUTE, Binding};

use crate::actor::Acted;

/// Actions of one sink that are carried out at the same time.
const AT_ONCE: usize = 64;
/// When a sink tries again for whose action there was no room.
const SOON: Duration = Duration::from_secs(1);

type Acting = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// What is being carried out for a sink.
#[derive(Default)]
pub(super) struct Acts {
    running: FuturesUnordered<Acting>,
    allowance: Allowance,
}

/// An action that was carried out, or given up.
pub(super) struct Ended {
    pub(super) stream: StreamId,
    pub(super) instance: InstanceId,
    pub(super) action_id: u64,
    pub(super) binding: Arc<Binding>,
    pub(super) deed: &'static str,
    pub(super) since: Instant,
    pub(super) acted: Acted,
}

/// How many actions a sink may still begin: what it does not use of a minute it has in the next, up to a minute's worth.
struct Allowance {
    left: f64,
    at: Option<Instant>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: f64::from(ACTIONS_PER_MINUTE),
            at: None,
        }
    }
}

impl Allowance {
    /// Takes one, or says when there is one again.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let most = f64::from(ACTIONS_PER_MINUTE);
        let elapsed = self
            .at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.left = (self.left + elapsed * most / 60.0).min(most);
        if self.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.left) * 60.0 / most).max(SOON));
        }
        self.left -= 1.0;
        Ok(())
    }
}

impl Acts {
    /// Room for one more, or the answer to it.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Outcome> {
        let limited = |detail: &str, retry_in| Outcome {
            retry_in: Some(retry_in),
            ..Outcome::new(Status::Limited, detail)
        };
        if self.running.len() >= AT_ONCE {
            return Err(limited("too many actions of the sink are unanswered", SOON));
        }
        self.allowance
            .take(now)
            .map_err(|wait| limited("too many actions in a minute", wait))
    }

    /// One is being carried out.
    pub(super) fn start(&self, doing: impl Future<Output = Ended> + Send + 'static) {
        self.running.push(Box::pin(doing));
    }

    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Option<Ended> {
        if self.running.is_empty() {
            return None;
        }
        match self.running.poll_next_unpin(cx) {
            Poll::Ready(ended) => ended,
            Poll::Pending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_has_a_minutes_worth_of_actions_and_then_waits() {
        let mut allowance = Allowance::default();
        let start = Instant::now();
        for _ in 0..ACTIONS_PER_MINUTE {
            assert_eq!(allowance.take(start), Ok(()));
        }
        assert_eq!(allowance.take(start), Err(SOON));
        // A tenth of a second is worth one.
        let soon = start + Duration::from_millis(101);
        assert_eq!(allowance.take(soon), Ok(()));
        assert!(allowance.take(soon).is_err());
        // What was not used is not saved up beyond a minute.
        let late = start + Duration::from_secs(3600);
        for _ in 0..ACTIONS_PER_MINUTE {
            assert_eq!(allowance.take(late), Ok(()));
        }
        assert!(allowance.take(late).is_err());
    }
}
