//! One replica: whether it is well, its connections, and what it said of itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_events::fault::Fault;

use super::connection::Connection;
use super::description::Description;
use super::ids::{ConnectionId, ReplicaId};
use super::settings::{FleetSettings, backoff};
use super::window::Window;

/// Why a replica takes no new instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It cannot be reached, or says that it does not serve.
    Unreachable,
    /// Too many of the questions to it failed.
    Ejected,
}

/// How a replica stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Health {
    /// Its first connection is being made.
    Unknown,
    /// It takes instances.
    Up,
    /// It takes no new instances. Those that are open go on.
    Out {
        /// Why.
        cause: Cause,
        /// What happened last.
        fault: Fault,
        /// When it is probed.
        retry_at: Instant,
    },
}

/// One replica.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) name: Arc<str>,
    pub(crate) health: Health,
    /// Since when.
    pub(crate) since: Instant,
    /// It is no longer one of the sink's: it ends with its last stream.
    pub(crate) leaving: bool,
    pub(crate) window: Window,
    /// Attempts to reach it that failed in a row.
    pub(crate) failures: u32,
    /// Ejections that followed each other soon.
    ejections: u32,
    /// It was ejected, and has answered nothing since it is back: the next failure ejects it again.
    probation: bool,
    /// When it last gave a sign of life.
    pub(crate) last_sign: Instant,
    /// Since when a failure speaks against it and no sign of life for it: it is probed at once, and others are asked.
    suspect_since: Option<Instant>,
    /// Until when bodies go to it on connections of their own: it has let one stall.
    pub(crate) apart_until: Option<Instant>,
    /// What its own watch says. `None`: there is none.
    pub(crate) watch: Option<bool>,
    /// Open questions.
    pub(crate) open: usize,
    /// Open streams.
    pub(crate) streams: usize,
    pub(crate) connections: Vec<Connection>,
    pub(crate) description: Option<Arc<Description>>,
    pub(crate) last_fault: Option<Fault>,
    /// How often it came up, and went out.
    pub(crate) ups: u64,
    pub(crate) downs: u64,
}

impl Replica {
    pub(crate) fn new(id: ReplicaId, name: Arc<str>, now: Instant, window: Duration) -> Self {
        Self {
            id,
            name,
            health: Health::Unknown,
            since: now,
            leaving: false,
            window: Window::new(window),
            failures: 0,
            ejections: 0,
            probation: false,
            last_sign: now,
            suspect_since: None,
            apart_until: None,
            watch: None,
            open: 0,
            streams: 0,
            connections: Vec::new(),
            description: None,
            last_fault: None,
            ups: 0,
            downs: 0,
        }
    }

    /// It takes new instances.
    pub(crate) fn is_usable(&self) -> bool {
        self.health == Health::Up && !self.leaving
    }

    pub(crate) fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|one| one.id == id)
    }

    pub(crate) fn is_connecting(&self) -> bool {
        self.connections.iter().any(Connection::is_connecting)
    }

    /// Why it takes no new instances.
    pub(crate) const fn fault(&self) -> Option<&Fault> {
        match &self.health {
            Health::Out { fault, .. } => Some(fault),
            Health::Unknown | Health::Up => None,
        }
    }

    /// It gave a sign of life.
    pub(crate) const fn sign(&mut self, now: Instant) {
        self.last_sign = now;
        self.suspect_since = None;
    }

    /// It failed last: others are the better choice until it is known how it is.
    pub(crate) const fn is_suspect(&self) -> bool {
        self.suspect_since.is_some()
    }

    /// Bodies go to it on connections of their own.
    pub(crate) fn keeps_bodies_apart(&self, now: Instant) -> bool {
        self.apart_until.is_some_and(|until| now < until)
    }

    /// Connections that are stalled and not over yet.
    pub(crate) fn stalled(&self) -> usize {
        self.connections.iter().filter(|one| one.stalled).count()
    }

    /// It answered.
    pub(crate) fn good(&mut self, now: Instant) {
        self.sign(now);
        self.probation = false;
        self.window.record(now, true);
    }

    /// A question to it failed in a way that says that it may be ill. Returns whether it is out for that.
    pub(crate) fn bad(&mut self, now: Instant, fault: &Fault, settings: &FleetSettings) -> bool {
        self.last_fault = Some(fault.clone());
        self.suspect_since.get_or_insert(now);
        self.window.record(now, false);
        let counts = self.window.counts(now);
        let least = if self.probation {
            1
        } else {
            settings.min_failures
        };
        if self.health != Health::Up || !counts.fails(least, settings.failure_percent) {
            return false;
        }
        // Ejections count together only if they follow each other soon.
        if now.saturating_duration_since(self.since) > settings.eject_max * 2 {
            self.ejections = 0;
        }
        let time = backoff(settings.eject_min, settings.eject_max, self.ejections);
        self.ejections = self.ejections.saturating_add(1);
        self.out(now, Cause::Ejected, fault, now + time);
        true
    }

    /// It cannot be reached. Returns whether it took instances until now, or it was not known whether it does.
    pub(crate) fn unreachable(
        &mut self,
        now: Instant,
        fault: &Fault,
        settings: &FleetSettings,
    ) -> bool {
        let news = !matches!(self.health, Health::Out { .. });
        let time = backoff(settings.probe_min, settings.probe_max, self.failures);
        self.failures = self.failures.saturating_add(1);
        self.out(now, Cause::Unreachable, fault, now + time);
        news
    }

    /// It was reached. Returns whether that is news.
    pub(crate) fn reached(&mut self, now: Instant) -> bool {
        self.sign(now);
        self.failures = 0;
        if self.health == Health::Up || self.watch == Some(false) {
            return false;
        }
        self.probation = matches!(
            self.health,
            Health::Out {
                cause: Cause::Ejected,
                ..
            }
        );
        self.health = Health::Up;
        self.since = now;
        self.window.clear();
        self.ups += 1;
        true
    }

    /// When it is to be probed. `None`: it is being probed, its own watch tells, or it is leaving.
    pub(crate) fn probe_at(&self, settings: &FleetSettings) -> Option<Instant> {
        if self.leaving || self.is_connecting() {
            return None;
        }
        match (&self.health, self.watch) {
            (Health::Unknown, _) => Some(self.since),
            (Health::Out { .. }, Some(false)) => None,
            (Health::Up, watch) => self.suspect_since.or_else(|| {
                let unwatched = watch.is_none();
                unwatched.then(|| self.last_sign + settings.probe_interval)
            }),
            (Health::Out { retry_at, .. }, _) => Some(*retry_at),
        }
    }

    fn out(&mut self, now: Instant, cause: Cause, fault: &Fault, retry_at: Instant) {
        if !matches!(self.health, Health::Out { .. }) {
            self.since = now;
            self.downs += 1;
        }
        self.last_fault = Some(fault.clone());
        self.window.clear();
        self.health = Health::Out {
            cause,
            fault: fault.clone(),
            retry_at,
        };
    }
}
