//! Next hops: where mail goes, as the configuration or a sink says.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::DecodeError;
use crate::encoding::{Reader, Writer};

/// Ways to use TLS on the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsPolicy {
    /// As configured.
    #[default]
    Configured,
    /// None.
    None,
    /// If the remote offers it, without checking names.
    Opportunistic,
    /// Required, without checking names.
    Encrypt,
    /// Required, with certificates verified.
    Verify,
    /// As DANE says (RFC 7672).
    Dane,
    /// TLS from the first octet, verified (RFC 8314).
    Implicit,
}

impl TlsPolicy {
    /// The word for it; empty where it is as configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "",
            Self::None => "none",
            Self::Opportunistic => "opportunistic",
            Self::Encrypt => "encrypt",
            Self::Verify => "verify",
            Self::Dane => "dane",
            Self::Implicit => "implicit",
        }
    }

    /// The policy of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let all = [
            Self::Configured,
            Self::None,
            Self::Opportunistic,
            Self::Encrypt,
            Self::Verify,
            Self::Dane,
            Self::Implicit,
        ];
        all.into_iter().find(|own| own.name() == word)
    }
}

/// A next hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextHop {
    /// As in the configuration's `deliver`.
    pub deliver: String,
    /// A name for logs, metrics, links and queue commands; empty: `deliver` itself.
    pub name: String,
    /// TLS to it.
    pub tls: TlsPolicy,
    /// Our address to connect from; empty: the system's choice.
    pub source_address: String,
    /// The name that we greet with; empty: the server's.
    pub helo_name: Bytes,
    /// Name of configured credentials; empty: none.
    pub credentials: String,
    /// Extensions not to be used, upper case.
    pub disabled_extensions: Vec<String>,
    /// Greet with HELO.
    pub use_helo: bool,
    /// How long to wait for a connection. `None`: as configured.
    pub connect_timeout: Option<Duration>,
    /// Nothing is sent there before.
    pub not_before: Option<SystemTime>,
    /// Connections to it at a time. `None`: as configured.
    pub max_connections: Option<u32>,
}

impl NextHop {
    /// A next hop with nothing but where it is.
    #[must_use]
    pub fn to(deliver: impl Into<String>) -> Self {
        Self {
            deliver: deliver.into(),
            ..Self::default()
        }
    }

    /// Writes the hop.
    pub fn encode(&self, out: &mut Writer) {
        out.text(&self.deliver);
        out.text(&self.name);
        out.text(self.tls.name());
        out.text(&self.source_address);
        out.octets(&self.helo_name);
        out.text(&self.credentials);
        out.texts(&self.disabled_extensions);
        out.flag(self.use_helo);
        out.option(self.connect_timeout, Writer::span);
        out.option(self.not_before, Writer::time);
        out.option(self.max_connections.map(u64::from), Writer::number);
    }

    /// Reads a hop.
    ///
    /// # Errors
    /// When the record is none of a hop.
    pub fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            deliver: reader.text()?,
            name: reader.text()?,
            tls: TlsPolicy::named(&reader.text()?).ok_or(DecodeError::Value("TLS policy"))?,
            source_address: reader.text()?,
            helo_name: reader.octets()?,
            credentials: reader.text()?,
            disabled_extensions: reader.texts()?,
            use_helo: reader.flag()?,
            connect_timeout: reader.option(Reader::span)?,
            not_before: reader.option(Reader::time)?,
            max_connections: reader.option(|reader| reader.narrow("connections"))?,
        })
    }

    /// Where it is; `None`: `deliver` is none of the ways in which the configuration and sinks may write that.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        Target::parse(&self.deliver)
    }
}

/// Where a next hop is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A peer that speaks SMTP, with its port.
    Smtp(String, u16),
    /// A peer that speaks SMTP in TLS from the first octet.
    Smtps(String, u16),
    /// A peer that speaks LMTP.
    Lmtp(String, u16),
    /// One on a Unix socket.
    LmtpUnix(String),
    /// A Maildir.
    Maildir(String),
    /// The hosts that DNS names for the recipient's domain.
    Mx,
    /// What delivers the domains of this server itself.
    Local,
    /// A sink.
    Sink(String),
    /// Nowhere: it fails now.
    Unreachable,
    /// Nowhere yet: it stays queued.
    UnreachableLater,
}

impl Target {
    /// Reads `deliver`. A host is a name or an address, IPv6 in brackets; ports default to 25, 465 and 24.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 1024 || text.chars().any(|c| c.is_control() || c == ' ') {
            return None;
        }
        let rest_of = |prefix: &str| text.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        let at = |prefix: &str, port: u16| host_and_port(rest_of(prefix)?, port);
        let owned = |rest: &str| rest.to_owned();
        match text {
            "mx" => Some(Self::Mx),
            "local" => Some(Self::Local),
            "unreachable" => Some(Self::Unreachable),
            "unreachable:later" => Some(Self::UnreachableLater),
            _ => at("smtp://", 25)
                .map(|(host, port)| Self::Smtp(host, port))
                .or_else(|| at("smtps://", 465).map(|(host, port)| Self::Smtps(host, port)))
                .or_else(|| at("lmtp://", 24).map(|(host, port)| Self::Lmtp(host, port)))
                .or_else(|| rest_of("lmtp+unix:").map(owned).map(Self::LmtpUnix))
                .or_else(|| rest_of("maildir:").map(owned).map(Self::Maildir))
                .or_else(|| rest_of("sink:").map(owned).map(Self::Sink)),
        }
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (host, rest) = text.split_at_checked(end)?;
            let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
            if host.is_empty() || host.len() > 255 || !host.bytes().all(fits) {
                return None;
            }
            (host, rest)
        }
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if rest.is_empty() => default,
        None => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_deliver() {
        for (text, target) in [
            ("mx", Some(Target::Mx)),
            ("local", Some(Target::Local)),
            ("smtp://A:26", Some(Target::Smtp("a".to_owned(), 26))),
            ("smtp://a.test", Some(Target::Smtp("a.test".to_owned(), 25))),
            ("smtp://[::1]", Some(Target::Smtp("::1".to_owned(), 25))),
            ("smtps://a", Some(Target::Smtps("a".to_owned(), 465))),
            ("lmtp://[::1]:9", Some(Target::Lmtp("::1".to_owned(), 9))),
            (
                "lmtp+unix:/run/x",
                Some(Target::LmtpUnix("/run/x".to_owned())),
            ),
            (
                "maildir:/m/{user}",
                Some(Target::Maildir("/m/{user}".to_owned())),
            ),
            ("sink:store", Some(Target::Sink("store".to_owned()))),
            ("unreachable", Some(Target::Unreachable)),
            ("unreachable:later", Some(Target::UnreachableLater)),
            ("", None),
            ("mx ", None),
            ("smtp://", None),
            ("smtp://:25", None),
            ("smtp://a:0", None),
            ("smtp://a:70000", None),
            ("smtp://user@a", None),
            ("smtp://[a]", None),
            ("smtp://[::1]x", None),
            ("http://x", None),
            ("sink:a\r\nb", None),
            ("unreachable:soon", None),
        ] {
            assert_eq!(Target::parse(text), target, "{text:?}");
        }
        assert_eq!(Target::parse(&format!("sink:{}", "x".repeat(1020))), None);
    }
}
