//! The scheduler on a virtual clock.
#![allow(clippy::unwrap_used)]

mod cases;
mod walks;
mod world;
