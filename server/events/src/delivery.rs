//! What is told of deliveries: one file an event.

mod result;
mod summary;

pub use result::{DeliveryStatus, RecipientResult, Result};
pub use summary::MessageSummary;
