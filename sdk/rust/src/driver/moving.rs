//! A handler that begins in the stream's task and goes to the other threads when its message turns out large.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use super::judge::Judged;
use crate::message::Feed;
use crate::workers::Workers;

/// Octets of a body up to which a quick handler stays in the stream's task. What it does with more was not part of its
/// being quick.
const SMALL: u64 = 64 * 1024;

/// A handler's run that has begun in the stream's task.
pub(super) struct Moving {
    run: Run,
    body: Option<Arc<Feed>>,
    workers: Arc<Workers>,
}

enum Run {
    Here(BoxFuture<'static, Judged>),
    There(JoinHandle<Judged>),
}

impl Moving {
    pub(super) fn new(
        judging: impl Future<Output = Judged> + Send + 'static,
        body: Option<Arc<Feed>>,
        workers: &Arc<Workers>,
    ) -> Self {
        Self {
            run: Run::Here(Box::pin(judging)),
            body,
            workers: Arc::clone(workers),
        }
    }
}

impl Future for Moving {
    type Output = Judged;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Judged> {
        let this = &mut *self;
        if let Run::Here(judging) = &mut this.run {
            // Looked at before each step, as what it has read since decides what the step does.
            let moves = this.body.as_ref().is_some_and(|body| body.seen() > SMALL);
            let threads = moves.then(|| this.workers.handle()).flatten();
            let Some(threads) = threads else {
                return judging.poll_unpin(context);
            };
            let judging = std::mem::replace(judging, Box::pin(std::future::pending()));
            this.run = Run::There(threads.spawn(judging));
        }
        let Run::There(task) = &mut this.run else {
            return Poll::Pending;
        };
        match ready!(task.poll_unpin(context)) {
            Ok(judged) => Poll::Ready(judged),
            // The threads are gone, and the process with them: nobody waits any more.
            Err(_) => Poll::Pending,
        }
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        if let Run::There(task) = &self.run {
            task.abort();
        }
    }
}
