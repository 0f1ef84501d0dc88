//! Commands of the client, parsed.

mod grammar;

use std::fmt;

use bytes::Bytes;

pub use grammar::{CommandError, Extensions, HelloNames};

use crate::address::{AddressLiteral, Domain, ForwardPath, ReversePath};
use crate::parameters::{MailParameters, RcptParameters};

/// The verb of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the verb of its name")]
pub enum Verb {
    Helo,
    Ehlo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
    /// Any other; its letters are in the raw line.
    Other,
}

/// How a client greeted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HelloKind {
    /// HELO: no extensions.
    Helo,
    /// EHLO.
    Ehlo,
    /// LHLO (RFC 2033).
    Lhlo,
}

/// The name that a client gives itself. It proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HelloName {
    /// A domain.
    Domain(Domain),
    /// An address literal.
    Literal(AddressLiteral),
    /// Neither: what devices say that have no such name. Any octets but controls, UTF-8 or not.
    Other(Bytes),
}

impl HelloName {
    /// The name as the client gave it.
    #[must_use]
    pub fn octets(&self) -> Bytes {
        match self {
            Self::Domain(domain) => Bytes::copy_from_slice(domain.raw()),
            Self::Literal(literal) => Bytes::from(literal.to_string()),
            Self::Other(octets) => octets.clone(),
        }
    }
}

/// HELO, EHLO or LHLO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Which of them.
    pub kind: HelloKind,
    /// The name given.
    pub name: HelloName,
}

/// MAIL FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The reverse path.
    pub sender: ReversePath,
    /// Its parameters.
    pub parameters: MailParameters,
}

/// RCPT TO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// The forward path.
    pub recipient: ForwardPath,
    /// Its parameters.
    pub parameters: RcptParameters,
}

/// BDAT (RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Octets that follow the command line.
    pub size: u64,
    /// Whether this chunk ends the message.
    pub last: bool,
}

/// AUTH (RFC 4954 4).
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// The mechanism, in upper case.
    pub mechanism: Bytes,
    /// The initial response as it came, in base64 or `=`.
    pub initial: Option<Bytes>,
}

/// Without the response: it has the client's password.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

/// A command whose grammar is right. Whether it may come now is the session's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the command of its name")]
pub enum Command {
    Hello(Hello),
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    Bdat(Chunk),
    Rset,
    /// Its argument, which means nothing.
    Noop(Bytes),
    Quit,
    /// The string to verify.
    Vrfy(Bytes),
    /// The list to expand.
    Expn(Bytes),
    /// The topic, or nothing.
    Help(Bytes),
    StartTls,
    Auth(Auth),
}
