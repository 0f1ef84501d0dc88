//! Patterns of domains, addresses and header fields, compared without case.

use std::fmt;

/// `example.test`, `*.example.test` (what is below it), `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainPattern {
    domain: String,
    is_below: bool,
}

/// `*@example.test`, `anna@example.test`, or a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPattern {
    local: Option<String>,
    domain: DomainPattern,
}

/// `List-Id`, or `Auto-Submitted: auto-*`; `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPattern {
    /// The field's name.
    pub name: String,
    value: Option<String>,
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No domain.
    #[error("\"{0}\" is not a domain; write example.test, *.example.test or *")]
    Domain(String),
    /// No address.
    #[error("\"{0}\" is not an address; write anna@example.test, *@example.test or a domain")]
    Address(String),
    /// No header field.
    #[error("\"{0}\" is not a header field; write List-Id or Auto-Submitted: auto-*")]
    Header(String),
}

impl DomainPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError::Domain`]
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (domain, is_below) = match text.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (text, false),
        };
        let is_domain = !domain.is_empty()
            && domain.len() <= 255
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && label
                        .chars()
                        .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
            });
        if !is_domain && text != "*" {
            return Err(PatternError::Domain(text.to_owned()));
        }
        Ok(Self {
            domain: in_ascii(domain),
            is_below,
        })
    }

    /// Whether a domain fits.
    #[must_use]
    pub fn fits(&self, domain: &str) -> bool {
        let domain = in_ascii(domain.trim_end_matches('.'));
        if self.is_any() {
            return true;
        }
        match self.is_below {
            false => domain == self.domain,
            true => is_below(&domain, &self.domain),
        }
    }

    /// Whether every domain fits.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.domain == "*"
    }

    /// Whether every domain that fits `other` fits this.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self.is_any(), other.is_any(), other.is_below) {
            (true, _, _) => true,
            (false, true, _) => false,
            (false, false, false) => self.fits(&other.domain),
            (false, false, true) => {
                self.is_below
                    && (self.domain == other.domain || is_below(&other.domain, &self.domain))
            }
        }
    }

    /// Whether some domain fits both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

/// Whether a domain stands below another.
fn is_below(domain: &str, above: &str) -> bool {
    domain
        .strip_suffix(above)
        .is_some_and(|below| below.len() > 1 && below.ends_with('.'))
}

/// The name as it travels where SMTPUTF8 does not: the two forms of a name are one domain (RFC 5890, 2.3.2.1).
fn in_ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
}

impl AddressPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError::Address`]
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (local, domain) = match text.rsplit_once('@') {
            Some(("", _)) => return Err(PatternError::Address(text.to_owned())),
            Some(("*", domain)) => (None, domain),
            Some((local, domain)) => (Some(local.to_lowercase()), domain),
            None => (None, text),
        };
        let domain =
            DomainPattern::parse(domain).map_err(|_| PatternError::Address(text.to_owned()))?;
        Ok(Self { local, domain })
    }

    /// Whether every address fits.
    #[must_use]
    pub fn fits_all(&self) -> bool {
        self.local.is_none() && self.domain.is_any()
    }

    /// Whether an address fits.
    #[must_use]
    pub fn fits(&self, address: &str) -> bool {
        let Some((local, domain)) = address.rsplit_once('@') else {
            return false;
        };
        let is_local = self
            .local
            .as_ref()
            .is_none_or(|own| *own == local.to_lowercase());
        is_local && self.domain.fits(domain)
    }
}

impl HeaderPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError::Header`]
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value.trim().to_lowercase())),
            None => (text, None),
        };
        let is_name = (1..=76).contains(&name.len()) && name.bytes().all(|o| o.is_ascii_graphic());
        if !is_name || value.as_ref().is_some_and(String::is_empty) {
            return Err(PatternError::Header(text.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }

    /// Whether the value of a field of this name fits.
    #[must_use]
    pub fn fits(&self, value: &str) -> bool {
        let value = value.trim().to_lowercase();
        self.value
            .as_ref()
            .is_none_or(|pattern| is_like(pattern, &value))
    }
}

impl fmt::Display for HeaderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}: {value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn is_like(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn domains_and_addresses() {
        let fits = |pattern: &str, address| AddressPattern::parse(pattern).unwrap().fits(address);
        assert!(fits("example.test", "a@Example.Test"));
        assert!(fits("*@*.example.test", "a@b.example.test"));
        assert!(!fits("*.example.test", "a@example.test"));
        assert!(!fits("*.example.test", "a@badexample.test"));
        assert!(fits("anna@*", "ANNA@x.test"));
        assert!(!fits("anna@x.test", "bert@x.test"));
        assert!(!fits("*", ""));
        assert!(fits("*@müller.test", "a@XN--mller-kva.test"));
        assert!(fits("xn--mller-kva.test", "a@Müller.test"));
        for wrong in ["", "@x", "a b", "*.", "x..y"] {
            assert!(AddressPattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_cover_and_overlap() {
        let domain = |text| DomainPattern::parse(text).unwrap();
        let covers = |one, other| domain(one).covers(&domain(other));
        assert!(
            covers("*", "*.a.test") && covers("a.test", "A.test") && covers("*.test", "a.test")
        );
        assert!(covers("*.test", "*.a.test") && covers("*.a.test", "*.a.test"));
        assert!(
            !covers("a.test", "*")
                && !covers("*.a.test", "a.test")
                && !covers("a.test", "*.a.test")
        );
        assert!(!covers("*.a.test", "*.test") && domain("*.a.test").overlaps(&domain("*.test")));
        assert!(!domain("a.test").overlaps(&domain("b.test")));
    }

    #[test]
    fn fields() {
        let fits = |pattern: &str, value| HeaderPattern::parse(pattern).unwrap().fits(value);
        assert!(fits("List-Id", "anything"));
        assert!(fits("Auto-Submitted: auto-*", " Auto-Generated"));
        assert!(!fits("Auto-Submitted: auto-*", "no"));
        assert!(fits("X: *b*d", "abcd") && !fits("X: *b*d", "abc") && !fits("X: ab", "abc"));
        assert!(HeaderPattern::parse("no name: x").is_err());
    }
}
