//! The hosts that DNS names for a domain, as far as mail may go there.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use ipnet::IpNet;
use postern_smtp::address::AddressLiteral;

use crate::mx::{self, Answer, Judged, Network, NoTarget, Target};
use crate::own::OwnListeners;
use crate::resolver::Resolver;

/// Where mail for a domain may go, beyond what DNS says.
#[derive(Debug, Clone)]
pub struct MailPolicy {
    /// The port of all hosts that DNS names.
    pub port: u16,
    /// The names of this gateway, in lower case: it hands mail only to hosts that are preferred to it.
    pub own_names: Vec<String>,
    /// Where it listens.
    pub own: OwnListeners,
    /// Networks that are delivered to although no host of the Internet is in them.
    pub allow_private: Vec<IpNet>,
}

/// Finds the hosts that take mail for a domain.
pub struct MailHosts {
    resolver: Resolver,
    policy: MailPolicy,
    random: RandomState,
    drawn: AtomicU64,
}

impl MailHosts {
    /// Asks `resolver`, and keeps to `policy`.
    #[must_use]
    pub fn new(resolver: Resolver, policy: MailPolicy) -> Self {
        Self {
            resolver,
            policy,
            random: RandomState::new(),
            drawn: AtomicU64::new(0),
        }
    }

    /// The port of all hosts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.policy.port
    }

    /// The hosts of a domain, or of an address literal, in the order in which they are tried; at least one. Always comes to an
    /// end: each look-up has its time.
    ///
    /// # Errors
    /// [`NoTarget`].
    pub async fn find(&self, domain: &str) -> Result<Vec<Target>, NoTarget> {
        let judge = |address| self.judge(address);
        if domain.starts_with('[') {
            let address = match AddressLiteral::parse(domain.as_bytes()) {
                Ok(AddressLiteral::V4(address)) => address.into(),
                Ok(AddressLiteral::V6(address)) => address.into(),
                Ok(AddressLiteral::General { .. }) | Err(_) => {
                    let literal = domain.to_owned();
                    return Err(NoTarget::Literal { literal });
                }
            };
            return mx::literal(domain, address, &judge).map(|target| vec![target]);
        }
        let records = self.resolver.exchangers(domain).await;
        let own = &self.policy.own_names;
        let exchangers = mx::exchangers(domain, records, own, &mut || self.draw())?;
        let hosts = exchangers.hosts.iter();
        let asked = hosts.map(|exchanger| self.resolver.addresses(&exchanger.host));
        let answers: Vec<Answer<IpAddr>> = join_all(asked).await;
        let found = mx::targets(domain, &exchangers, answers, &judge, &mut || self.draw());
        if let Err(why @ NoTarget::Forbidden { .. }) = &found {
            tracing::warn!(
                domain, %why,
                "a domain names no address of the Internet, if it is to be reached name its network in [outbound] allow_private"
            );
        }
        found
    }

    /// Whether the name servers answer questions about the whole Internet: asked for its root.
    ///
    /// # Errors
    /// Why they do not.
    pub async fn name_servers_answer(&self) -> Result<(), String> {
        match self.resolver.exchangers(".").await {
            Answer::Failed(why) => Err(why),
            Answer::Found(_) | Answer::Partly(..) | Answer::Nothing | Answer::NoSuchName => Ok(()),
        }
    }

    fn judge(&self, address: IpAddr) -> Judged {
        let MailPolicy {
            port,
            own,
            allow_private,
            ..
        } = &self.policy;
        let remote = SocketAddr::new(address, *port);
        if own.has_tcp(remote, our_end(remote)) {
            return Judged::Own;
        }
        let plain = address.to_canonical();
        let allowed = |network: &IpNet| network.contains(&address) || network.contains(&plain);
        match Network::of(address) {
            Some(network) if !allow_private.iter().any(allowed) => Judged::Forbidden(network),
            _ => Judged::Fine,
        }
    }

    fn draw(&self) -> u32 {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        (self.random.hash_one(drawn) >> 32) as u32
    }
}

/// The address that a connection to `remote` would come from. Nothing is sent for it.
fn our_end(remote: SocketAddr) -> Option<SocketAddr> {
    let any: IpAddr = match remote.is_ipv6() {
        true => Ipv6Addr::UNSPECIFIED.into(),
        false => Ipv4Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    socket.local_addr().ok()
}
