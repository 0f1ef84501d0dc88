//! Certificates of the test's own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// Certificate and key in PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// An authority that issues certificates for tests.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::named("authority")
    }
}

impl Authority {
    /// A new one of this name.
    ///
    /// # Panics
    /// When there is no randomness.
    pub fn named(name: &str) -> Self {
        let made = || {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(Vec::new())?;
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            let pem = params.self_signed(&key)?.pem();
            let issuer = Issuer::new(params, key);
            Ok::<_, rcgen::Error>(Self { issuer, pem })
        };
        made().unwrap_or_else(|e| panic!("an authority: {e}"))
    }

    /// Writes its own certificate to a file.
    pub fn write(&self, file: &Path) {
        fs::write(file, &self.pem).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }

    /// Writes `NAME.pem` and `NAME.key` to `folder`: a certificate for the host `host`. Files of
    /// that name are replaced.
    pub fn issue(&self, folder: &Path, name: &str, host: &str) -> Issued {
        self.issue_with(folder, name, host, |_| {})
    }

    /// As [`Authority::issue`], for a year that is over.
    pub fn issue_expired(&self, folder: &Path, name: &str, host: &str) -> Issued {
        self.issue_with(folder, name, host, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    fn issue_with(
        &self,
        folder: &Path,
        name: &str,
        host: &str,
        change: impl Fn(&mut CertificateParams),
    ) -> Issued {
        let made = || {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(vec![host.to_owned()])?;
            change(&mut params);
            let certificate = params.signed_by(&key, &self.issuer)?;
            Ok::<_, rcgen::Error>((certificate, key))
        };
        let (certificate, key) = made().unwrap_or_else(|e| panic!("a certificate: {e}"));
        let files = Certificate {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        fs::write(&files.certificate, certificate.pem())
            .and_then(|()| fs::write(&files.key, key.serialize_pem()))
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        Issued {
            files,
            der: certificate.der().to_vec(),
        }
    }
}

/// A certificate in files, and what a peer sees of it.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Where it is.
    pub files: Certificate,
    /// Its octets.
    pub der: Vec<u8>,
}
