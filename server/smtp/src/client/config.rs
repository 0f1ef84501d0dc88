//! What a client session is told before it starts.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::login::Login;
use super::question::Questions;
use super::response::ReplyLimits;

/// The settings of client sessions to one destination.
#[derive(Debug, Clone)]
pub struct Config {
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// What is said after EHLO, HELO or LHLO.
    pub name: ClientName,
    /// Whether to use STARTTLS.
    pub tls: TlsUse,
    /// As whom the session authenticates itself. Without that no message is sent.
    pub login: Option<Login>,
    /// Whether it may do so without TLS: the peer is on this host.
    pub login_in_clear: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Bounds on the peer's replies.
    pub replies: ReplyLimits,
    /// Messages up to this many octets go by BDAT in the same flight as their envelope, when the peer offers CHUNKING
    /// and PIPELINING. It saves the round trip for 354; a larger one would be sent in vain if all recipients were refused.
    pub bdat_up_to: u64,
    /// What is asked about before it happens; by default nothing.
    pub questions: Questions,
}

impl Config {
    /// Settings with the defaults of this version.
    pub fn new(protocol: Protocol, name: ClientName) -> Self {
        Self {
            protocol,
            name,
            tls: TlsUse::IfOffered,
            login: None,
            login_in_clear: false,
            timeouts: Timeouts::default(),
            replies: ReplyLimits::default(),
            bdat_up_to: 64 * 1024,
            questions: Questions::default(),
        }
    }
}

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 2033: LHLO, and a reply for each accepted recipient after the dot.
    Lmtp,
}

/// Whether a session uses STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsUse {
    /// Not, even if offered: no TLS is wanted, or the connection has been encrypted from its first octet.
    Never,
    /// If the peer offers it.
    IfOffered,
    /// Without it no message is sent.
    Required,
}

/// How long to wait for what (RFC 5321 4.5.3.2). Each is for a whole reply, not for its next octet.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the greeting.
    pub greeting: Duration,
    /// For the reply to a command.
    pub command: Duration,
    /// For the peer to take the next part of the content.
    pub content_block: Duration,
    /// For the reply to the final dot or the last chunk.
    pub content_reply: Duration,
    /// For the reply to QUIT; the mail is delivered, so this one is short.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(5 * 60),
            command: Duration::from_secs(5 * 60),
            content_block: Duration::from_secs(3 * 60),
            content_reply: Duration::from_secs(10 * 60),
            quit: Duration::from_secs(10),
        }
    }
}

/// The name that a client gives itself: a host name or an address literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName(Bytes);

/// A name that cannot stand after EHLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a host name for EHLO has 1 to 255 printable ASCII octets without blanks")]
pub struct ClientNameError;

impl ClientName {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, ClientNameError> {
        let fits = (1..=255).contains(&name.len());
        if fits && name.bytes().all(|octet| octet.is_ascii_graphic()) {
            Ok(Self(Bytes::copy_from_slice(name.as_bytes())))
        } else {
            Err(ClientNameError)
        }
    }

    /// The octets to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
