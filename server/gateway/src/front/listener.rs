//! Listening sockets: all are bound, or taken over from the service manager, before anything else starts, so that a port
//! in use ends the start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use postern_config::settings::server::{ListenAddress, Listener, SocketAccess};
use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::client::Client;
use super::inherited::Inherited;
use super::unix_socket::{self, OwnPath};

/// Connections that the system keeps for us until we accept them.
const BACKLOG: i32 = 1024;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The address.
    pub address: ListenAddress,
    /// The system's error.
    pub source: io::Error,
}

/// A bound socket that takes no connections yet.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    address: ListenAddress,
    /// Removed at the end.
    path: Option<OwnPath>,
}

/// A connection just accepted. Does not block.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp {
        /// The connection.
        stream: TcpStream,
        /// The client's address.
        peer: SocketAddr,
    },
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// The client's address, if it has one.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { peer, .. } => Some(*peer),
            Self::Unix(_) => None,
        }
    }

    /// Who it counts as.
    pub(super) fn client(&self) -> Client {
        match self {
            Self::Tcp { peer, .. } => peer.ip().into(),
            Self::Unix(stream) => {
                let user = socket_peercred(stream).ok();
                Client::User(user.map(|user| user.uid.as_raw()))
            }
        }
    }

    /// The address that the client connected to: of a listener on a wildcard the one that it chose. `None` on a Unix
    /// socket, or if the system does not say.
    pub(super) fn local(&self) -> Option<ListenAddress> {
        match self {
            Self::Tcp { stream, .. } => stream.local_addr().ok().map(ListenAddress::Tcp),
            Self::Unix(_) => None,
        }
    }
}

/// Binds and listens, or takes over what was bound before: all sockets of that name. `beside` are all addresses of the
/// configuration: an IPv6 wildcard leaves IPv4 to a listener of its own on the same port, if there is one.
///
/// # Errors
/// [`ListenError`]
pub fn bind(
    listener: &Listener,
    beside: &[ListenAddress],
    inherited: &mut Inherited,
) -> Result<Vec<Bound>, ListenError> {
    let made = match &listener.address {
        ListenAddress::Tcp(tcp) => bind_tcp(*tcp, beside).map(|bound| vec![bound]),
        ListenAddress::Unix(path) => bind_unix(path, &listener.access).map(|bound| vec![bound]),
        ListenAddress::Inherited(name) => take_over(name, inherited),
    };
    made.map_err(|source| ListenError {
        address: listener.address.clone(),
        source,
    })
}

fn bind_tcp(address: SocketAddr, beside: &[ListenAddress]) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
        socket.set_only_v6(beside.contains(&ListenAddress::Tcp(v4)))?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(Bound {
        socket,
        address: ListenAddress::Tcp(local),
        path: None,
    })
}

fn bind_unix(path: &Path, access: &SocketAccess) -> io::Result<Bound> {
    let (socket, own) = unix_socket::listen(path, access, BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(Bound {
        socket,
        address: ListenAddress::Unix(path.to_owned()),
        path: Some(own),
    })
}

fn take_over(name: &str, inherited: &mut Inherited) -> io::Result<Vec<Bound>> {
    let sockets = inherited.take(name);
    if sockets.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the service manager hands over no socket of that name; write FileDescriptorName into the socket's unit, and \
             start that unit",
        ));
    }
    sockets.into_iter().map(adopt).collect()
}

/// It stays whose it is: a Unix socket's path is not removed at the end.
fn adopt(socket: Socket) -> io::Result<Bound> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(wrong(
            "the service manager hands over something else than a listening stream socket; write ListenStream into its \
             unit, and leave Accept out",
        ));
    }
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    let path = || Some(ListenAddress::Unix(local.as_pathname()?.to_owned()));
    let address = local.as_socket().map(ListenAddress::Tcp).or_else(path);
    Ok(Bound {
        socket,
        address: address.ok_or_else(|| wrong("it listens neither on TCP nor at a path"))?,
        path: None,
    })
}

impl Bound {
    /// The address as it came out: with the port that was given for port 0.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Starts to accept, inside the runtime that is to do it.
    ///
    /// # Errors
    /// When the runtime cannot take the socket.
    pub fn open(self) -> io::Result<Listening> {
        let socket = match &self.address {
            ListenAddress::Tcp(_) => Open::Tcp(TcpListener::from_std(self.socket.into())?),
            ListenAddress::Unix(_) | ListenAddress::Inherited(_) => {
                Open::Unix(UnixListener::from_std(self.socket.into())?)
            }
        };
        Ok(Listening {
            socket,
            _path: self.path,
        })
    }
}

/// A socket that accepts. When it is dropped, a Unix socket's path goes too.
#[derive(Debug)]
pub struct Listening {
    socket: Open,
    _path: Option<OwnPath>,
}

#[derive(Debug)]
enum Open {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    /// The next connection.
    ///
    /// # Errors
    /// What the system reports. Connections that have gone already are passed over.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            match self.accept_one().await {
                Err(error) if is_of_the_connection(&error) => {}
                accepted => return accepted,
            }
        }
    }

    async fn accept_one(&self) -> io::Result<Stream> {
        match &self.socket {
            Open::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Replies are written whole; waiting for more would only delay them.
                stream.set_nodelay(true)?;
                // Another runtime takes it over.
                Ok(Stream::Tcp {
                    stream: stream.into_std()?,
                    peer,
                })
            }
            Open::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Stream::Unix(stream.into_std()?))
            }
        }
    }
}

/// Errors that say that this connection went away before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(listener: &Listener, beside: &[ListenAddress]) -> Result<Bound, ListenError> {
        let bound = bind(listener, beside, &mut Inherited::default())?;
        Ok(bound.into_iter().next().unwrap())
    }

    fn at(address: &ListenAddress) -> Listener {
        Listener {
            address: address.clone(),
            implicit_tls: false,
            proxy: false,
            access: SocketAccess::default(),
        }
    }

    #[tokio::test]
    async fn a_free_port_is_named_and_taken_ones_are_refused() {
        let any = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let bound = one(&at(&any), &[]).unwrap();
        let address = bound.address().clone();
        let error = one(&at(&address), &[]).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot listen on {address}: "))
        );
        let ListenAddress::Tcp(tcp) = address else {
            panic!("{address}")
        };
        let listening = bound.open().unwrap();
        let client = TcpStream::connect(tcp).unwrap();
        let accepted = listening.accept().await.unwrap();
        assert_eq!(accepted.peer(), Some(client.local_addr().unwrap()));
    }

    #[tokio::test]
    async fn x12_who_connects_to_a_unix_socket_is_known_by_its_user() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.sock");
        let listening = one(&at(&ListenAddress::Unix(path.clone())), &[])
            .unwrap()
            .open()
            .unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let accepted = listening.accept().await.unwrap();
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(accepted.client(), Client::User(Some(user)));
    }

    #[test]
    fn both_wildcards_can_have_one_port() {
        let six = ListenAddress::Tcp("[::]:0".parse().unwrap());
        let Ok(first) = one(&at(&six), &[]) else {
            return;
        };
        let ListenAddress::Tcp(tcp) = *first.address() else {
            panic!()
        };
        drop(first);
        let six = ListenAddress::Tcp(tcp);
        let four = ListenAddress::Tcp(SocketAddr::new(
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            tcp.port(),
        ));
        let both = [six.clone(), four.clone()];
        let _six = one(&at(&six), &both).unwrap();
        let _four = one(&at(&four), &both).unwrap();
    }
}
