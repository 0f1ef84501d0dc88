//! The begin of a session: the connection taken over, TLS from the first octet, the scope at the dispatcher.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use postern_config::settings::server::{ListenAddress, Protocol};
use postern_events::context::{AddressSource, Client, Protocol as Spoken, SessionContext, Tls};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::timeout;

use super::Session;
use crate::front::accept::{Arrival, From, Full, ListenerFacts, Place};
use crate::front::admission::ClientConnections;
use crate::front::client::Client as Who;
use crate::front::memory::Reservation;
use crate::front::proxied::Ends;
use crate::front::reception::Reception;
use crate::front::wire::{HandshakeError, Wire};
use crate::front::worker::Tools;
use crate::front::{Standing, VirtualServer};
use crate::metrics::labels::{Handshake, LimitName, OfServer, TlsMode, TlsResult};

/// Runs a session from its connection to its end.
pub(in crate::front) async fn run(tools: Arc<Tools>, arrival: Arrival) {
    let Arrival {
        server,
        listener,
        stream,
        from,
    } = arrival;
    let label = OfServer {
        server: (&server.name).into(),
    };
    let mut peer = stream.peer();
    let mut client = stream.client();
    let mut local = stream.local().unwrap_or_else(|| listener.address.clone());
    let mut wire = match Wire::accept(stream) {
        Ok(wire) => wire,
        Err(error) => {
            tracing::error!(server = %server.name, %error, "connection not taken over");
            return;
        }
    };
    let proxy = peer.map(|peer| peer.ip().to_canonical());
    let (mut by_proxy, mut is_proxy) = (false, false);
    let place = match from {
        From::Client(place) => place,
        From::Proxy(counted) => {
            match introduce(&tools, &server, &mut wire, peer).await {
                Introduced::Client(ends) => {
                    client = Who::from(ends.source.ip());
                    peer = Some(ends.source);
                    local = ListenAddress::Tcp(ends.destination);
                    by_proxy = true;
                }
                // It is the client itself.
                Introduced::Proxy => is_proxy = true,
                Introduced::Nobody => return,
            }
            match Place::find(&server, counted, client) {
                Ok(place) => place,
                Err(full) => return refuse(&tools, &server, &listener, wire, &full).await,
            }
        }
    };
    let open = tools.metrics.sessions_open.get_or_create_owned(&label);
    tools.metrics.sessions.get_or_create(&label).inc();
    let _open = OpenSession::count(open);
    let connection = Connection {
        wire,
        client,
        peer,
        proxy: by_proxy.then_some(proxy),
        is_proxy,
        local,
        listener: Arc::clone(&listener.label),
        connections: place.ticket.connections(),
        memory: place.memory,
    };
    serve(tools, server, connection, listener.implicit_tls).await;
    drop(place.ticket);
}

/// Time for a proxy to say who its client is: it says so at once.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// Time for a refusal to leave.
const REFUSAL: Duration = Duration::from_secs(5);

/// What a proxy said.
enum Introduced {
    Client(Ends),
    /// It came for itself.
    Proxy,
    /// Nothing that can be believed.
    Nobody,
}

async fn introduce(
    tools: &Tools,
    server: &VirtualServer,
    wire: &mut Wire,
    proxy: Option<SocketAddr>,
) -> Introduced {
    let said = tokio::select! {
        said = timeout(INTRODUCTION, wire.proxy_header()) => said,
        () = tools.shutdown.begun() => return Introduced::Nobody,
    };
    let why = match said {
        Ok(Ok(Some(ends))) => return Introduced::Client(ends),
        Ok(Ok(None)) => return Introduced::Proxy,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no header of the PROXY protocol came in time".to_owned(),
    };
    tools
        .metrics
        .count_limit(&server.name, LimitName::ProxyHeader);
    let proxy = proxy.map_or_else(|| "a Unix socket".to_owned(), |proxy| proxy.to_string());
    tracing::warn!(server = %server.name, proxy, why, "a proxy does not say for whom it connects; is it told to send the header?");
    Introduced::Nobody
}

/// Says in place of the greeting why there is none.
async fn refuse(
    tools: &Tools,
    server: &VirtualServer,
    listener: &ListenerFacts,
    mut wire: Wire,
    full: &Full,
) {
    tools.metrics.count_limit(&server.name, full.limit);
    if listener.implicit_tls {
        return;
    }
    let class = full.reply.code().class();
    tools.metrics.count_reply(&server.name, class);
    let mut line = BytesMut::new();
    full.reply.encode(false, &mut line);
    let said = async {
        wire.write(&mut line).await?;
        wire.close().await
    };
    if !matches!(timeout(REFUSAL, said).await, Ok(Ok(()))) {
        tracing::trace!("refusal not sent");
    }
}

/// Counts as open until it is dropped, also by a panic or an abort.
struct OpenSession(Gauge);

impl OpenSession {
    fn count(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A connection, and where it comes from.
pub(super) struct Connection {
    pub(super) wire: Wire,
    /// Who it counts as.
    pub(super) client: Who,
    pub(super) peer: Option<SocketAddr>,
    /// A proxy says so. Its own address; over a Unix socket it has none.
    pub(super) proxy: Option<Option<IpAddr>>,
    /// The client is a proxy that names nobody. It may be a client of which the proxy knows no address: its own address gives
    /// it no rights.
    pub(super) is_proxy: bool,
    /// Our end of it.
    pub(super) local: ListenAddress,
    pub(super) listener: Arc<str>,
    pub(super) connections: ClientConnections,
    /// Set aside for its session.
    pub(super) memory: Reservation,
}

pub(super) async fn serve(
    tools: Arc<Tools>,
    server: Arc<VirtualServer>,
    connection: Connection,
    implicit_tls: bool,
) {
    let Connection {
        wire,
        client: who,
        peer,
        proxy,
        is_proxy,
        local,
        listener,
        connections,
        memory,
    } = connection;
    let started_at = SystemTime::now();
    let client = peer.map(|peer| peer.ip().to_canonical());
    let (wire, tls) = match (&server.tls, implicit_tls) {
        (Some(_), true) => match handshake(&tools, &server, wire, who, TlsMode::Implicit).await {
            Ok((wire, facts)) => (wire, Some(facts)),
            Err(_) => return,
        },
        _ => (wire, None),
    };
    let standing = match is_proxy {
        true => Standing::Unknown,
        false => Standing::At(client),
    };
    let may_relay = server.policy.may_relay(standing.address());
    let secure = tls.is_some();
    let connection = Client {
        address: client,
        port: peer.map_or(0, |peer| peer.port()),
        local_address: match &local {
            ListenAddress::Tcp(local) => local.ip().to_canonical().to_string(),
            ListenAddress::Unix(path) => path.display().to_string(),
            ListenAddress::Inherited(name) => name.clone(),
        },
        local_port: match local {
            ListenAddress::Tcp(local) => local.port(),
            ListenAddress::Unix(_) | ListenAddress::Inherited(_) => 0,
        },
        implicit_tls: secure,
        address_source: match proxy {
            Some(_) => AddressSource::Proxy,
            None => AddressSource::Connection,
        },
        proxy_address: proxy.flatten(),
        ..Client::default()
    };
    let context = SessionContext {
        listener,
        protocol: match server.protocol {
            Protocol::Smtp => Spoken::Smtp,
            Protocol::Submission => Spoken::Submission,
            Protocol::Lmtp => Spoken::Lmtp,
        },
        may_relay,
        tls: tls.clone(),
        ..SessionContext::new(
            Arc::from(&*server.name),
            Arc::clone(&server.hostname),
            connection,
            started_at,
        )
    };
    let id = context.id;
    let scope = tools.dispatcher.begin_session(context);
    let machine = server.machine(standing, scope.additions());
    tracing::debug!(session = %id, server = %server.name, ?peer, "session begins");
    let reception = Arc::new(Reception {
        session: id,
        client: shown(who, client),
        who,
        server,
        tools,
        scope,
        user: OnceLock::new(),
        vouched: OnceLock::new(),
        implicit_tls: tls,
        connections,
    });
    Session::new(reception, machine, wire, secure, memory)
        .run()
        .await;
}

/// A client as it stands in the log.
fn shown(who: Who, address: Option<IpAddr>) -> String {
    match (address, who) {
        (Some(address), _) => address.to_string(),
        (None, Who::User(Some(user))) => format!("unix user {user}"),
        (None, _) => "unix".to_owned(),
    }
}

/// Does a handshake and counts what came of it.
pub(super) async fn handshake(
    tools: &Tools,
    server: &VirtualServer,
    wire: Wire,
    client: Who,
    mode: TlsMode,
) -> Result<(Wire, Tls), HandshakeError> {
    let Some(tls) = &server.tls else {
        return Err(HandshakeError::Failed(
            std::io::ErrorKind::Unsupported.into(),
        ));
    };
    let handshake = wire.handshake(
        tls.config(),
        &server.handshakes,
        client,
        server.limits.handshake_timeout,
    );
    let made = tokio::select! {
        made = handshake => made,
        // At the end nobody waits for a client that has said nothing yet.
        () = tools.shutdown.begun() => return Err(HandshakeError::Ended),
    };
    let result = match &made {
        Ok((_, facts)) if facts.version == "TLSv1.3" => TlsResult::Tls13,
        Ok(_) => TlsResult::Tls12,
        Err(HandshakeError::Failed(_) | HandshakeError::Ended) => TlsResult::Failed,
        Err(HandshakeError::Timeout) => {
            tools
                .metrics
                .count_limit(&server.name, LimitName::HandshakeTimeout);
            TlsResult::Timeout
        }
        Err(HandshakeError::Shed) => {
            tools
                .metrics
                .count_limit(&server.name, LimitName::Handshakes);
            TlsResult::Shed
        }
    };
    tools
        .metrics
        .handshakes
        .get_or_create(&Handshake {
            server: (&server.name).into(),
            mode,
            result,
        })
        .inc();
    if let Err(error) = &made {
        tracing::debug!(server = %server.name, %error, "no TLS");
    }
    made
}
