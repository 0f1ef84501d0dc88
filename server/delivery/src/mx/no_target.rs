//! Why there is nowhere to connect to for a domain.

use std::fmt;
use std::net::IpAddr;

use super::network::Network;

/// Why there is nowhere to connect to for a domain. Most of it are facts of the domain: whoever sends to it hears of them at
/// once. What may be otherwise tomorrow, or at a host that was not looked at, makes mail wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// The domain says that it takes no mail (RFC 7505).
    NullMx {
        /// The domain.
        domain: String,
    },
    /// The domain does not exist.
    NoSuchDomain {
        /// The domain.
        domain: String,
    },
    /// Its MX records name no host, but addresses or nothing.
    NoHost {
        /// The domain.
        domain: String,
    },
    /// None of its hosts has an address.
    NoAddress {
        /// The domain.
        domain: String,
        /// The host that would be tried first.
        host: String,
        /// There are more hosts, which were not looked up.
        beyond: bool,
    },
    /// No host is preferred to this gateway: mail would loop.
    Own {
        /// The domain.
        domain: String,
        /// The host that is this gateway.
        host: String,
    },
    /// All addresses are in networks that strangers must not send mail to. A domain may say so by mistake, and for a while;
    /// whoever writes such an address literal means it.
    Forbidden {
        /// The domain.
        domain: String,
        /// The host that was tried last.
        host: String,
        /// Its address.
        address: IpAddr,
        /// The network of that.
        network: Network,
    },
    /// The address literal is not one of IPv4 or IPv6.
    Literal {
        /// As it was written.
        literal: String,
    },
    /// A name could not be looked up. Later it may be.
    Lookup {
        /// The name.
        name: String,
        /// What went wrong.
        why: String,
    },
}

impl NoTarget {
    /// Whether it is a fact of the domain, so that another attempt would end the same way.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Lookup { .. } => false,
            Self::NoAddress { beyond, .. } => !beyond,
            Self::Forbidden { domain, .. } => domain.starts_with('['),
            Self::NullMx { .. }
            | Self::NoSuchDomain { .. }
            | Self::NoHost { .. }
            | Self::Own { .. }
            | Self::Literal { .. } => true,
        }
    }

    /// Subject and detail of the enhanced status code (RFC 3463, RFC 7505).
    #[must_use]
    pub fn status(&self) -> (u16, u16) {
        match self {
            Self::NullMx { .. } => (1, 10),
            Self::NoSuchDomain { .. } | Self::Literal { .. } => (1, 2),
            Self::NoHost { .. } | Self::NoAddress { .. } | Self::Forbidden { .. } => (4, 4),
            Self::Own { .. } => (4, 6),
            Self::Lookup { .. } => (4, 3),
        }
    }

    /// The reply code that says the same, where there is one of its own (RFC 7504).
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        matches!(self, Self::NullMx { .. }).then_some(556)
    }
}

impl fmt::Display for NoTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NullMx { domain } => write!(f, "{domain} takes no mail: it has a null MX"),
            Self::NoSuchDomain { domain } => write!(f, "{domain} does not exist"),
            Self::NoHost { domain } => {
                write!(f, "the MX records of {domain} name no host")
            }
            Self::NoAddress { domain, host, .. } if domain == host => {
                write!(f, "{domain} has neither MX records nor addresses")
            }
            Self::NoAddress { domain, host, .. } => {
                write!(f, "no host of {domain} has an address, {host} has none")
            }
            Self::Own { domain, host } => write!(
                f,
                "mail for {domain} would loop: the best host in reach is {host}, which is this gateway"
            ),
            Self::Forbidden {
                domain,
                host,
                address,
                network,
            } => write!(
                f,
                "{domain} is not delivered to {host} at {address}, {network}"
            ),
            Self::Literal { literal } => write!(f, "{literal} is no address of a host"),
            Self::Lookup { name, why } => write!(f, "{name} cannot be looked up now: {why}"),
        }
    }
}

impl std::error::Error for NoTarget {}
