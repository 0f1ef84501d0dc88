//! The way from a command to the running gateway: its admin socket.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hyper_util::rt::TokioIo;
use postern_proto::admin::v1::admin_service_client::AdminServiceClient;
use rustix::fs::{Access, access};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::service_fn;

use super::{ConfigFile, Exit, output};

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Octets of an answer.
const ANSWER: usize = 16 * 1024 * 1024;

/// The gateway, as a command reaches it.
pub(crate) type Client = AdminServiceClient<Channel>;

/// Which gateway.
#[derive(Debug, Args)]
pub(crate) struct Gate {
    #[command(flatten)]
    file: ConfigFile,
    /// The admin socket of the gateway; left out, the configuration says where it is
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
}

impl Gate {
    /// Runs a command on the gateway.
    pub(crate) fn run<F>(&self, command: impl FnOnce(Client) -> F) -> Exit
    where
        F: Future<Output = Result<Exit, Status>>,
    {
        let path = match &self.socket {
            Some(path) => path.clone(),
            None => match self.file.load() {
                Ok(effective) => effective.config.admin_socket(),
                Err(exit) => return exit,
            },
        };
        let runtime = match crate::runtime::build() {
            Ok(runtime) => runtime,
            Err(error) => {
                output::complain(&format!("no runtime: {error}"));
                return Exit::Software;
            }
        };
        runtime.block_on(async {
            let client = match connect(&path).await {
                Ok(client) => client,
                Err(exit) => return exit,
            };
            match command(client).await {
                Ok(exit) => exit,
                Err(status) => refused(&path, &status),
            }
        })
    }
}

async fn connect(path: &Path) -> Result<Client, Exit> {
    // Asked for by hand first: its error says more than that of a channel.
    match timeout(CONNECT, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => drop(stream),
        Ok(Err(error)) => return Err(unreachable(path, &error)),
        Err(_) => return Err(unreachable(path, &"it does not answer in time")),
    }
    let own = path.to_owned();
    let connector = service_fn(move |_| {
        let path = own.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://postern").connect_timeout(CONNECT);
    match endpoint.connect_with_connector(connector).await {
        Ok(channel) => Ok(Client::new(channel).max_decoding_message_size(ANSWER)),
        Err(error) => Err(unreachable(path, &error)),
    }
}

/// Says why there is no gateway to speak with, and what to do.
fn unreachable(path: &Path, why: &(impl Display + ?Sized)) -> Exit {
    let path_shown = path.display();
    let there = match access(path, Access::EXISTS) {
        Err(rustix::io::Errno::ACCESS) => Err(io::ErrorKind::PermissionDenied),
        Err(_) => Err(io::ErrorKind::NotFound),
        Ok(()) => Ok(access(path, Access::WRITE_OK).is_ok()),
    };
    let (advice, exit) = match there {
        Err(io::ErrorKind::PermissionDenied) | Ok(false) => (
            "run it as root, or as the user that the gateway runs as",
            Exit::NoPerm,
        ),
        Err(_) => (
            "the gateway does not run, or has another socket: start it, or name its configuration with --config or its \
             socket with --socket",
            Exit::Unavailable,
        ),
        // Whoever may not come in is not spoken with, which can show while the connection is being set up.
        Ok(true) if std::os::unix::net::UnixStream::connect(path).is_ok() => (
            "the gateway ended the connection, or hangs: only root and the user that it runs as are heard; its log says more",
            Exit::Unavailable,
        ),
        Ok(true) => (
            "the gateway does not run any more: start it, or look at its log",
            Exit::Unavailable,
        ),
    };
    output::complain(&format!("admin socket {path_shown}: {why}; {advice}"));
    exit
}

/// Says what the gateway refused.
fn refused(path: &Path, status: &Status) -> Exit {
    let what = status.message();
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted => {
            output::complain(&what);
            Exit::Usage
        }
        Code::NotFound => {
            output::complain(&what);
            Exit::NoInput
        }
        Code::DataLoss => {
            output::complain(&what);
            Exit::DataErr
        }
        Code::Unimplemented => {
            output::complain(&format!(
                "the gateway at {} is of another version and does not know this: use its own program",
                path.display()
            ));
            Exit::Protocol
        }
        Code::DeadlineExceeded => {
            output::complain(&what);
            Exit::TempFail
        }
        // Whoever may not come in is not spoken with.
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal => {
            output::complain(&format!(
                "admin socket {}: the gateway ended the connection ({what}); only root and the user that it runs as \
                 are heard, and nobody who is silent for ten minutes; its log says more",
                path.display()
            ));
            Exit::Unavailable
        }
        code => {
            output::complain(&format!("{code}: {what}"));
            Exit::Software
        }
    }
}
