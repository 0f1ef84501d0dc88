//! Connections to peers.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::destination::{Hop, HopAddress, Host};
use super::mail_hosts::MailHosts;
use super::mx::NoTarget;
use super::own::OwnListeners;
use super::terms::Terms;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stream of octets to a peer and back.
pub trait Link: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

/// A connection that was just made.
pub struct Connected {
    /// The stream.
    pub link: Box<dyn Link>,
    /// The peer's host name, or its address where it was named by that.
    pub host: String,
    /// Address and port of the peer, or the path of its socket.
    pub address: String,
    /// Our own address; none where the connection has no addresses.
    pub local: Option<SocketAddr>,
}

/// Makes connections. The product has [`SystemConnector`]; tests have peers in memory.
pub trait Connector: Send + Sync {
    /// Connects to a hop within its own time-out.
    fn connect<'a>(&'a self, hop: &'a Hop) -> BoxFuture<'a, Result<Connected, ConnectError>>;

    /// As [`connect`](Self::connect), to another host of the hop than those at these addresses. By default a hop has one
    /// host.
    fn connect_beyond<'a>(
        &'a self,
        hop: &'a Hop,
        ruled_out: &'a [String],
    ) -> BoxFuture<'a, Result<Connected, ConnectError>> {
        if ruled_out.is_empty() {
            return self.connect(hop);
        }
        let no_other = ConnectError::NoOtherHost {
            host: hop.address.host().to_owned(),
        };
        Box::pin(std::future::ready(Err(no_other)))
    }

    /// As [`connect`](Self::connect), to the host that was connected to before at this address, and to no other one. By default
    /// a hop has one host.
    fn connect_again<'a>(
        &'a self,
        hop: &'a Hop,
        _host: &'a str,
        _address: &'a str,
    ) -> BoxFuture<'a, Result<Connected, ConnectError>> {
        self.connect(hop)
    }
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name of the host leads to no address.
    #[error("{host} cannot be resolved: {source}")]
    Resolve {
        /// The host.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// The system refused, or the peer did.
    #[error("no connection to {address}: {source}")]
    Refused {
        /// The last address that was tried.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// Nothing answered in time.
    #[error("no connection to {address} in time")]
    TimedOut {
        /// The last address that was tried.
        address: String,
    },
    /// All hosts of the name that may be tried were tried.
    #[error("{host} has no other host")]
    NoOtherHost {
        /// The name.
        host: String,
    },
    /// The hop is this gateway. The operator's fault, or that of whoever the name belongs to.
    #[error("{address} is a listener of this gateway: mail would loop")]
    Own {
        /// The address.
        address: String,
    },
    /// DNS names no host that mail may go to.
    #[error(transparent)]
    NoTarget(#[from] NoTarget),
}

impl ConnectError {
    /// Another attempt would end the same way.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Own { .. } => true,
            Self::NoTarget(why) => why.is_permanent(),
            Self::Resolve { .. }
            | Self::Refused { .. }
            | Self::TimedOut { .. }
            | Self::NoOtherHost { .. } => false,
        }
    }

    /// Whether it is a fact of the recipient's domain, which holds for all mail to it.
    pub fn is_of_domain(&self) -> bool {
        matches!(self, Self::NoTarget(why) if why.is_permanent())
    }

    /// The reply code that says the same, where there is one of its own.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::NoTarget(why) => why.code(),
            _ => None,
        }
    }

    /// Subject and detail of the enhanced status code.
    pub fn status(&self) -> (u16, u16) {
        match self {
            Self::Resolve { .. } => (4, 3),
            Self::Refused { .. } | Self::TimedOut { .. } | Self::NoOtherHost { .. } => (4, 1),
            Self::Own { .. } => (4, 6),
            Self::NoTarget(why) => why.status(),
        }
    }
}

/// None of a host's addresses can be reached.
#[derive(Debug)]
struct Unreachable {
    /// Of the first one, but for an address of ours.
    why: ConnectError,
    /// One of them is ours.
    own: bool,
}

/// Connects over the system's TCP and Unix sockets.
#[derive(Clone)]
pub struct SystemConnector {
    timeout: Duration,
    own: OwnListeners,
    mail_hosts: Option<Arc<MailHosts>>,
}

impl SystemConnector {
    /// A connector that gives up after `timeout`, name lookup and all addresses of the name included, and does not
    /// connect to `own` listeners. Where DNS names several hosts each of them has that time.
    pub fn new(timeout: Duration, own: OwnListeners) -> Self {
        Self {
            timeout,
            own,
            mail_hosts: None,
        }
    }

    /// Finds the hosts of domains by these. Without them no domain has hosts for now.
    #[must_use]
    pub fn finding_hosts_by(self, mail_hosts: MailHosts) -> Self {
        Self {
            mail_hosts: Some(Arc::new(mail_hosts)),
            ..self
        }
    }

    fn until(&self, terms: &Terms) -> Instant {
        Instant::now() + terms.connect_timeout.unwrap_or(self.timeout)
    }

    /// To the host that the configuration names.
    async fn tcp(
        &self,
        host: &str,
        port: u16,
        terms: &Terms,
        ruled_out: &[String],
    ) -> Result<Connected, ConnectError> {
        let until = self.until(terms);
        let addresses: Vec<SocketAddr> = timeout_at(until, lookup_host((host, port)))
            .await
            .map_err(|_| unresolved(host, io::ErrorKind::TimedOut.into()))?
            .map_err(|error| unresolved(host, error))?
            .filter(|address| !ruled_out.contains(&address.to_string()))
            .collect();
        let connected = self.any(host, &addresses, &terms.source, until).await;
        connected.map_err(|unreachable| unreachable.why)
    }

    /// To one of the hosts that DNS names: the first that can be reached.
    async fn mx(
        &self,
        domain: &str,
        terms: &Terms,
        ruled_out: &[String],
    ) -> Result<Connected, ConnectError> {
        let Some(mail_hosts) = &self.mail_hosts else {
            return Err(unresolved(domain, io::ErrorKind::Unsupported.into()));
        };
        let hosts = mail_hosts.find(domain).await?.into_iter();
        let hosts = hosts.map(|target| Host {
            name: target.host,
            addresses: target.addresses,
            port: mail_hosts.port(),
        });
        self.hosts(domain, hosts, terms, ruled_out).await
    }

    /// To the first of the hosts of a name that can be reached.
    async fn hosts(
        &self,
        name: &str,
        hosts: impl Iterator<Item = Host>,
        terms: &Terms,
        ruled_out: &[String],
    ) -> Result<Connected, ConnectError> {
        let mut last = None;
        for host in hosts {
            let port = match (host.port, &self.mail_hosts) {
                (0, Some(mail_hosts)) => mail_hosts.port(),
                (0, None) => 25,
                (port, _) => port,
            };
            let addresses = host.addresses.iter();
            let addresses: Vec<_> = addresses
                .map(|address| SocketAddr::new(*address, port))
                .filter(|address| !ruled_out.contains(&address.to_string()))
                .collect();
            if addresses.is_empty() {
                continue;
            }
            let until = self.until(terms);
            match self.any(&host.name, &addresses, &terms.source, until).await {
                Ok(connected) => return Ok(connected),
                // What follows is not preferred to us, whatever came before.
                Err(Unreachable { why, own: true }) => return Err(last.unwrap_or(why)),
                Err(Unreachable { why, own: false }) => last = Some(why),
            }
        }
        Err(last.unwrap_or_else(|| unresolved(name, io::ErrorKind::NotFound.into())))
    }

    /// To one of the addresses of a host. Each has its share of the time that is left, so that one which swallows everything
    /// leaves some for the others. What may pass counts before what does not: an address where this gateway listens, beside
    /// another one that is down, is no reason to give up.
    async fn any(
        &self,
        host: &str,
        addresses: &[SocketAddr],
        source: &[IpAddr],
        until: Instant,
    ) -> Result<Connected, Unreachable> {
        let mut first: Option<ConnectError> = None;
        let mut own = false;
        for (place, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let left = u32::try_from(addresses.len() - place).unwrap_or(u32::MAX);
            let share = now + until.saturating_duration_since(now) / left;
            match self.one(host, *address, source, share).await {
                Ok(connected) => return Ok(connected),
                Err(error) => {
                    own |= matches!(error, ConnectError::Own { .. });
                    if first.as_ref().is_none_or(ConnectError::is_permanent) {
                        first = Some(error);
                    }
                }
            }
        }
        let why = first.unwrap_or_else(|| unresolved(host, io::ErrorKind::NotFound.into()));
        Err(Unreachable { why, own })
    }

    async fn one(
        &self,
        host: &str,
        address: SocketAddr,
        source: &[IpAddr],
        until: Instant,
    ) -> Result<Connected, ConnectError> {
        let text = address.to_string();
        if self.own.has_tcp(address, None) {
            return Err(ConnectError::Own { address: text });
        }
        let stream = match timeout_at(until, dial(address, source)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => {
                return Err(ConnectError::Refused {
                    address: text,
                    source,
                });
            }
            Err(_) => return Err(ConnectError::TimedOut { address: text }),
        };
        if self.own.has_tcp(address, stream.local_addr().ok()) {
            return Err(ConnectError::Own { address: text });
        }
        // Commands go out in whole groups: waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
        Ok(Connected {
            local: stream.local_addr().ok(),
            link: Box::new(stream),
            host: host.to_owned(),
            address: text,
        })
    }

    async fn unix(&self, path: &PathBuf, until: Instant) -> Result<Connected, ConnectError> {
        let address = path.display().to_string();
        if self.own.has_unix(path) {
            return Err(ConnectError::Own { address });
        }
        match timeout_at(until, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => Ok(Connected {
                link: Box::new(stream),
                host: "localhost".to_owned(),
                address,
                local: None,
            }),
            Ok(Err(source)) => Err(ConnectError::Refused { address, source }),
            Err(_) => Err(ConnectError::TimedOut { address }),
        }
    }
}

impl Connector for SystemConnector {
    fn connect<'a>(&'a self, hop: &'a Hop) -> BoxFuture<'a, Result<Connected, ConnectError>> {
        self.connect_beyond(hop, &[])
    }

    fn connect_beyond<'a>(
        &'a self,
        hop: &'a Hop,
        ruled_out: &'a [String],
    ) -> BoxFuture<'a, Result<Connected, ConnectError>> {
        Box::pin(async move {
            let terms = &*hop.terms;
            match &hop.address {
                HopAddress::Tcp(host, port) => self.tcp(host, *port, terms, ruled_out).await,
                HopAddress::Mx(domain) => self.mx(domain, terms, ruled_out).await,
                HopAddress::Hosts(found) => {
                    let hosts = found.hosts.iter().cloned();
                    self.hosts(found.of.host(), hosts, terms, ruled_out).await
                }
                HopAddress::Unix(path) if ruled_out.is_empty() => {
                    self.unix(path, self.until(terms)).await
                }
                HopAddress::Unix(path) => Err(ConnectError::Refused {
                    address: path.display().to_string(),
                    source: io::ErrorKind::NotFound.into(),
                }),
            }
        })
    }

    fn connect_again<'a>(
        &'a self,
        hop: &'a Hop,
        host: &'a str,
        address: &'a str,
    ) -> BoxFuture<'a, Result<Connected, ConnectError>> {
        match address.parse() {
            Ok(address) => {
                let until = self.until(&hop.terms);
                Box::pin(self.one(host, address, &hop.terms.source, until))
            }
            Err(_) => self.connect(hop),
        }
    }
}

/// Connects from the address in `source` that is of the same kind, if any are given.
async fn dial(address: SocketAddr, source: &[IpAddr]) -> io::Result<TcpStream> {
    if source.is_empty() {
        return TcpStream::connect(address).await;
    }
    let from = source
        .iter()
        .find(|source| source.is_ipv4() == address.is_ipv4());
    let Some(from) = from else {
        let why = "there is no source address of its kind";
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
    };
    let socket = match address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.bind((*from, 0).into())?;
    socket.connect(address).await
}

fn unresolved(host: &str, source: io::Error) -> ConnectError {
    ConnectError::Resolve {
        host: host.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[tokio::test]
    async fn an_address_of_ours_beside_one_that_is_down_is_no_reason_to_give_up() {
        let listener = |last: u8| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0)).unwrap();
        let (ours, also_ours) = (listener(1), listener(2));
        let down = listener(3).local_addr().unwrap();
        let own = OwnListeners::default();
        let [ours_at, also_at] = [&ours, &also_ours].map(|one| one.local_addr().unwrap());
        own.add_tcp(ours_at);
        own.add_tcp(also_at);
        let connector = SystemConnector::new(Duration::from_secs(5), own);
        for (addresses, permanent) in [
            ([down, ours_at], false),
            ([ours_at, down], false),
            ([ours_at, also_at], true),
        ] {
            let until = connector.until(&Terms::default());
            let tried = connector.any("relay.test", &addresses, &[], until).await;
            let Err(Unreachable { why, own }) = tried else {
                panic!("connected to {addresses:?}")
            };
            assert_eq!(why.is_permanent(), permanent, "{addresses:?}: {why}");
            assert!(own, "{addresses:?}");
        }
    }
}
