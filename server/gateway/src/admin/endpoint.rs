//! The socket itself: who may come in, how many at a time, and for how long nothing may happen.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use postern_config::settings::server::SocketAccess;
use postern_proto::admin::v1::admin_service_server::AdminServiceServer;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use socket2::Socket;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use tonic::codegen::Service as _;

use super::service::Service;
use super::watched::{Activity, Watched};
use super::{AdminError, Desk};
use crate::front::unix_socket::{self, OwnPath};
use crate::runtime::tasks::Tasks;

/// Connections at the same time. Beyond that the one over which nothing has gone for the longest time makes room, so that
/// an operator always comes in.
const CONNECTIONS: usize = 16;
/// Connections that the system keeps for us until we accept them.
const BACKLOG: i32 = 16;
/// A connection ends when nothing has gone over it for so long: an operator may read a page for a while.
const IDLE: Duration = Duration::from_secs(600);
/// A connection ends after so long, whatever goes over it.
const LONGEST: Duration = Duration::from_secs(3600);
/// Requests of one connection at the same time.
const STREAMS: u32 = 8;
/// Octets of a request.
const REQUEST: usize = 64 * 1024;
/// Octets of a request's headers.
const HEADERS: u32 = 8 * 1024;
/// Octets that wait to be sent on one stream.
const UNSENT: usize = 128 * 1024;
/// Streams that a client may have reset before they were looked at, and that it may make us reset (CVE-2023-44487,
/// CVE-2025-8671).
const RESETS: usize = 32;
/// Wait after the system had no descriptor for a connection.
const BACK_OFF: Duration = Duration::from_millis(500);

/// The socket, before anybody is let in.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: Socket,
    /// Removed at the end.
    own: OwnPath,
}

/// Makes the socket, for its owner alone.
///
/// # Errors
/// [`AdminError`]
pub(crate) fn bind(path: &Path) -> Result<Bound, AdminError> {
    let access = SocketAccess {
        mode: 0o600,
        ..SocketAccess::default()
    };
    let made = unix_socket::listen(path, &access, BACKLOG).and_then(|(socket, own)| {
        socket.set_nonblocking(true)?;
        Ok(Bound { socket, own })
    });
    made.map_err(|source| AdminError {
        path: path.to_owned(),
        source,
    })
}

impl Bound {
    /// Starts to accept, inside the runtime that is to do it.
    ///
    /// # Errors
    /// When the runtime cannot take the socket.
    pub(crate) fn open(self) -> io::Result<Endpoint> {
        Ok(Endpoint {
            listener: UnixListener::from_std(self.socket.into())?,
            _own: self.own,
        })
    }
}

/// The socket at work.
pub(crate) struct Endpoint {
    listener: UnixListener,
    _own: OwnPath,
}

impl Endpoint {
    /// Serves until it is dropped.
    pub(crate) async fn serve(self, desk: Desk) {
        let mut tasks = Tasks::new("admin connection", desk.metrics.panics.clone());
        let mut guests: Vec<Guest> = Vec::new();
        loop {
            tokio::select! {
                () = tasks.one_ended() => guests.retain(|guest| Arc::strong_count(&guest.leave) > 1),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let Some(user) = admitted(&stream) else { continue };
                        guests.retain(|guest| Arc::strong_count(&guest.leave) > 1);
                        if guests.len() >= CONNECTIONS {
                            make_room(&mut guests);
                        }
                        let guest = Guest::enter();
                        tasks.spawn(connection(desk.clone(), stream, user, guest.clone()));
                        guests.push(guest);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the admin socket cannot accept");
                        sleep(BACK_OFF).await;
                    }
                },
            }
        }
    }
}

/// The user behind a connection, if it may come in.
fn admitted(stream: &UnixStream) -> Option<u32> {
    let user = match socket_peercred(stream) {
        Ok(peer) => peer.uid.as_raw(),
        Err(error) => {
            tracing::warn!(%error, "the admin socket does not know who connects");
            return None;
        }
    };
    let own = geteuid().as_raw();
    if user == 0 || user == own {
        return Some(user);
    }
    tracing::warn!(
        uid = user,
        "refused on the admin socket: neither root nor the user of the gateway"
    );
    None
}

/// A connection, as those who may have to make room see it.
#[derive(Clone)]
struct Guest {
    activity: Activity,
    leave: Arc<Notify>,
}

impl Guest {
    fn enter() -> Self {
        Self {
            activity: Activity::now(),
            leave: Arc::default(),
        }
    }
}

/// Asks the one to go over whose connection nothing has gone for the longest time.
fn make_room(guests: &mut Vec<Guest>) {
    let longest = guests
        .iter()
        .enumerate()
        .min_by_key(|(_, guest)| guest.activity.last());
    if let Some((place, _)) = longest {
        guests.remove(place).leave.notify_one();
    }
}

async fn connection(desk: Desk, stream: UnixStream, user: u32, guest: Guest) {
    let server =
        AdminServiceServer::new(Service::new(desk, user)).max_decoding_message_size(REQUEST);
    let service = service_fn(move |request| {
        let mut server = server.clone();
        async move { server.call(request).await }
    });
    let io = TokioIo::new(Watched::new(stream, guest.activity.clone()));
    let connection = http2::Builder::new(Streams::default())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .max_send_buf_size(UNSENT)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(256 * 1024)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .serve_connection(io, service);
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!(uid = user, %error, "an admin connection ended");
            }
        }
        () = guest.leave.notified() => {
            tracing::warn!(uid = user, "an admin connection was ended to make room for another");
        }
        () = silence(&guest.activity) => {
            tracing::debug!(uid = user, "an idle admin connection was ended");
        }
        () = sleep(LONGEST) => {}
    }
}

/// Resolves when nothing has gone over a connection for too long.
async fn silence(activity: &Activity) {
    loop {
        let end = activity.last() + IDLE;
        if end <= tokio::time::Instant::now() {
            return;
        }
        sleep_until(end).await;
    }
}

/// The tasks of a connection's streams, which end with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut all = self.0.lock();
        while let Some(ended) = all.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "an admin request panicked");
            }
        }
        all.spawn(stream);
    }
}
