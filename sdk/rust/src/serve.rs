//! A sink as a program: flags and environment, logs, health, reflection, TLS, draining.

mod listen;
mod logs;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::transport::server::Router;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tracing::{error, info};

pub use self::listen::Address;
use self::listen::Incoming;
pub use self::logs::Format as LogFormat;
use crate::v1::event_sink_server::EventSinkServer;
use crate::{Sink, SinkService};

/// Exit code for a wrong flag or file (sysexits `EX_CONFIG`).
const EX_CONFIG: u8 = 78;
/// Exit code for an address that cannot be had (sysexits `EX_UNAVAILABLE`).
const EX_UNAVAILABLE: u8 = 69;
/// Exit code for what should not happen (sysexits `EX_SOFTWARE`).
const EX_SOFTWARE: u8 = 70;

/// Largest HTTP/2 frame that gateways may send, in octets: content in few frames costs both sides less.
const FRAME_SIZE: u32 = 256 * 1024;

/// How long the last frames may take to get out when all streams have ended.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// How a sink is served. Each flag is an environment variable too: `--listen` is `POSTERN_SINK_LISTEN`.
#[derive(Clone, Debug, Parser)]
#[command(disable_help_subcommand = true)]
pub struct Options {
    /// Where to listen: HOST:PORT, or unix:/path. Port 0 takes a free one and says so in the log.
    #[arg(
        long,
        env = "POSTERN_SINK_LISTEN",
        default_value = "127.0.0.1:7001",
        value_name = "ADDRESS"
    )]
    pub listen: Address,

    /// Certificate chain, PEM. With --tls-key it makes the sink speak TLS only.
    #[arg(
        long,
        env = "POSTERN_SINK_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate, PEM.
    #[arg(
        long,
        env = "POSTERN_SINK_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// Authorities, PEM: only gateways with a certificate from them are let in.
    #[arg(
        long,
        env = "POSTERN_SINK_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_client_ca: Option<PathBuf>,

    /// What to log: a level, or targets with levels as in "info,my_sink=debug".
    #[arg(
        long,
        env = "POSTERN_SINK_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,

    /// How to log.
    #[arg(
        long,
        env = "POSTERN_SINK_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: logs::Format,

    /// How long running work may go on after SIGTERM or SIGINT: 500ms, 10s, 2m.
    #[arg(long, env = "POSTERN_SINK_DRAIN", default_value = "10s", value_name = "TIME", value_parser = parse_time)]
    pub drain: Duration,
}

/// Why a sink is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
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
    /// The files of TLS are not what they should be.
    #[error("the TLS files do not fit: {0}")]
    Tls(tonic::transport::Error),
    /// The descriptors of the protocol cannot be read.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The server broke off.
    #[error("the server broke off: {0}")]
    Server(tonic::transport::Error),
    /// The system refuses a runtime or a signal handler.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
}

/// Serves a sink as this program: reads flags and environment, logs to standard error, and ends on SIGTERM or
/// SIGINT when what runs is done. For `main`.
pub fn run<S, P, T>(sink: S) -> ExitCode
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    let options = match options(&sink, std::env::args_os()) {
        Ok(options) => options,
        Err(error) => {
            let code = if error.use_stderr() {
                ExitCode::from(64)
            } else {
                ExitCode::SUCCESS
            };
            // A closed standard error leaves nobody to tell.
            drop(error.print());
            return code;
        }
    };
    if let Err(problem) = logs::start(&options.log, options.log_format) {
        eprintln!("--log: {problem}");
        return ExitCode::from(EX_CONFIG);
    }
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::System)
        .and_then(|runtime| {
            runtime.block_on(async { serve(sink, options, asked_to_stop()?).await })
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            error!("{problem}");
            ExitCode::from(match problem {
                ServeError::Listen { .. } => EX_UNAVAILABLE,
                ServeError::File { .. } | ServeError::Tls(_) => EX_CONFIG,
                ServeError::Reflection(_) | ServeError::Server(_) | ServeError::System(_) => {
                    EX_SOFTWARE
                }
            })
        }
    }
}

/// Serves a sink until `stop` resolves, then drains: says so to gateways, lets running work end within
/// `options.drain`, and returns. Logs are the caller's.
pub async fn serve<S, P, T>(
    sink: S,
    options: Options,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    let description = sink.describe();
    let name = description.as_proto().name.clone();
    let (drain, draining) = watch::channel(None);
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_serving::<EventSinkServer<SinkService<S, P, T>>>()
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(postern_proto::FILE_DESCRIPTOR_SET)
        .build_v1()?;

    let mut server = Server::builder()
        .tcp_nodelay(true)
        .max_frame_size(FRAME_SIZE);
    if let Some(tls) = tls_config(&options)? {
        server = server.tls_config(tls).map_err(ServeError::Tls)?;
    }
    let (count, mut streams) = watch::channel(0);
    let service = SinkService::draining(Arc::new(sink), draining, count);
    let router = server
        .add_service(service)
        .add_service(health_service)
        .add_service(reflection);

    let incoming = Incoming::bind(&options.listen).await?;
    info!(sink = name, version = description.as_proto().version, address = %incoming.address(), "listening");

    let (stopped, mut stopping) = watch::channel(false);
    let serving = serve_incoming(router, incoming, async move {
        // An error means that `stopped` is gone, and with it everything.
        drop(stopping.wait_for(|stopped| *stopped).await);
    });
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(ServeError::Server),
        () = stop => {}
    }

    info!(sink = name, "draining");
    health
        .set_not_serving::<EventSinkServer<SinkService<S, P, T>>>()
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

async fn serve_incoming(
    router: Router,
    incoming: Incoming,
    stopped: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    match incoming {
        Incoming::Tcp { incoming, .. } => {
            router.serve_with_incoming_shutdown(incoming, stopped).await
        }
        Incoming::Unix {
            incoming,
            path: _path,
        } => router.serve_with_incoming_shutdown(incoming, stopped).await,
    }
}

fn options<S, P, T>(
    sink: &S,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Options, clap::Error>
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    let description = sink.describe();
    let description = description.as_proto();
    let command = Options::command()
        // clap keeps these for the life of the program, and so do we.
        .name(&*description.name.clone().leak())
        .version(&*description.version.clone().leak())
        .about(description.summary.clone());
    Options::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

fn tls_config(options: &Options) -> Result<Option<ServerTlsConfig>, ServeError> {
    let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) else {
        return Ok(None);
    };
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|cause| ServeError::File {
            path: path.clone(),
            cause,
        })
    };
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(read(cert)?, read(key)?));
    if let Some(authorities) = &options.tls_client_ca {
        tls = tls.client_ca_root(Certificate::from_pem(read(authorities)?));
    }
    Ok(Some(tls))
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

fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "a number and a unit: 500ms, 10s, 2m".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "" => Err("a unit is missing: ms, s or m".to_owned()),
        other => Err(format!("no unit {other}: ms, s or m")),
    }
}

#[cfg(test)]
mod tests;
