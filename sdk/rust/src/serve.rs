//! A sink as a program: flags and environment, logs, health, reflection, TLS, draining.

mod listen;
mod logs;
mod options;
mod paths;
#[cfg(feature = "tls")]
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tracing::{error, info};

pub use self::listen::Address;
use self::listen::Incoming;
pub use self::logs::Format as LogFormat;
pub use self::options::{Options, OptionsError};
use self::paths::Paths;
use crate::v1::event_sink_server::EventSinkServer;
use crate::{Sink, SinkService, StartError};

/// Exit code for wrong flags (sysexits `EX_USAGE`).
const EX_USAGE: u8 = 64;
/// Exit code for an address that cannot be had (sysexits `EX_UNAVAILABLE`).
const EX_UNAVAILABLE: u8 = 69;
/// Exit code for what should not happen (sysexits `EX_SOFTWARE`).
const EX_SOFTWARE: u8 = 70;
/// Exit code for a wrong file (sysexits `EX_CONFIG`).
const EX_CONFIG: u8 = 78;

/// Largest HTTP/2 frame that gateways may send, in octets: content in few frames costs both sides less.
const FRAME_SIZE: u32 = 256 * 1024;

/// How long the last frames may take to get out when all streams have ended.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Why a sink is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The sink is not in order.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A file of TLS cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The files of TLS are not what they should be, or this sink is built without TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// The descriptors of the protocol cannot be read.
    #[error("reflection: {0}")]
    Reflection(String),
    /// The server broke off.
    #[error("the server broke off: {0}")]
    Server(tonic::transport::Error),
    /// The system refuses a runtime or a signal handler.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
}

impl ServeError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Listen { .. } => EX_UNAVAILABLE,
            Self::File { .. } | Self::Tls(_) => EX_CONFIG,
            Self::Start(_) | Self::Reflection(_) | Self::Server(_) | Self::System(_) => EX_SOFTWARE,
        }
    }
}

impl Sink {
    /// Serves the sink as this program: reads the environment and, with the feature `cli`, flags; logs to standard error;
    /// and ends on SIGTERM or SIGINT when what runs is done. For `main`.
    pub fn run(self) -> ExitCode {
        let options = match options::of_program(&self) {
            Ok(Some(options)) => options,
            Ok(None) => return ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::from(EX_USAGE);
            }
        };
        if let Err(problem) = logs::start(&options.log, options.log_format) {
            eprintln!("log: {problem}");
            return ExitCode::from(EX_CONFIG);
        }
        // One thread for the network, as it is cheapest; handlers that compute have threads of their own.
        let outcome = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::System)
            .and_then(|runtime| {
                runtime.block_on(async { serve(self, options, asked_to_stop()?).await })
            });
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                error!("{problem}");
                ExitCode::from(problem.exit_code())
            }
        }
    }
}

/// Serves a sink until `stop` resolves, then drains: says so to gateways, lets running work end within
/// `options.drain`, and returns. Logs are the caller's.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    sink: Sink,
    options: Options,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let sink = sink.ready()?;
    let (name, version) = (
        sink.description.name.clone(),
        sink.description.version.clone(),
    );
    let (drain, draining) = watch::channel(None);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<EventSinkServer<SinkService>>().await;

    let mut server = Server::builder()
        .tcp_nodelay(true)
        .max_frame_size(FRAME_SIZE);
    if let Some(files) = options.tls_files() {
        server = with_tls(server, files)?;
    }
    let (count, mut streams) = watch::channel(0);
    let paths = Paths {
        sink: SinkService::draining(sink, draining, count),
        health: health_service,
        #[cfg(feature = "reflection")]
        reflection: paths::reflection()?,
    };

    let incoming = Incoming::bind(&options.listen, options.listen_mode).await?;
    info!(sink = name, version, address = %incoming.address(), "listening");

    let (stopped, mut stopping) = watch::channel(false);
    let stopping = async move {
        // An error means that `stopped` is gone, and with it everything.
        drop(stopping.wait_for(|stopped| *stopped).await);
    };
    let serving = async {
        match incoming {
            Incoming::Tcp { incoming, .. } => {
                server
                    .serve_with_incoming_shutdown(paths, incoming, stopping)
                    .await
            }
            Incoming::Unix { incoming, path } => {
                let ended = server
                    .serve_with_incoming_shutdown(paths, incoming, stopping)
                    .await;
                drop(path);
                ended
            }
        }
    };
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(ServeError::Server),
        () = stop => {}
    }

    info!(sink = name, "draining");
    health
        .set_not_serving::<EventSinkServer<SinkService>>()
        .await;
    health
        .set_service_status("", ServingStatus::NotServing)
        .await;
    drain.send_replace(Some(options.drain));
    stopped.send_replace(true);
    // Connections that only watch the health, or are kept for later, hold nothing up.
    let idle = async {
        drop(streams.wait_for(|count| *count == 0).await);
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        ended = serving => ended.map_err(ServeError::Server)?,
        () = idle => {}
        () = tokio::time::sleep(options.drain) => {
            info!(sink = name, "drain time is over; what still runs is dropped");
        }
    }
    info!(sink = name, "stopped");
    Ok(())
}

/// The files of TLS: certificate chain, key, authorities for gateways.
#[derive(Clone, Copy)]
pub(crate) struct TlsFiles<'a> {
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    pub(crate) cert: &'a PathBuf,
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    pub(crate) key: &'a PathBuf,
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    pub(crate) client_ca: Option<&'a PathBuf>,
}

#[cfg(feature = "tls")]
fn with_tls(server: Server, files: TlsFiles<'_>) -> Result<Server, ServeError> {
    tls::with_tls(server, files)
}

#[cfg(not(feature = "tls"))]
fn with_tls(_: Server, _: TlsFiles<'_>) -> Result<Server, ServeError> {
    Err(ServeError::Tls(
        "this sink is built without the feature `tls`".to_owned(),
    ))
}

/// Resolves at SIGTERM or SIGINT.
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests;
