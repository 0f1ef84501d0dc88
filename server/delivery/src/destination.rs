//! Where mail is delivered to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::terms::Terms;

/// A next hop or a local store. Recipients with equal destinations share transactions and connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// A peer that speaks SMTP or LMTP.
    Hop(Hop),
    /// Maildirs.
    Maildir {
        /// Where; `{user}` and `{domain}` stand for those of the recipient.
        template: PathBuf,
        /// A mailbox is made that is not there.
        create: bool,
        /// How lines end in their files.
        line_ends: LineEnds,
    },
}

/// How lines end in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum LineEnds {
    /// With CRLF, as they came.
    Crlf,
    /// With LF, as text files of Unix have it.
    #[default]
    Lf,
}

/// A peer, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hop {
    /// LMTP in place of SMTP.
    pub lmtp: bool,
    /// Where it is.
    pub address: HopAddress,
    /// On which terms it is spoken to.
    pub terms: Arc<Terms>,
    /// The virtual server that sessions with it are for, where somebody is asked about those. `None`: nobody is, and messages
    /// of all virtual servers share connections.
    pub asked_for: Option<Arc<str>>,
}

impl Hop {
    /// A peer that is spoken to as all are.
    #[must_use]
    pub fn new(lmtp: bool, address: HopAddress) -> Self {
        Self {
            lmtp,
            address,
            terms: Arc::default(),
            asked_for: None,
        }
    }
}

impl Destination {
    /// The same for the messages of one virtual server alone, where sessions are asked about.
    #[must_use]
    pub fn asked_for(self, server: &str) -> Self {
        match self {
            Self::Hop(hop) => Self::Hop(Hop {
                asked_for: Some(Arc::from(server)),
                ..hop
            }),
            maildir @ Self::Maildir { .. } => maildir,
        }
    }
}

/// Where a peer is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HopAddress {
    /// A host name or an address, without brackets, and a port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
    /// The hosts that DNS names for this domain, a lower-case A-label; or the host of an address literal, with its brackets.
    Mx(String),
}

/// As the configuration writes it, with the name of the route behind it if there is one; hosts that DNS names by their domain.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hop(hop) => hop.fmt(f),
            Self::Maildir { template, .. } => write!(f, "maildir:{}", template.display()),
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let HopAddress::Mx(domain) = &self.address {
            return f.write_str(domain);
        }
        f.write_str(if self.lmtp { "lmtp" } else { "smtp" })?;
        match &self.address {
            HopAddress::Tcp(host, port) if host.contains(':') => write!(f, "://[{host}]:{port}"),
            HopAddress::Tcp(host, port) => write!(f, "://{host}:{port}"),
            HopAddress::Unix(path) => write!(f, "+unix:{}", path.display()),
            HopAddress::Mx(domain) => f.write_str(domain),
        }?;
        match self.terms.name.as_str() {
            "" => Ok(()),
            route => write!(f, " ({route})"),
        }
    }
}

impl HopAddress {
    /// The peer's name for logs and reports: its host, its domain where the host is not known yet, or `localhost` behind a
    /// Unix socket.
    pub fn host(&self) -> &str {
        match self {
            Self::Tcp(host, _) | Self::Mx(host) => host,
            Self::Unix(_) => "localhost",
        }
    }
}
