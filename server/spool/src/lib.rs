//! Where messages persist until they leave: store drivers.
//!
//! The 250 after the final dot is a promise, and only this crate can give the [`Durable`] token
//! that stands for it. The driver of this version is [`Embedded`]: SQLite with full sync and one
//! writer that commits whatever waits in one transaction, bodies over 32 KiB in files beside it.

mod arrival;
mod body;
mod driver;
mod embedded;
mod error;
mod files;
mod incoming;
mod rendered;
mod stage;
mod sums;

pub use body::{Digests, ReadAt, StoredBody};
pub use driver::{
    Batch, Due, Durable, MessageUpdate, NewMessage, RecipientChange, StageCounts, StoreDriver,
    StoredMessage,
};
pub use embedded::{Damage, Embedded, Options, SetAside};
pub use error::SpoolError;
pub use incoming::Incoming;
pub use rendered::Rendered;
pub use stage::Stage;

#[cfg(test)]
mod sample;
