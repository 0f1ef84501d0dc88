//! Where one event was asked so far.

use super::ids::{ConnectionId, ReplicaId};

/// Times that an event may be asked, on different replicas or connections, so that a poisonous message cannot sweep a
/// fleet.
const ASKINGS: u8 = 2;

/// Where one event was asked, and whether asking it twice does harm.
#[derive(Clone, Debug)]
pub struct Tried {
    pub(crate) harmless: bool,
    askings: u8,
    last: Option<(ReplicaId, ConnectionId)>,
}

impl Tried {
    /// An event that was not asked yet. `harmless`: see [`Description::is_harmless`](super::Description::is_harmless).
    #[must_use]
    pub const fn new(harmless: bool) -> Self {
        Self {
            harmless,
            askings: 0,
            last: None,
        }
    }

    /// Returns how often it was asked.
    #[must_use]
    pub const fn askings(&self) -> u8 {
        self.askings
    }

    /// Returns whether it may be asked once more while it is open.
    #[must_use]
    pub const fn may_move(&self) -> bool {
        self.harmless && !self.is_spent()
    }

    pub(crate) const fn is_spent(&self) -> bool {
        self.askings >= ASKINGS
    }

    pub(crate) const fn last(&self) -> Option<(ReplicaId, ConnectionId)> {
        self.last
    }

    pub(crate) const fn asked(&mut self, replica: ReplicaId, connection: ConnectionId) {
        self.askings += 1;
        self.last = Some((replica, connection));
    }
}
