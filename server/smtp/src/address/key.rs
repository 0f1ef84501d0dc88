//! What addresses are compared by.

use std::fmt;

use super::{DomainOrLiteral, ForwardPath, Mailbox};

/// What an address is compared by: two addresses with the same key are one mailbox to us.
///
/// Domains count without case, in their A-labels; quotes and backslashes of a local part not at all. Whether the case of a
/// local part counts is for its own host to say (RFC 5321 2.4): where that is us ASCII letters count without it, of other
/// domains every octet counts. The spelling that was given is not changed by any of this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressKey {
    local: String,
    /// `None`: the postmaster without a domain.
    domain: Option<DomainOrLiteral>,
}

impl AddressKey {
    /// The local part that counts, without quotes.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }
}

/// `local@domain`, as it is compared.
impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            None => f.write_str(&self.local),
            Some(DomainOrLiteral::Domain(domain)) => write!(f, "{}@{}", self.local, domain.key()),
            Some(DomainOrLiteral::Literal(literal)) => write!(f, "{}@{literal}", self.local),
        }
    }
}

impl Mailbox {
    /// What the mailbox is compared by. `hosted`: its domain is one of ours.
    #[must_use]
    pub fn key(&self, hosted: bool) -> AddressKey {
        let mut local = self.unquoted_local_part().into_owned();
        if hosted {
            local.make_ascii_lowercase();
        }
        AddressKey {
            local,
            domain: Some(self.domain().clone()),
        }
    }
}

impl ForwardPath {
    /// What the path is compared by. `hosted`: its domain is one of ours.
    #[must_use]
    pub fn key(&self, hosted: bool) -> AddressKey {
        match self {
            Self::Postmaster => AddressKey {
                local: "postmaster".to_owned(),
                domain: None,
            },
            Self::Mailbox(mailbox) => mailbox.key(hosted),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(address: &str, hosted: bool) -> AddressKey {
        let path = ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap();
        path.key(hosted)
    }

    #[test]
    fn case_counts_in_local_parts_of_others_alone() {
        for (one, other, hosted, elsewhere) in [
            ("a@x.test", "a@X.Test", true, true),
            ("\"a\"@x.test", "a@x.test", true, true),
            ("\"a\\b\"@x.test", "ab@x.test", true, true),
            ("a@b\u{fc}cher.test", "a@xn--bcher-kva.test", true, true),
            ("A@x.test", "a@x.test", true, false),
            ("GR\u{dc}N@x.test", "gr\u{dc}n@x.test", true, false),
            ("gr\u{dc}n@x.test", "gr\u{fc}n@x.test", false, false),
            ("a@x.test", "a@y.test", false, false),
            ("Postmaster", "POSTMASTER", true, true),
            ("Postmaster", "postmaster@x.test", false, false),
        ] {
            assert_eq!(key(one, true) == key(other, true), hosted, "{one} {other}");
            assert_eq!(
                key(one, false) == key(other, false),
                elsewhere,
                "{one} {other}"
            );
        }
        assert_eq!(key("\"A b\"@X.test", true).to_string(), "a b@x.test");
    }
}
