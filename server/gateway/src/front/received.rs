//! Our own `Received` field (RFC 5321 section 4.4, RFC 3848, RFC 6531 section 4.3, RFC 6710, RFC 8314 section 4.3).

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;
use postern_events::context::Tls;
use postern_message::MessageId;
use postern_smtp::address::ForwardPath;

/// Longest greeting name that is written down.
const NAME_MAX: usize = 255;

/// What the field says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace<'a> {
    /// What the client said in HELO, EHLO or LHLO.
    pub(super) helo: &'a [u8],
    /// The verb was EHLO or LHLO.
    pub(super) extended: bool,
    /// LMTP was spoken.
    pub(super) lmtp: bool,
    /// The client had authenticated.
    pub(super) authenticated: bool,
    /// MAIL had SMTPUTF8.
    pub smtp_utf8: bool,
    /// MT-PRIORITY of MAIL; 0: nothing is said of it.
    pub(super) priority: i8,
    /// Where the client connected from; `None` on a Unix socket.
    pub(super) client: Option<IpAddr>,
    /// The client's reverse name, if it leads back to the address.
    pub(super) reverse_name: Option<&'a str>,
    /// The session's TLS.
    pub(super) tls: Option<&'a Tls>,
    /// Our own name.
    pub(super) hostname: &'a str,
    /// The message's id.
    pub(super) id: MessageId,
    /// The recipient, if there is only one: several would show each who else got it.
    pub(super) only_recipient: Option<&'a ForwardPath>,
    /// When it was received.
    pub(super) at: SystemTime,
}

impl Trace<'_> {
    /// The whole field with its line ends, folded; no line is longer than 998 octets.
    #[must_use]
    pub(super) fn field(&self) -> Bytes {
        let mut field = String::with_capacity(320);
        field.push_str("Received: from ");
        field.push_str(&self.name());
        if let Some(info) = self.tcp_info() {
            // A string takes whatever is written to it.
            let _written = write!(field, "\r\n\t({info})");
        }
        let _written = write!(
            field,
            "\r\n\tby {} with {}\r\n\tid {}",
            self.hostname,
            self.with(),
            self.id
        );
        if let Some(recipient) = self.only_recipient.and_then(|path| self.shown(path)) {
            let _written = write!(field, "\r\n\tfor <{recipient}>");
        }
        if self.priority != 0 {
            let _written = write!(field, "\r\n\tpriority {}", self.priority);
        }
        if let Some(tls) = self.tls {
            let _written = write!(field, "\r\n\ttls {} ({})", tls.cipher, tls.version);
        }
        let _written = write!(field, ";\r\n\t{}\r\n", date(self.at));
        Bytes::from(field)
    }

    /// The registered name of the protocol.
    fn with(&self) -> &'static str {
        let names = match (self.lmtp, self.smtp_utf8, self.extended) {
            (true, true, _) => ["UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"],
            (true, false, _) => ["LMTP", "LMTPS", "LMTPA", "LMTPSA"],
            (false, true, _) => ["UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"],
            (false, false, true) => ["ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"],
            (false, false, false) => ["SMTP"; 4],
        };
        let [plain, tls, auth, both] = names;
        match (self.tls.is_some(), self.authenticated) {
            (false, false) => plain,
            (true, false) => tls,
            (false, true) => auth,
            (true, true) => both,
        }
    }

    /// The greeting name, of which only what a domain or a literal has is kept: it is the client's own word.
    fn name(&self) -> String {
        let name: String = String::from_utf8_lossy(self.helo)
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || ".-_:[]".contains(c) {
                    c
                } else {
                    '?'
                }
            })
            .take(NAME_MAX)
            .collect();
        if name.is_empty() {
            "unknown".to_owned()
        } else {
            name
        }
    }

    fn tcp_info(&self) -> Option<String> {
        let literal = match self.client?.to_canonical() {
            IpAddr::V4(addr) => format!("[{addr}]"),
            IpAddr::V6(addr) => format!("[IPv6:{addr}]"),
        };
        Some(match self.reverse_name {
            Some(name) => format!("{name} {literal}"),
            None => literal,
        })
    }

    /// The recipient as it may stand in this header: not ASCII only in a message that says so.
    fn shown<'p>(&self, path: &'p ForwardPath) -> Option<&'p str> {
        match path {
            ForwardPath::Postmaster => Some("Postmaster"),
            ForwardPath::Mailbox(mailbox) if mailbox.is_ascii() || self.smtp_utf8 => {
                Some(mailbox.as_str())
            }
            ForwardPath::Mailbox(_) => None,
        }
    }
}

/// RFC 5322 date-time, in UTC with the numeric zone that RFC 5321 wants.
pub(super) fn date(at: SystemTime) -> String {
    let zoned = Timestamp::try_from(at)
        .unwrap_or_default()
        .to_zoned(TimeZone::UTC);
    DateTimePrinter::new()
        .zoned_to_string(&zoned)
        .unwrap_or_else(|_| "Thu, 1 Jan 1970 00:00:00 +0000".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn trace(id: MessageId) -> Trace<'static> {
        Trace {
            helo: b"client.example.org",
            extended: true,
            lmtp: false,
            authenticated: false,
            smtp_utf8: false,
            priority: 0,
            client: Some("192.0.2.7".parse().unwrap()),
            reverse_name: None,
            tls: None,
            hostname: "mx.example.test",
            id,
            only_recipient: None,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000),
        }
    }

    #[test]
    fn the_field_has_every_clause_in_order() {
        let id = MessageId::new();
        let tls = Tls {
            version: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            ..Tls::default()
        };
        let recipient = ForwardPath::parse(b"<anna@example.test>", false).unwrap();
        let full = Trace {
            reverse_name: Some("client.example.org"),
            tls: Some(&tls),
            only_recipient: Some(&recipient),
            priority: -4,
            ..trace(id)
        };
        let expected = format!(
            "Received: from client.example.org\r\n\t(client.example.org [192.0.2.7])\r\n\tby mx.example.test with \
             ESMTPS\r\n\tid {id}\r\n\tfor <anna@example.test>\r\n\tpriority -4\r\n\ttls TLS_AES_256_GCM_SHA384 (TLSv1.3);\r\n\tMon, \
             21 Sep 2026 14:13:20 +0000\r\n"
        );
        assert_eq!(full.field(), expected);
    }

    #[test]
    fn the_protocol_has_its_registered_name() {
        let tls = Tls::default();
        let with = |lmtp, smtp_utf8, extended, secure: bool| {
            Trace {
                lmtp,
                smtp_utf8,
                extended,
                tls: secure.then_some(&tls),
                ..trace(MessageId::new())
            }
            .with()
        };
        assert_eq!(with(false, false, false, false), "SMTP");
        assert_eq!(with(false, false, true, false), "ESMTP");
        assert_eq!(with(false, true, true, true), "UTF8SMTPS");
        assert_eq!(with(true, false, true, true), "LMTPS");
        for (tls, smtp_utf8, name) in [
            (None, false, "ESMTPA"),
            (Some(&tls), false, "ESMTPSA"),
            (None, true, "UTF8SMTPA"),
            (Some(&tls), true, "UTF8SMTPSA"),
        ] {
            let authenticated = Trace {
                authenticated: true,
                smtp_utf8,
                tls,
                ..trace(MessageId::new())
            };
            assert_eq!(authenticated.with(), name);
        }
    }

    #[test]
    fn a_client_cannot_write_into_our_header() {
        let id = MessageId::new();
        let evil = Trace {
            helo: b"x) by forged; (\r\nX-Evil: 1\xff\x00",
            ..trace(id)
        };
        let field = String::from_utf8(evil.field().to_vec()).unwrap();
        assert!(
            field.starts_with("Received: from x??by?forged?????X-Evil:?1??\r\n\t([192.0.2.7])\r\n"),
            "{field}"
        );
        let long = Trace {
            helo: &[b'a'; 5000],
            client: None,
            ..trace(id)
        };
        assert!(
            String::from_utf8(long.field().to_vec())
                .unwrap()
                .split("\r\n")
                .all(|line| line.len() < 998)
        );
    }

    #[test]
    fn an_address_with_other_letters_stays_out_of_an_ascii_header() {
        let recipient = ForwardPath::parse("<grün@example.test>".as_bytes(), true).unwrap();
        let ascii = Trace {
            only_recipient: Some(&recipient),
            ..trace(MessageId::new())
        };
        assert!(ascii.field().is_ascii());
        let utf8 = Trace {
            smtp_utf8: true,
            ..ascii
        };
        assert!(!utf8.field().is_ascii());
    }
}
