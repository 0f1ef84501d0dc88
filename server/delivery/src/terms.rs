//! On which terms peers are spoken to, where that is not the same for all.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_smtp::client::{Login, TlsUse};
use rustls::ClientConfig;

/// Whether connections to a peer are encrypted.
#[derive(Debug, Clone, Default)]
pub enum TlsPolicy {
    /// If it offers it. If the handshake fails mail goes in clear text.
    #[default]
    Opportunistic,
    /// Always, whoever it is.
    Required,
    /// Always, with this set-up, which checks who it is.
    Verified(Arc<ClientConfig>),
    /// Never.
    Off,
}

impl TlsPolicy {
    /// What the session machine is told.
    #[must_use]
    pub fn of_session(&self) -> TlsUse {
        match self {
            Self::Opportunistic => TlsUse::IfOffered,
            Self::Required | Self::Verified(_) => TlsUse::Required,
            Self::Off => TlsUse::Never,
        }
    }

    /// Whether mail may go in clear text where TLS does not work.
    #[must_use]
    pub const fn allows_clear_text(&self) -> bool {
        matches!(self, Self::Opportunistic | Self::Off)
    }
}

/// The terms of one `[[route]]`. Terms are the same if their names are, both have a login or neither, and the same was said
/// otherwise: one program knows no others of one name.
#[derive(Clone, Default)]
pub struct Terms {
    /// The name of the route; empty for mail of no route.
    pub name: String,
    /// Whether connections are encrypted.
    pub tls: TlsPolicy,
    /// As whom the gateway authenticates itself.
    pub login: Option<Login>,
    /// Where connections come from, an address of each kind at most; empty: as the system chooses.
    pub source: Vec<IpAddr>,
    /// The name given after EHLO, where it is another than usual.
    pub ehlo: Option<String>,
    /// Time to connect, where it is another than usual.
    pub connect_timeout: Option<Duration>,
    /// What is otherwise than the route says, in words; empty: nothing is.
    pub given: String,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Terms").field(&self.name).finish()
    }
}

impl Terms {
    fn key(&self) -> (&str, bool, &str) {
        (&self.name, self.login.is_some(), &self.given)
    }
}

impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Terms {}

impl PartialOrd for Terms {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Terms {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Terms {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
