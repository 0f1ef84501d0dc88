//! Spawned tasks, owned: their ends are noticed, and a panic in one is counted and logged.

use std::future::Future;

use prometheus_client::metrics::counter::Counter;
use tokio::task::{JoinError, JoinSet};

/// A set of tasks on one runtime. Dropping it ends them all.
#[derive(Debug)]
pub struct Tasks {
    what: &'static str,
    set: JoinSet<()>,
    panics: Counter,
}

impl Tasks {
    /// An empty set. `what` names the tasks in the log, `panics` counts those that panicked.
    #[must_use]
    pub fn new(what: &'static str, panics: Counter) -> Self {
        Self {
            what,
            set: JoinSet::new(),
            panics,
        }
    }

    /// Spawns a task.
    pub fn spawn<F>(&mut self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.set.spawn(task);
    }

    /// Resolves when one more task has ended; never, while there are none.
    pub async fn one_ended(&mut self) {
        match self.set.join_next().await {
            Some(end) => self.note(end),
            None => std::future::pending().await,
        }
    }

    /// Resolves when all have ended.
    pub async fn all_ended(&mut self) {
        while let Some(end) = self.set.join_next().await {
            self.note(end);
        }
    }

    /// Ends all that still run, and waits until they have.
    pub async fn abort(&mut self) {
        self.set.abort_all();
        self.all_ended().await;
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    fn note(&self, end: Result<(), JoinError>) {
        let Err(error) = end else { return };
        if error.is_panic() {
            self.panics.inc();
            let panic = error.into_panic();
            let text = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("no text");
            tracing::error!(task = self.what, panic = text, "task panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_counted_and_the_others_go_on() {
        let panics = Counter::default();
        let mut tasks = Tasks::new("test", panics.clone());
        tasks.spawn(async { panic!("on purpose") });
        tasks.spawn(async {});
        tasks.all_ended().await;
        assert_eq!(panics.get(), 1);
        tasks.spawn(std::future::pending());
        tasks.abort().await;
        assert!(tasks.is_empty());
        assert_eq!(panics.get(), 1);
    }
}
