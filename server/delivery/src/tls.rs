//! TLS towards next hops: against those who listen, without a proof of who the peer is; or with one.

use std::sync::Arc;

use bytes::Bytes;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore,
    SignatureScheme,
};

use super::hooks::Secured;

/// TLS for next hops of which nothing is known. Any certificate is taken: without DANE or MTA-STS there is nothing to hold
/// it against, and the alternative is plain text (RFC 7435).
///
/// # Errors
/// When the TLS library refuses the set-up.
pub fn opportunistic() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(AnyCertificate {
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// TLS for next hops whose certificate has to be valid for their name. `authorities` are those that may have issued it;
/// `None`: those that browsers trust.
///
/// # Errors
/// [`TlsSetupError`].
pub fn verified(
    authorities: Option<Vec<CertificateDer<'_>>>,
) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(authorities) => {
            for authority in authorities {
                roots.add(authority)?;
            }
            if roots.is_empty() {
                return Err(TlsSetupError::NoAuthority);
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What a handshake with the host of this name agreed upon. `verified`: its certificates were checked.
pub(crate) fn agreed(connection: &ClientConnection, host: &str, verified: bool) -> Secured {
    let suite = connection.negotiated_cipher_suite();
    let cipher = suite.and_then(|suite| suite.suite().as_str());
    let cipher = cipher.unwrap_or("unknown");
    let certificates = connection.peer_certificates().unwrap_or_default();
    Secured {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        },
        // The library writes `TLS13_…` where IANA has `TLS_…`.
        cipher: match cipher.strip_prefix("TLS13_") {
            Some(rest) => format!("TLS_{rest}"),
            None => cipher.to_owned(),
        },
        server_name: host.to_owned(),
        certificates: certificates
            .iter()
            .map(|one| Bytes::copy_from_slice(one))
            .collect(),
        verified,
    }
}

/// Why TLS towards a next hop cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// There is no certificate to hold others against.
    #[error("there is no certificate in it")]
    NoAuthority,
    /// The TLS library refuses it.
    #[error(transparent)]
    Refused(#[from] Error),
}

/// Takes every certificate, and still checks that the peer holds its key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
