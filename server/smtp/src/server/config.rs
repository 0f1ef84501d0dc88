//! What a session is configured with.

use std::time::Duration;

use super::extension::Additions;
use crate::address::{AddressSyntax, Domain};
use crate::command::HelloNames;

/// Which protocol a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP (RFC 5321).
    Smtp,
    /// LMTP (RFC 2033): LHLO, and one reply per recipient after the content.
    Lmtp,
}

/// What happens to the rest of a DATA body that was refused while it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EarlyRefusal {
    /// Read it and throw it away, up to [`Limits::drain`], then reply.
    #[default]
    Drain,
    /// Reply and close at once.
    Close,
}

/// How AUTH is offered (RFC 4954).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The names of the mechanisms in upper case, in the order of EHLO.
    pub mechanisms: Vec<String>,
    /// Offered without TLS too.
    pub in_clear: bool,
    /// MAIL needs an authenticated client (RFC 6409 4.3).
    pub required: bool,
}

/// Configuration of the sessions of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Protocol.
    pub protocol: Protocol,
    /// Name in greeting and replies.
    pub hostname: Domain,
    /// Whether STARTTLS is offered (never inside TLS).
    pub starttls: bool,
    /// AUTH; `None`: it is not there.
    pub auth: Option<Auth>,
    /// Whether MT-PRIORITY is offered (RFC 6710): the client may set priorities.
    pub priorities: bool,
    /// Verbs and keywords that others add.
    pub additions: Additions,
    /// What to do about a body refused early.
    pub early_refusal: EarlyRefusal,
    /// Which names of clients are taken.
    pub hello_names: HelloNames,
    /// How closely the paths of MAIL and RCPT keep to the grammar.
    pub addresses: AddressSyntax,
    /// Limits that a session begins with.
    pub limits: Limits,
}

impl Config {
    /// A configuration with the default limits, strict grammar, no STARTTLS and no AUTH.
    #[must_use]
    pub fn new(protocol: Protocol, hostname: Domain) -> Self {
        Self {
            protocol,
            hostname,
            starttls: false,
            auth: None,
            priorities: false,
            additions: Additions::default(),
            early_refusal: EarlyRefusal::default(),
            hello_names: HelloNames::default(),
            addresses: AddressSyntax::default(),
            limits: Limits::default(),
        }
    }
}

/// Limits of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in octets, announced as SIZE: 552 beyond.
    pub max_message_size: u64,
    /// Recipients of one message: 452 beyond.
    pub recipients: u32,
    /// RCPT commands whose answers may be outstanding at a time.
    pub recipients_in_flight: usize,
    /// Accepted MAIL commands in one session: 421 beyond.
    pub messages_per_session: u32,
    /// Commands refused with 5xx in one session: 421 then.
    pub errors: u32,
    /// Authentications that may fail (535, 454) in one session: 421 then.
    pub failed_authentications: u32,
    /// Commands that do nothing (NOOP, RSET, VRFY, HELP, a second EHLO) since the last message: 421 then.
    pub junk_commands: u32,
    /// Longest command line in octets, CRLF included: 500 beyond.
    pub command_line: usize,
    /// Longest line of text in octets, CRLF included: the message is refused beyond. A command line
    /// longer than this closes the session.
    pub line_length: usize,
    /// Octets read and thrown away after a refusal before the session is closed instead.
    pub drain: u64,
    /// Time for the client to send a whole command.
    pub command_timeout: Duration,
    /// Time between two pieces of content.
    pub data_timeout: Duration,
    /// Octets a second of content, measured over a minute; 0 is no minimum.
    pub body_rate_min: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_size: 25 << 20,
            recipients: 1000,
            recipients_in_flight: 100,
            messages_per_session: 1000,
            errors: 20,
            failed_authentications: 3,
            junk_commands: 100,
            command_line: 4096,
            line_length: 64 << 10,
            drain: 256 << 20,
            command_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(180),
            body_rate_min: 1 << 10,
        }
    }
}
