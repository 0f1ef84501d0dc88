//! How a stream ends, and what that says about the replica behind it.

use postern_events::fault::{Fault, FaultKind};

use crate::line::one_line;

/// Longest detail of a status that is kept, in characters.
const DETAIL: usize = 512;

/// A status code of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 0: the sink ended the stream.
    Ok,
    /// 1.
    Cancelled,
    /// 2: also what servers send for an exception that nobody caught.
    Unknown,
    /// 3.
    InvalidArgument,
    /// 4.
    DeadlineExceeded,
    /// 5.
    NotFound,
    /// 6.
    AlreadyExists,
    /// 7.
    PermissionDenied,
    /// 8.
    ResourceExhausted,
    /// 9.
    FailedPrecondition,
    /// 10.
    Aborted,
    /// 11.
    OutOfRange,
    /// 12.
    Unimplemented,
    /// 13.
    Internal,
    /// 14.
    Unavailable,
    /// 15.
    DataLoss,
    /// 16.
    Unauthenticated,
}

impl Code {
    /// Every code, by number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code with this number. Numbers that gRPC does not have are UNKNOWN, as its specification asks.
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|number| Self::ALL.get(number).copied())
            .unwrap_or(Self::Unknown)
    }

    /// The kind of failure that a stream which ends with this code is to the events that were open on it.
    #[must_use]
    pub const fn fault_kind(self) -> FaultKind {
        match self {
            Self::Unavailable | Self::Unauthenticated | Self::PermissionDenied => {
                FaultKind::Unreachable
            }
            Self::ResourceExhausted => FaultKind::Overload,
            Self::DeadlineExceeded => FaultKind::Timeout,
            Self::Ok
            | Self::Cancelled
            | Self::Unknown
            | Self::InvalidArgument
            | Self::NotFound
            | Self::AlreadyExists
            | Self::FailedPrecondition
            | Self::Aborted
            | Self::OutOfRange
            | Self::Unimplemented
            | Self::Internal
            | Self::DataLoss => FaultKind::Fault,
        }
    }
}

/// The end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The gateway half-closed it, and nothing was open.
    InOrder,
    /// The sink's program or something on the way ended it with a status.
    Status {
        /// The code.
        code: Code,
        /// The message.
        detail: String,
    },
    /// The server did not take it: REFUSED_STREAM, or as many streams as it allows. No handler has seen any of it.
    Refused {
        /// What the transport says.
        detail: String,
    },
    /// It broke: reset, GOAWAY of HTTP/2, connection lost, no sign of life.
    Broken {
        /// What the transport says.
        detail: String,
    },
    /// The gateway gave it up for a reason that says nothing about reachability: the sink broke the protocol, or
    /// did not finish before it went away.
    GivenUp {
        /// Why.
        detail: String,
    },
}

impl StreamEnd {
    /// The failure of the events that were open on the stream.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::InOrder => Fault::new(FaultKind::Fault, "the stream has ended"),
            Self::Status { code, detail } => {
                let detail = one_line(detail, DETAIL);
                let text = match code {
                    Code::Ok => "the sink ended the stream with the question open".to_owned(),
                    code => format!("the stream ended with {code:?}: {detail}"),
                };
                Fault::new(code.fault_kind(), text)
            }
            Self::Refused { detail } => Fault::new(
                FaultKind::Overload,
                format!(
                    "the sink takes no more streams: {}",
                    one_line(detail, DETAIL)
                ),
            ),
            Self::Broken { detail } => Fault::new(
                FaultKind::Unreachable,
                format!("the stream broke: {}", one_line(detail, DETAIL)),
            ),
            Self::GivenUp { detail } => Fault::new(FaultKind::Protocol, one_line(detail, DETAIL)),
        }
    }

    /// Returns whether it counts against the replica. What the application does never counts, nor does a limit.
    #[must_use]
    pub const fn counts(&self) -> bool {
        match self {
            Self::Broken { .. } => true,
            Self::Status { code, .. } => matches!(code.fault_kind(), FaultKind::Unreachable),
            Self::InOrder | Self::Refused { .. } | Self::GivenUp { .. } => false,
        }
    }

    /// Returns whether no handler of the sink can have seen anything that was sent.
    #[must_use]
    pub const fn unseen(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}
