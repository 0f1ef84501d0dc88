//! `/metrics`, `/livez` and `/readyz`, and nothing else.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use postern_spool::{Filter, Page, SpoolError, StageCounts, StageKind, Store};
use postern_transport::Depth;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::labels::Stage;
use super::{DESTINATIONS, Metrics};
use crate::front::memory::Memory;
use crate::observe::standing::Standing;
use crate::runtime::shutdown::Shutdown;
use crate::runtime::tasks::Tasks;

/// Connections at the same time. Beyond that the one that has been waiting longest for its request makes room for a new
/// one, so that requests which never come keep no probe waiting.
const CONNECTIONS: usize = 32;

/// Time for a request's header section.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// Time for a whole connection: a scraper that keeps it open is answered and asked to come again.
const CONNECTION_TIME: Duration = Duration::from_secs(60);

/// Octets of a request that are read at most.
const REQUEST_MAX: usize = 16 * 1024;

/// Time for the spool to count its messages; without an answer the last counts stand.
const COUNT_TIME: Duration = Duration::from_secs(2);

/// Wait after the system had no descriptor for a connection.
const BACK_OFF: Duration = Duration::from_millis(500);

/// The content type of the OpenMetrics text format.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Reads how the sinks stand.
pub type ReadSinks = Arc<dyn Fn() -> Vec<Standing> + Send + Sync>;

/// Says why no mail can be accepted, the sinks standing as they do; `None`: some can.
pub type WhyClosed = Arc<dyn Fn(&[Standing]) -> Option<String> + Send + Sync>;

/// What the endpoint reports on.
#[derive(Clone)]
pub struct Endpoint {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Asked for its counts at each scrape.
    pub spool: Arc<dyn Store>,
    /// What the transport core has to do with now.
    pub queue_depth: Arc<dyn Fn() -> Depth + Send + Sync>,
    /// What sessions hold in memory.
    pub memory: Arc<Memory>,
    /// How the sinks stand.
    pub sinks: ReadSinks,
    /// Why no mail can be accepted, the sinks standing as they do; `None`: some can.
    pub closed: WhyClosed,
    /// A folder in the spool's file system.
    pub spool_path: Arc<Path>,
    /// Not ready once the end has begun.
    pub shutdown: Shutdown,
}

impl Endpoint {
    /// Serves until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        let mut tasks = Tasks::new("metrics connection", self.metrics.panics.clone());
        let mut guests = Guests::default();
        loop {
            let room = tasks.len() < CONNECTIONS || guests.can_make_room();
            tokio::select! {
                () = tasks.one_ended() => guests.forget_those_who_left(),
                accepted = listener.accept(), if room => {
                    match accepted {
                        Ok((stream, peer)) => {
                            if tasks.len() >= CONNECTIONS {
                                guests.make_room();
                            }
                            let guest = guests.enter();
                            tasks.spawn(self.clone().connection(stream, peer, guest));
                        }
                        Err(error) => Self::note_accept_error(&error).await,
                    }
                }
            }
        }
    }

    async fn note_accept_error(error: &io::Error) {
        tracing::debug!(%error, "metrics listener cannot accept");
        tokio::time::sleep(BACK_OFF).await;
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, guest: Arc<Guest>) {
        let served = Arc::clone(&guest);
        let service = service_fn(move |request| {
            let (endpoint, guest) = (self.clone(), Arc::clone(&served));
            async move {
                guest.served.store(true, Ordering::Relaxed);
                let answer = endpoint.answer(&request).await;
                guest.served.store(false, Ordering::Relaxed);
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(REQUEST_MAX)
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), service);
        let connection = async {
            tokio::select! {
                ended = connection => ended,
                () = guest.leave.notified() => Ok(()),
            }
        };
        if let Ok(Err(error)) = timeout(CONNECTION_TIME, connection).await {
            tracing::debug!(%peer, %error, "metrics connection ended");
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        }
        match request.uri().path() {
            "/metrics" => self.metrics().await,
            "/livez" => plain(StatusCode::OK, "ok\n"),
            "/readyz" if self.shutdown.has_begun() => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
            }
            "/readyz" if self.spool.health().failure().is_some() => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "the spool's disk failed\n")
            }
            "/readyz" => self.readiness(),
            _ => plain(StatusCode::NOT_FOUND, "/metrics, /livez, /readyz\n"),
        }
    }

    /// Whether mail can be accepted, and how the sinks stand in either case.
    fn readiness(&self) -> Response<Full<Bytes>> {
        let sinks = (self.sinks)();
        let (status, mut text) = match (self.closed)(&sinks) {
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
            None => (StatusCode::OK, "ok".to_owned()),
        };
        text.push('\n');
        for sink in &sinks {
            text.push_str(&sink.line());
            text.push('\n');
        }
        plain(status, text)
    }

    /// Counts what is in the spool.
    async fn look_into_spool(&self) -> Result<(), SpoolError> {
        let counts = self.spool.counts().await?;
        self.metrics.set_spool(&counts);
        let now = SystemTime::now();
        let backlogs = self.spool.backlogs(DESTINATIONS).await?;
        self.metrics.set_backlogs(&backlogs, now);
        let mut oldest = Vec::new();
        for (stage, kind, count) in stages(&counts) {
            if count == 0 {
                continue;
            }
            let filter = Filter {
                stage: Some(kind),
                ..Filter::default()
            };
            let page = Page {
                after: None,
                limit: 1,
            };
            let first = self.spool.list(&filter, page).await?;
            oldest.extend(first.first().map(|entry| (stage, entry.received)));
        }
        self.metrics.set_oldest(&oldest, now);
        Ok(())
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        self.metrics.set_session_memory(self.memory.used());
        match timeout(COUNT_TIME, self.look_into_spool()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the spool cannot count its messages"),
            Err(_) => tracing::warn!("the spool takes too long to count its messages"),
        }
        self.metrics.set_sinks(&(self.sinks)(), SystemTime::now());
        if let Ok(space) = rustix::fs::statvfs(&*self.spool_path) {
            self.metrics
                .spool_free
                .set((space.f_bavail.saturating_mul(space.f_frsize)) as f64);
        }
        self.metrics.set_depth((self.queue_depth)());
        let Ok(text) = self.metrics.render() else {
            return plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "metrics cannot be written\n",
            );
        };
        let mut response = Response::new(Full::from(text));
        response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
        response
    }
}

/// One connection, as those who may have to make room see it.
#[derive(Default)]
struct Guest {
    /// A request of it is being answered.
    served: AtomicBool,
    /// It is asked to go.
    leave: Notify,
}

/// The connections, those that came first in front.
#[derive(Default)]
struct Guests(VecDeque<Weak<Guest>>);

impl Guests {
    fn enter(&mut self) -> Arc<Guest> {
        let guest = Arc::new(Guest::default());
        self.0.push_back(Arc::downgrade(&guest));
        guest
    }

    fn waiting(&self) -> Option<usize> {
        self.0.iter().position(|guest| {
            guest
                .upgrade()
                .is_some_and(|guest| !guest.served.load(Ordering::Relaxed))
        })
    }

    /// Somebody's request has not come yet.
    fn can_make_room(&self) -> bool {
        self.waiting().is_some()
    }

    /// Asks the one to go that has been waiting longest.
    fn make_room(&mut self) {
        let guest = self.waiting().and_then(|place| self.0.remove(place));
        if let Some(guest) = guest.and_then(|guest| guest.upgrade()) {
            guest.leave.notify_one();
        }
    }

    fn forget_those_who_left(&mut self) {
        self.0.retain(|guest| guest.strong_count() > 0);
    }
}

/// The stages that messages wait at, with what is there.
fn stages(counts: &StageCounts) -> [(Stage, StageKind, u64); 7] {
    [
        (Stage::Submit, StageKind::Submit, counts.submit),
        (Stage::Categorize, StageKind::Categorize, counts.categorize),
        (Stage::Deliver, StageKind::Deliver, counts.deliver),
        (Stage::Held, StageKind::Held, counts.held),
        (
            Stage::Quarantined,
            StageKind::Quarantined,
            counts.quarantined,
        ),
        (Stage::OnHold, StageKind::OnHold, counts.on_hold),
        (Stage::Damaged, StageKind::Damaged, counts.damaged),
    ]
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
