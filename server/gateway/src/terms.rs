//! From a `[[route]]` to the terms on which peers are spoken to.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use postern_config::settings::route::{Auth, Route, TlsPolicy as Policy};
use postern_delivery::{Terms, TlsPolicy, TlsSetupError, verified};
use postern_smtp::client::{Login, LoginError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};

/// The most of a file that is taken for a password.
const PASSWORD: u64 = 8192;

/// What a route names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no list of certificates.
    #[error("{}: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PemError,
    },
    /// Nobody can be verified by what a file has.
    #[error("{place}: {source}")]
    Tls {
        /// The file, or the route.
        place: String,
        /// Why.
        source: TlsSetupError,
    },
    /// The user or password cannot be used.
    #[error("route.{route}.auth: {source}")]
    Login {
        /// The route.
        route: String,
        /// Why.
        source: LoginError,
    },
}

/// The terms of a route. Reads the files that it names.
///
/// # Errors
/// [`TermsError`].
pub fn of(route: &Route) -> Result<Terms, TermsError> {
    Ok(Terms {
        name: route.name.clone(),
        tls: match route.tls {
            Policy::Opportunistic => TlsPolicy::Opportunistic,
            Policy::Required => TlsPolicy::Required,
            Policy::Verified => TlsPolicy::Verified(setup(route)?),
            Policy::Off => TlsPolicy::Off,
        },
        login: match &route.auth {
            Some(auth) => Some(login(route, auth)?),
            None => None,
        },
        source: route.source.clone(),
        ehlo: route.ehlo.clone(),
        ..Terms::default()
    })
}

fn setup(route: &Route) -> Result<std::sync::Arc<rustls::ClientConfig>, TermsError> {
    let authorities = route.ca.as_deref().map(certificates).transpose()?;
    verified(authorities).map_err(|source| TermsError::Tls {
        place: match &route.ca {
            Some(path) => path.display().to_string(),
            None => format!("route.{}.tls", route.name),
        },
        source,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TermsError> {
    let failed = |source| TermsError::Pem {
        path: path.to_owned(),
        source,
    };
    let all = CertificateDer::pem_file_iter(path).map_err(failed)?;
    all.collect::<Result<_, _>>().map_err(failed)
}

fn login(route: &Route, auth: &Auth) -> Result<Login, TermsError> {
    let password = match (&auth.password, &auth.password_file) {
        (Some(password), _) => password.reveal().to_owned(),
        (None, Some(path)) => first_line(path)?,
        (None, None) => String::new(),
    };
    Login::new(&auth.user, &password).map_err(|source| TermsError::Login {
        route: route.name.clone(),
        source,
    })
}

fn first_line(path: &Path) -> Result<String, TermsError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(PASSWORD).read_to_string(&mut text));
    read.map_err(|source| TermsError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
