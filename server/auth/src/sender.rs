//! Which senders a user may name in MAIL.

use std::fmt;

use postern_smtp::address::{Domain, DomainOrLiteral, Mailbox};

/// Text that is no sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither an address, nor \"@domain\", nor \"*\"")]
pub struct SenderError(String);

/// Senders that a user may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// `*`: any.
    Any,
    /// `@example.test`: any address of the domain, not of its subdomains.
    Domain(Domain),
    /// One address.
    Address(Mailbox),
}

impl Sender {
    /// Reads `*`, `@domain` or an address.
    ///
    /// # Errors
    /// [`SenderError`]
    pub fn parse(text: &str) -> Result<Self, SenderError> {
        let error = || SenderError(text.to_owned());
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(domain) = text.strip_prefix('@') {
            let domain = Domain::parse(domain.as_bytes(), true).map_err(|_| error())?;
            return Ok(Self::Domain(domain));
        }
        // An address to the letter, and surely meant as the domain.
        if text.starts_with("*@") {
            return Err(error());
        }
        let mailbox = Mailbox::parse(text.as_bytes(), true).map_err(|_| error())?;
        Ok(Self::Address(mailbox))
    }

    /// Whether the address is among them. The case of ASCII letters does not count, in local parts of other hosts either:
    /// the operator wrote down whose address it is, and nobody has another one that differs in nothing else.
    #[must_use]
    pub fn allows(&self, address: &Mailbox) -> bool {
        match self {
            Self::Any => true,
            Self::Domain(own) => match address.domain() {
                DomainOrLiteral::Domain(domain) => domain.key() == own.key(),
                DomainOrLiteral::Literal(_) => false,
            },
            Self::Address(own) => own.key(true) == address.key(true),
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Domain(domain) => write!(f, "@{}", domain.key()),
            Self::Address(mailbox) => f.write_str(mailbox.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_compared_by_their_keys() {
        for (own, address, allowed) in [
            ("anna@example.test", "anna@Example.Test", true),
            ("anna@example.test", "Anna@example.test", true),
            ("Anna@example.test", "aNNa@example.test", true),
            ("anna@example.test", "\"anna\"@example.test", true),
            ("anna@b\u{fc}cher.test", "anna@xn--bcher-kva.test", true),
            ("anna@example.test", "anna@sub.example.test", false),
            ("anna@example.test", "annas@example.test", false),
            ("@example.test", "who@EXAMPLE.test", true),
            ("@example.test", "who@sub.example.test", false),
            ("@example.test", "who@notexample.test", false),
            ("@example.test", "\"@example.test\"@evil.test", false),
            ("*", "who@evil.test", true),
            ("*", "who@[192.0.2.1]", true),
            ("@example.test", "who@[192.0.2.1]", false),
        ] {
            let sender = Sender::parse(own).unwrap();
            let mailbox = Mailbox::parse(address.as_bytes(), true).unwrap();
            assert_eq!(sender.allows(&mailbox), allowed, "{own} {address}");
        }
    }

    #[test]
    fn what_is_no_sender() {
        for text in [
            "",
            "anna",
            "@",
            "a@b@c",
            "<anna@example.test>",
            "*@example.test",
            "anna@",
        ] {
            assert!(Sender::parse(text).is_err(), "{text}");
        }
        for text in ["*", "@example.test", "anna@example.test"] {
            assert_eq!(Sender::parse(text).unwrap().to_string(), text);
        }
    }
}
