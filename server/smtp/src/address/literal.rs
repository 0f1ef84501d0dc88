//! Address literals: `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[tag:content]` (RFC 5321 4.1.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::AddressError;

/// An address literal, brackets not included in its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AddressLiteral {
    /// `[192.0.2.1]`.
    V4(Ipv4Addr),
    /// `[IPv6:2001:db8::1]`.
    V6(Ipv6Addr),
    /// `[tag:content]`: syntax that is kept for others, no such tag is registered.
    General {
        /// The tag.
        tag: Box<str>,
        /// What follows the colon.
        content: Box<str>,
    },
}

impl AddressLiteral {
    /// Reads a literal with its brackets.
    ///
    /// # Errors
    /// [`AddressError::Literal`].
    pub fn parse(raw: &[u8]) -> Result<Self, AddressError> {
        let inner = std::str::from_utf8(raw)
            .ok()
            .and_then(|text| text.strip_prefix('[')?.strip_suffix(']'))
            .filter(|inner| inner.bytes().all(|b| matches!(b, 33..=90 | 94..=126)))
            .ok_or(AddressError::Literal)?;
        let Some((tag, content)) = inner.split_once(':') else {
            return inner
                .parse()
                .map(Self::V4)
                .map_err(|_| AddressError::Literal);
        };
        if tag.eq_ignore_ascii_case("IPv6") {
            return content
                .parse()
                .map(Self::V6)
                .map_err(|_| AddressError::Literal);
        }
        let ends_well = tag.ends_with(|c: char| c.is_ascii_alphanumeric());
        if content.is_empty()
            || !ends_well
            || !tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return Err(AddressError::Literal);
        }
        Ok(Self::General {
            tag: tag.into(),
            content: content.into(),
        })
    }

    /// The address, where it is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4(ip) => Some(IpAddr::V4(*ip)),
            Self::V6(ip) => Some(IpAddr::V6(*ip)),
            Self::General { .. } => None,
        }
    }
}

impl fmt::Display for AddressLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => write!(f, "[{ip}]"),
            Self::V6(ip) => write!(f, "[IPv6:{ip}]"),
            Self::General { tag, content } => write!(f, "[{tag}:{content}]"),
        }
    }
}
