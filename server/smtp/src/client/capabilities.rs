//! What a peer said that it can do, read from its answer to EHLO or LHLO.

use super::response::Response;

/// The extensions of a peer that this client knows. All absent after HELO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870): offered or not.
    pub size: bool,
    /// The largest message that the peer takes, in octets, if it named one.
    pub size_limit: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtp_utf8: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030). Counts only together with CHUNKING.
    pub binary_mime: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// AUTH with PLAIN (RFC 4954, RFC 4616).
    pub auth_plain: bool,
    /// AUTH with LOGIN.
    pub auth_login: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// MT-PRIORITY (RFC 6710).
    pub mt_priority: bool,
    /// LIMITS (RFC 9422).
    pub limits: Limits,
}

/// Numbers of the LIMITS extension (RFC 9422); an absent one is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Recipients in a transaction.
    pub recipients: Option<u32>,
    /// Transactions in a session.
    pub messages: Option<u32>,
    /// Different recipient domains in a transaction.
    pub recipient_domains: Option<u32>,
}

impl Capabilities {
    /// Reads the lines of a positive answer. Unknown keywords and malformed parameters are passed over: a peer's
    /// odd line takes away its own extension and nothing else.
    pub fn parse(response: &Response) -> Self {
        let mut found = Self::default();
        // The first line is the peer's name and its greeting.
        for line in response.lines.iter().skip(1) {
            let mut words = line.split(|&octet| octet == b' ').filter(|w| !w.is_empty());
            if let Some(keyword) = words.next() {
                found.add(keyword, words);
            }
        }
        found
    }

    fn add<'a>(&mut self, keyword: &[u8], mut parameters: impl Iterator<Item = &'a [u8]>) {
        match keyword.to_ascii_uppercase().as_slice() {
            b"PIPELINING" => self.pipelining = true,
            b"SIZE" => {
                self.size = true;
                // Zero means that no fixed limit is in force.
                self.size_limit = parameters.next().and_then(number).filter(|&n| n > 0);
            }
            b"8BITMIME" => self.eight_bit_mime = true,
            b"SMTPUTF8" => self.smtp_utf8 = true,
            b"CHUNKING" => self.chunking = true,
            b"BINARYMIME" => self.binary_mime = true,
            b"STARTTLS" => self.starttls = true,
            b"AUTH" => parameters.for_each(|mechanism| self.add_mechanism(mechanism)),
            b"DSN" => self.dsn = true,
            b"MT-PRIORITY" => self.mt_priority = true,
            b"LIMITS" => parameters.for_each(|limit| self.limits.add(limit)),
            _ => {}
        }
    }
}

impl Capabilities {
    fn add_mechanism(&mut self, mechanism: &[u8]) {
        match mechanism.to_ascii_uppercase().as_slice() {
            b"PLAIN" => self.auth_plain = true,
            b"LOGIN" => self.auth_login = true,
            _ => {}
        }
    }
}

impl Limits {
    fn add(&mut self, limit: &[u8]) {
        let Some(equals) = limit.iter().position(|&octet| octet == b'=') else {
            return;
        };
        let (name, value) = limit.split_at(equals);
        // A limit of zero would mean that no mail can be sent at all: taken as not said.
        let value = number(value.get(1..).unwrap_or_default())
            .filter(|n| (1..=999_999).contains(n))
            .and_then(|n| u32::try_from(n).ok());
        match name.to_ascii_uppercase().as_slice() {
            b"RCPTMAX" => self.recipients = value,
            b"MAILMAX" => self.messages = value,
            b"RCPTDOMAINMAX" => self.recipient_domains = value,
            _ => {}
        }
    }
}

/// 1*20DIGIT; anything else, also an overflow, is not a number.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::client::response::{ReplyLimits, ResponseParser};
    use bytes::BytesMut;

    fn parse(reply: &str) -> Capabilities {
        let mut input = BytesMut::from(reply);
        let mut parser = ResponseParser::new(ReplyLimits::default());
        Capabilities::parse(&parser.parse(&mut input).unwrap().unwrap())
    }

    #[test]
    fn keywords_are_read_in_any_case() {
        let found = parse(
            "250-mx.example PIPELINING\r\n250-size 1000\r\n250-8bitMIME\r\n250-LIMITS rcptmax=50 MAILMAX=0 X\r\n250 DSN\r\n",
        );
        assert!(!found.pipelining, "the first line is a greeting");
        assert!(found.size && found.eight_bit_mime && found.dsn);
        assert_eq!(found.size_limit, Some(1000));
        assert_eq!(found.limits.recipients, Some(50));
        assert_eq!(found.limits.messages, None);
    }

    #[test]
    fn malformed_parameters_do_not_count() {
        for size in [
            "0",
            "-1",
            "1e9",
            "99999999999999999999999",
            "18446744073709551616",
        ] {
            let found = parse(&format!("250-x\r\n250 SIZE {size}\r\n"));
            assert!(found.size);
            assert_eq!(found.size_limit, None, "{size}");
        }
    }
}
