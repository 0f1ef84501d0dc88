//! The admin socket: gRPC `postern.admin.v1` for who operates the running gateway, on a Unix socket.
//!
//! Only root and the user that the gateway runs as are listened to. Everything is bounded, so that a client that misbehaves
//! costs mail nothing: connections and streams by number, requests by octets, lists by what the client takes.

pub(crate) mod endpoint;
mod filter;
mod service;
mod shown;
mod watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use postern_spool::Store;
use postern_transport::Handle;

use crate::metrics::Metrics;
use crate::metrics::endpoint::{ReadSinks, WhyClosed};
use crate::runtime::shutdown::Shutdown;
use crate::serve::ListenerAddress;

/// Octets of a socket's path at most: unix(7), without the zero at its end.
pub(crate) const LONGEST_PATH: usize = 107;

/// The system takes no socket at this path.
pub(crate) fn is_too_long(path: &Path) -> bool {
    path.as_os_str().len() > LONGEST_PATH
}

/// What is steered.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Where the queue is.
    pub(crate) spool: Arc<dyn Store>,
    /// Its folder.
    pub(crate) spool_path: Arc<Path>,
    /// The transport core.
    pub(crate) transport: Handle,
    /// When the gateway was started.
    pub(crate) started: SystemTime,
    /// Where it listens.
    pub(crate) listeners: Arc<[ListenerAddress]>,
    /// Its virtual servers.
    pub(crate) servers: Arc<[String]>,
    /// Counts its sessions.
    pub(crate) metrics: Arc<Metrics>,
    /// How the sinks stand.
    pub(crate) sinks: ReadSinks,
    /// Why no mail can be accepted.
    pub(crate) closed: WhyClosed,
    /// Its end.
    pub(crate) shutdown: Shutdown,
    /// Time for what runs to end.
    pub(crate) drain: Duration,
}

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("admin.socket: {}: {source}; set [admin] socket to a path in a folder that the gateway may write to", path.display())]
pub struct AdminError {
    /// Its path.
    pub path: PathBuf,
    /// The system's error.
    pub source: std::io::Error,
}
