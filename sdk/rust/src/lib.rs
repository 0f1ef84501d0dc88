//! Sinks in Rust: services that judge the events of a Postern gateway.
//!
//! A [`Sink`] is a name and a handler for each event that it wants. Registering a handler is asking for its event. A
//! handler is an `async` function or closure; its arguments say what it needs ([`FromEvent`]), its result is a
//! [`Verdict`] or a `Result<Verdict, Fault>`. [`Sink::run`] makes a program of it, with health, logs and draining.
//!
//! ```no_run
#![doc = include_str!("../examples/add_header.rs")]
//! ```
//!
//! # What the SDK takes off the author
//!
//! - Many instances share one stream, and one slow handler holds up no other: one that has been slow, or that
//!   is shown more than 64 KiB of a body, runs on threads of their own. Events of one instance are handled in their order; only the RCPTs of a
//!   pipelined group are handled at the same time.
//! - A handler that panics, or fails with `?`, answers with a fault at once. One that nobody waits for any more is dropped
//!   at its next `.await`.
//! - What a handler sees of session, transaction and recipients is how things stood at its event.
//! - Content that nobody reads is not sent: memory is bounded by what the handler asks for.
//! - A [`Message`] is edited in place. What was changed becomes the smallest edits, added to a verdict that keeps the
//!   message and dropped with one that does not.
//! - A verdict is checked against the table, the binding's grants and the gateway's limits before it is sent ([`check`]).
//!
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `cli` (default) | flags for [`Sink::run`], beside the environment; brings `serve` |
//! | `serve` | the gRPC service and the program around it |
//! | `tls` | TLS by rustls, and client certificates |
//! | `reflection` | gRPC server reflection |
//! | `mime` | decoded views of header fields and text parts |
//! | `testing` | the test kit, for `[dev-dependencies]` |
//!
//! Without any of them the crate has the protocol as machines and types: [`link`], [`Picture`], [`check`].

// Without a shell there is nobody who calls handlers.
#![cfg_attr(
    not(any(feature = "serve", feature = "testing")),
    allow(dead_code, unused_imports)
)]

mod address;
mod call;
pub mod check;
mod commands;
mod driver;
mod event;
mod extract;
mod fault;
mod handler;
mod layer;
pub mod link;
mod message;
mod pace;
mod people;
mod picture;
mod reply;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod serving;
mod sink;
#[cfg(feature = "testing")]
pub mod testing;
mod value;
mod verdict;
mod workers;

pub use postern_proto::v1;
pub use v1::EventKind;

pub use address::{Address, AddressError, Domain, Id, ReversePath};
pub use call::{Answer, Call, IntoAnswer, Needs};
pub use check::Refusal;
pub use event::{
    About, Asked, Auth, Command, Connect, Data, DeliveryResult, Disconnect, Event, EventBody,
    Grouped, Headers, Helo, Interest, Mail, Outcome, Rcpt, RcptGroup, Reset, Response, Tls, Told,
    delivery, inbound, outbound, service, transport,
};
pub use extract::{
    ActionError, Actions, AnyEvent, Attributes, Binding, Carried, Conduct, FromEvent, Instance,
    MessageState, Progress, Properties, Settled, State,
};
pub use fault::Fault;
pub use handler::Handler;
pub use layer::{Failure, Judging, Question};
#[cfg(feature = "mime")]
pub use message::TextPart;
pub use message::{ContentError, HeaderList, HeaderValue, HeaderView, Message};
pub use people::{Recipient, Recipients, Sender, Session, Transaction};
pub use picture::Picture;
pub use reply::Reply;
#[cfg(feature = "serve")]
pub use serve::{Address as ListenAddress, LogFormat, Options, OptionsError, ServeError, serve};
#[cfg(feature = "serve")]
pub use serving::SinkService;
pub use sink::{Sink, StartError, event_name, name_of};
pub use value::Value;
pub use verdict::Verdict;

/// The book's examples, as tests.
#[cfg(all(doctest, feature = "testing", feature = "mime"))]
#[doc = include_str!("../../../docs/sinks.md")]
pub struct Book;

/// The examples of the page on addresses, as tests.
#[cfg(all(doctest, feature = "testing", feature = "mime"))]
#[doc = include_str!("../../../docs/addresses.md")]
pub struct Addresses;

/// Octets in place, as the protocol has them.
pub(crate) fn data(octets: bytes::Bytes) -> v1::Data {
    v1::Data {
        kind: Some(v1::data::Kind::Literal(octets)),
    }
}
