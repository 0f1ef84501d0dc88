//! The messages that are ready for one destination, and the connections that take them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::job::Job;
use crate::delivery::{Attempted, Destination};

/// The longest time for which a destination is left alone after failures in a row.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// For how long a destination that refuses a further connection is given no more than it has.
const CAPPED: Duration = Duration::from_secs(60);
/// For how long TLS is not tried after a failed handshake.
const PLAIN: Duration = Duration::from_secs(600);

/// For how long BDAT is not tried after it was refused.
const WITHOUT_BDAT: Duration = Duration::from_secs(600);

/// A queue. The worker that owns it makes the connections; anybody may add to it.
pub(crate) struct Queue {
    destination: Destination,
    owner: usize,
    most_connections: usize,
    most_groups: usize,
    state: Mutex<State>,
    ready: Notify,
}

/// Recipients of one message for one destination.
pub(crate) struct Group {
    pub(crate) job: Arc<Job>,
    pub(crate) recipients: Vec<usize>,
}

#[derive(Default)]
struct State {
    groups: VecDeque<Group>,
    connections: usize,
    idle: usize,
    /// The owner has been asked to make connections and has not come to it yet.
    asked: bool,
    health: Health,
    cap: Option<(usize, Instant)>,
    plain_until: Option<Instant>,
    without_bdat_until: Option<Instant>,
}

#[derive(Default)]
enum Health {
    /// Nothing is known: one connection is tried first.
    #[default]
    Unknown,
    Up,
    Down {
        until: Instant,
        failures: u32,
        /// Why others wait. It never fails one of them: that they would meet the same is a guess.
        why: Attempted,
    },
}

/// A group that a queue did not take.
pub(crate) enum Refused {
    /// Too many are waiting.
    Full(Group),
    /// The destination is being left alone, for this reason.
    Down(Group, Attempted),
}

impl Queue {
    pub(crate) fn new(
        destination: Destination,
        owner: usize,
        most_connections: usize,
        most_groups: usize,
    ) -> Self {
        let state = Mutex::default();
        Self {
            destination,
            owner,
            most_connections,
            most_groups,
            state,
            ready: Notify::new(),
        }
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    pub(crate) fn owner(&self) -> usize {
        self.owner
    }

    /// Adds a group at the end.
    pub(crate) fn push(&self, group: Group) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if let Health::Down { until, why, .. } = &state.health
            && Instant::now() < *until
        {
            let why = why.clone();
            return Err(Refused::Down(group, why));
        }
        if state.groups.len() >= self.most_groups {
            return Err(Refused::Full(group));
        }
        state.groups.push_back(group);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Puts back what could not be tried on a connection. There is always room for it.
    pub(crate) fn put_back(&self, group: Group) {
        self.state.lock().groups.push_front(group);
        self.ready.notify_one();
    }

    /// Whether the owner has to be asked for connections; if so it counts as asked.
    pub(crate) fn ask_for_service(&self) -> bool {
        let mut state = self.state.lock();
        let ask = !state.asked && self.wanted(&state) > 0;
        state.asked |= ask;
        ask
    }

    pub(crate) fn service_refused(&self) {
        self.state.lock().asked = false;
    }

    /// How many connections the owner is to make now. They count as made.
    pub(crate) fn claim(&self) -> usize {
        let mut state = self.state.lock();
        state.asked = false;
        let wanted = self.wanted(&state);
        state.connections += wanted;
        wanted
    }

    fn wanted(&self, state: &State) -> usize {
        let waiting = state.groups.len().saturating_sub(state.idle);
        let most = match (&state.health, state.cap) {
            (Health::Up, Some((cap, until))) if Instant::now() < until => {
                cap.min(self.most_connections)
            }
            (Health::Up, _) => self.most_connections,
            // Whether it answers is found out by one.
            _ => 1,
        };
        waiting.min(most.saturating_sub(state.connections))
    }

    /// The next group, waiting for it until `until`. May be dropped at any time.
    pub(crate) async fn next(&self, until: Instant) -> Option<Group> {
        loop {
            let notified = self.ready.notified();
            let _idle = {
                let mut state = self.state.lock();
                if let Some(group) = state.groups.pop_front() {
                    return Some(group);
                }
                state.idle += 1;
                Idle(self)
            };
            if timeout_at(until, notified).await.is_err() {
                return None;
            }
        }
    }

    /// A connection was opened: more may follow.
    pub(crate) fn is_up(&self) {
        self.state.lock().health = Health::Up;
    }

    /// A connection could not be opened. With others at work the destination only gets no more of them; otherwise it is left
    /// alone for a while that grows, at most `longest`, and what was waiting for it is returned.
    pub(crate) fn is_down(&self, why: &Attempted, longest: Duration) -> Vec<Group> {
        let mut state = self.state.lock();
        let now = Instant::now();
        if state.connections > 1 {
            state.cap = Some((state.connections - 1, now + CAPPED));
            return Vec::new();
        }
        let failures = match state.health {
            Health::Down { failures, .. } => failures.saturating_add(1),
            _ => 0,
        };
        let rest = Duration::from_secs(1 << failures.min(6))
            .min(longest)
            .min(LONGEST_REST);
        state.health = Health::Down {
            until: now + rest,
            failures,
            why: why.as_passing(),
        };
        state.groups.drain(..).collect()
    }

    /// A connection has ended.
    pub(crate) fn closed(&self) {
        let mut state = self.state.lock();
        state.connections = state.connections.saturating_sub(1);
    }

    /// A TLS handshake failed: for a while there is none.
    pub(crate) fn is_plain(&self) {
        self.state.lock().plain_until = Some(Instant::now() + PLAIN);
    }

    /// Whether TLS may be tried.
    pub(crate) fn may_encrypt(&self) -> bool {
        self.state
            .lock()
            .plain_until
            .is_none_or(|until| Instant::now() >= until)
    }

    /// BDAT was refused although it is offered: for a while there is none.
    pub(crate) fn is_without_bdat(&self) {
        self.state.lock().without_bdat_until = Some(Instant::now() + WITHOUT_BDAT);
    }

    /// Whether BDAT may be used.
    pub(crate) fn may_use_bdat(&self) -> bool {
        self.state
            .lock()
            .without_bdat_until
            .is_none_or(|until| Instant::now() >= until)
    }
}

/// Counts as an idle connection until it is dropped.
struct Idle<'a>(&'a Queue);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.idle = state.idle.saturating_sub(1);
    }
}
