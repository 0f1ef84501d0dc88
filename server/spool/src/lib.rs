//! Where messages persist until they leave: the contract of a store, and its drivers.
//!
//! The 250 after the final dot is a promise, and only this crate can give the [`Durable`] token
//! that stands for it. The driver of this version is [`Embedded`]: SQLite with one writer that
//! commits whatever waits in one transaction and syncs before it answers. Bodies up to 32 KiB are in
//! it, those up to 256 KiB in one file of extents, larger ones in files of their own.

mod arrival;
mod body;
mod budget;
mod claim;
mod disk;
mod embedded;
mod error;
mod facts;
mod files;
mod health;
mod listing;
mod receiving;
mod rendered;
mod stage;
mod store;
mod sums;

pub use body::{Blob, Digests, Place, ReadAt, Spill, Spills, StoredBody};
pub use budget::Budget;
pub use claim::{Claimed, Lease, Seized, weight_in_hand};
pub use disk::{Disk, Free, SystemDisk};
pub use embedded::{Damage, Embedded, Options, SetAside, examine};
pub use error::SpoolError;
pub use facts::ContentFacts;
pub use health::Health;
pub use listing::{
    Backlog, Entry, Filter, FromSender, MOST_ON_A_PAGE, Page, Pattern, StageKind, Waiting,
};
pub use receiving::Receiving;
pub use rendered::Rendered;
pub use stage::{Point, Stage};
pub use store::{
    Batch, DestinationChange, Due, Durable, MessageUpdate, NewMessage, Purpose, RecipientChange,
    StageCounts, Store, StoredMessage, UsedKey,
};

#[cfg(test)]
mod contract;
#[cfg(test)]
mod sample;
