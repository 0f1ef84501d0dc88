//! What is told of deliveries: one file an event.

mod link;
mod result;
mod summary;
mod track;

pub use link::Link;
pub use result::{DeliveryStatus, RecipientResult, Result};
pub use summary::MessageSummary;
pub use track::{Step, Track};
