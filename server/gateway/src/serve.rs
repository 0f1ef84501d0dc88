//! The whole gateway: checked, then started, then brought to its end.
//!
//! Everything that can be wrong is found before anything runs: certificates, lists of recipients, the plan, ports,
//! the spool. Sinks that cannot be reached are no reason not to start.

mod counted;
mod error;
mod readiness;
mod run;
mod settings;
mod systemd;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use postern_config::settings::server::ListenAddress;
use postern_config::{Config, Effective};
use postern_dispatch::dispatcher::SharedPlan;
use postern_dispatch::observer::Observer;
use postern_events::delivery::Result as DeliveryResult;
use postern_message::Message;
use postern_spool::{Disk, Embedded, Store, SystemDisk};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use self::error::ServeError;

use crate::accounts;
use crate::admin::{self, AdminError};
use crate::front::inherited::Inherited;
use crate::front::listener::{self, Bound};
use crate::front::{Front, VirtualServer};
use crate::metrics::Metrics;
use crate::observe::standing::Board;
use crate::observe::{Watch, addresses::AddressLog};
use crate::preflight;
use crate::runtime::{self, shutdown::Shutdown};

/// Descriptors that are needed beside those of connections: listeners, spool, sinks, next hops.
const OTHER_DESCRIPTORS: u64 = 1024;

/// What may be told to whoever runs the gateway inside its own process.
#[derive(Debug)]
pub enum ServiceEvent<'a> {
    /// All listeners accept.
    Ready,
    /// A message was accepted and is durable.
    Accepted(&'a Message),
    /// What became of recipients in an attempt.
    Delivery {
        /// The virtual server of the message.
        server: &'a str,
        /// The message.
        message: &'a Message,
        /// The results.
        result: &'a DeliveryResult,
    },
    /// The end has begun.
    Stopping,
}

/// Hears of service events. Called on the gateway's threads: it must not block.
pub type Listen = Arc<dyn Fn(&ServiceEvent<'_>) + Send + Sync>;

/// How the gateway is run.
pub struct Options {
    /// Hears of all that passes between gateway and sinks, beside log and metrics.
    pub observer: Option<Arc<dyn Observer>>,
    /// Hears of the service itself.
    pub listen: Option<Listen>,
    /// SIGTERM, SIGINT and SIGHUP are ours. Otherwise only [`Gateway::shutdown`] ends it.
    pub signals: bool,
    /// Runtimes; by default one for each core.
    pub runtimes: usize,
    /// The disk under the spool.
    pub disk: Arc<dyn Disk>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            observer: None,
            listen: None,
            signals: true,
            runtimes: runtime::cores(),
            disk: Arc::new(SystemDisk),
        }
    }
}

/// A listener as it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerAddress {
    /// The virtual server.
    pub server: String,
    /// Its address, with the port that was given for port 0.
    pub address: ListenAddress,
}

/// A gateway that is ready to run: all is checked, bound and open, nothing runs yet.
pub struct Gateway {
    config: Config,
    options: Options,
    front: Front,
    plan: SharedPlan,
    listeners: Vec<BoundListener>,
    metrics_listener: Option<TcpListener>,
    /// `None`: its default path is longer than a socket's may be.
    admin: Option<admin::endpoint::Bound>,
    started: SystemTime,
    spool: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    observer: Arc<Watch>,
    board: Arc<Board>,
    addresses: AddressLog,
    shutdown: Shutdown,
}

/// A bound listener and whose it is.
struct BoundListener {
    server: Arc<VirtualServer>,
    bound: Bound,
    implicit_tls: bool,
    proxy: bool,
}

/// Checks everything, then runs until the end. Blocks.
///
/// # Errors
/// [`ServeError`], whose [`exit`](ServeError::exit) says how the process should end.
pub fn run(effective: &Effective, options: Options) -> Result<(), ServeError> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), configuration = ?effective.files(),
        spool = %effective.config.spool.path.display(), "postern starts"
    );
    if rustix::process::geteuid().is_root() && effective.config.process.user.is_none() {
        tracing::warn!(
            "the gateway runs as root, and with it all that can go wrong in it; set [process] user to the one that it is \
             to become, or start it as that user with CAP_NET_BIND_SERVICE for ports below 1024"
        );
    }
    let gateway = Gateway::prepare(effective, options)?;
    for concern in preflight::concerns(effective, SystemTime::now()) {
        match concern.severe {
            true => tracing::error!("{}", concern.error),
            false => tracing::warn!("{}", concern.error),
        }
    }
    gateway.run()
}

/// The admin socket. The default of who configured none keeps nothing from starting: mail needs no operator.
fn bind_admin(config: &Config) -> Result<Option<admin::endpoint::Bound>, AdminError> {
    let path = config.admin_socket();
    if config.admin.socket.is_none() && admin::is_too_long(&path) {
        tracing::error!(
            path = %path.display(),
            most = admin::LONGEST_PATH,
            "no operator is heard: the path of the admin socket is too long; set [admin] socket to a shorter one"
        );
        return Ok(None);
    }
    admin::endpoint::bind(&path).map(Some)
}

impl Gateway {
    /// Checks everything, binds, opens the spool. Nothing runs yet, and on an error nothing is left behind.
    ///
    /// # Errors
    /// [`ServeError`]
    pub fn prepare(effective: &Effective, options: Options) -> Result<Self, ServeError> {
        let config = effective.config.clone();
        let plan = preflight::run(effective).map_err(ServeError::Obstacles)?;
        for warning in plan.warnings() {
            tracing::warn!("{warning}");
        }
        let front = Front::load(&config)?;
        let listeners = bind_all(&config, &front)?;
        let metrics_listener = config.metrics.listen.map(bind_metrics).transpose()?;
        assume_user(&config)?;
        let spool = open_spool(&config, Arc::clone(&options.disk))?;
        let admin = bind_admin(&config)?;
        raise_descriptor_limit(&config);
        let metrics = Metrics::new();
        let observer = Arc::new(Watch::new(Arc::clone(&metrics), options.observer.clone()));
        let addresses = config.log.addresses;
        Ok(Self {
            config,
            options,
            front,
            plan: Arc::new(ArcSwap::from_pointee(plan)),
            listeners,
            metrics_listener,
            admin,
            started: SystemTime::now(),
            spool,
            metrics,
            observer,
            board: Arc::default(),
            addresses: AddressLog::new(addresses),
            shutdown: Shutdown::new(),
        })
    }

    /// Where it listens, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> Vec<ListenerAddress> {
        let one = |listener: &BoundListener| ListenerAddress {
            server: listener.server.name.to_string(),
            address: listener.bound.address().clone(),
        };
        self.listeners.iter().map(one).collect()
    }

    /// Where metrics and health are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Ends the gateway from elsewhere, also while it runs.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Runs until the end. Blocks.
    ///
    /// # Errors
    /// [`ServeError`]: the system gives no threads, or a part of the gateway failed.
    pub fn run(self) -> Result<(), ServeError> {
        run::run(self)
    }
}

fn bind_all(config: &Config, front: &Front) -> Result<Vec<BoundListener>, ServeError> {
    let all: Vec<_> = config
        .servers
        .iter()
        .flat_map(|server| &server.listen)
        .map(|listener| listener.address.clone())
        .collect();
    let mut inherited = Inherited::from_environment()?;
    let mut listeners = Vec::with_capacity(all.len());
    for (settings, server) in config.servers.iter().zip(&front.servers) {
        for listener in &settings.listen {
            let bound = listener::bind(listener, &all, &mut inherited)?;
            listeners.extend(bound.into_iter().map(|bound| BoundListener {
                server: Arc::clone(server),
                bound,
                implicit_tls: listener.implicit_tls,
                proxy: listener.proxy,
            }));
        }
    }
    for name in inherited.left() {
        tracing::warn!(
            name,
            "the service manager hands over a socket on which no virtual server listens; write \"fd:{name}\" into its listen, \
             or take it out of the unit"
        );
    }
    Ok(listeners)
}

fn bind_metrics(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| {
        ServeError::Listen(listener::ListenError {
            address: ListenAddress::Tcp(address),
            source,
        })
    })
}

/// Becomes the user of `process.user`, once ports are bound and keys are read. No thread of ours runs yet but the log's,
/// which changes with the others.
fn assume_user(config: &Config) -> Result<(), ServeError> {
    let Some(name) = &config.process.user else {
        return Ok(());
    };
    let user = accounts::user(name)?;
    if user.is_current() {
        return Ok(());
    }
    if rustix::process::geteuid().is_root() {
        let path = &config.spool.path;
        // The user may not make it where it belongs.
        crate::state_folder::make_for(path, user.uid, user.gid).map_err(|source| {
            ServeError::StateFolder {
                path: path.clone(),
                user: user.uid,
                source,
            }
        })?;
    }
    user.assume()?;
    tracing::info!(user = name, uid = user.uid, "the gateway runs as this user");
    Ok(())
}

fn open_spool(config: &Config, disk: Arc<dyn Disk>) -> Result<Arc<dyn Store>, ServeError> {
    let options = postern_spool::Options {
        path: config.spool.path.clone(),
        min_free: config.spool.min_free,
        memory: config.memory.contents,
    };
    let spool = Embedded::open_on(&options, SystemTime::now(), disk).map_err(|source| {
        ServeError::OpenSpool {
            path: options.path.clone(),
            source,
        }
    })?;
    if let Some(aside) = spool.set_aside() {
        tracing::error!(
            database = %aside.database.display(), content = %aside.content.display(), why = aside.why,
            "the spool's database was damaged and is set aside; a new one was begun"
        );
    }
    if spool.swept() > 0 {
        tracing::info!(
            files = spool.swept(),
            "contents of messages that were never committed were removed"
        );
    }
    Ok(Arc::new(spool))
}

/// The usual soft limit of 1,024 descriptors is far below the connections that are allowed.
fn raise_descriptor_limit(config: &Config) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open descriptors cannot be raised");
    }
    let connections: u64 = config
        .servers
        .iter()
        .map(|server| u64::from(server.limits.connections))
        .sum();
    let needed = connections + OTHER_DESCRIPTORS;
    if let Some(most) = getrlimit(Resource::Nofile).current
        && most < needed
    {
        tracing::warn!(
            most,
            needed,
            "fewer descriptors are allowed than connections; raise LimitNOFILE"
        );
    }
}

/// The state folder, for the metrics' view of its file system.
fn state_folder(config: &Config) -> Arc<Path> {
    Arc::from(config.spool.path.as_path())
}

#[cfg(test)]
mod tests;
