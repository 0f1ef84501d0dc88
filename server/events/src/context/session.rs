//! The session that brings a message: one type, filled once, for SMTP's own `Received` field, for rules and conditions,
//! for the wire and for the spool.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_message::{Properties, SessionId};

/// A parameter of a command: keyword and value as they came.
pub type RawParameter = (Bytes, Option<Bytes>);

/// A session as it is at one moment. Stored whole with the message that it brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionContext {
    /// The session's id.
    pub id: SessionId,
    /// The virtual server.
    pub server: Arc<str>,
    /// The name that the server greets with.
    pub hostname: Arc<str>,
    /// The listener, as the configuration writes it.
    pub listener: Arc<str>,
    /// Which protocol the listener speaks.
    pub protocol: Protocol,
    /// The connection.
    pub client: Client,
    /// The last greeting that was accepted. `None`: none since the connection or since STARTTLS.
    pub helo: Option<Helo>,
    /// TLS, if it is in use.
    pub tls: Option<Tls>,
    /// Who the client proved to be.
    pub authentication: Option<Authentication>,
    /// The client may relay to any domain.
    pub may_relay: bool,
    /// The tenant that the session belongs to; empty where there is none, or none is known yet.
    pub tenant: String,
    /// When the connection was accepted.
    pub started_at: SystemTime,
    /// How the client has behaved so far.
    pub conduct: Conduct,
    /// Properties that sinks keep on the session.
    pub properties: Properties,
    /// Bindings that failed in this session, outside of a transaction, and were passed over.
    pub skipped: Vec<String>,
}

impl SessionContext {
    /// A session that has just begun.
    #[must_use]
    pub fn new(
        server: Arc<str>,
        hostname: Arc<str>,
        client: Client,
        started_at: SystemTime,
    ) -> Self {
        Self {
            id: SessionId::new(),
            server,
            hostname,
            listener: Arc::from(""),
            protocol: Protocol::default(),
            client,
            helo: None,
            tls: None,
            authentication: None,
            may_relay: false,
            tenant: String::new(),
            started_at,
            conduct: Conduct::default(),
            properties: Properties::new(),
            skipped: Vec::new(),
        }
    }

    /// A session of which nothing is known but the virtual server.
    #[must_use]
    pub fn unknown(server: Arc<str>) -> Self {
        let hostname = Arc::from("");
        Self::new(server, hostname, Client::default(), SystemTime::UNIX_EPOCH)
    }

    /// TLS is in use from here on. What was said before it counts no more (RFC 3207, section 4.2).
    pub fn secure(&mut self, tls: Tls) {
        self.tls = Some(tls);
        self.helo = None;
        self.authentication = None;
    }

    /// The client greeted with EHLO or LHLO.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.helo
            .as_ref()
            .is_some_and(|helo| !helo.verb.eq_ignore_ascii_case(b"HELO"))
    }
}

/// Which protocol the client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// Submission (RFC 6409).
    Submission,
    /// LMTP (RFC 2033).
    Lmtp,
    /// The milter front end.
    Milter,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 4] = [Self::Smtp, Self::Submission, Self::Lmtp, Self::Milter];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Lmtp => "lmtp",
            Self::Milter => "milter",
        }
    }
}

/// The connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address; absent on a Unix socket.
    pub address: Option<IpAddr>,
    /// Its port; 0 on a Unix socket.
    pub port: u16,
    /// Our address that it connected to; for a Unix socket its path.
    pub local_address: String,
    /// Our port; 0 on a Unix socket.
    pub local_port: u16,
    /// Where `address` comes from.
    pub address_source: AddressSource,
    /// The proxy's address, if `address` does not come from the connection.
    pub proxy_address: Option<IpAddr>,
    /// Its names by reverse lookup, at most 10, and how far they can be trusted.
    pub reverse_name: ReverseName,
    /// TLS began with the connection (RFC 8314).
    pub implicit_tls: bool,
    /// Attributes that XCLIENT gave, raw.
    pub xclient: Vec<RawParameter>,
}

/// Where a client's address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressSource {
    /// The connection itself.
    #[default]
    Connection,
    /// A PROXY protocol header.
    Proxy,
    /// The XCLIENT command.
    Xclient,
}

/// What reverse lookup of the client's address found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReverseName {
    /// It was not looked up.
    #[default]
    NotAsked,
    /// The address has no name.
    None,
    /// Names of which one leads back to the address.
    Confirmed(Vec<String>),
    /// Names of which none leads back to the address.
    Unconfirmed(Vec<String>),
    /// The name servers did not answer in time.
    Failed,
}

impl ReverseName {
    /// The first name, and whether it was confirmed.
    #[must_use]
    pub fn first(&self) -> (&str, bool) {
        match self {
            Self::Confirmed(names) => (names.first().map_or("", String::as_str), true),
            Self::Unconfirmed(names) => (names.first().map_or("", String::as_str), false),
            Self::NotAsked | Self::None | Self::Failed => ("", false),
        }
    }
}

/// HELO, EHLO or LHLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Helo {
    /// The verb in upper case.
    pub verb: Bytes,
    /// The name or address literal that the client gave.
    pub name: Bytes,
}

/// What a TLS handshake came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.2` or `TLSv1.3`; empty where the handshake failed.
    pub version: String,
    /// IANA's name of the cipher suite.
    pub cipher: String,
    /// The server name that the client asked for.
    pub server_name: Option<String>,
    /// The peer's certificates, DER, its own first. With the message only its own is kept.
    pub peer_certificates: Vec<Bytes>,
    /// The certificates were verified against the configured authorities.
    pub peer_verified: bool,
    /// Why the handshake failed; empty where it did not.
    pub failure: String,
}

/// Who the client proved to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// The SASL mechanism in upper case; empty where a sink said so by other means.
    pub mechanism: Bytes,
    /// The authenticated identity.
    pub identity: Bytes,
    /// The identity that it acts for; empty where it is the same.
    pub authorization_identity: Bytes,
}

/// How the client has behaved so far. Counts are of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Command lines read.
    pub commands: u32,
    /// Replies of the 4xx and 5xx classes.
    pub errors: u32,
    /// Lines that were no known command or broke the grammar, too long ones included.
    pub syntax_errors: u32,
    /// Octets came before the banner was sent.
    pub talked_early: bool,
    /// Commands came together before EHLO had offered PIPELINING, or after a command that ends a group.
    pub pipelined_early: bool,
    /// Time between our last write to the client and the first octet of this command.
    pub idle: Duration,
    /// Messages accepted.
    pub messages: u32,
    /// RCPT commands refused.
    pub refused_recipients: u32,
    /// Commands without effect (NOOP, RSET, VRFY and the like).
    pub junk_commands: u32,
    /// Authentications that failed.
    pub failed_authentications: u32,
    /// Connections that this client has open to this virtual server, this one included.
    pub connections: u32,
}

/// A command line as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The verb in upper case.
    pub verb: Bytes,
    /// The whole line without its CRLF.
    pub line: Bytes,
    /// More commands had arrived behind it when it was read (RFC 2920).
    pub pipelined: bool,
}
