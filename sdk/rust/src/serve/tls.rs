//! TLS of a served sink.

use std::path::PathBuf;

use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::{ServeError, TlsFiles};

/// The server speaking TLS only.
pub(super) fn with_tls(server: Server, files: TlsFiles<'_>) -> Result<Server, ServeError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|cause| ServeError::File {
            path: path.clone(),
            cause,
        })
    };
    let identity = Identity::from_pem(read(files.cert)?, read(files.key)?);
    let mut tls = ServerTlsConfig::new().identity(identity);
    if let Some(authorities) = files.client_ca {
        tls = tls.client_ca_root(Certificate::from_pem(read(authorities)?));
    }
    server
        .tls_config(tls)
        .map_err(|error| ServeError::Tls(format!("the files do not fit: {error}")))
}
