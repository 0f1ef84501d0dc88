//! What a raw sink speaks over: TCP, or TLS above it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificate::Certificate;

/// How long a peer may refuse to read what is written.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection from the gateway.
pub enum Socket {
    /// Plain.
    Tcp(TcpStream),
    /// In TLS.
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Socket {
    pub(super) fn accept(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let Some(config) = tls else {
            return Ok(Self::Tcp(stream));
        };
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    /// The TCP connection below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// TLS with this certificate, offering these protocols by ALPN.
///
/// # Panics
/// When the files do not fit.
pub fn tls_config(files: &Certificate, protocols: &[&str]) -> Arc<ServerConfig> {
    let made = || -> Result<ServerConfig, Box<dyn std::error::Error>> {
        let certificate = CertificateDer::from_pem_slice(&fs::read(&files.certificate)?)?;
        let key = PrivateKeyDer::from_pem_slice(&fs::read(&files.key)?)?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Ok(config)
    };
    Arc::new(made().unwrap_or_else(|e| panic!("TLS with {files:?}: {e}")))
}
