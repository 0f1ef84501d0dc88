//! Addresses: domains, address literals, mailboxes and the paths of MAIL and RCPT.

mod domain;
mod key;
mod literal;
mod mailbox;
mod path;

pub use domain::Domain;
pub use key::AddressKey;
pub use literal::AddressLiteral;
pub use mailbox::{DomainOrLiteral, Mailbox};
pub use path::{ForwardPath, ReversePath};

/// How closely addresses keep to the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AddressSyntax {
    /// RFC 5321 and RFC 6531 to the letter.
    #[default]
    Strict,
    /// Also what devices and phones have as addresses and no receiver can take for another one: dots at the ends of a
    /// local part or in a row, an underscore in a domain.
    Lenient,
}

/// Longest local part in octets (RFC 5321 4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Longest domain in octets (RFC 5321 4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;
/// Longest path in octets, angle brackets included (RFC 5321 4.5.3.1.3).
pub const MAX_PATH: usize = 256;

/// Why bytes are not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A path must stand in angle brackets.
    #[error("angle brackets are missing")]
    Brackets,
    /// Nothing where an address must be.
    #[error("the address is empty")]
    Empty,
    /// No unquoted `@`, or nothing after it.
    #[error("the domain is missing")]
    NoDomain,
    /// The local part is neither a dot-string nor a quoted string.
    #[error("the local part is malformed")]
    LocalPart,
    /// The local part is longer than [`MAX_LOCAL_PART`].
    #[error("the local part is too long")]
    LocalPartTooLong,
    /// The domain is malformed, or does not survive IDNA processing.
    #[error("the domain is malformed")]
    Domain,
    /// The domain, or one of its labels, is too long.
    #[error("the domain is too long")]
    DomainTooLong,
    /// The address literal is malformed.
    #[error("the address literal is malformed")]
    Literal,
    /// The source route is malformed.
    #[error("the source route is malformed")]
    SourceRoute,
    /// The path is longer than [`MAX_PATH`].
    #[error("the path is too long")]
    PathTooLong,
    /// A control octet, or a Unicode control or line separator.
    #[error("control character in an address")]
    Control,
    /// Non-ASCII without SMTPUTF8.
    #[error("non-ASCII address without SMTPUTF8")]
    NotAscii,
    /// Not well-formed UTF-8.
    #[error("ill-formed UTF-8 in an address")]
    Utf8,
}

/// The bytes as text, if nothing in them is forbidden in every part of an address.
fn checked_text(raw: &[u8], utf8: bool) -> Result<&str, AddressError> {
    let text = std::str::from_utf8(raw).map_err(|_| AddressError::Utf8)?;
    if raw.iter().any(|&b| b < 0x20 || b == 0x7f) {
        return Err(AddressError::Control);
    }
    if text.is_ascii() {
        return Ok(text);
    }
    if !utf8 {
        return Err(AddressError::NotAscii);
    }
    if text
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return Err(AddressError::Control);
    }
    Ok(text)
}
