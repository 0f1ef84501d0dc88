//! Sinks in Rust: services that judge the events of a Postern gateway.
//!
//! A sink is a type that implements [`Sink`]: it [describes](Description) what it wants, and overrides the
//! handlers of the events that it cares about. Each handler returns a [`Verdict`] or a [`Fault`]; there is no
//! way to return without one. [`run`] makes a program of it, with health, reflection, TLS, logs and draining.
//!
//! ```no_run
#![doc = include_str!("../examples/add_header.rs")]
//! ```
//!
//! # What the SDK takes off the author
//!
//! - Many instances share one stream, and one slow handler holds up no other. Handlers of one instance that
//!   wait for a verdict may run at the same time (a pipelined group of RCPTs); one-way events are handled one
//!   after the other, in their order.
//! - A handler that panics, or fails with `?`, answers with a fault at once. One that nobody waits for any more
//!   is dropped at its next `.await`.
//! - Content that nobody reads is not sent: memory is bounded by what the handler asks for.
//! - A [`Message`] is edited in place. What was changed becomes the smallest edits, added to a verdict that
//!   accepts the message and dropped with one that does not.
//!
//! [`testing`] runs a sink in process against scripted sessions.

mod description;
mod event;
mod fault;
mod instance;
mod message;
mod property;
mod reply;
mod router;
mod serve;
mod service;
mod sink;
pub mod testing;
mod verdict;

pub use postern_proto::v1;
pub use v1::EventKind;

pub use description::{Body, Description};
pub use event::{
    Command, Connect, Data, DeliveryResult, Disconnect, Event, Headers, Helo, Mail, Outcome, Rcpt,
    Reset, Response, Tls, dotted_name, id_text, kind_of,
};
pub use fault::Fault;
pub use instance::{BindingView, Instance};
pub use message::{ContentError, HeaderList, HeaderView, Message};
pub use property::Value;
pub use reply::Reply;
pub use serve::{Address, LogFormat, Options, ServeError, run, serve};
pub use service::SinkService;
pub use sink::{NoProperties, NoState, Sink};
pub use verdict::Verdict;

/// What a handler returns: a verdict, or why there is none.
pub type Result<T = Verdict, E = Fault> = std::result::Result<T, E>;
