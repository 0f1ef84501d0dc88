//! SMTP without I/O: grammar, replies, content decoders and session machines.
//!
//! Nothing here opens a socket or reads a clock. Bytes, answers and times go in; actions and
//! deadlines come out. What a client sends is parsed strictly, and the bytes as they came are kept
//! beside the parsed fields.

pub mod address;
pub mod bdat;
pub mod client;
pub mod command;
pub mod content;
pub mod data;
pub mod parameters;
pub mod reply;
pub mod server;
