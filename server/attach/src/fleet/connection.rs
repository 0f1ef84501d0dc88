//! One connection to a replica, and how many streams it may carry.

use std::sync::Arc;
use std::time::Instant;

use super::description::Description;
use super::ids::ConnectionId;

/// How far a connection has come.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// It is being made, and the sink asked who it is.
    Connecting {
        /// When the attempt began.
        since: Instant,
        /// When it has failed.
        until: Instant,
    },
    /// The sink has said who it is.
    Ready(Arc<Description>),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) stage: Stage,
    /// Streams on it.
    pub(crate) streams: usize,
    /// Streams that it may carry.
    pub(crate) limit: usize,
    /// It carries one stream, whose content may hold up others.
    pub(crate) reserved: bool,
    /// It takes no more streams.
    pub(crate) retired: bool,
    /// It is retired because the sink takes nothing more of a stream on it.
    pub(crate) stalled: bool,
    /// That it failed was counted.
    pub(crate) counted: bool,
    /// Since when it carries none.
    pub(crate) unused_since: Instant,
}

impl Connection {
    pub(crate) const fn new(id: ConnectionId, now: Instant, until: Instant, limit: usize) -> Self {
        Self {
            id,
            stage: Stage::Connecting { since: now, until },
            streams: 0,
            limit,
            reserved: false,
            retired: false,
            stalled: false,
            counted: false,
            unused_since: now,
        }
    }

    /// What the sink said on it.
    pub(crate) const fn description(&self) -> Option<&Arc<Description>> {
        match &self.stage {
            Stage::Connecting { .. } => None,
            Stage::Ready(description) => Some(description),
        }
    }

    pub(crate) const fn is_connecting(&self) -> bool {
        matches!(self.stage, Stage::Connecting { .. })
    }

    /// It can be used for further streams.
    pub(crate) const fn is_usable(&self) -> bool {
        !self.is_connecting() && !self.retired
    }

    /// It takes a stream. `alone`: one that must be by itself.
    pub(crate) const fn has_slot(&self, alone: bool) -> bool {
        if alone {
            self.is_usable() && self.streams == 0
        } else {
            self.is_usable() && !self.reserved && self.streams < self.limit
        }
    }

    /// A stream is opened on it.
    pub(crate) const fn take(&mut self, alone: bool) {
        self.streams += 1;
        self.reserved = alone;
    }

    /// A stream on it has ended.
    pub(crate) const fn release(&mut self, now: Instant) {
        self.streams -= 1;
        if self.streams == 0 {
            self.reserved = false;
            self.unused_since = now;
        }
    }

    /// The server took no further stream: it allows as many as are open.
    pub(crate) const fn refuse(&mut self) {
        self.limit = self.streams;
        if self.streams == 0 {
            self.retired = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::description::tests::response;

    fn ready() -> Connection {
        let now = Instant::now();
        let mut connection = Connection::new(ConnectionId(1), now, now, 2);
        assert!(!connection.has_slot(false) && connection.description().is_none());
        if let Ok(description) = Description::new(1, response()) {
            connection.stage = Stage::Ready(Arc::new(description));
        }
        connection
    }

    #[test]
    fn streams_are_bounded() {
        let mut connection = ready();
        assert!(connection.has_slot(true));
        connection.take(false);
        assert!(connection.has_slot(false) && !connection.has_slot(true));
        connection.take(false);
        assert!(!connection.has_slot(false));
        connection.release(Instant::now());
        assert!(connection.has_slot(false));
        connection.retired = true;
        assert!(!connection.has_slot(false));
    }

    #[test]
    fn a_stream_that_must_be_alone_is() {
        let mut connection = ready();
        connection.take(true);
        assert!(!connection.has_slot(false) && !connection.has_slot(true));
        connection.release(Instant::now());
        assert!(connection.has_slot(false) && connection.has_slot(true));
    }

    #[test]
    fn v21_a_refusal_teaches_the_limit() {
        let mut connection = ready();
        connection.limit = 90;
        connection.take(false);
        connection.take(false);
        connection.take(false);
        connection.release(Instant::now());
        connection.refuse();
        assert_eq!(connection.limit, 2);
        assert!(!connection.has_slot(false) && !connection.retired);
        connection.release(Instant::now());
        assert!(connection.has_slot(false));
        connection.release(Instant::now());
        connection.refuse();
        assert!(connection.retired);
    }
}
