//! Whether the next hops answer. One that does not is worth knowing and no error: mail for it waits.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use postern_config::Effective;
use postern_config::settings::delivery::Deliver;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

use super::report::Report;

/// Time for the name, a connection and a greeting.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of asking the next hops.
#[derive(Debug, Default)]
pub(super) struct Hops {
    /// The time until it greeted, or why it did not. Maildirs are not asked.
    answers: HashMap<Deliver, Result<Duration, String>>,
}

impl Hops {
    /// Asks each next hop once, all at the same time. A warning for each place that names one that does not greet.
    pub(super) fn ask(effective: &Effective, report: &mut Report) -> Self {
        let config = &effective.config;
        let domains = config.domains.iter().map(|domain| {
            let key = vec!["domain", domain.name.as_str(), "deliver"];
            (key, &domain.deliver)
        });
        let outbound = config.outbound.deliver.iter();
        let outbound = outbound.map(|deliver| (vec!["outbound", "deliver"], deliver));
        let places: Vec<_> = domains.chain(outbound).collect();
        let mut hops = HashMap::new();
        for (_, deliver) in &places {
            if let Some(hop) = Hop::of(deliver) {
                hops.entry((*deliver).clone()).or_insert(hop);
            }
        }
        let hops = Self {
            answers: ask_all(hops),
        };
        for (key, deliver) in places {
            if let Some(Err(why)) = hops.answers.get(deliver) {
                let what = format!("{deliver} {why}");
                report.away(&effective.error_at(&key, what, "mail for it waits until it does"));
            }
        }
        hops
    }

    /// A destination, and how it answered.
    pub(super) fn shown(&self, deliver: &Deliver) -> String {
        match self.answers.get(deliver) {
            None => deliver.to_string(),
            Some(Ok(time)) => format!("{deliver}, greets in {} ms", time.as_millis().max(1)),
            Some(Err(why)) => format!("{deliver}, {why}"),
        }
    }
}

fn ask_all(hops: HashMap<Deliver, Hop>) -> HashMap<Deliver, Result<Duration, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return HashMap::new();
    };
    let asked = hops.into_iter().map(async |(deliver, hop)| {
        let answer = hop.greets().await;
        (deliver, answer)
    });
    let answers = runtime.block_on(join_all(asked));
    // A look-up of a name that hangs is left behind.
    runtime.shutdown_background();
    answers.into_iter().collect()
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

    async fn greets(self) -> Result<Duration, String> {
        let began = Instant::now();
        let greeted = async {
            match self {
                Self::Tcp(host, port) => {
                    let addresses: Vec<_> = lookup_host((host.as_str(), port))
                        .await
                        .map_err(|error| format!("has a name that does not resolve: {error}"))?
                        .collect();
                    greeting(TcpStream::connect(addresses.as_slice()).await).await
                }
                Self::Unix(path) => greeting(UnixStream::connect(path).await).await,
            }
        };
        match timeout(PATIENCE, greeted).await {
            Ok(Ok(())) => Ok(began.elapsed()),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("does not greet within {} s", PATIENCE.as_secs())),
        }
    }
}

/// Reads what greets on a connection, and takes leave.
async fn greeting<S>(connected: std::io::Result<S>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = connected.map_err(|error| format!("cannot be reached: {error}"))?;
    let mut code = [0; 3];
    stream
        .read_exact(&mut code)
        .await
        .map_err(|error| format!("hangs up before it greets: {error}"))?;
    if code != *b"220" {
        return Err(format!(
            "answers {} in place of a greeting",
            code.escape_ascii()
        ));
    }
    // It may have gone already: it did greet.
    stream.write_all(b"QUIT\r\n").await.ok();
    Ok(())
}
