//! TLS of the test's client, which takes any certificate and shows which one it got, and of the test's next hops.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureScheme, StreamOwned,
};

use crate::certificate::Certificate;

/// A TLS connection over TCP.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands and asks for `host`, and by ALPN for one of `protocols`, if there are any.
///
/// # Errors
/// When the peer does not want to, or hangs up.
pub fn handshake(mut stream: TcpStream, host: &str, protocols: &[&str]) -> io::Result<Tls> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// A TLS connection over TCP, as its server has it.
pub type Served = StreamOwned<ServerConnection, TcpStream>;

/// Shakes hands as a server, with a certificate that nobody has signed.
///
/// # Errors
/// When the peer does not want to, or hangs up.
pub fn serve(stream: TcpStream) -> io::Result<Served> {
    let made = rcgen::generate_simple_self_signed(vec!["hop.test".to_owned()])
        .map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    serve_with(stream, made.cert.der().clone(), key)
}

/// Shakes hands as a server, with the certificate and key in these files.
///
/// # Errors
/// When they cannot be read, or the peer does not want to, or hangs up.
pub fn serve_from(stream: TcpStream, files: &Certificate) -> io::Result<Served> {
    let certificate =
        CertificateDer::from_pem_file(&files.certificate).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(io::Error::other)?;
    serve_with(stream, certificate, key)
}

fn serve_with(
    mut stream: TcpStream,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> io::Result<Served> {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    let mut tls = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// The certificate that the peer showed.
pub fn certificate(tls: &Tls) -> Vec<u8> {
    tls.conn
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|certificate| certificate.to_vec())
        .unwrap_or_default()
}

/// Takes any certificate whose key signs the handshake.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
