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
            domain: domain.to_lowercase(),
            is_below,
        })
    }

    /// Whether a domain fits.
    #[must_use]
    pub fn fits(&self, domain: &str) -> bool {
        let domain = domain.trim_end_matches('.').to_lowercase();
        if self.domain == "*" {
            return true;
        }
        match self.is_below {
            false => domain == self.domain,
            true => domain
                .strip_suffix(&self.domain)
                .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        }
    }
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
        for wrong in ["", "@x", "a b", "*.", "x..y"] {
            assert!(AddressPattern::parse(wrong).is_err(), "{wrong}");
        }
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
