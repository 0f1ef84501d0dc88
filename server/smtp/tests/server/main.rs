//! The server's session machine, driven by scripts on a virtual clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod attacks;
mod auth;
mod chunks;
mod conformance;
mod dialogue;
mod driver;
mod extensions;
mod limits;
mod pieces;
