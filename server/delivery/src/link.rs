//! Connections to peers.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::destination::{Hop, HopAddress};
use super::own::OwnListeners;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stream of octets to a peer and back.
pub trait Link: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

/// A connection that was just made.
pub struct Connected {
    /// The stream.
    pub link: Box<dyn Link>,
    /// Address and port of the peer, or the path of its socket.
    pub address: String,
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
}

impl ConnectError {
    /// Another attempt would end the same way.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Own { .. })
    }

    /// Subject and detail of the enhanced status code.
    pub fn status(&self) -> (u16, u16) {
        match self {
            Self::Resolve { .. } => (4, 3),
            Self::Refused { .. } | Self::TimedOut { .. } | Self::NoOtherHost { .. } => (4, 1),
            Self::Own { .. } => (4, 6),
        }
    }
}

/// Connects over the system's TCP and Unix sockets.
#[derive(Debug, Clone)]
pub struct SystemConnector {
    timeout: Duration,
    own: OwnListeners,
}

impl SystemConnector {
    /// A connector that gives up after `timeout`, name lookup and all addresses of the name included, and does not
    /// connect to `own` listeners.
    pub fn new(timeout: Duration, own: OwnListeners) -> Self {
        Self { timeout, own }
    }

    async fn tcp(
        &self,
        host: &str,
        port: u16,
        ruled_out: &[String],
        until: Instant,
    ) -> Result<Connected, ConnectError> {
        let unresolved = |source| ConnectError::Resolve {
            host: host.to_owned(),
            source,
        };
        let addresses: Vec<SocketAddr> = timeout_at(until, lookup_host((host, port)))
            .await
            .map_err(|_| unresolved(io::ErrorKind::TimedOut.into()))?
            .map_err(unresolved)?
            .filter(|address| !ruled_out.contains(&address.to_string()))
            .collect();
        let mut last = unresolved(io::ErrorKind::NotFound.into());
        for address in addresses {
            match self.one(address, until).await {
                Ok(connected) => return Ok(connected),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn one(&self, address: SocketAddr, until: Instant) -> Result<Connected, ConnectError> {
        let text = address.to_string();
        if self.own.has_tcp(address, None) {
            return Err(ConnectError::Own { address: text });
        }
        let stream = match timeout_at(until, TcpStream::connect(address)).await {
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
            link: Box::new(stream),
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
                address,
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
        let until = Instant::now() + self.timeout;
        Box::pin(async move {
            match &hop.address {
                HopAddress::Tcp(host, port) => self.tcp(host, *port, ruled_out, until).await,
                HopAddress::Unix(path) if ruled_out.is_empty() => self.unix(path, until).await,
                HopAddress::Unix(path) => Err(ConnectError::Refused {
                    address: path.display().to_string(),
                    source: io::ErrorKind::NotFound.into(),
                }),
            }
        })
    }
}
