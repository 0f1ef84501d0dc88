//! A mailbox store as a sink: `deliver = "sink:NAME"` makes it the end of a message's way.
//!
//! [`settings`] is what an operator configures, [`sink`] the sink itself, [`store`] the files.

pub mod settings;
pub mod sink;
pub mod store;
