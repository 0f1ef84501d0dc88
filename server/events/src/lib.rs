//! The event model: what happens, who is bound to it, what a verdict may do, and what a chain of verdicts comes to.
//!
//! Nothing here does I/O or reads a clock: times come in as arguments. A gateway asks through a shell that carries
//! questions to sinks; this crate says whom to ask, what to show, and what the answers mean.

pub mod action;
pub mod answer;
pub mod attributes;
pub mod budget;
pub mod chain;
mod check;
pub mod condition;
pub mod context;
pub mod deferred;
pub mod delivery;
pub mod encode;
pub mod event;
pub mod fault;
pub mod grant;
pub mod inbound;
pub mod judge;
pub mod order;
pub mod outbound;
pub mod picture;
pub mod plan;
pub mod question;
pub mod recipient_kind;
pub mod route;
pub mod rule;
pub mod ruling;
pub mod service;
pub mod source;
pub mod table;
#[cfg(test)]
mod testing;
pub mod transport;
pub mod validate;
mod wire;

#[cfg(test)]
mod every_event;
#[cfg(test)]
mod samples;

pub use wire::View;
