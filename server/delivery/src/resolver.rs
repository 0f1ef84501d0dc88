//! What DNS says, as answers that the rules about mail can use: hickory's resolver, with a bound on look-ups at a time, and a
//! deadline for each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver as Hickory, TokioResolver};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::mx::{Answer, Record};

/// The most time for one look-up, all servers and tries together.
const LONGEST: Duration = Duration::from_secs(20);
/// Look-ups at a time. Others wait, and their time begins once they are asked.
const AT_A_TIME: usize = 256;
/// Responses that are kept until they expire.
const KEPT: u64 = 1024;
/// The longest that they are kept, whatever they say.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// The longest that it is kept that there is nothing.
const NOTHING_FOR: Duration = Duration::from_secs(3600);
/// Records of one answer that are looked at.
const RECORDS: usize = 256;

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// The hosts of a domain.
    Mx,
    /// The IPv4 addresses of a host.
    A,
    /// The IPv6 addresses of a host.
    Aaaa,
}

/// What came of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookedUp {
    /// Records.
    Found,
    /// The name exists and has no such record.
    Nothing,
    /// The name does not exist.
    NoSuchName,
    /// The servers failed or refused, or what they said is no answer.
    Failed,
    /// Nothing came in time.
    TimedOut,
}

/// Hears of each look-up: what it was for, what came of it, and how long it took. What is in the cache counts too.
pub type OnLookup = Arc<dyn Fn(RecordKind, LookedUp, Duration) + Send + Sync>;

/// The library refuses the set-up.
#[derive(Debug, thiserror::Error)]
#[error("dns: names cannot be looked up: {0}")]
pub struct ResolverError(#[from] NetError);

/// Looks names up.
pub struct Resolver {
    inner: TokioResolver,
    room: Semaphore,
    on_lookup: OnLookup,
}

impl Resolver {
    /// Asks these servers; without any, those of `/etc/resolv.conf`, and where that names none the one on this host
    /// (resolv.conf(5)). `on_lookup` hears of each look-up.
    ///
    /// # Errors
    /// [`ResolverError`].
    pub fn new(servers: &[SocketAddr], on_lookup: OnLookup) -> Result<Self, ResolverError> {
        let (config, mut options) = match servers {
            [] => system(),
            servers => (of_servers(servers), ResolverOpts::default()),
        };
        options.cache_size = KEPT;
        options.positive_max_ttl = Some(KEPT_FOR);
        options.negative_max_ttl = Some(NOTHING_FOR);
        // Names of strangers are names of the Internet, and not of this host.
        options.use_hosts_file = ResolveHosts::Never;
        options.try_tcp_on_error = true;
        options.edns0 = true;
        let provider = TokioRuntimeProvider::default();
        let inner = Hickory::builder_with_config(config, provider)
            .with_options(options)
            .build()?;
        Ok(Self {
            inner,
            room: Semaphore::new(AT_A_TIME),
            on_lookup,
        })
    }

    /// The MX records of a domain. Aliases are followed.
    pub async fn exchangers(&self, domain: &str) -> Answer<Record> {
        let record = |data: &RData| match data {
            RData::MX(mx) => Some(Record {
                preference: mx.preference,
                host: plain(&mx.exchange),
            }),
            _ => None,
        };
        self.look_up(domain, RecordKind::Mx, record).await
    }

    /// The addresses of a host, IPv6 and IPv4. Aliases are followed.
    pub async fn addresses(&self, host: &str) -> Answer<IpAddr> {
        let v6 = self.look_up(host, RecordKind::Aaaa, |data| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        });
        let v4 = self.look_up(host, RecordKind::A, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        });
        let (v6, v4) = tokio::join!(v6, v4);
        v6.and(v4)
    }

    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordKind,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Answer<T> {
        // Nobody closes it.
        let room = self.room.acquire().await;
        let began = Instant::now();
        let asked = self.ask(name, kind, began + LONGEST).await;
        drop(room);
        let (answer, came_to) = match asked {
            Ok(data) => {
                let all: Vec<T> = data.iter().filter_map(read).take(RECORDS).collect();
                match all.is_empty() {
                    true => (Answer::Nothing, LookedUp::Nothing),
                    false => (Answer::Found(all), LookedUp::Found),
                }
            }
            Err(NotFound::Nothing) => (Answer::Nothing, LookedUp::Nothing),
            Err(NotFound::NoSuchName) => (Answer::NoSuchName, LookedUp::NoSuchName),
            Err(NotFound::Failed(why)) => (Answer::Failed(why), LookedUp::Failed),
            Err(NotFound::TimedOut) => {
                let why = "no answer in time".to_owned();
                (Answer::Failed(why), LookedUp::TimedOut)
            }
        };
        (self.on_lookup)(kind, came_to, began.elapsed());
        tracing::debug!(name, ?kind, ?came_to, "looked up");
        answer
    }

    async fn ask(
        &self,
        name: &str,
        kind: RecordKind,
        until: Instant,
    ) -> Result<Vec<RData>, NotFound> {
        let mut asked =
            Name::from_ascii(name).map_err(|error| NotFound::Failed(error.to_string()))?;
        // Otherwise it would be looked for in the domains of this host too.
        asked.set_fqdn(true);
        let kind = match kind {
            RecordKind::Mx => RecordType::MX,
            RecordKind::A => RecordType::A,
            RecordKind::Aaaa => RecordType::AAAA,
        };
        match timeout_at(until, self.inner.lookup(asked, kind)).await {
            Ok(Ok(found)) => Ok(found
                .answers()
                .iter()
                .map(|record| record.data.clone())
                .collect()),
            Ok(Err(error)) => Err(NotFound::from(&error)),
            Err(_) => Err(NotFound::TimedOut),
        }
    }
}

/// Why a look-up found nothing.
enum NotFound {
    Nothing,
    NoSuchName,
    Failed(String),
    TimedOut,
}

impl From<&NetError> for NotFound {
    /// Only what a server says for certain is certain.
    fn from(error: &NetError) -> Self {
        match error {
            NetError::Timeout => Self::TimedOut,
            NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NXDomain => Self::NoSuchName,
                // Other servers would know: this one does not resolve names for others.
                ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => {
                    Self::Failed("the name server only refers to others".to_owned())
                }
                ResponseCode::NoError => Self::Nothing,
                code => Self::Failed(format!("the name server says {code}")),
            },
            NetError::Dns(DnsError::ResponseCode(code)) => {
                Self::Failed(format!("the name server says {code}"))
            }
            error => Self::Failed(error.to_string()),
        }
    }
}

/// In lower case without the dot at its end; empty for the root.
fn plain(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// What `/etc/resolv.conf` says.
fn system() -> (ResolverConfig, ResolverOpts) {
    match hickory_resolver::system_conf::read_system_conf() {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "/etc/resolv.conf names no server, the one on this host is asked");
            let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
            (of_servers(&[here]), ResolverOpts::default())
        }
    }
}

fn of_servers(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut one| {
            one.port = address.port();
            one
        });
        NameServerConfig::new(address.ip(), true, connections.into())
    };
    ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect())
}
