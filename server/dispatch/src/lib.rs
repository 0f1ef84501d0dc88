//! Bindings, rules, sink pools and the dispatch of events.
//!
//! The pure part decides: which bindings fire, in which order they are asked, what a verdict may do, what a chain
//! comes to. It does no I/O and takes time as an argument. The other part carries questions to sinks: streams,
//! instances, content. It knows nothing of the spool, of the configuration's format or of SMTP's sockets.

pub mod attributes;
pub mod budget;
pub mod chain;
pub mod condition;
pub mod event;
pub mod fault;
pub mod grant;
pub mod plan;
pub mod rule;
pub mod table;
pub mod validate;
pub mod verdict;

mod connection;
pub mod content;
pub mod describe;
pub mod dispatcher;
pub mod exchange;
mod facts;
mod feed;
pub mod inbound;
mod instance;
mod judge;
mod later;
mod mailbox;
pub mod observer;
mod outbox;
mod outlook;
mod pool;
mod pump;
mod replica;
mod run;
mod scope;
mod seat;
pub mod session;
pub mod settings;
mod stream;
mod trace_context;
pub mod transport;
mod wire;
