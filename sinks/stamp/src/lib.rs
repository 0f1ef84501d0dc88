//! A trace header on each message, and every event in the log.
//!
//! [`settings`] is what an operator configures, [`sink`] the sink itself; `line` makes a line of an event.

pub mod settings;
pub mod sink;

mod line;
