//! The files of a sink's TLS: read anew for every connection. What was read last and could be used stays in use while a
//! file is broken or away, as in the middle of its replacement.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use postern_events::fault::{Fault, FaultKind};
use postern_events::plan::SinkTls;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// A certificate with its key, both in PEM.
type Pair = (Vec<u8>, Vec<u8>);

/// The files of one sink, with what was last read of them.
#[derive(Debug)]
pub(crate) struct TlsFiles {
    tls: SinkTls,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ca: Option<Vec<u8>>,
    own: Option<Pair>,
    /// What is wrong with the files now.
    broken: Option<String>,
    /// That has changed since it was last asked for.
    changed: bool,
}

impl TlsFiles {
    pub(crate) fn new(tls: SinkTls) -> Arc<Self> {
        Arc::new(Self {
            tls,
            state: Mutex::default(),
        })
    }

    /// TLS towards `host`, with the files as they are now.
    ///
    /// # Errors
    /// A fault that names a file which cannot be used, and could not before.
    pub(crate) async fn config(self: Arc<Self>, host: &str) -> Result<ClientTlsConfig, Fault> {
        let name = self.tls.server_name.as_deref().unwrap_or(host).to_owned();
        // Files are read on the blocking pool.
        match tokio::task::spawn_blocking(move || self.load()).await {
            Ok(loaded) => {
                let (ca, own) = loaded?;
                let config = ClientTlsConfig::new().domain_name(name);
                let config = match ca {
                    Some(ca) => config.ca_certificate(Certificate::from_pem(ca)),
                    None => config.with_enabled_roots(),
                };
                Ok(match own {
                    Some((cert, key)) => config.identity(Identity::from_pem(cert, key)),
                    None => config,
                })
            }
            Err(error) => Err(unusable(&error.to_string())),
        }
    }

    /// What is wrong with the files, or that nothing is any more, if that is news.
    pub(crate) fn news(&self) -> Option<Option<String>> {
        let mut state = self.state.lock();
        std::mem::take(&mut state.changed).then(|| state.broken.clone())
    }

    fn load(&self) -> Result<(Option<Vec<u8>>, Option<Pair>), Fault> {
        let ca = self.tls.ca.as_deref().map(authorities);
        let own = match (&self.tls.cert, &self.tls.key) {
            (Some(cert), Some(key)) => Some(pair(cert, key)),
            _ => None,
        };
        let mut state = self.state.lock();
        let mut broken = Vec::new();
        let ca = kept(&mut state.ca, ca, &mut broken)?;
        let own = kept(&mut state.own, own, &mut broken)?;
        let broken = (!broken.is_empty()).then(|| broken.join("; "));
        state.changed |= state.broken != broken;
        state.broken = broken;
        Ok((ca, own))
    }
}

/// What was read, or else what was read before.
fn kept<T: Clone>(
    last: &mut Option<T>,
    read: Option<Result<T, String>>,
    broken: &mut Vec<String>,
) -> Result<Option<T>, Fault> {
    match (read, &last) {
        (None, _) => Ok(None),
        (Some(Ok(read)), _) => {
            *last = Some(read.clone());
            Ok(Some(read))
        }
        (Some(Err(why)), Some(before)) => {
            broken.push(why);
            Ok(Some(before.clone()))
        }
        (Some(Err(why)), None) => Err(unusable(&why)),
    }
}

/// The authorities in a file, all of which can be used.
fn authorities(path: &Path) -> Result<Vec<u8>, String> {
    let pem = read(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, &pem)? {
        roots
            .add(certificate)
            .map_err(|error| damaged(path, &error.to_string()))?;
    }
    Ok(pem)
}

/// A certificate with its key.
fn pair(cert: &Path, key: &Path) -> Result<Pair, String> {
    let (cert_pem, key_pem) = (read(cert)?, read(key)?);
    let chain = certificates(cert, &cert_pem)?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| match error {
        PemError::NoItemsFound => damaged(key, "no private key in PEM found"),
        error => damaged(key, &error.to_string()),
    })?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|error| {
        format!(
            "{} and {} cannot be used together: {error}",
            cert.display(),
            key.display()
        )
    })?;
    Ok((cert_pem, key_pem))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| damaged(path, &error.to_string()))?;
    if found.is_empty() {
        return Err(damaged(path, "no certificate in PEM found"));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn damaged(path: &Path, what: &str) -> String {
    format!("{}: {what}", path.display())
}

fn unusable(why: &str) -> Fault {
    Fault::new(FaultKind::Unreachable, why)
}
