//! How a stream stands as a whole.

use std::time::Instant;

use postern_proto::v1::CloseReason;

use crate::end::StreamEnd;

/// The life of a stream. Each state holds what only it needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    /// It takes instances.
    Open,
    /// A deadline passed in silence: it takes nothing new until a frame comes, and is reset if none does.
    Silent {
        /// When it is reset.
        until: Instant,
    },
    /// One of both sides goes away: it takes nothing new, and ends with its last instance.
    Draining {
        /// When what is left fails. `None`: by its own deadlines.
        until: Option<Instant>,
        /// What its instances are closed with.
        reason: CloseReason,
    },
    /// Its last instance has ended: the requests end, and the sink is to end the responses.
    Parting {
        /// When it is reset.
        until: Instant,
        /// What is reported if it must be reset.
        end: StreamEnd,
    },
    /// It has ended.
    Ended,
}

impl Phase {
    /// When something is due.
    pub(crate) const fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Silent { until } | Self::Parting { until, .. } => Some(*until),
            Self::Draining { until, .. } => *until,
            Self::Open | Self::Ended => None,
        }
    }

    /// It carries instances.
    pub(crate) const fn is_carrying(&self) -> bool {
        matches!(
            self,
            Self::Open | Self::Silent { .. } | Self::Draining { .. }
        )
    }
}
