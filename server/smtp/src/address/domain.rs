//! Domain names, compared by their A-labels.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{AddressError, AddressSyntax, MAX_DOMAIN};

/// A domain name as it was written, and its comparison key. Two domains are equal if their keys are.
#[derive(Debug, Clone)]
pub struct Domain {
    raw: Arc<str>,
    /// `None` where `raw` is the key already.
    key: Option<Arc<str>>,
}

impl Domain {
    /// Reads `sub-domain *("." sub-domain)` (RFC 5321 4.1.2), with U-labels if `utf8`.
    ///
    /// # Errors
    /// [`AddressError`]: `Utf8`, `NotAscii`, `Control`, `Domain`, `DomainTooLong`, `NoDomain`.
    pub fn parse(raw: &[u8], utf8: bool) -> Result<Self, AddressError> {
        Self::parse_with(raw, utf8, AddressSyntax::Strict)
    }

    /// As [`Domain::parse`], by this syntax.
    ///
    /// # Errors
    /// As [`Domain::parse`].
    pub fn parse_with(raw: &[u8], utf8: bool, syntax: AddressSyntax) -> Result<Self, AddressError> {
        let text = super::checked_text(raw, utf8)?;
        if text.is_empty() {
            return Err(AddressError::NoDomain);
        }
        if text.len() > MAX_DOMAIN {
            return Err(AddressError::DomainTooLong);
        }
        let key = if text.is_ascii() {
            ascii_key(text, syntax)?
        } else {
            Some(unicode_key(text)?)
        };
        Ok(Self {
            raw: text.into(),
            key: key.map(Into::into),
        })
    }

    /// The name in A-labels and lower case: what domains are compared by.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.raw)
    }

    /// The bytes as they came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.raw.as_bytes()
    }

    /// The name as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// Whether the name can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.raw.is_ascii()
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

/// Checks the labels; the key is only made where it differs from the name.
fn ascii_key(text: &str, syntax: AddressSyntax) -> Result<Option<String>, AddressError> {
    for label in text.split('.') {
        check_label(label.as_bytes(), syntax)?;
    }
    Ok(text
        .bytes()
        .any(|b| b.is_ascii_uppercase())
        .then(|| text.to_ascii_lowercase()))
}

fn check_label(label: &[u8], syntax: AddressSyntax) -> Result<(), AddressError> {
    let (Some(first), Some(last)) = (label.first(), label.last()) else {
        return Err(AddressError::Domain);
    };
    if label.len() > 63 {
        return Err(AddressError::DomainTooLong);
    }
    let underscore = |b| b == b'_' && syntax == AddressSyntax::Lenient;
    let letter = |b: u8| b.is_ascii_alphanumeric() || underscore(b);
    let fine = letter(*first) && letter(*last) && label.iter().all(|&b| letter(b) || b == b'-');
    if fine {
        Ok(())
    } else {
        Err(AddressError::Domain)
    }
}

/// UTS 46 to A-labels. Only ASCII dots part labels, and a label that is not ASCII must stay one that
/// is not: full-width letters and dots do not turn into the ASCII names they look like.
fn unicode_key(text: &str) -> Result<String, AddressError> {
    use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
    let key = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .map_err(|_| AddressError::Domain)?
        .into_owned();
    let mut labels = key.split('.');
    for written in text.split('.') {
        let label = labels.next().ok_or(AddressError::Domain)?;
        check_label(label.as_bytes(), AddressSyntax::Strict)?;
        if !written.is_ascii() && !label.starts_with("xn--") {
            return Err(AddressError::Domain);
        }
    }
    if labels.next().is_some() {
        Err(AddressError::Domain)
    } else {
        Ok(key)
    }
}
