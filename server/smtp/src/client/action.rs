//! What a session wants done, in order, and what it waits for.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::outcome::{Failure, Report};
use super::question::Question;

/// What the caller has to do next, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Send these octets.
    Send(Bytes),
    /// Find an answer, and give it to the session.
    Ask(Question),
    /// Make the TLS handshake, then call [`Session::tls_established`](super::Session::tls_established). What was read beyond the peer's reply is gone.
    StartTls,
    /// The session is open: [`Session::send`](super::Session::send) may be called.
    Ready,
    /// The transaction is over. The session takes the next one, unless it ends: see [`Session::is_ready`](super::Session::is_ready).
    Finished(Report),
    /// Close the connection; `None` after QUIT.
    Close(Option<Arc<Failure>>),
}

/// What the session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Octets from the peer.
    Input,
    /// The next slice of the content, or its end. Octets from the peer too.
    Content,
    /// An answer. Nothing is taken of the peer's octets before it.
    Answer,
    /// The end of the handshake.
    Tls,
    /// A message or [`Session::quit`](super::Session::quit). Octets from the peer too: it may close.
    Message,
    /// Nothing more: it is over.
    Nothing,
}

/// The session is not free to take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the session is not ready for a message")]
pub struct NotReady;
