//! Who works on which message.

use std::time::SystemTime;

use postern_message::MessageId;

/// A claim on a message: while it is held, nobody else is given the message. A store that several
/// processes share ends it when it is not renewed; the embedded one, which has one process, ends it
/// when it is released or the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The message.
    pub message: MessageId,
    /// Told apart from earlier claims on the same message: a change under an old one is refused.
    pub token: u64,
}

/// About how many octets of memory a message of so many recipients takes while it is worked on, beside its record and its content:
/// what is known of each recipient, what is said of it in the end, and what is written then. Measured, not exact.
#[must_use]
pub const fn weight_in_hand(recipients: usize) -> u64 {
    4096 + 2048 * recipients as u64
}

/// A message that was claimed. It is not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The claim.
    pub lease: Lease,
    /// When it was due.
    pub due: SystemTime,
    /// About how many octets of memory its record takes once it is read.
    pub weight: u64,
}

/// What came of reaching for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seized {
    /// It is claimed now.
    Taken {
        /// The claim.
        lease: Lease,
        /// About how many octets of memory its record takes once it is read.
        weight: u64,
    },
    /// Somebody has it.
    Busy,
    /// It is not there.
    Gone,
}
