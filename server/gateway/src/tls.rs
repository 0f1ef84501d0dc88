//! TLS for listeners: certificates are loaded, checked against their keys, chosen by SNI, and read again when
//! their files change. A broken new file is refused and the old certificate kept.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, ServerConfig, SupportedCipherSuite};

use crate::runtime::reload::{Reload, Stamp};

/// The one application protocol that a client may ask for by ALPN. One that asks for others only is not served,
/// so that a browser cannot be made to speak to a mail server in a web site's name.
const ALPN: &[u8] = b"smtp";

/// Why a certificate or its key cannot be used. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The certificate file has no certificate in PEM.
    #[error("{}: no certificate in PEM found", .0.display())]
    NoCertificate(PathBuf),
    /// The key file has no private key in PEM.
    #[error("{}: no private key in PEM found", .0.display())]
    NoKey(PathBuf),
    /// The file is PEM, but damaged.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Certificate and key do not belong together, or their kind is not supported.
    #[error("{} and {} cannot be used together: {what}", cert.display(), key.display())]
    Mismatch {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The TLS library refused the set-up as a whole.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// A certificate file and the key file that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Certificate chain in PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// Private key in PEM.
    pub key: PathBuf,
}

/// The TLS side of one virtual server. Cheap to share; sessions take [`ServerTls::config`].
pub struct ServerTls {
    files: Vec<CertificateFiles>,
    resolver: Arc<BySni>,
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Loads all certificates of a virtual server. The first one serves clients that name no host or an unknown one.
    ///
    /// # Errors
    /// [`TlsError`] for the first file that cannot be used.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let resolver = Arc::new(BySni {
            keys: ArcSwap::from_pointee(load_all(&files, &provider)?),
            provider: Arc::clone(&provider),
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Self {
            files,
            resolver,
            config: Arc::new(config),
        })
    }

    /// What a handshake needs. Stays the same when certificates are read again.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl Reload for ServerTls {
    fn name(&self) -> String {
        let names: Vec<_> = self
            .files
            .iter()
            .map(|pair| pair.cert.display().to_string())
            .collect();
        format!("certificate {}", names.join(", "))
    }

    fn stamp(&self) -> Stamp {
        Stamp::of(
            self.files
                .iter()
                .flat_map(|pair| [pair.cert.as_path(), pair.key.as_path()]),
        )
    }

    fn reload(&self) -> Result<(), String> {
        let keys =
            load_all(&self.files, &self.resolver.provider).map_err(|error| error.to_string())?;
        self.resolver.keys.store(Arc::new(keys));
        Ok(())
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Chooses the certificate that is valid for the name that the client asked for.
struct BySni {
    keys: ArcSwap<Vec<Arc<CertifiedKey>>>,
    provider: Arc<CryptoProvider>,
}

impl BySni {
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let keys = self.keys.load();
        if let [only] = keys.as_slice() {
            return Some(Arc::clone(only));
        }
        let wanted = name.and_then(|name| ServerName::try_from(name).ok());
        wanted
            .and_then(|wanted| keys.iter().find(|key| is_for(key, &wanted)))
            .or_else(|| keys.first())
            .map(Arc::clone)
    }
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

impl fmt::Debug for BySni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BySni")
            .field("certificates", &self.keys.load().len())
            .finish()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let Ok(end_entity) = key.end_entity_cert() else {
        return false;
    };
    ParsedCertificate::try_from(end_entity)
        .is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

fn load_all(
    files: &[CertificateFiles],
    provider: &CryptoProvider,
) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    files
        .iter()
        .map(|pair| load_pair(pair, provider).map(Arc::new))
        .collect()
}

fn load_pair(pair: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = load_chain(&pair.cert)?;
    let key = load_key(&pair.key)?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| TlsError::Mismatch {
        cert: pair.cert.clone(),
        key: pair.key.clone(),
        what: error.to_string(),
    })
}

fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Damaged {
            path: path.to_owned(),
            what: error.to_string(),
        })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    match PrivateKeyDer::from_pem_slice(&read(path)?) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(TlsError::NoKey(path.to_owned())),
        Err(error) => Err(TlsError::Damaged {
            path: path.to_owned(),
            what: error.to_string(),
        }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// A protocol version as logs and `Received` fields write it.
#[must_use]
pub fn version_name(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLS",
    }
}

/// IANA's name of a cipher suite. The library writes `TLS13_…` where IANA has `TLS_…`.
#[must_use]
pub fn cipher_name(suite: Option<SupportedCipherSuite>) -> String {
    let name = suite
        .and_then(|suite| suite.suite().as_str())
        .unwrap_or("unknown");
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
