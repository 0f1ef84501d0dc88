//! Where mail is delivered to.

use std::fmt;
use std::net::IpAddr;
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
    /// A sink that keeps mailboxes.
    Sink(Arc<str>),
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
    /// Peers that are tried where it cannot be reached, in this order.
    pub then: Vec<Hop>,
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
            then: Vec::new(),
            asked_for: None,
        }
    }

    /// It, and the peers behind it.
    fn asked_for(self, server: &Arc<str>) -> Self {
        let then = self.then.into_iter();
        Self {
            then: then.map(|next| next.asked_for(server)).collect(),
            asked_for: Some(Arc::clone(server)),
            ..self
        }
    }
}

impl Destination {
    /// The same for the messages of one virtual server alone, where sessions are asked about.
    #[must_use]
    pub fn asked_for(self, server: &str) -> Self {
        match self {
            Self::Hop(hop) => Self::Hop(hop.asked_for(&Arc::from(server))),
            store @ (Self::Maildir { .. } | Self::Sink(_)) => store,
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
    /// These hosts, for a name that would be looked up otherwise.
    Hosts(Hosts),
}

/// Hosts that are known without DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hosts {
    /// Whose they are.
    pub of: Box<HopAddress>,
    /// In the order in which they are tried.
    pub hosts: Vec<Host>,
}

/// A host, and where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// In the order in which they are tried.
    pub addresses: Vec<IpAddr>,
    /// Its port. 0: that of the hosts that DNS names.
    pub port: u16,
}

impl Destination {
    /// The destination by its names, wherever they lead now.
    #[must_use]
    pub fn as_named(&self) -> Self {
        match self {
            Self::Hop(hop) => Self::Hop(hop.as_named()),
            other => other.clone(),
        }
    }
}

impl Hop {
    fn as_named(&self) -> Self {
        let address = match &self.address {
            HopAddress::Hosts(hosts) => HopAddress::clone(&hosts.of),
            other => other.clone(),
        };
        Self {
            lmtp: self.lmtp,
            address,
            terms: Arc::clone(&self.terms),
            then: self.then.iter().map(Self::as_named).collect(),
            asked_for: None,
        }
    }
}

/// As the configuration writes it, with the name of the route behind it if there is one; hosts that DNS names by their domain.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hop(hop) => hop.fmt(f),
            Self::Maildir { template, .. } => write!(f, "maildir:{}", template.display()),
            Self::Sink(name) => write!(f, "sink:{name}"),
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match &self.address {
            HopAddress::Hosts(hosts) => &hosts.of,
            other => other,
        };
        self.write_as(address, f)?;
        self.then.iter().try_for_each(|next| write!(f, ", {next}"))
    }
}

impl Hop {
    fn write_as(&self, address: &HopAddress, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let HopAddress::Mx(domain) = address {
            return f.write_str(domain);
        }
        f.write_str(if self.lmtp { "lmtp" } else { "smtp" })?;
        match address {
            HopAddress::Tcp(host, port) if host.contains(':') => write!(f, "://[{host}]:{port}"),
            HopAddress::Tcp(host, port) => write!(f, "://{host}:{port}"),
            HopAddress::Unix(path) => write!(f, "+unix:{}", path.display()),
            HopAddress::Mx(domain) => f.write_str(domain),
            HopAddress::Hosts(hosts) => f.write_str(hosts.of.host()),
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
            Self::Hosts(hosts) => hosts.of.host(),
        }
    }
}
