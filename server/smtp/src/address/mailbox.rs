//! Mailboxes: `local-part@domain`.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{
    AddressError, AddressLiteral, AddressSyntax, Domain, MAX_LOCAL_PART, MAX_PATH, checked_text,
};

/// What stands after the last unquoted `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DomainOrLiteral {
    /// A domain name.
    Domain(Domain),
    /// An address literal.
    Literal(AddressLiteral),
}

impl DomainOrLiteral {
    /// The domain name, if it is one.
    #[must_use]
    pub const fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Literal(_) => None,
        }
    }
}

impl fmt::Display for DomainOrLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
        }
    }
}

/// A mailbox. The text is kept as it came, quoting and case included; two mailboxes are equal if
/// they were written the same. [`Mailbox::key`] is for comparing what they mean.
#[derive(Debug, Clone)]
pub struct Mailbox {
    raw: Arc<str>,
    /// Length of the local part; the `@` follows.
    local: usize,
    domain: DomainOrLiteral,
}

impl Mailbox {
    /// Reads `local-part@domain` without angle brackets; UTF-8 only if `utf8` (SMTPUTF8).
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(raw: &[u8], utf8: bool) -> Result<Self, AddressError> {
        Self::parse_with(raw, utf8, AddressSyntax::Strict)
    }

    /// As [`Mailbox::parse`], by this syntax.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse_with(raw: &[u8], utf8: bool, syntax: AddressSyntax) -> Result<Self, AddressError> {
        let text = checked_text(raw, utf8)?;
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        // Two octets of a path are its brackets.
        if text.len() > MAX_PATH - 2 {
            return Err(AddressError::PathTooLong);
        }
        let local = local_part_length(text, syntax)?;
        if local > MAX_LOCAL_PART {
            return Err(AddressError::LocalPartTooLong);
        }
        let rest = text.get(local..).unwrap_or_default();
        let domain = rest.strip_prefix('@').ok_or(match rest {
            "" => AddressError::NoDomain,
            _ => AddressError::LocalPart,
        })?;
        let domain = if domain.starts_with('[') {
            DomainOrLiteral::Literal(AddressLiteral::parse(domain.as_bytes())?)
        } else {
            DomainOrLiteral::Domain(Domain::parse_with(domain.as_bytes(), utf8, syntax)?)
        };
        Ok(Self {
            raw: text.into(),
            local,
            domain,
        })
    }

    /// The bytes as they came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.raw.as_bytes()
    }

    /// The mailbox as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// The local part as it was written, with its quotes if it had some.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.raw.get(..self.local).unwrap_or_default()
    }

    /// The local part without quotes and backslashes.
    #[must_use]
    pub fn unquoted_local_part(&self) -> Cow<'_, str> {
        let local = self.local_part();
        let Some(quoted) = local
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        else {
            return Cow::Borrowed(local);
        };
        if !quoted.contains('\\') {
            return Cow::Borrowed(quoted);
        }
        let mut plain = String::with_capacity(quoted.len());
        let mut chars = quoted.chars();
        while let Some(c) = chars.next() {
            plain.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        Cow::Owned(plain)
    }

    /// What stands after the `@`.
    #[must_use]
    pub const fn domain(&self) -> &DomainOrLiteral {
        &self.domain
    }

    /// Whether the mailbox can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.raw.is_ascii()
    }
}

impl PartialEq for Mailbox {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for Mailbox {}

impl Hash for Mailbox {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

/// Where the local part ends. Only a quoted string may hold an `@`, so the one that follows is the
/// last unquoted one.
fn local_part_length(text: &str, syntax: AddressSyntax) -> Result<usize, AddressError> {
    if text.starts_with('"') {
        quoted_length(text)
    } else {
        dot_string_length(text, syntax)
    }
}

fn dot_string_length(text: &str, syntax: AddressSyntax) -> Result<usize, AddressError> {
    let length = text
        .bytes()
        .position(|b| !is_atext(b) && b != b'.')
        .unwrap_or(text.len());
    let local = text.get(..length).unwrap_or_default();
    let well_dotted = match syntax {
        AddressSyntax::Strict => !local.split('.').any(str::is_empty),
        AddressSyntax::Lenient => !local.is_empty(),
    };
    if !well_dotted {
        Err(AddressError::LocalPart)
    } else {
        Ok(length)
    }
}

fn quoted_length(text: &str) -> Result<usize, AddressError> {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok(index + 1),
            // quoted-pairSMTP is a backslash and a printable ASCII character.
            b'\\' if !matches!(bytes.next(), Some((_, 32..=126))) => break,
            _ => {}
        }
    }
    Err(AddressError::LocalPart)
}

/// `atext` of RFC 5322, with UTF-8 as in RFC 6531 (whose well-formedness was checked before).
pub(crate) const fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || b >= 0x80
        || matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        )
}
