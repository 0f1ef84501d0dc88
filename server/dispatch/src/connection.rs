//! One connection to a replica: made once, described before anything is asked on it, and never made anew in silence.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use postern_events::fault::{Fault, FaultKind};
use postern_events::plan::Endpoint;
use postern_proto::v1::event_sink_client::EventSinkClient;
use postern_proto::v1::{ConfiguredBinding, DescribeRequest, DescribeResponse};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint as Remote, Uri};

use crate::ending::{call_fault, with_sources};
use crate::settings::Settings;
use crate::tls_files::TlsFiles;

/// The protocol version that this gateway speaks.
pub(crate) const PROTOCOL_VERSION: u32 = 1;

/// Window of one stream for what the sink sends, in octets.
const STREAM_WINDOW: u32 = 1 << 20;

/// Window of one connection for what the sink sends, in octets.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Where a replica is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The endpoint as configured.
    pub(crate) endpoint: Endpoint,
    /// The address, for one of the many behind a name.
    pub(crate) address: Option<SocketAddr>,
}

/// A connection that was made, with what the sink said of itself on it.
pub(crate) struct Connected {
    /// For calls on it.
    pub(crate) channel: Channel,
    /// Its description.
    pub(crate) response: DescribeResponse,
    /// The user id of its process, where it answers on a Unix socket.
    pub(crate) user: Option<u32>,
    /// Resolves when the connection is gone.
    pub(crate) gone: oneshot::Receiver<()>,
}

/// Connects to a replica and asks for its description. `sink` is its name in the configuration.
///
/// # Errors
/// A fault that says in one line why there is no connection or no description.
pub(crate) async fn connect(
    target: &Target,
    tls: &Arc<TlsFiles>,
    sink: &str,
    settings: &Settings,
) -> Result<Connected, Fault> {
    let remote = remote(&target.endpoint, tls).await?;
    let (gone, was_gone) = oneshot::channel();
    let user = Arc::new(OnceLock::new());
    let once = Once {
        target: Some((target.clone(), gone)),
        user: Arc::clone(&user),
        keep_alive: settings.keep_alive_interval,
    };
    let channel = remote
        .connect_with_connector(once)
        .await
        .map_err(|error| unusable(&error))?;
    let response = describe(&channel, sink, settings, Vec::new()).await?;
    Ok(Connected {
        channel,
        response,
        user: user.get().copied(),
        gone: was_gone,
    })
}

/// Asks for the description, and what is wrong with `bindings` in it.
pub(crate) async fn describe(
    channel: &Channel,
    sink: &str,
    settings: &Settings,
    bindings: Vec<ConfiguredBinding>,
) -> Result<DescribeResponse, Fault> {
    let request = DescribeRequest {
        gateway_version: concat!("postern ", env!("CARGO_PKG_VERSION")).to_owned(),
        protocol_version: PROTOCOL_VERSION,
        features: settings.features.words(),
        sink: sink.to_owned(),
        bindings,
    };
    let response = EventSinkClient::new(channel.clone())
        .describe(request)
        .await;
    Ok(response.map_err(|status| call_fault(&status))?.into_inner())
}

/// The settings of connections to an endpoint. Reads the TLS files anew.
async fn remote(endpoint: &Endpoint, tls: &Arc<TlsFiles>) -> Result<Remote, Fault> {
    let (address, secure, host) = match endpoint {
        Endpoint::Url { tls, host, port } | Endpoint::Dns { tls, host, port } => {
            let scheme = if *tls { "https" } else { "http" };
            let host_part = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.clone()
            };
            (
                format!("{scheme}://{host_part}:{port}"),
                *tls,
                host.as_str(),
            )
        }
        Endpoint::Unix(_) => ("http://localhost".to_owned(), false, "localhost"),
    };
    let mut remote = Remote::from_shared(address)
        .map_err(|error| unusable(&error))?
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(16 << 10);
    if secure {
        remote = remote
            .tls_config(Arc::clone(tls).config(host).await?)
            .map_err(|error| unusable(&error))?;
    }
    Ok(remote)
}

fn unusable(error: &tonic::transport::Error) -> Fault {
    let text = with_sources(error);
    let text = text.strip_prefix("transport error: ").unwrap_or(&text);
    Fault::new(FaultKind::Unreachable, text)
}

/// A connector that connects once. A channel that has lost its connection asks again, and gets none: whoever is behind
/// a new connection must describe itself first.
struct Once {
    target: Option<(Target, oneshot::Sender<()>)>,
    /// Whose process answers on a Unix socket.
    user: Arc<OnceLock<u32>>,
    keep_alive: Duration,
}

impl tower::Service<Uri> for Once {
    type Response = TokioIo<Watched>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let target = self.target.take();
        let keep_alive = self.keep_alive;
        let user = Arc::clone(&self.user);
        Box::pin(async move {
            let (target, gone) = target.ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotConnected, "the connection is gone")
            })?;
            let socket = open(&target, keep_alive).await?;
            if let Socket::Unix(stream) = &socket {
                let peer = stream.peer_cred()?.uid();
                user.get_or_init(|| peer);
            }
            Ok(TokioIo::new(Watched {
                socket,
                gone: Some(gone),
            }))
        })
    }
}

async fn open(target: &Target, keep_alive: Duration) -> io::Result<Socket> {
    let stream = match (&target.endpoint, target.address) {
        (Endpoint::Unix(path), _) => return UnixStream::connect(path).await.map(Socket::Unix),
        (_, Some(address)) => TcpStream::connect(address).await?,
        (Endpoint::Url { host, port, .. } | Endpoint::Dns { host, port, .. }, None) => {
            TcpStream::connect((host.as_str(), *port)).await?
        }
    };
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(keep_alive))?;
    Ok(Socket::Tcp(stream))
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket that says when it is dropped, which is when the connection is over.
struct Watched {
    socket: Socket,
    gone: Option<oneshot::Sender<()>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(gone) = self.gone.take() {
            // Nobody listens where the connection was given up.
            let _unheard = gone.send(()).is_err();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Tcp(stream) => stream.is_write_vectored(),
            Socket::Unix(stream) => stream.is_write_vectored(),
        }
    }
}

/// The addresses behind a name, for a sink whose replicas share one. In a stable order, without doubles.
pub(crate) async fn resolve(endpoint: Arc<Endpoint>) -> io::Result<Vec<SocketAddr>> {
    let Endpoint::Dns { host, port, .. } = &*endpoint else {
        return Ok(Vec::new());
    };
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), *port))
        .await?
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}
