//! Why the gateway does not run, one clear line each, and how the process should end.

use std::fmt;
use std::io;
use std::path::PathBuf;

use postern_delivery::ResolverError;
use postern_spool::SpoolError;

use crate::accounts::AccountError;
use crate::admin::AdminError;
use crate::cli::Exit;
use crate::front::FrontError;
use crate::front::listener::ListenError;
use crate::preflight::Obstacle;
use crate::terms::TermsError;

/// Why the gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Certificates or lists of recipients.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// Whatever `postern check` would find too, a line for each.
    #[error("{}", Lines(.0))]
    Obstacles(Vec<Obstacle>),
    /// An address that cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The service manager says something of sockets that cannot be read.
    #[error("LISTEN_PID, LISTEN_FDS or LISTEN_FDNAMES: {0}")]
    Inherited(#[from] sd_listen_fds::Error),
    /// The admin socket cannot be made.
    #[error("{0}")]
    Admin(io::Error),
    /// The process cannot become the user of `process.user`.
    #[error("process.user: {0}")]
    Account(#[from] AccountError),
    /// The state folder cannot be made for the user of `process.user`.
    #[error("spool.path: {}: cannot be made for user {user}: {source}", path.display())]
    StateFolder {
        /// The folder.
        path: PathBuf,
        /// The user's number.
        user: u32,
        /// The system's error.
        source: io::Error,
    },
    /// The spool cannot be opened.
    #[error("spool.path: {}: {source}{}", path.display(), advice(source))]
    OpenSpool {
        /// Its folder.
        path: PathBuf,
        /// Why.
        source: SpoolError,
    },
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// TLS towards next hops cannot be set up.
    #[error("TLS towards next hops: {0}")]
    Tls(#[from] rustls::Error),
    /// Files that a route names.
    #[error("{0}")]
    Terms(#[from] TermsError),
    /// Names cannot be looked up in DNS.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// The system gives no threads, descriptors or signals.
    #[error("the system refuses what the gateway needs: {0}")]
    System(#[from] io::Error),
    /// A part of the gateway failed while it ran. What was accepted is in the spool.
    #[error(
        "a part of the gateway failed: {0}; what was accepted is safe, start it again and report the log"
    )]
    Failed(&'static str),
}

impl ServeError {
    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Account(AccountError::NotRoot | AccountError::Become(_))
            | Self::StateFolder { .. } => Exit::NoPerm,
            Self::Front(_) | Self::Obstacles(_) | Self::Account(_) | Self::Terms(_) => Exit::Config,
            Self::Listen(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::NoPerm
            }
            Self::Admin(error) if error.kind() == io::ErrorKind::PermissionDenied => Exit::NoPerm,
            Self::Listen(_) | Self::Inherited(_) | Self::Admin(_) => Exit::Unavailable,
            Self::Spool(error) | Self::OpenSpool { source: error, .. } => spool_exit(error),
            Self::System(_) => Exit::TempFail,
            Self::Tls(_) | Self::Resolver(_) | Self::Failed(_) => Exit::Software,
        }
    }
}

impl From<AdminError> for ServeError {
    fn from(error: AdminError) -> Self {
        Self::Admin(io::Error::new(error.source.kind(), error.to_string()))
    }
}

fn advice(error: &SpoolError) -> &'static str {
    match error {
        SpoolError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "; give it to the user that runs the gateway"
        }
        SpoolError::Io { source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
            "; name a folder on a local disk"
        }
        _ => "",
    }
}

fn spool_exit(error: &SpoolError) -> Exit {
    match error {
        SpoolError::Locked { .. } | SpoolError::NoSpace => Exit::TempFail,
        SpoolError::Format { .. } | SpoolError::NetworkFileSystem { .. } => Exit::Config,
        SpoolError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Exit::NoPerm
        }
        _ => Exit::IoErr,
    }
}

/// One line for each.
struct Lines<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Lines<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, line) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            line.fmt(f)?;
        }
        Ok(())
    }
}
