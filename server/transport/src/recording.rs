//! Results on their way to stable storage while their connection goes on.
//!
//! What is delivered and not recorded yet is delivered again after a crash, so there are few of them. But a connection that waited for
//! each record would be as slow as the store's commits, which many clients share: beside a burst of mail that comes in, hardly
//! anything would go out.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::job::Job;
use super::results::{self, Attempt};
use super::settle::Outcome;
use super::worker::{Context, note};

/// Messages of one connection that may be delivered and not recorded, besides the one that it is at.
const UNRECORDED: usize = 3;

/// The results of one connection that are being recorded.
#[derive(Default)]
pub(crate) struct Recording {
    tasks: JoinSet<()>,
}

impl Recording {
    /// Whether the connection may begin with another message.
    pub(crate) fn has_room(&self) -> bool {
        self.tasks.len() < UNRECORDED
    }

    /// Records the results of a message that is done with, beside what comes next.
    pub(crate) fn begin(
        &mut self,
        context: &Context,
        job: Arc<Job>,
        outcomes: Vec<(usize, Outcome)>,
        attempt: Attempt,
    ) {
        let context = context.clone();
        self.tasks.spawn(async move {
            results::record(&context, &job, outcomes, false, &attempt).await;
        });
    }

    /// Waits until one of them is recorded; for ever if there is none. May be dropped at any time.
    pub(crate) async fn one(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(())) => {}
            Some(Err(error)) => note(&error),
            None => std::future::pending().await,
        }
    }

    /// Waits until all of them are.
    pub(crate) async fn all(&mut self) {
        while !self.tasks.is_empty() {
            self.one().await;
        }
    }
}
