//! The files that the configuration names: certificates, keys, lists of recipients.

use std::path::Path;

use postern_config::settings::delivery::Recipients;
use postern_config::settings::sink::SinkTls;
use postern_config::{ConfigError, Effective};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::front::recipients::RecipientFile;
use crate::tls::{CertificateFiles, ServerTls};

/// Everything that is wrong with them.
pub(super) fn check(effective: &Effective) -> Vec<ConfigError> {
    let config = &effective.config;
    let mut errors = Vec::new();
    for server in &config.servers {
        for pair in &server.tls {
            let files = CertificateFiles {
                cert: pair.cert.clone(),
                key: pair.key.clone(),
            };
            if let Err(error) = ServerTls::load(vec![files]) {
                let key = ["server", &server.name, "tls"];
                errors.push(effective.error_at(
                    &key,
                    error.to_string(),
                    "name files in PEM that belong together",
                ));
            }
        }
    }
    for sink in &config.sinks {
        let Some(tls) = &sink.tls else { continue };
        if let Err(what) = check_sink_tls(tls) {
            errors.push(effective.error_at(
                &["sink", &sink.name, "tls"],
                what,
                "name files in PEM that belong together",
            ));
        }
    }
    for domain in &config.domains {
        let Recipients::File(path) = &domain.recipients else {
            continue;
        };
        if let Err(error) = RecipientFile::load(path.clone()) {
            let key = ["domain", &domain.name, "recipients"];
            errors.push(effective.error_at(
                &key,
                error.to_string(),
                "name a file with one recipient on each line",
            ));
        }
    }
    errors
}

fn check_sink_tls(tls: &SinkTls) -> Result<(), String> {
    if let Some(path) = &tls.ca {
        certificates(path)?;
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        let chain = certificates(cert)?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("{}: {error}", key.display()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        rustls::sign::CertifiedKey::from_der(chain, private, &provider).map_err(|error| {
            format!(
                "{} and {} cannot be used together: {error}",
                cert.display(),
                key.display()
            )
        })?;
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| format!("{}: {error}", path.display()))?
        .collect();
    let chain = chain.map_err(|error| format!("{}: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: no certificate in PEM found", path.display()));
    }
    Ok(chain)
}
