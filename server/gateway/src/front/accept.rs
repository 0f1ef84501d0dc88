//! Accepts connections, counts them against the limits, and hands them to the runtimes.

use std::io::{self, Write as _};
use std::net::Shutdown as Direction;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postern_config::settings::server::ListenAddress;
use postern_smtp::reply::Reply;
use rustix::io::Errno;

use super::VirtualServer;
use super::admission::{Denied, Ticket, Unknown};
use super::client::Client;
use super::listener::{Bound, Listening, Stream};
use super::memory::Reservation;
use super::replies;
use super::session::SESSION;
use crate::metrics::Metrics;
use crate::metrics::labels::LimitName;
use crate::runtime::handout::HandOut;

/// First and longest wait after the system had no descriptor or memory for a connection.
const BACK_OFF_MIN: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// A connection on its way to a runtime.
#[derive(Debug)]
pub struct Arrival {
    pub(super) server: Arc<VirtualServer>,
    pub(super) listener: Arc<ListenerFacts>,
    pub(super) stream: Stream,
    pub(super) from: From,
}

/// Who connected.
#[derive(Debug)]
pub(super) enum From {
    /// A client.
    Client(Place),
    /// A proxy, which has yet to say for whom.
    Proxy(Unknown),
}

/// What a client has among all others.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ticket: Ticket,
    /// Set aside for its session.
    pub(super) memory: Reservation,
}

/// There is no place.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) limit: LimitName,
    pub(super) reply: Reply,
}

impl Full {
    fn denied(denied: Denied, hostname: &str) -> Self {
        let (limit, reply) = match denied {
            Denied::Server => (LimitName::Connections, replies::server_full(hostname)),
            Denied::Client => (
                LimitName::ConnectionsPerClient,
                replies::client_full(hostname),
            ),
        };
        Self { limit, reply }
    }
}

impl Place {
    /// A place for a client whose connection is counted already.
    pub(super) fn find(
        server: &VirtualServer,
        counted: Unknown,
        client: Client,
    ) -> Result<Self, Full> {
        let hostname = &server.hostname;
        let ticket = counted
            .known_as(client)
            .map_err(|denied| Full::denied(denied, hostname))?;
        let memory = server.memory.reserve(client, SESSION);
        let memory = memory.map_err(|short| Full {
            limit: short.into(),
            reply: replies::no_memory_for_session(hostname),
        })?;
        Ok(Self { ticket, memory })
    }
}

/// What sessions know of the listener that they came in by.
#[derive(Debug)]
pub(super) struct ListenerFacts {
    /// As the configuration writes it, with the port that was given for port 0.
    pub(super) label: Arc<str>,
    pub(super) address: ListenAddress,
    pub(super) implicit_tls: bool,
    /// Whoever connects is a proxy, and says for whom.
    pub(super) proxy: bool,
}

/// Accepts on one listening socket.
pub struct Acceptor {
    server: Arc<VirtualServer>,
    listening: Listening,
    facts: Arc<ListenerFacts>,
    out: Arc<HandOut<Arrival>>,
    metrics: Arc<Metrics>,
}

impl Acceptor {
    /// Opens a bound socket, inside the runtime that is to accept.
    ///
    /// # Errors
    /// When the runtime cannot take the socket.
    pub fn open(
        server: Arc<VirtualServer>,
        bound: Bound,
        implicit_tls: bool,
        proxy: bool,
        out: Arc<HandOut<Arrival>>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let facts = ListenerFacts {
            label: bound.address().to_string().into(),
            address: bound.address().clone(),
            implicit_tls,
            proxy,
        };
        Ok(Self {
            server,
            listening: bound.open()?,
            facts: Arc::new(facts),
            out,
            metrics,
        })
    }

    /// Accepts until it is dropped. When the system has nothing left for a connection it waits a little and goes on.
    pub async fn run(self) {
        let mut back_off = BACK_OFF_MIN;
        loop {
            match self.listening.accept().await {
                Ok(stream) => {
                    back_off = BACK_OFF_MIN;
                    self.admit(stream);
                }
                Err(error) => {
                    self.metrics.accept_errors.inc();
                    if back_off == BACK_OFF_MIN || !is_shortage(&error) {
                        tracing::error!(listener = %self.facts.label, %error, "cannot accept connections, trying again");
                    }
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                }
            }
        }
    }

    /// Work for a client begins only if it is within the limits and a runtime has room.
    fn admit(&self, stream: Stream) {
        let name = &self.server.name;
        let peer = stream.peer();
        let from = match self.receive(&stream) {
            Ok(from) => from,
            Err(full) => {
                self.metrics.count_limit(name, full.limit);
                tracing::debug!(server = %name, ?peer, limit = ?full.limit, "connection refused");
                return self.refuse(stream, &full.reply);
            }
        };
        let arrival = Arrival {
            server: Arc::clone(&self.server),
            listener: Arc::clone(&self.facts),
            stream,
            from,
        };
        if let Err(arrival) = self.out.offer(arrival) {
            self.metrics.count_limit(name, LimitName::Backlog);
            self.refuse(arrival.stream, &replies::server_full(&self.server.hostname));
        }
    }

    fn receive(&self, stream: &Stream) -> Result<From, Full> {
        let server = &self.server;
        if self.facts.proxy && !server.policy.is_proxy(stream.peer()) {
            return Err(Full {
                limit: LimitName::NotAProxy,
                reply: replies::not_a_proxy(&server.hostname),
            });
        }
        let counted = server.admission.admit_unknown();
        let counted = counted.map_err(|denied| Full::denied(denied, &server.hostname))?;
        Ok(match self.facts.proxy {
            true => From::Proxy(counted),
            false => From::Client(Place::find(server, counted, stream.client())?),
        })
    }

    /// Sends a reply in place of the banner. The socket is new, so its buffer has room; if not, the reply is lost.
    fn refuse(&self, stream: Stream, reply: &Reply) {
        if self.facts.implicit_tls {
            return;
        }
        self.metrics
            .count_reply(&self.server.name, reply.code().class());
        let mut line = BytesMut::new();
        reply.encode(false, &mut line);
        let sent = match stream {
            Stream::Tcp { mut stream, .. } => stream
                .write_all(&line)
                .and_then(|()| stream.shutdown(Direction::Write)),
            Stream::Unix(mut stream) => stream
                .write_all(&line)
                .and_then(|()| stream.shutdown(Direction::Write)),
        };
        if let Err(error) = sent {
            tracing::trace!(%error, "refusal not sent");
        }
    }
}

/// The system has too little of something for one more connection.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    shortages
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
