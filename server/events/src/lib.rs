//! The event model: what happens, who is bound to it, what a verdict may do, and what a chain of verdicts comes to.
//!
//! Nothing here does I/O or reads a clock: times come in as arguments. A gateway asks through a shell that carries
//! questions to sinks; this crate says whom to ask, what to show, and what the answers mean.

pub mod context;
pub mod encode;
pub mod event;
pub mod fault;
pub mod order;
pub mod route;
