//! Where a sink listens.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{UnixSocket, UnixStream, lookup_host};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::TcpIncoming;

use super::ServeError;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or address, and a port.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err("an absolute path must follow unix:".to_owned()),
            };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(text.to_owned()))
            }
            _ => Err("HOST:PORT or unix:/path".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Connections as they come in.
pub(super) enum Incoming {
    Tcp {
        incoming: TcpIncoming,
        address: SocketAddr,
    },
    Unix {
        incoming: UnixListenerStream,
        path: SocketFile,
    },
}

impl Incoming {
    /// Listens. `mode`: the permissions of a Unix socket.
    pub(super) async fn bind(address: &Address, mode: Option<u32>) -> Result<Self, ServeError> {
        let bound = match address {
            Address::Tcp(name) => bind_tcp(name).await,
            Address::Unix(path) => bind_unix(path, mode).await,
        };
        bound.map_err(|cause| ServeError::Listen {
            address: address.to_string(),
            cause,
        })
    }

    /// The address with the port that was really taken.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp { address, .. } => address.to_string(),
            Self::Unix { path, .. } => format!("unix:{}", path.0.display()),
        }
    }
}

/// The file of a Unix socket, removed when the sink stops.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "the socket file stays");
        }
    }
}

async fn bind_tcp(name: &str) -> io::Result<Incoming> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host(name).await? {
        match TcpIncoming::bind(address) {
            Ok(incoming) => {
                let incoming = incoming.with_nodelay(Some(true));
                let address = incoming.local_addr()?;
                return Ok(Incoming::Tcp { incoming, address });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Takes the path. A socket that nobody listens on any more was left behind by a crash, and is removed.
async fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<Incoming> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket
        && let Err(error) = UnixStream::connect(path).await
        && error.kind() == io::ErrorKind::ConnectionRefused
    {
        std::fs::remove_file(path)?;
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let path = SocketFile(path.to_owned());
    // Before anybody can connect.
    if let Some(mode) = mode {
        std::fs::set_permissions(&path.0, Permissions::from_mode(mode))?;
    }
    let incoming = UnixListenerStream::new(socket.listen(BACKLOG)?);
    Ok(Incoming::Unix { incoming, path })
}
