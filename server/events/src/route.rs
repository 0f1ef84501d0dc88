//! Next hops: where mail goes, as the configuration or a sink says.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

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

    /// The ways in which the configuration and sinks may write `deliver`.
    #[must_use]
    pub fn is_deliver(text: &str) -> bool {
        let rest_of = |prefix: &str| {
            text.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty())
        };
        let clean = text.len() <= 1024 && !text.chars().any(|c| c.is_control() || c == ' ');
        clean
            && (matches!(text, "mx" | "local" | "unreachable" | "unreachable:later")
                || [
                    "smtp://",
                    "smtps://",
                    "lmtp://",
                    "lmtp+unix:",
                    "maildir:",
                    "sink:",
                ]
                .into_iter()
                .any(rest_of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_deliver() {
        for good in [
            "mx",
            "smtp://a:25",
            "lmtp+unix:/run/x",
            "sink:store",
            "unreachable:later",
        ] {
            assert!(NextHop::is_deliver(good), "{good}");
        }
        for bad in [
            "",
            "mx ",
            "smtp://",
            "http://x",
            "sink:a\r\nb",
            "unreachable:soon",
        ] {
            assert!(!NextHop::is_deliver(bad), "{bad:?}");
        }
    }
}
