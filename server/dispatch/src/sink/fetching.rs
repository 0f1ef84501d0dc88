//! Content that is being fetched for questions.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::{AbortHandle, Abortable, FuturesUnordered};
use postern_attach::Wish;
use postern_proto::v1 as pb;

use crate::shown::{Piece, Shown};

use super::command::QuestionKey;

/// What was fetched for a question.
pub(super) struct Fetched {
    pub(super) question: QuestionKey,
    pub(super) what: What,
}

/// A piece of content, or how it ended.
pub(super) enum What {
    Piece(Piece),
    End(Box<pb::ContentEnd>),
}

type Fetching = Pin<Box<dyn Future<Output = Option<Fetched>> + Send>>;

/// What is being fetched.
#[derive(Default)]
pub(super) struct Fetches {
    running: FuturesUnordered<Fetching>,
}

impl Fetches {
    pub(super) fn start(
        &self,
        work: impl Future<Output = Fetched> + Send + 'static,
    ) -> AbortHandle {
        let (abort, registration) = AbortHandle::new_pair();
        let work = Abortable::new(work, registration);
        self.running.push(Box::pin(async move { work.await.ok() }));
        abort
    }

    pub(super) fn poll_fetched(&mut self, cx: &mut Context<'_>) -> Option<Fetched> {
        loop {
            if self.running.is_empty() {
                return None;
            }
            match self.running.poll_next_unpin(cx) {
                Poll::Ready(Some(Some(fetched))) => return Some(fetched),
                Poll::Ready(Some(None)) => {}
                Poll::Ready(None) | Poll::Pending => return None,
            }
        }
    }
}

/// The content of one question while it is open.
pub(super) struct Showing {
    pub(super) shown: Arc<Shown>,
    /// A piece is being fetched: of what is pushed, or of a read.
    pub(super) fetching: Option<(AbortHandle, Wish)>,
    pub(super) end: AbortHandle,
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.end.abort();
        if let Some((fetching, _)) = &self.fetching {
            fetching.abort();
        }
    }
}
