//! One-way events that a sink cannot take at once: its first connection is being made, or it does not read.
//!
//! A bounded queue for each sink, emptied in order by one task. What does not fit is counted and lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::observer::What;
use crate::scope::Scope;
use crate::seat::{Seat, Sent};
use crate::wire::Happening;

/// Longest wait of one event for its sink.
const PATIENCE: Duration = Duration::from_secs(10);

/// One event that waits.
pub(crate) struct Later {
    scope: Arc<Scope>,
    seat: Arc<Seat>,
    happening: Arc<Happening>,
}

impl Later {
    pub(crate) fn new(scope: &Arc<Scope>, seat: &Arc<Seat>, happening: &Arc<Happening>) -> Self {
        Self {
            scope: Arc::clone(scope),
            seat: Arc::clone(seat),
            happening: Arc::clone(happening),
        }
    }

    /// Sends the event, waiting for its sink.
    async fn deliver(self) {
        let binding = Arc::clone(self.seat.binding());
        loop {
            match self.seat.send(&self.scope, &self.happening, None) {
                Sent::Told(instance) => {
                    let replica = Arc::clone(instance.stream().replica());
                    return self.scope.observe(
                        &self.happening,
                        Some(&binding),
                        replica.name(),
                        What::Told,
                    );
                }
                Sent::Declined | Sent::Asked(_) => return,
                Sent::Full(stream) => {
                    // An ended stream is found by the next attempt.
                    let _ended = stream.outbox().wait_for_room().await.is_err();
                }
                Sent::Wait(replica) => replica.settled().await,
                Sent::Failed(fault) => {
                    let what = What::Failed {
                        elapsed: Duration::ZERO,
                        fault: &fault,
                    };
                    return self
                        .scope
                        .observe(&self.happening, Some(&binding), "", what);
                }
            }
        }
    }

    fn lost(&self, count: u64) {
        self.scope.observe(
            &self.happening,
            Some(self.seat.binding()),
            "",
            What::Dropped { count },
        );
    }
}

/// The queue of one sink.
pub(crate) struct Backlog {
    limit: usize,
    state: Mutex<State>,
    tasks: Mutex<JoinSet<()>>,
}

struct State {
    queue: VecDeque<Later>,
    working: bool,
    lost: u64,
}

impl Backlog {
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            queue: VecDeque::new(),
            working: false,
            lost: 0,
        };
        Self {
            limit,
            state: Mutex::new(state),
            tasks: Mutex::new(JoinSet::new()),
        }
    }

    /// Events wait; new ones must not overtake them.
    pub(crate) fn is_behind(&self) -> bool {
        self.state.lock().working
    }

    /// Ends the task; what waits is lost.
    pub(crate) fn shut_down(&self) {
        self.tasks.lock().abort_all();
        let queue = std::mem::take(&mut self.state.lock().queue);
        drop(queue);
    }

    /// Adds an event, and a task to empty the queue if there is none.
    pub(crate) fn add(self: &Arc<Self>, later: Later) {
        {
            let mut state = self.state.lock();
            if state.queue.len() >= self.limit {
                state.lost += 1;
                return;
            }
            state.queue.push_back(later);
            if std::mem::replace(&mut state.working, true) {
                return;
            }
        }
        let backlog = Arc::clone(self);
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { backlog.work().await });
    }

    async fn work(&self) {
        while let Some((later, lost)) = self.next() {
            if lost > 0 {
                later.lost(lost);
            }
            // Who is not served within this time is not told.
            let _late = tokio::time::timeout(PATIENCE, later.deliver())
                .await
                .is_err();
        }
    }

    fn next(&self) -> Option<(Later, u64)> {
        let mut state = self.state.lock();
        let later = state.queue.pop_front();
        if later.is_none() {
            state.working = false;
        }
        later.map(|later| (later, std::mem::take(&mut state.lost)))
    }
}
