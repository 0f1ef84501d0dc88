//! The session that brings a message: who the client is, what it said, how it behaved.
//!
//! There is one type for it. The front end fills it while the session lasts, rules and conditions read it, and it is
//! stored whole with the message, so that whoever is asked later sees the same facts.

mod codec;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::SessionId;

/// Which protocol the client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033).
    Lmtp,
}

impl Protocol {
    /// `smtp` or `lmtp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
        }
    }
}

/// What reverse lookup of the client's address found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReverseName {
    /// It was not looked up.
    #[default]
    NotAsked,
    /// The address has no name.
    None,
    /// A name, and one of its addresses is the client's.
    Confirmed(String),
    /// A name that does not lead back to the address.
    Unconfirmed(String),
    /// The name servers did not answer in time.
    Failed,
}

impl ReverseName {
    /// The name, and whether it leads back to the address; an empty name where there is none.
    #[must_use]
    pub fn name(&self) -> (&str, bool) {
        match self {
            Self::Confirmed(name) => (name, true),
            Self::Unconfirmed(name) => (name, false),
            Self::NotAsked | Self::None | Self::Failed => ("", false),
        }
    }
}

/// What a TLS handshake came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`; empty where the handshake failed.
    pub version: String,
    /// IANA's name of the cipher suite.
    pub cipher: String,
    /// The server name that the client asked for.
    pub server_name: Option<String>,
    /// The client's certificates, DER, its own first. Only that one is stored.
    pub peer_certificates: Vec<Bytes>,
    /// The certificates were verified against the configured authorities.
    pub peer_verified: bool,
    /// Why the handshake failed; empty where it did not.
    pub failure: String,
}

/// A greeting that was accepted (HELO, EHLO or LHLO).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// `HELO`, `EHLO` or `LHLO`.
    pub verb: Bytes,
    /// The name or address literal that the client gave.
    pub name: Bytes,
}

impl Greeting {
    /// The verb was EHLO or LHLO.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        !self.verb.eq_ignore_ascii_case(b"HELO")
    }
}

/// How the client has behaved so far. Counts are of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Command lines read.
    pub commands: u32,
    /// Replies of the 4xx and 5xx classes.
    pub errors: u32,
    /// Lines that were no known command or broke the grammar.
    pub syntax_errors: u32,
    /// Octets came before the banner was sent.
    pub talked_early: bool,
    /// Commands came in one go where that was not allowed.
    pub pipelined_early: bool,
    /// Time between our last reply and this command. Stored to the millisecond.
    pub idle: Duration,
    /// Messages accepted.
    pub messages: u32,
    /// RCPT commands refused.
    pub refused_recipients: u32,
    /// Commands that led to nothing (NOOP, RSET, VRFY).
    pub junk_commands: u32,
}

/// One session with a client, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionContext {
    /// The session's id.
    pub id: SessionId,
    /// The gateway's own host name on this virtual server.
    pub hostname: Arc<str>,
    /// The listener, as the configuration writes it.
    pub listener: Arc<str>,
    /// Which protocol the listener speaks.
    pub protocol: Protocol,
    /// Where the client connected from; absent on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The address that it connected to.
    pub local: Option<SocketAddr>,
    /// The client's name by reverse lookup, and how far it can be trusted.
    pub reverse_name: ReverseName,
    /// The client is in a network that may relay.
    pub may_relay: bool,
    /// Who it authenticated as.
    pub authenticated: Option<String>,
    /// TLS was there before the first octet.
    pub implicit_tls: bool,
    /// TLS, if it is in use.
    pub tls: Option<TlsInfo>,
    /// The greeting that was accepted.
    pub greeting: Option<Greeting>,
    /// How the client has behaved.
    pub conduct: Conduct,
    /// When the client connected. Stored to the millisecond.
    pub connected_at: SystemTime,
}

impl SessionContext {
    /// A session of which nothing but its beginning is known.
    #[must_use]
    pub fn new(id: SessionId, connected_at: SystemTime) -> Self {
        Self {
            id,
            hostname: Arc::from(""),
            listener: Arc::from(""),
            protocol: Protocol::Smtp,
            peer: None,
            local: None,
            reverse_name: ReverseName::NotAsked,
            may_relay: false,
            authenticated: None,
            implicit_tls: false,
            tls: None,
            greeting: None,
            conduct: Conduct::default(),
            connected_at,
        }
    }

    /// The name that the client gave in its greeting; empty before it.
    #[must_use]
    pub fn greeting_name(&self) -> &[u8] {
        self.greeting
            .as_ref()
            .map_or(b"", |greeting| &greeting.name[..])
    }
}
