//! Certificates of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Certificate and key in PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Makes a self-signed one in `folder` with openssl.
///
/// # Panics
/// When openssl is missing or fails.
pub fn make(folder: &Path, name: &str) -> Certificate {
    let made = Certificate {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    };
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj"])
        .arg("/CN=mx.example.test")
        .arg("-keyout")
        .arg(&made.key)
        .arg("-out")
        .arg(&made.certificate)
        .output()
        .unwrap_or_else(|e| panic!("openssl (Debian package openssl): {e}"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    made
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
        let made = || {
            let key = KeyPair::generate()?;
            let params = CertificateParams::new(vec![host.to_owned()])?;
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
