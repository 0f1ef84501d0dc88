//! Where a message stands on its way out of the spool.

use std::time::SystemTime;

/// The stage of a message. What of it concerns single recipients is in their state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Accepted; the chain of `transport.submit` is to be asked.
    Submit {
        /// The binding to go on from; `None`: from the first.
        from_binding: Option<String>,
    },
    /// To be delivered.
    Deliver,
    /// Kept by a failure policy, and asked again by itself.
    Held {
        /// The event that is to be asked again, by its dotted name.
        event: String,
        /// The binding to go on from.
        binding: String,
        /// Since when. Kept to the millisecond.
        since: SystemTime,
        /// How often it was asked again.
        attempts: u32,
    },
    /// Kept until a person acts.
    Quarantined {
        /// The binding that asked for it.
        by: String,
        /// Its explanation.
        why: String,
    },
}
