//! Whether the next hops answer. One that does not is worth knowing and no error: mail for it waits.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use postern_config::settings::delivery::Deliver;
use postern_config::settings::server::ListenAddress;
use postern_config::{Config, Effective};
use postern_delivery::{MailHosts, OwnListeners};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

use super::report::Report;

/// Time for the name, a connection and a greeting.
const PATIENCE: Duration = Duration::from_secs(3);

/// A destination that the configuration names. By `mx` it differs from domain to domain; for none of them: for those that are
/// only known by their mail.
type Named<'a> = (&'a Deliver, Option<&'a str>);

/// What became of asking the next hops.
#[derive(Debug, Default)]
pub(super) struct Hops<'a> {
    /// The time until it greeted, or why it did not. Maildirs are not asked.
    answers: HashMap<Named<'a>, Result<Answer, String>>,
}

/// What answered, and how fast.
#[derive(Debug)]
struct Answer {
    who: String,
    time: Duration,
}

impl<'a> Hops<'a> {
    /// Asks each next hop once, all at the same time. A warning for each place that names one that does not greet.
    pub(super) fn ask(effective: &'a Effective, report: &mut Report) -> Self {
        let config = &effective.config;
        let domains = config.domains.iter().map(|domain| {
            let key = vec!["domain", domain.name.as_str(), "deliver"];
            (key, named(&domain.deliver, &domain.name))
        });
        let outbound = config.outbound.deliver.iter();
        let outbound = outbound.map(|deliver| (vec!["outbound", "deliver"], (deliver, None)));
        let routes = config.routes.iter().filter_map(|route| {
            let key = vec!["route", route.name.as_str(), "deliver"];
            Some((key, named(route.deliver.as_ref()?, &route.domains)))
        });
        let places: Vec<_> = domains.chain(routes).chain(outbound).collect();
        let hops = Self {
            answers: ask_all(config, places.iter().map(|(_, named)| *named)),
        };
        for (key, named) in places {
            if let Some(Err(why)) = hops.answers.get(&named) {
                let what = format!("{} {why}", named.0);
                report.away(&effective.error_at(&key, what, "mail for it waits until it does"));
            }
        }
        hops
    }

    /// A destination, and how it answered. `domain`: of which domain it is.
    pub(super) fn shown(&self, deliver: &'a Deliver, domain: Option<&'a str>) -> String {
        let named = domain.map_or((deliver, None), |domain| named(deliver, domain));
        match self.answers.get(&named) {
            None => deliver.to_string(),
            Some(Ok(Answer { who, time })) => {
                format!("{deliver}, {who} in {} ms", time.as_millis().max(1))
            }
            Some(Err(why)) => format!("{deliver}, {why}"),
        }
    }
}

/// A wildcard stands for many domains.
fn named<'a>(deliver: &'a Deliver, domain: &'a str) -> Named<'a> {
    let by_domain = *deliver == Deliver::Mx && !domain.starts_with('*');
    (deliver, by_domain.then_some(domain))
}

fn ask_all<'a>(
    config: &Config,
    all: impl Iterator<Item = Named<'a>>,
) -> HashMap<Named<'a>, Result<Answer, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return HashMap::new();
    };
    let mail_hosts = mail_hosts(config);
    let all: HashSet<_> = all.collect();
    let asked = all.into_iter().filter_map(|named| {
        let hop = Hop::of(named, &mail_hosts)?;
        Some(async move { (named, hop.greets().await) })
    });
    let answers = runtime.block_on(join_all(asked));
    // A look-up of a name that hangs is left behind.
    runtime.shutdown_background();
    answers.into_iter().collect()
}

/// What `mx` looks hosts up by.
fn mail_hosts(config: &Config) -> Result<MailHosts, String> {
    let own = OwnListeners::default();
    for listener in config.servers.iter().flat_map(|server| &server.listen) {
        if let ListenAddress::Tcp(address) = &listener.address {
            own.add_tcp(*address);
        }
    }
    let found = crate::mail_hosts::of(config, own, Arc::new(|_, _, _| {}));
    found.map_err(|error| error.to_string())
}

enum Hop<'a> {
    Tcp(String, u16),
    Unix(PathBuf),
    /// The hosts that DNS names for a domain.
    Mx(&'a str, &'a Result<MailHosts, String>),
    /// Those for any domain.
    Dns(&'a Result<MailHosts, String>),
}

impl<'a> Hop<'a> {
    fn of((deliver, domain): Named<'a>, mail_hosts: &'a Result<MailHosts, String>) -> Option<Self> {
        match deliver {
            Deliver::Smtp { host, port } | Deliver::Lmtp { host, port } => {
                Some(Self::Tcp(host.clone(), *port))
            }
            Deliver::LmtpUnix(path) => Some(Self::Unix(path.clone())),
            // A sink is asked as a sink.
            Deliver::Maildir(_) | Deliver::Sink(_) => None,
            Deliver::Mx => Some(match domain {
                Some(domain) => Self::Mx(domain, mail_hosts),
                None => Self::Dns(mail_hosts),
            }),
        }
    }

    async fn greets(self) -> Result<Answer, String> {
        let began = Instant::now();
        let greeted = async {
            match self {
                Self::Tcp(host, port) => {
                    let addresses: Vec<_> = lookup_host((host.as_str(), port))
                        .await
                        .map_err(|error| format!("has a name that does not resolve: {error}"))?
                        .collect();
                    greeting(TcpStream::connect(addresses.as_slice()).await).await?;
                    Ok("greets".to_owned())
                }
                Self::Unix(path) => {
                    greeting(UnixStream::connect(path).await).await?;
                    Ok("greets".to_owned())
                }
                Self::Mx(domain, mail_hosts) => best_host(domain, mail_hosts.as_ref()?).await,
                Self::Dns(mail_hosts) => {
                    let mail_hosts = mail_hosts.as_ref()?;
                    let answer = mail_hosts.name_servers_answer().await;
                    answer.map_err(|why| format!("has no name server that answers: {why}"))?;
                    Ok("name servers answer".to_owned())
                }
            }
        };
        match timeout(PATIENCE, greeted).await {
            Ok(Ok(who)) => Ok(Answer {
                who,
                time: began.elapsed(),
            }),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("does not greet within {} s", PATIENCE.as_secs())),
        }
    }
}

/// The host that would be tried first.
async fn best_host(domain: &str, mail_hosts: &MailHosts) -> Result<String, String> {
    let found = mail_hosts.find(domain).await;
    let targets = found.map_err(|why| format!("leads nowhere: {why}"))?;
    let Some(best) = targets.first() else {
        return Err("leads nowhere".to_owned());
    };
    let port = mail_hosts.port();
    let addresses: Vec<_> = best
        .addresses
        .iter()
        .map(|one| (*one, port).into())
        .collect();
    let connected = TcpStream::connect::<&[SocketAddr]>(&addresses).await;
    greeting(connected)
        .await
        .map_err(|why| format!("leads to {}, which {why}", best.host))?;
    Ok(format!("{} greets", best.host))
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
