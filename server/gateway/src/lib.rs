//! The gateway: listeners, transport, delivery and the commands, composed of Postern's other crates.

pub mod accepted;
pub mod accounts;
mod admin;
pub mod cli;
pub mod front;
mod log;
mod mail_hosts;
pub mod metrics;
pub mod observe;
mod paint;
pub mod plan;
pub mod preflight;
pub mod quickstart;
pub mod runtime;
pub mod serve;
mod sink_advice;
pub mod state_folder;
pub mod terms;
pub mod tls;
