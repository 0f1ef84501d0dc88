//! The paths of MAIL and RCPT.

use std::fmt;

use super::{AddressError, AddressSyntax, Domain, MAX_PATH, Mailbox};

/// Who sends: a mailbox, or the null path of reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`.
    Null,
    /// `<mailbox>`.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Reads a path with its brackets. A source route is accepted and dropped.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(raw: &[u8], utf8: bool) -> Result<Self, AddressError> {
        Self::parse_with(raw, utf8, AddressSyntax::Strict)
    }

    /// As [`ReversePath::parse`], by this syntax.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse_with(raw: &[u8], utf8: bool, syntax: AddressSyntax) -> Result<Self, AddressError> {
        match inner(raw)? {
            b"" => Ok(Self::Null),
            inner => mailbox(inner, utf8, syntax).map(Self::Mailbox),
        }
    }

    /// The mailbox, if there is one.
    #[must_use]
    pub const fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether the path can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

/// With angle brackets; parses back to the same.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// Who receives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, in any case (RFC 5321 4.5.1).
    Postmaster,
    /// `<mailbox>`.
    Mailbox(Mailbox),
}

impl ForwardPath {
    /// Reads a path with its brackets. A source route is accepted and dropped; `<>` is refused.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(raw: &[u8], utf8: bool) -> Result<Self, AddressError> {
        Self::parse_with(raw, utf8, AddressSyntax::Strict)
    }

    /// As [`ForwardPath::parse`], by this syntax.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse_with(raw: &[u8], utf8: bool, syntax: AddressSyntax) -> Result<Self, AddressError> {
        match inner(raw)? {
            b"" => Err(AddressError::Empty),
            inner if inner.eq_ignore_ascii_case(b"postmaster") => Ok(Self::Postmaster),
            inner => mailbox(inner, utf8, syntax).map(Self::Mailbox),
        }
    }

    /// The mailbox, if it has a domain.
    #[must_use]
    pub const fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether the path can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

/// With angle brackets; parses back to the same.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<Postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

fn inner(raw: &[u8]) -> Result<&[u8], AddressError> {
    let inner = raw
        .strip_prefix(b"<")
        .and_then(|rest| rest.strip_suffix(b">"))
        .ok_or(AddressError::Brackets)?;
    if raw.len() > MAX_PATH {
        Err(AddressError::PathTooLong)
    } else {
        Ok(inner)
    }
}

/// `[ A-d-l ":" ] Mailbox`.
fn mailbox(inner: &[u8], utf8: bool, syntax: AddressSyntax) -> Result<Mailbox, AddressError> {
    if !inner.starts_with(b"@") {
        return Mailbox::parse_with(inner, utf8, syntax);
    }
    let colon = memchr::memchr(b':', inner).ok_or(AddressError::SourceRoute)?;
    let (route, rest) = inner.split_at(colon);
    for hop in route.split(|&b| b == b',') {
        let domain = hop.strip_prefix(b"@").ok_or(AddressError::SourceRoute)?;
        Domain::parse_with(domain, utf8, syntax).map_err(|_| AddressError::SourceRoute)?;
    }
    Mailbox::parse_with(rest.get(1..).unwrap_or_default(), utf8, syntax)
}
