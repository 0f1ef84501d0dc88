//! Whether the next hops answer. One that does not is worth knowing and no error: mail for it waits.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use postern_config::Effective;
use postern_config::settings::delivery::Deliver;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Time for a connection and a greeting.
const PATIENCE: Duration = Duration::from_secs(3);

/// A line for each next hop that does not greet.
pub(super) fn away(effective: &Effective) -> Vec<String> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let asked = effective.config.domains.iter().filter_map(|domain| {
        let hop = Hop::of(&domain.deliver)?;
        let label = format!("domain.\"{}\".deliver: {}", domain.name, domain.deliver);
        Some(async move {
            let why = hop.greets().await.err()?;
            Some(format!(
                "note: {label} {why}; mail for it waits until it does"
            ))
        })
    });
    let lines = runtime.block_on(join_all(asked));
    // A look-up of a name that hangs is left behind.
    runtime.shutdown_background();
    lines.into_iter().flatten().collect()
}

enum Hop {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Hop {
    fn of(deliver: &Deliver) -> Option<Self> {
        match deliver {
            Deliver::Smtp { host, port } | Deliver::Lmtp { host, port } => {
                Some(Self::Tcp(host.clone(), *port))
            }
            Deliver::LmtpUnix(path) => Some(Self::Unix(path.clone())),
            Deliver::Maildir(_) => None,
        }
    }

    async fn greets(self) -> Result<(), String> {
        let mut first = [0; 3];
        let greeting = async {
            match self {
                Self::Tcp(host, port) => {
                    TcpStream::connect((host.as_str(), port))
                        .await?
                        .read_exact(&mut first)
                        .await
                }
                Self::Unix(path) => {
                    UnixStream::connect(path)
                        .await?
                        .read_exact(&mut first)
                        .await
                }
            }
        };
        match timeout(PATIENCE, greeting).await {
            Ok(Ok(_)) if first == *b"220" => Ok(()),
            Ok(Ok(_)) => Err("does not greet with 220".to_owned()),
            Ok(Err(error)) => Err(format!("cannot be reached: {error}")),
            Err(_) => Err(format!("does not greet within {} s", PATIENCE.as_secs())),
        }
    }
}
