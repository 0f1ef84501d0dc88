//! The dispatch of events to sinks: connections, streams, content, and the running of chains.
//!
//! What an event is, who is bound to it and what a verdict may do is decided by `postern_events`; how a stream is spoken
//! and which replica is asked by `postern_attach`. Both are pure; here they meet sockets, tasks and clocks. One task owns
//! each sink with its streams; a session's chains run in the future of whoever waits for the ruling.
//!
//! Files depend on each other in one direction: [`content`], [`observer`], [`settings`] know nobody; `sink` and the files
//! that it is made of carry frames; `scope`, `attachment` and `run` ask; [`inbound`], [`exchange`], [`outgoing`],
//! [`transport`] and [`dispatcher`] are what the gateway calls.

pub mod content;
pub mod describe;
pub mod dispatcher;
pub mod exchange;
pub mod inbound;
pub mod observer;
pub mod outgoing;
pub mod settings;
pub mod stores;
pub mod transport;

pub mod actor;
mod answers;
mod attached;
mod attachment;
mod call;
mod codec;
mod connection;
mod destination;
mod ending;
mod health;
mod meter;
mod news;
mod pipe;
mod randomness;
mod run;
mod scope;
mod shared;
mod shown;
mod sink;
mod tls_files;
mod trace_context;
