//! What is told of deliveries: one file an event.

mod link;
mod result;
mod summary;
mod track;

#[cfg(test)]
use crate::every_event::{Row, row};

pub use link::Link;
pub use result::{DeliveryStatus, FailureOrigin, RecipientResult, Result};
pub use summary::MessageSummary;
pub use track::{Step, Track};

/// The events of this family, by number.
#[cfg(test)]
pub(crate) fn rows() -> Vec<Row> {
    vec![row::<Result>(), row::<Link>(), row::<Track>()]
}
