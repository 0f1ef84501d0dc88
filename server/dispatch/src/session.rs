//! What the front end knows of a session and tells the dispatcher: facts, in the order in which they happen.

use bytes::Bytes;
use postern_message::{Envelope, MessageId, Recipient, RecipientId};
use postern_smtp::reply::Reply;

pub use postern_message::session::{
    Conduct, Greeting, Protocol, ReverseName, SessionContext, TlsInfo,
};

/// One command line (`inbound.command`), and part of every typed event.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    /// The verb in upper case.
    pub verb: Bytes,
    /// The line as it came, without its CRLF.
    pub line: Bytes,
    /// More commands had arrived behind it when it was read.
    pub pipelined: bool,
    /// The service knows the verb.
    pub known: bool,
}

/// HELO, EHLO or LHLO (`inbound.helo`).
#[derive(Clone, Debug)]
pub struct HeloFacts {
    /// The line; its verb is `HELO`, `EHLO` or `LHLO`.
    pub command: CommandLine,
    /// The name or address literal that the client gave.
    pub name: Bytes,
}

/// A parameter of MAIL or RCPT: keyword and value as they came.
pub type RawParameter = (Bytes, Option<Bytes>);

/// MAIL (`inbound.mail`).
#[derive(Clone, Debug)]
pub struct MailFacts {
    /// The id that the message will have if it is accepted.
    pub message_id: MessageId,
    /// What MAIL said.
    pub envelope: Envelope,
    /// The line.
    pub command: CommandLine,
    /// All its parameters, raw, in their order.
    pub parameters: Vec<RawParameter>,
}

/// RCPT (`inbound.rcpt`).
#[derive(Clone, Debug)]
pub struct RcptFacts {
    /// The recipient with the id that it keeps.
    pub recipient: Recipient,
    /// The domain is one of this server's own.
    pub local_domain: bool,
    /// The line.
    pub command: CommandLine,
    /// All its parameters, raw, in their order.
    pub parameters: Vec<RawParameter>,
}

/// A reply that is about to be sent (`inbound.response`).
#[derive(Clone, Debug)]
pub struct ResponseFacts {
    /// Verb of the command that it answers; `CONNECT` for the banner, `.` for the end of content.
    pub verb: Bytes,
    /// The reply.
    pub reply: Reply,
    /// The binding that it comes from; absent where it is the service's own.
    pub origin: Option<String>,
    /// The recipient that it answers.
    pub recipient: Option<RecipientId>,
}

/// What became of a transaction (`inbound.outcome`).
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What became of it.
    pub fate: Fate,
    /// What the client was told; absent where it was gone.
    pub reply: Option<Reply>,
    /// The binding that decided; absent where it was the service itself.
    pub decided_by: Option<String>,
    /// Octets of the content as it was received.
    pub size_bytes: u64,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Accepted; the message is durable.
    Accepted,
    /// Refused for good.
    Rejected,
    /// Refused for now.
    Tempfailed,
    /// Accepted and dropped.
    Discarded,
    /// Accepted and kept for a person.
    Quarantined,
    /// Accepted, to be judged again.
    Held,
    /// The client was gone before the reply.
    ClientGone,
}

impl Fate {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Tempfailed => "tempfailed",
            Self::Discarded => "discarded",
            Self::Quarantined => "quarantined",
            Self::Held => "held",
            Self::ClientGone => "client gone",
        }
    }
}

/// Why a transaction was given up before its content (`inbound.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// RSET.
    Command,
    /// HELO, EHLO or LHLO.
    Greeting,
    /// TLS began.
    Tls,
}

/// Why a session ended (`inbound.disconnect`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// QUIT.
    Quit,
    /// The client closed, or the connection broke.
    ClientGone,
    /// It took too long.
    Timeout,
    /// It broke a limit.
    Limit,
    /// A verdict, or the failure policy of a binding.
    Verdict,
    /// The gateway shuts down.
    Shutdown,
    /// A TLS handshake failed.
    Tls,
    /// The gateway failed.
    Internal,
}

impl DisconnectReason {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::ClientGone => "client gone",
            Self::Timeout => "timeout",
            Self::Limit => "limit",
            Self::Verdict => "verdict",
            Self::Shutdown => "shutdown",
            Self::Tls => "tls",
            Self::Internal => "internal",
        }
    }
}

/// The end of a session (`inbound.disconnect`).
#[derive(Clone, Copy, Debug)]
pub struct SessionEnd {
    /// Why.
    pub reason: DisconnectReason,
    /// Octets read from the client.
    pub received_bytes: u64,
    /// Octets sent to it.
    pub sent_bytes: u64,
}
