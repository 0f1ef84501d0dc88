//! The envelope: what MAIL said about the message (RFC 5321, 1870, 3461, 6152, 6531).

use bytes::Bytes;
use postern_smtp::address::ReversePath;

/// What the BODY parameter of MAIL declared (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyKind {
    /// `7BIT`, also when the parameter was absent.
    #[default]
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
    /// `BINARYMIME`; only over BDAT.
    BinaryMime,
}

/// What the RET parameter of MAIL asks to have in a notification (RFC 3461, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: its header section.
    Headers,
}

/// What MAIL said. Recipients are beside it, in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse path.
    pub sender: ReversePath,
    /// The reverse path as the client gave it. `None`: as it is now.
    pub given: Option<ReversePath>,
    /// SMTPUTF8 was given (RFC 6531): addresses and header may hold UTF-8.
    pub smtp_utf8: bool,
    /// The BODY parameter.
    pub body: BodyKind,
    /// The RET parameter.
    pub ret: Option<Return>,
    /// The ENVID parameter as it came, xtext not decoded; at most 100 octets (RFC 3461, 4.4).
    pub envid: Option<Bytes>,
    /// The SIZE parameter in octets, as the client declared it (RFC 1870).
    pub declared_size: Option<u64>,
    /// -9 to 9, 0 is normal (MT-PRIORITY, RFC 6710, or a verdict).
    pub priority: i8,
    /// Parameters that the service itself gives no meaning to: keyword and value as they came.
    pub parameters: Vec<(Bytes, Option<Bytes>)>,
}

impl Envelope {
    /// An envelope with this sender and nothing else declared.
    #[must_use]
    pub fn new(sender: ReversePath) -> Self {
        Self {
            sender,
            given: None,
            smtp_utf8: false,
            body: BodyKind::SevenBit,
            ret: None,
            envid: None,
            declared_size: None,
            priority: 0,
            parameters: Vec::new(),
        }
    }
}
