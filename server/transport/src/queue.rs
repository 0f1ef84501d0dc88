//! The messages that are ready for one destination, and the connections that take them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::job::Job;
use super::parked::Parked;
use super::room::Pace;
use postern_delivery::{Attempted, Destination};

/// The longest time for which a destination is left alone after failures in a row.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// For how long a destination that refuses a further connection is given no more than it has.
const CAPPED: Duration = Duration::from_secs(60);
/// Messages that may wait for room at one destination.
const LONGEST_BACKLOG: usize = 200_000;
/// Handshakes that have to fail in a row before TLS is not tried for a while, and that while.
const BROKEN: u32 = 3;
const PLAIN: Duration = Duration::from_secs(60);

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
    /// Messages that wait for room here, in their order.
    backlog: VecDeque<Arc<Parked>>,
    /// Somebody is taking messages from the backlog.
    refilling: bool,
    pace: Pace,
    connections: usize,
    idle: usize,
    /// The owner has been asked to make connections and has not come to it yet.
    asked: bool,
    health: Health,
    cap: Option<(usize, Instant)>,
    /// Handshakes that failed in a row.
    handshakes_failed: u32,
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
    /// Too many are in memory for it.
    Full(Arc<Queue>, Group),
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

    /// Adds a group at the end. Others wait before it unless it has `waited` among them.
    pub(crate) fn push(self: &Arc<Self>, group: Group, waited: bool) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if let Health::Down { until, why, .. } = &state.health
            && Instant::now() < *until
        {
            let why = why.clone();
            return Err(Refused::Down(group, why));
        }
        let others_first = !waited && !state.backlog.is_empty();
        if others_first || self.in_memory(&state) >= self.room(&state) {
            return Err(Refused::Full(Arc::clone(self), group));
        }
        state.groups.push_back(group);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Messages in memory for this destination.
    fn in_memory(&self, state: &State) -> usize {
        state.groups.len() + state.connections.saturating_sub(state.idle)
    }

    fn room(&self, state: &State) -> usize {
        let now = Instant::now().into_std();
        state
            .pace
            .room(now, self.most_groups, self.most_connections)
    }

    /// A message waits for room here. It has no slot.
    pub(crate) fn park(&self, parked: Arc<Parked>) {
        let mut state = self.state.lock();
        if state.backlog.len() >= LONGEST_BACKLOG {
            // Its claim goes back; it is found again as any other that is due.
            return;
        }
        state.backlog.push_back(parked);
    }

    /// Whether somebody has to take messages from the backlog now; if so it counts as being done.
    pub(crate) fn begin_refill(&self) -> bool {
        let mut state = self.state.lock();
        let begin = !state.refilling && self.wants_refill(&state);
        state.refilling |= begin;
        begin
    }

    /// The next message of the backlog, while there is room for it. `None` ends the refill.
    pub(crate) fn refill(&self) -> Option<Arc<Parked>> {
        let mut state = self.state.lock();
        while state.backlog.front().is_some_and(|next| next.is_taken()) {
            state.backlog.pop_front();
        }
        let next = match self.wants_refill(&state) {
            true => state.backlog.pop_front(),
            false => None,
        };
        state.refilling = next.is_some();
        next
    }

    /// A destination that is left alone has room for all: they hear why, and are put off.
    fn wants_refill(&self, state: &State) -> bool {
        let down = matches!(&state.health, Health::Down { until, .. } if Instant::now() < *until);
        !state.backlog.is_empty() && (down || self.in_memory(state) < self.room(state))
    }

    /// The refill was given up before its end.
    pub(crate) fn end_refill(&self) {
        self.state.lock().refilling = false;
    }

    /// A message had its result.
    pub(crate) fn moves(&self) {
        let now = Instant::now().into_std();
        self.state.lock().pace.moved(now);
    }

    /// What is in memory beyond the room that there is: the destination hangs.
    pub(crate) fn take_surplus(&self) -> Vec<Group> {
        let mut state = self.state.lock();
        let surplus = self.in_memory(&state).saturating_sub(self.room(&state));
        let kept = state.groups.len().saturating_sub(surplus);
        state.groups.split_off(kept).into()
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
        let mut state = self.state.lock();
        state.health = Health::Up;
        state.pace.moved(Instant::now().into_std());
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
        state.pace.is_down();
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

    /// A TLS handshake failed. One says little: the next connection tries again. After several in a row it is not tried for
    /// a while.
    pub(crate) fn handshake_failed(&self) {
        let mut state = self.state.lock();
        state.handshakes_failed = state.handshakes_failed.saturating_add(1);
        if state.handshakes_failed >= BROKEN {
            state.plain_until = Some(Instant::now() + PLAIN);
        }
    }

    /// A connection is encrypted.
    pub(crate) fn handshake_succeeded(&self) {
        let mut state = self.state.lock();
        state.handshakes_failed = 0;
        state.plain_until = None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use postern_delivery::{Hop, HopAddress};

    fn queue() -> Queue {
        let hop = Hop {
            lmtp: false,
            address: HopAddress::Tcp("mx.test".to_owned(), 25),
        };
        Queue::new(Destination::Hop(hop), 0, 4, 100)
    }

    #[tokio::test(start_paused = true)]
    async fn one_failed_handshake_is_no_reason_for_clear_text() {
        let queue = queue();
        for _ in 1..BROKEN {
            queue.handshake_failed();
            assert!(queue.may_encrypt());
        }
        queue.handshake_failed();
        assert!(!queue.may_encrypt(), "it is broken for now");
        tokio::time::sleep(PLAIN).await;
        assert!(queue.may_encrypt());
        // One that fails again says it is as before; one that works is the end of it.
        queue.handshake_failed();
        assert!(!queue.may_encrypt());
        queue.handshake_succeeded();
        assert!(queue.may_encrypt());
        queue.handshake_failed();
        assert!(queue.may_encrypt());
    }
}
