//! Mail addresses, domains and ids as types.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is no address or domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no local part.
    #[error("the address has no local part")]
    NoLocalPart,
    /// The domain is empty, has an empty label, or holds blanks or controls.
    #[error("the domain is not one")]
    Domain,
    /// The local part holds a control character.
    #[error("the local part holds a control character")]
    Control,
}

/// A domain, or an address literal in brackets.
///
/// It is kept as it was written and compared without regard to ASCII case. A-labels and U-labels of one name are not
/// brought together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Domain(String);

impl Domain {
    /// Reads a domain such as `example.org` or a literal such as `[192.0.2.1]`.
    ///
    /// # Errors
    /// [`AddressError::Domain`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let literal = text.starts_with('[') && text.ends_with(']') && text.len() > 2;
        let name = text.strip_suffix('.').unwrap_or(text);
        let labels = !name.is_empty() && name.split('.').all(|label| !label.is_empty());
        let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
        match (literal || labels) && clean {
            true => Ok(Self(text.to_owned())),
            false => Err(AddressError::Domain),
        }
    }

    /// The domain as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the domain `other`.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }

    /// Whether this is the domain `parent` or lies below it.
    pub fn is_within(&self, parent: &str) -> bool {
        let Some(at) = self.0.len().checked_sub(parent.len()) else {
            return false;
        };
        let same = self
            .0
            .get(at..)
            .is_some_and(|end| end.eq_ignore_ascii_case(parent));
        same && (at == 0 || self.0.as_bytes().get(at - 1) == Some(&b'.'))
    }

    /// The IP address of an address literal (RFC 5321, 4.1.3).
    pub fn ip(&self) -> Option<IpAddr> {
        let inside = self.0.strip_prefix('[')?.strip_suffix(']')?;
        let tag = inside
            .get(..5)
            .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
        inside.get(tag.map_or(0, str::len)..)?.parse().ok()
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0.bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Domain {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

/// A mail address without angle brackets: `local@domain`, or `postmaster` alone.
///
/// Two addresses are equal if their local parts are, octet by octet, and their domains without regard to ASCII case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Address {
    local: String,
    domain: Option<Domain>,
}

impl Address {
    /// Reads an address. The last `@` outside of a quoted local part ends the local part.
    ///
    /// # Errors
    /// [`AddressError`] says what is missing or wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = match text.rsplit_once('@') {
            Some((local, domain)) if !domain.ends_with('"') => {
                (local, Some(Domain::parse(domain)?))
            }
            _ => (text, None),
        };
        if local.is_empty() {
            return Err(AddressError::NoLocalPart);
        }
        if local.contains(char::is_control) {
            return Err(AddressError::Control);
        }
        Ok(Self {
            local: local.to_owned(),
            domain,
        })
    }

    /// The part before the `@`, as it was written.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain. None: `postmaster` alone.
    pub fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// Whether the domain is `domain` or lies below it.
    pub fn is_within(&self, domain: &str) -> bool {
        self.domain
            .as_ref()
            .is_some_and(|own| own.is_within(domain))
    }

    /// The address of octets from the wire. What is no UTF-8 is replaced; what is no address at all is a local part.
    pub(crate) fn of_wire(octets: &[u8]) -> Self {
        let text = String::from_utf8_lossy(octets);
        Self::parse(&text).unwrap_or_else(|_| Self {
            local: text.into_owned(),
            domain: None,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{}@{domain}", self.local),
            None => f.write_str(&self.local),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl PartialEq<str> for Address {
    fn eq(&self, other: &str) -> bool {
        Self::parse(other).is_ok_and(|other| *self == other)
    }
}

impl PartialEq<&str> for Address {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

/// A sender: an address, or the null reverse-path `<>` of notifications (RFC 5321, 4.5.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`.
    Null,
    /// An address.
    Address(Address),
}

impl ReversePath {
    /// The address. None: the null reverse-path.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Whether this is the null reverse-path.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The domain. None: the null reverse-path, or `postmaster` alone.
    pub fn domain(&self) -> Option<&Domain> {
        self.address()?.domain()
    }

    pub(crate) fn of_wire(octets: &[u8]) -> Self {
        match octets {
            [] => Self::Null,
            octets => Self::Address(Address::of_wire(octets)),
        }
    }
}

/// Without angle brackets; the null reverse-path is the empty text.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The id of a session, message, recipient or attempt: UUIDv7, 16 octets. Shown as logs and headers write it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(Bytes);

impl Id {
    /// The octets, as the protocol has them. Empty: none.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Bytes> for Id {
    fn from(octets: Bytes) -> Self {
        Self(octets)
    }
}

impl From<Id> for Bytes {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, octet) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_falls_apart_at_its_last_at() {
        let address = Address::parse("\"a@b\"@Example.ORG").unwrap();
        assert_eq!(address.local(), "\"a@b\"");
        assert!(address.is_within("example.org"));
        assert_eq!(address, "\"a@b\"@example.org");
        assert!(Address::parse("A@example.org").unwrap() != "a@example.org");
        assert_eq!(Address::parse("postmaster").unwrap().domain(), None);
        assert_eq!(Address::parse("\"a@b\"").unwrap().domain(), None);
        for (text, error) in [
            ("@example.org", AddressError::NoLocalPart),
            ("", AddressError::NoLocalPart),
            ("a@", AddressError::Domain),
            ("a@b..c", AddressError::Domain),
            ("a\r@b", AddressError::Control),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn domains_lie_below_each_other_at_labels() {
        let domain = Domain::parse("mail.Example.org").unwrap();
        assert!(domain.is_within("example.ORG") && domain.is_within("mail.example.org"));
        assert!(!domain.is_within("ample.org") && !domain.is_within("x.mail.example.org"));
        let literal = |text| Domain::parse(text).unwrap().ip();
        assert_eq!(literal("[192.0.2.1]"), "192.0.2.1".parse().ok());
        assert_eq!(literal("[IPv6:2001:db8::1]"), "2001:db8::1".parse().ok());
        assert_eq!(literal("example.org"), None);
    }

    #[test]
    fn ids_are_written_as_uuids() {
        let id = Id::from(Bytes::from((0..16).collect::<Vec<u8>>()));
        assert_eq!(id.to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(Id::from(Bytes::new()).to_string(), "");
    }
}
