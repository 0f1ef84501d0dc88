//! The harness of the end-to-end tests: the real programs over real sockets.
//!
//! Nothing here links the gateway. A test writes a configuration, starts `postern serve`, talks
//! SMTP to it as a client would, and looks at what the next hop received.

pub mod admin;
pub mod certificate;
pub mod chain;
pub mod client;
pub mod gateway;
pub mod hostile;
pub mod mime;
pub mod name_server;
pub mod next_hop;
pub mod peer;
pub mod postfix;
pub mod programs;
pub mod raw_sink;
pub mod scripted_hop;
pub mod sink;
pub mod submission;
pub mod tls;
