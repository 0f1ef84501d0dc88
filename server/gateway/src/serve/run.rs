//! Starts the threads, accepts, hears signals, and brings everything to its end in order.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_config::Config;
use postern_delivery::{SystemConnector, opportunistic};
use postern_dispatch::dispatcher::Dispatcher;
use postern_dispatch::settings::Settings as DispatchSettings;
use postern_events::service::{Start, Stop};
use postern_spool::{Health, SpoolError, Store};
use postern_transport::{Agent, Handle, Scanner, Schedule, Sinks, SystemClock, Transport, Worker};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::counted::{CountedJudge, Submit};
use super::{
    Gateway, Listen, ServeError, ServiceEvent, readiness, settings, state_folder, systemd,
};
use crate::admin::Desk;
use crate::front::{Acceptor, Arrival, FrontWorker, Tools};
use crate::mail_hosts;
use crate::metrics::endpoint::{Endpoint, ReadSinks, WhyClosed};
use crate::observe::addresses::AddressLog;
use crate::observe::standing::Board;
use crate::runtime::handout::{HandOut, Lane, lanes};
use crate::runtime::shutdown::Shutdown;
use crate::runtime::tasks::Tasks;
use crate::runtime::{self, RuntimeThread, reload};

/// Connections that one runtime may have waiting to be taken over.
const WAITING: usize = 1024;

/// Time for sinks to hear that we leave; at least so much that what was told before reaches the network.
const GOODBYE: Duration = Duration::from_millis(500);
const GOODBYE_MIN: Duration = Duration::from_millis(50);

/// Time for the spool to commit what waits and to empty its log.
const CLOSING: Duration = Duration::from_secs(10);

/// Time that the threads get after everything is over. One that is stuck then is left behind.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// Runs a gateway to its end.
pub(super) fn run(gateway: Gateway) -> Result<(), ServeError> {
    let control = runtime::build()?;
    let count = gateway.options.runtimes.max(1);
    let runtimes = (0..count)
        .map(|_| runtime::build())
        .collect::<Result<Vec<_>, _>>()?;
    let (out, lanes) = lanes(count, WAITING);
    let transport = make_transport(&gateway, count)?;
    let handles: Vec<_> = (0..count).map(|place| transport.handle(place)).collect();
    let queue = transport.handle(0);
    let Transport {
        workers, scanner, ..
    } = transport;
    let mut scanner = Some(scanner);
    let mut threads = Vec::with_capacity(count);
    let parts = runtimes
        .into_iter()
        .zip(lanes)
        .zip(workers)
        .zip(handles)
        .enumerate();
    for (place, (((runtime, lane), worker), handle)) in parts {
        let part = Part::new(&gateway, place, lane, worker, scanner.take(), handle);
        threads.push(RuntimeThread::start(place, runtime, || part.run())?);
    }
    let spool = Arc::clone(&gateway.spool);
    let ended = control.block_on(run_control(gateway, out, queue, &mut threads));
    for thread in threads {
        thread.join_if_ended();
    }
    control.shutdown_background();
    close(&spool);
    match spool.health().failure() {
        Some(why) => Err(ServeError::Spool(SpoolError::Failed(why.to_string()))),
        None => ended,
    }
}

/// Closes the spool, unless its disk hangs: that must not keep the process from ending.
fn close(spool: &Arc<dyn Store>) {
    let (done, closed) = std::sync::mpsc::channel();
    let spool = Arc::clone(spool);
    let closing = std::thread::Builder::new()
        .name("spool-close".to_owned())
        .spawn(move || {
            spool.close();
            if done.send(()).is_err() {
                tracing::debug!("the spool closed late");
            }
        });
    match closing {
        Ok(_thread) if closed.recv_timeout(CLOSING).is_ok() => {}
        Ok(_thread) => tracing::error!("the spool does not close and is left behind"),
        Err(error) => tracing::error!(%error, "the spool cannot be closed in order"),
    }
}

fn make_transport(gateway: &Gateway, count: usize) -> Result<Transport, ServeError> {
    let own = settings::own_listeners(gateway.listeners.iter().map(|listener| &listener.bound));
    let mut connector = SystemConnector::new(gateway.config.outbound.connect_timeout, own.clone());
    if mail_hosts::are_used(&gateway.config) {
        let metrics = Arc::clone(&gateway.metrics);
        let on_lookup = Arc::new(move |kind, came_to, time| {
            metrics.lookups.observe(kind, came_to, time);
        });
        let found = mail_hosts::of(&gateway.config, own, on_lookup)?;
        connector = connector.finding_hosts_by(found);
    }
    Ok(Transport::new(
        settings::transport(
            &gateway.config,
            Arc::clone(&gateway.front.names),
            gateway.addresses.clone(),
        )?,
        Arc::clone(&gateway.spool),
        Arc::new(connector),
        opportunistic()?,
        Arc::new(SystemClock),
        count,
    ))
}

/// What runs on one runtime.
struct Part {
    lane: Lane<Arrival>,
    worker: Worker,
    scanner: Option<Scanner>,
    submit: Submit,
    plan: postern_dispatch::dispatcher::SharedPlan,
    observer: Arc<dyn postern_dispatch::observer::Observer>,
    board: Arc<Board>,
    spool: Arc<dyn Store>,
    metrics: Arc<crate::metrics::Metrics>,
    addresses: AddressLog,
    shutdown: Shutdown,
    schedule: Schedule,
    listen: Option<Listen>,
    /// On one runtime: the virtual servers, to tell of the gateway's own life.
    servers: Option<Vec<String>>,
}

impl Part {
    fn new(
        gateway: &Gateway,
        place: usize,
        lane: Lane<Arrival>,
        worker: Worker,
        scanner: Option<Scanner>,
        handle: postern_transport::Handle,
    ) -> Self {
        let listen = gateway.options.listen.clone();
        Self {
            lane,
            worker,
            scanner,
            submit: Submit {
                handle,
                listen: listen.clone(),
            },
            plan: Arc::clone(&gateway.plan),
            observer: gateway.observer.on_thread(place),
            board: Arc::clone(&gateway.board),
            spool: Arc::clone(&gateway.spool),
            metrics: Arc::clone(&gateway.metrics),
            addresses: gateway.addresses.clone(),
            shutdown: gateway.shutdown.clone(),
            schedule: settings::schedule(&gateway.config),
            listen,
            servers: (place == 0).then(|| {
                let servers = gateway.config.servers.iter();
                servers.map(|own| own.name.clone()).collect()
            }),
        }
    }

    /// Runs until the end. If one part of it ends before that, the whole gateway is brought to its end.
    async fn run(self) {
        let dispatcher = Dispatcher::new(
            Arc::clone(&self.plan),
            self.observer,
            DispatchSettings::default().acting_by(Arc::new(Agent::new(&self.submit.handle))),
        );
        dispatcher.warm_up();
        self.board.add(dispatcher.states());
        let judge = CountedJudge {
            sinks: Sinks::new(dispatcher.clone(), self.plan),
            metrics: Arc::clone(&self.metrics),
            listen: self.listen,
        };
        let tools = Tools {
            dispatcher: dispatcher.clone(),
            spool: self.spool,
            onward: Arc::new(self.submit),
            metrics: Arc::clone(&self.metrics),
            addresses: Arc::new(self.addresses),
            shutdown: self.shutdown.clone(),
            schedule: self.schedule,
        };
        let mut parts = Tasks::new("part of a runtime", self.metrics.panics.clone());
        let shutdown = self.shutdown;
        parts.spawn(until_its_time(
            shutdown.clone(),
            FrontWorker::new(tools, self.lane).run(),
        ));
        parts.spawn(until_its_time(
            shutdown.clone(),
            self.worker.run(Arc::new(judge), shutdown.clone()),
        ));
        if let Some(servers) = self.servers {
            parts.spawn(life(dispatcher.clone(), servers, shutdown.clone()));
        }
        if let Some(scanner) = self.scanner {
            parts.spawn(until_its_time(
                shutdown.clone(),
                scanner.run(shutdown.clone()),
            ));
        }
        parts.all_ended().await;
        let left = shutdown.time_left().unwrap_or_default();
        let left = left.clamp(GOODBYE_MIN, GOODBYE);
        dispatcher.drain(Instant::now() + left).await;
    }
}

/// Tells the sinks that listen that the gateway starts, and that it stops.
async fn life(dispatcher: Dispatcher, servers: Vec<String>, shutdown: Shutdown) {
    dispatcher.tell_service(&servers, |own| Start {
        gateway_version: concat!("postern ", env!("CARGO_PKG_VERSION")).to_owned(),
        gateway_id: Bytes::copy_from_slice(&dispatcher.gateway_id()),
        servers: own.to_vec(),
    });
    shutdown.begun().await;
    let reason = match shutdown.has_failed() {
        true => "a part of it failed",
        false => "it was asked to",
    };
    dispatcher.tell_service(&servers, |_| Stop {
        reason: reason.to_owned(),
    });
}

/// Runs a part that should end only with the whole: by a panic or by a mistake it ends the whole.
async fn until_its_time(shutdown: Shutdown, part: impl Future<Output = ()>) {
    struct Ends(Shutdown);
    impl Drop for Ends {
        fn drop(&mut self) {
            if !self.0.has_begun() {
                self.0.fail();
            }
        }
    }
    let _ends = Ends(shutdown);
    part.await;
}

/// What the control thread does: accepting, signals, metrics, changed files, and the end.
async fn run_control(
    gateway: Gateway,
    out: HandOut<Arrival>,
    queue: Handle,
    threads: &mut [RuntimeThread],
) -> Result<(), ServeError> {
    let addresses = gateway.addresses().into();
    let Gateway {
        config,
        options,
        front,
        listeners,
        metrics_listener,
        admin,
        started,
        spool,
        metrics,
        shutdown,
        plan,
        board,
        ..
    } = gateway;
    let mut signals = if options.signals {
        Some(Signals::new()?)
    } else {
        None
    };
    let out = Arc::new(out);
    let listening = listeners.len();
    let mut acceptors = Tasks::new("listener", metrics.panics.clone());
    for listener in listeners {
        let label = listener.bound.address().to_string();
        let (server, name) = (listener.server, "listening");
        tracing::info!(server = %server.name, address = label, "{name}");
        let acceptor = Acceptor::open(
            server,
            listener.bound,
            listener.implicit_tls,
            listener.proxy,
            Arc::clone(&out),
            Arc::clone(&metrics),
        )?;
        acceptors.spawn(acceptor.run());
    }
    drop(out);
    let health = spool.health().clone();
    let look_now = Arc::new(Notify::new());
    let mut aside = JoinSet::new();
    aside.spawn(reload::watch(front.files, Arc::clone(&look_now)));
    let sinks: ReadSinks = Arc::new(move || board.now());
    let closed = closed(plan, &config);
    let desk = Desk {
        spool: Arc::clone(&spool),
        spool_path: state_folder(&config),
        transport: queue.clone(),
        started,
        listeners: addresses,
        servers: config.servers.iter().map(|own| own.name.clone()).collect(),
        metrics: Arc::clone(&metrics),
        sinks: Arc::clone(&sinks),
        closed: Arc::clone(&closed),
        shutdown: shutdown.clone(),
        drain: config.process.drain,
    };
    if let Some(admin) = admin {
        tracing::info!(path = %config.admin_socket().display(), "operators are heard");
        aside.spawn(admin.open()?.serve(desk));
    }
    if let Some(listener) = metrics_listener {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let endpoint = Endpoint {
            metrics: Arc::clone(&metrics),
            spool,
            queue_depth: Arc::new(move || queue.depth()),
            memory: Arc::clone(&front.memory),
            sinks,
            closed,
            spool_path: state_folder(&config),
            shutdown: shutdown.clone(),
        };
        aside.spawn(endpoint.serve(listener));
    }
    aside.spawn(systemd::keep_watchdog(
        threads
            .iter()
            .map(|thread| thread.handle().clone())
            .collect(),
    ));
    systemd::ready(listening);
    tell(options.listen.as_ref(), &ServiceEvent::Ready);

    wait_for_end(
        &mut signals,
        &shutdown,
        &look_now,
        config.process.drain,
        &mut acceptors,
        &health,
    )
    .await;
    systemd::stopping(shutdown.time_left().unwrap_or_default());
    tell(options.listen.as_ref(), &ServiceEvent::Stopping);
    acceptors.abort().await;
    let well = wait_for_threads(&mut signals, &shutdown, threads).await;
    aside.shutdown().await;
    match (shutdown.has_failed(), well) {
        (false, true) => {
            tracing::info!("stopped");
            Ok(())
        }
        (true, _) => Err(ServeError::Failed("it ended before its time")),
        (false, false) => Err(ServeError::Failed("a thread did not end")),
    }
}

/// Says why no mail can be accepted, by the plan in force.
fn closed(plan: postern_dispatch::dispatcher::SharedPlan, config: &Config) -> WhyClosed {
    let servers = config.servers.iter().map(|server| server.name.clone());
    let servers: Vec<String> = servers.collect();
    Arc::new(move |sinks| {
        let servers = servers.iter().map(String::as_str);
        readiness::closed(&plan.load(), servers, sinks)
    })
}

fn tell(listen: Option<&Listen>, event: &ServiceEvent<'_>) {
    if let Some(listen) = listen {
        listen(event);
    }
}

/// Returns when the end has begun, by a signal or otherwise.
async fn wait_for_end(
    signals: &mut Option<Signals>,
    shutdown: &Shutdown,
    look_now: &Notify,
    drain: Duration,
    acceptors: &mut Tasks,
    health: &Health,
) {
    let failed = health.failed();
    tokio::pin!(failed);
    let begun = shutdown.begun();
    tokio::pin!(begun);
    loop {
        tokio::select! {
            () = &mut begun => break,
            why = &mut failed => {
                tracing::error!(%why, "the spool failed: stopping, the next start finds out what the disk holds");
                shutdown.fail_at_once();
                break;
            }
            () = acceptors.one_ended() => {
                tracing::error!("a listener ended by itself");
                shutdown.fail();
                break;
            }
            heard = next(signals) => match heard {
                Heard::Stop => {
                    // Told once it is so: whoever reads the line meets no session that does not know.
                    shutdown.drain(drain);
                    tracing::info!(within = ?drain, "stopping; a second signal stops at once");
                    // Another one is heard by whoever waits for what runs.
                    break;
                }
                Heard::Reload => look_now.notify_one(),
            },
        }
    }
}

/// Waits for the threads; a second signal cuts the waiting short. False if one panicked or is stuck.
async fn wait_for_threads(
    signals: &mut Option<Signals>,
    shutdown: &Shutdown,
    threads: &mut [RuntimeThread],
) -> bool {
    let over = shutdown.over();
    let all = async {
        let mut well = true;
        for thread in threads {
            well &= thread.ended().await;
        }
        well
    };
    tokio::pin!(over, all);
    loop {
        tokio::select! {
            well = &mut all => return well,
            () = &mut over => break,
            heard = next(signals) => {
                if matches!(heard, Heard::Stop) {
                    shutdown.now();
                    tracing::warn!("stopping at once");
                }
            }
        }
    }
    match timeout(AFTERWARDS, all).await {
        Ok(well) => well,
        Err(_) => {
            tracing::error!("a thread is stuck and is left behind");
            false
        }
    }
}

/// What a signal asks for.
enum Heard {
    Stop,
    Reload,
}

/// The signals that are ours.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

async fn next(signals: &mut Option<Signals>) -> Heard {
    match signals {
        Some(signals) => tokio::select! {
            Some(()) = signals.terminate.recv() => Heard::Stop,
            Some(()) = signals.interrupt.recv() => Heard::Stop,
            Some(()) = signals.hang_up.recv() => Heard::Reload,
            else => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
