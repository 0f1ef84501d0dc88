//! What authors of sinks rely on.

#![allow(clippy::unwrap_used, missing_docs)]

mod book;
mod content;
mod contract;
mod five_sinks;
mod handlers;
mod layers;
mod parts;
mod served;
mod workers;
