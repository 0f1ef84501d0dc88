//! One single-threaded runtime per core, each in a thread of its own with its own sessions and connections.
//!
//! A work-stealing runtime was measured at twice to four times the CPU per event; here nothing is shared on the
//! hot path but the spool's writer, the plan and counters.

pub mod handout;
pub mod reload;
pub mod tasks;

pub use postern_transport::shutdown;

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// Threads for what blocks (disk reads, name lookups), per runtime.
const BLOCKING_THREADS: usize = 16;

/// How many runtimes to start: one per core that this process may use.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A single-threaded runtime that is not running yet.
///
/// # Errors
/// When the system has no descriptors or threads left.
pub fn build() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
}

/// A runtime in its own thread.
#[derive(Debug)]
pub struct RuntimeThread {
    index: usize,
    handle: Handle,
    ended: End,
    thread: thread::JoinHandle<()>,
}

/// Whether the main task has ended.
#[derive(Debug)]
enum End {
    Open(oneshot::Receiver<()>),
    Over { well: bool },
}

impl RuntimeThread {
    /// Moves `runtime` to a new thread and runs what `main` makes there until it is done.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<F, M>(index: usize, runtime: Runtime, main: M) -> io::Result<Self>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let handle = runtime.handle().clone();
        let (done, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name(format!("postern-{index}"))
            .spawn(move || {
                runtime.block_on(async move { main().await });
                runtime.shutdown_background();
                if done.send(()).is_err() {
                    tracing::debug!(runtime = index, "ended after everybody else");
                }
            })?;
        Ok(Self {
            index,
            handle,
            ended: End::Open(ended),
            thread,
        })
    }

    /// Its place among the runtimes, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Spawns on this runtime from elsewhere.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Resolves when its main task has ended; false if it panicked.
    pub async fn ended(&mut self) -> bool {
        if let End::Open(receiver) = &mut self.ended {
            let well = receiver.await.is_ok();
            self.ended = End::Over { well };
        }
        matches!(self.ended, End::Over { well: true })
    }

    /// Waits for the thread itself if its main task has ended; one that is stuck is left behind. Blocks, briefly.
    pub fn join_if_ended(self) {
        if matches!(self.ended, End::Over { .. }) && self.thread.join().is_err() {
            tracing::error!(runtime = self.index, "runtime thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_runtime_runs_its_main_and_says_how_it_ended() {
        let mut well = RuntimeThread::start(0, build().unwrap(), || async {
            tokio::spawn(async {}).await.unwrap();
        })
        .unwrap();
        assert!(well.ended().await);
        well.join_if_ended();
        let mut badly =
            RuntimeThread::start(1, build().unwrap(), || async { panic!("on purpose") }).unwrap();
        assert!(!badly.ended().await);
    }
}
