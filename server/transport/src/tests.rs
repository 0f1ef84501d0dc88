//! The transport core with a real spool, peers in memory, and time that is set by the test runtime.
#![allow(clippy::unwrap_used)]

mod acted;
mod crowded;
mod judged;
mod kept;
mod needs;
mod operator;
mod queued;
mod reports;
mod resolved;
mod stage;
mod turns;
mod walk;
