//! The dispatcher against real sinks over gRPC, in one process: good ones, slow ones, dead ones, lying ones.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod content;
mod faults;
mod guard;
mod health;
mod instances;
mod modes;
mod order;
mod rig;
mod sink;
