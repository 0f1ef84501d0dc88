//! The client's side of SMTP and LMTP, without I/O.
//!
//! [`Session`] is told what happened (`handle_…`), what is wanted ([`Session::send`], [`Session::content`],
//! [`Session::quit`]), and says what to do next ([`Session::poll_action`]) and until when to wait
//! ([`Session::poll_timeout`]). Time is an argument. The caller's loop:
//!
//! 1. Do all actions, in order.
//! 2. Look at [`Session::wants`], and wait for that, for octets of the peer, and for the deadline, whichever comes first.
//! 3. Tell the session, and start again.
//!
//! A session sends any number of messages, one after the other, each ending with [`Action::Finished`] that has a result
//! for every recipient. Commands are pipelined where the peer offers it (RFC 2920); small messages go by BDAT in the same
//! flight as their envelope where it offers CHUNKING (RFC 3030). Content is never altered: what a peer cannot take is
//! an [`Obstacle`], and content with a bare CR or LF ends the connection before it can be taken for something else.

mod capabilities;
mod config;
mod content;
mod exchange;
mod outcome;
mod response;
mod session;
mod transaction;

pub use capabilities::{Capabilities, Limits};
pub use config::{ClientName, ClientNameError, Config, Protocol, Timeouts, TlsUse};
pub use content::{ContentEncoder, ContentError, Framing};
pub use outcome::{Delivery, Failure, Report, Stage};
pub use response::{ReplyLimits, Response, ResponseError, ResponseParser};
pub use session::{Action, NotReady, Session, Wants};
pub use transaction::{Body, Obstacle, Recipient, Ret, Transaction};

#[cfg(test)]
mod tests;
