//! The connection to a client: plain or TLS, over TCP or a Unix socket.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use postern_events::context::Tls;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::client::Client;
use super::handshakes::{HOLD, Handshakes};
use super::listener::Stream;
use super::proxied::{self, Ends, HeaderError};
use crate::tls::{cipher_name, version_name};

/// Octets that are read at once, at first and when the client keeps them filled.
const READ_MIN: usize = 8 * 1024;
const READ_MAX: usize = 64 * 1024;

/// Room in a buffer that is not worth a copy.
const SPARE: usize = 1024;

/// What carries octets both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection.
pub(crate) struct Wire {
    io: Box<dyn Duplex>,
    read_size: usize,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// Too many run already, and none ended in time.
    #[error("too many TLS handshakes at the same time")]
    Shed,
    /// The client took too long.
    #[error("TLS handshake took too long")]
    Timeout,
    /// The gateway is shutting down.
    #[error("shutting down")]
    Ended,
    /// The peers did not agree, or the connection ended.
    #[error("TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
}

impl Wire {
    /// Over anything that carries octets.
    pub(crate) fn over(io: impl Duplex + 'static) -> Self {
        Self {
            io: Box::new(io),
            read_size: READ_MIN,
        }
    }

    /// Over an accepted socket, which the current runtime takes over.
    pub(crate) fn accept(stream: Stream) -> io::Result<Self> {
        Ok(match stream {
            Stream::Tcp { stream, .. } => Self::over(TcpStream::from_std(stream)?),
            Stream::Unix(stream) => Self::over(UnixStream::from_std(stream)?),
        })
    }

    /// Reads what is there into `input`; 0 at the end. Can be given up and called again. While nothing comes `input` has no
    /// more room than it needs: most sessions wait most of their time.
    pub(crate) async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let room = self.read_size;
        let io = &mut self.io;
        let read = poll_fn(|context| {
            input.reserve(room);
            let polled = {
                let mut limited = (&mut *io).take(room as u64);
                let read = pin!(limited.read_buf(input));
                read.poll(context)
            };
            if polled.is_pending() && input.capacity() - input.len() > SPARE {
                *input = BytesMut::from(input.as_ref());
            }
            polled
        })
        .await?;
        // A client that fills the room has more: fewer, larger reads.
        self.read_size = if read == room {
            (room * 2).min(READ_MAX)
        } else {
            self.read_size
        };
        Ok(read)
    }

    /// Back to small reads: the content is over, or there is no memory for large ones.
    pub(crate) fn read_little(&mut self) {
        self.read_size = READ_MIN;
    }

    /// Writes all of `output` and empties it.
    pub(crate) async fn write(&mut self, output: &mut BytesMut) -> io::Result<()> {
        self.io.write_all(output).await?;
        self.io.flush().await?;
        output.clear();
        Ok(())
    }

    /// Reads what a proxy says of the client, and nothing beyond.
    pub(super) async fn proxy_header(&mut self) -> Result<Option<Ends>, HeaderError> {
        proxied::header(&mut self.io).await
    }

    /// Ends our direction: with TLS, so that the client can tell the end from a cut.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }

    /// Does the server's side of a handshake. Returns the encrypted connection and what was agreed.
    pub(super) async fn handshake(
        self,
        config: Arc<ServerConfig>,
        slots: &Handshakes,
        client: Client,
        within: Duration,
    ) -> Result<(Self, Tls), HandshakeError> {
        let waits_for_slot = AtomicBool::new(false);
        let handshake = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), self.io).await?;
            waits_for_slot.store(true, Ordering::Relaxed);
            let slot = slots.slot(client).await.ok_or(HandshakeError::Shed)?;
            waits_for_slot.store(false, Ordering::Relaxed);
            let mut rest = pin!(hello.into_stream(config));
            match timeout(HOLD, &mut rest).await {
                Ok(stream) => Ok::<_, HandshakeError>(stream?),
                // The client takes its time: from here on that is its own.
                Err(_) => {
                    drop(slot);
                    Ok(rest.await?)
                }
            }
        };
        let stream = match timeout(within, handshake).await {
            Ok(stream) => stream?,
            Err(_) if waits_for_slot.load(Ordering::Relaxed) => return Err(HandshakeError::Shed),
            Err(_) => return Err(HandshakeError::Timeout),
        };
        let facts = facts(&stream);
        Ok((Self::over(stream), facts))
    }
}

fn facts(stream: &TlsStream<Box<dyn Duplex>>) -> Tls {
    let (_, connection) = stream.get_ref();
    Tls {
        version: version_name(connection.protocol_version()).to_owned(),
        cipher: cipher_name(connection.negotiated_cipher_suite()),
        server_name: connection.server_name().map(str::to_owned),
        ..Tls::default()
    }
}
