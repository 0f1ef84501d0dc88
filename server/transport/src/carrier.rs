//! What takes messages to their destination: one connection, or one at a time into Maildirs
//! and to sinks that keep mailboxes.

use std::sync::Arc;
use std::time::Duration;

use postern_delivery::Attempted;
use postern_delivery::{
    ConnectError, Connection, Destination, Fate, Hop, HopAddress, Maildir, OpenError, Peer,
    TlsPolicy,
};
use postern_smtp::client::{ClientName, ClientNameError, Config, Protocol, Timeouts, TlsUse};
use tokio::time::{Instant, sleep_until, timeout};

use super::core::{Core, MESSAGES_PER_CONNECTION};
use super::handing::{COMMANDS, Delivered, deliver};
use super::into_maildir::carry_to_maildir;
use super::into_sink::carry_to_sink;
use super::job::Group;
use super::outgoing::Asked;
use super::recording::Recording;
use super::scheduler::End;
use super::seat::{Seat, What};
use super::worker::Context;

/// The most time for a peer to take the next piece of a content (RFC 5321 4.5.3.2.5).
const CONTENT_BLOCK: Duration = Duration::from_secs(3 * 60);

/// Serves a destination until there is nothing to do or the connection ends. Returns what it was given and has not touched.
pub(crate) async fn carry(
    context: Context,
    destination: Destination,
    mut seat: Seat,
) -> Option<Group> {
    let mut recording = Recording::default();
    match &destination {
        Destination::Hop(hop) => carry_to_hop(&context, &mut seat, &mut recording, hop).await,
        Destination::Maildir {
            template,
            create,
            line_ends,
        } => {
            let maildir = Maildir::new(template.clone(), &context.core.settings.hostname)
                .creating(*create)
                .ending_lines_with(*line_ends);
            let destination = destination.to_string();
            carry_to_maildir(&context, &mut seat, &mut recording, &destination, &maildir).await;
        }
        Destination::Sink(sink) => {
            let destination = destination.to_string();
            carry_to_sink(&context, &mut seat, &mut recording, &destination, sink).await;
        }
    }
    recording.all().await;
    seat.left()
}

async fn carry_to_hop(context: &Context, seat: &mut Seat, recording: &mut Recording, hop: &Hop) {
    let shutdown = context.shutdown.begun();
    tokio::pin!(shutdown);
    let (first, mut tried) = (hop, 0);
    let (hop, peer, mut connection) = loop {
        let hop = match tried {
            0 => first,
            others => match first.then.get(others - 1) {
                Some(next) => next,
                None => return,
            },
        };
        tried += 1;
        let peer = match peer(context, hop) {
            Ok(peer) => peer,
            Err(error) => {
                let name = hop.terms.ehlo.as_ref();
                let name = name.unwrap_or(&context.core.settings.hostname);
                tracing::error!(name, %error, "nothing can be delivered");
                let text = format!("the name of this host is not valid: {error}");
                let why = Attempted::own(Fate::Deferred, 3, 5, text, context.core.now());
                return seat
                    .tell(What::Refused {
                        why,
                        lasting: false,
                    })
                    .await;
            }
        };
        let opened = tokio::select! {
            opened = open(context, seat, &peer) => opened,
            () = &mut shutdown => return,
        };
        match opened {
            Ok(connection) => break (hop, peer, connection),
            Err(error) if tried <= first.then.len() => {
                tracing::info!(destination = %hop, %error, "next hop cannot be reached, the one behind it is tried");
            }
            Err(error) => {
                tracing::warn!(destination = %hop, %error, "destination cannot be reached");
                let why = Attempted::from_open_error(&error, context.core.now());
                let lasting = error.is_of_domain();
                return seat.tell(What::Refused { why, lasting }).await;
            }
        }
    };
    seat.tell(What::Opened).await;
    loop {
        let group = tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = recording.one(), if !recording.has_room() => continue,
            group = seat.next() => group,
            () = connection.closed() => return,
        };
        let Some(group) = group else { break };
        if !connection.is_current() {
            // Other bindings are in force than when the session began: the message has one that they know.
            let again = What::Finished {
                end: End::Result,
                again: Some(group),
                ready: false,
            };
            seat.tell(again).await;
            break;
        }
        let delivered = deliver(context, seat, recording, hop, &mut connection, group).await;
        let delivered =
            go_beyond(context, seat, &peer, recording, &mut connection, delivered).await;
        let ready = delivered.usable
            && connection.is_ready()
            && connection.is_current()
            && connection.messages() < MESSAGES_PER_CONNECTION;
        let finished = What::Finished {
            end: delivered.end,
            again: delivered.again,
            ready,
        };
        seat.tell(finished).await;
        if !delivered.usable {
            return;
        }
        if !ready {
            break;
        }
    }
    if connection.may_quit() {
        connection.quit().await;
    }
}

fn peer(context: &Context, hop: &Hop) -> Result<Peer, ClientNameError> {
    let core: &Core = &context.core;
    let settings = &core.settings;
    let terms = &hop.terms;
    let name = terms.ehlo.as_ref().unwrap_or(&settings.hostname);
    let name = ClientName::new(name)?;
    let protocol = if hop.lmtp {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let mut config = Config::new(protocol, name);
    config.timeouts = Timeouts {
        greeting: settings.command_timeout,
        command: settings.command_timeout,
        content_block: CONTENT_BLOCK.min(settings.data_timeout),
        content_reply: settings.data_timeout,
        quit: Duration::from_secs(2),
    };
    config.tls = terms.tls.of_session();
    config.login.clone_from(&terms.login);
    if matches!(hop.address, HopAddress::Unix(_)) {
        config.tls = TlsUse::Never;
    }
    Ok(Peer {
        hop: hop.clone(),
        config: Arc::new(config),
        tls: match &terms.tls {
            TlsPolicy::Verified(verified) => Arc::clone(verified),
            _ => Arc::clone(&core.tls),
        },
        ruled_out: Vec::new(),
        hooks: Asked::about(&context.judge, &context.core, hop),
    })
}

/// Has what a host refused because of itself delivered by the other hosts of the hop, one after the other, over a connection
/// that takes the place of the one before. Where there is no other host, the last one's word is recorded.
async fn go_beyond(
    context: &Context,
    seat: &Seat,
    peer: &Peer,
    recording: &mut Recording,
    connection: &mut Connection,
    delivered: Delivered,
) -> Delivered {
    let mut delivered = delivered;
    let mut peer = peer.clone();
    let until = Instant::now() + context.core.settings.command_timeout * COMMANDS;
    while let Some(unwanted) = delivered.unwanted.take() {
        peer.ruled_out.push(connection.address().to_owned());
        let next = tokio::select! {
            biased;
            () = context.shutdown.begun() => None,
            () = sleep_until(until) => None,
            next = open(context, seat, &peer) => next.ok(),
        };
        match next {
            Some(next) => {
                tracing::debug!(destination = %peer.hop, address = connection.address(), "host ruled out");
                let before = std::mem::replace(connection, next);
                if before.may_quit() {
                    before.quit().await;
                }
                let group = unwanted.into_group();
                delivered = deliver(context, seat, recording, &peer.hop, connection, group).await;
            }
            None => delivered.again = unwanted.record(context).await,
        }
    }
    delivered
}

/// A connection, encrypted if that works. If it does not, and the terms allow it, then one without, since the alternative to
/// opportunistic TLS is none; it is a new one, as nothing that was said on the other is believed.
async fn open(context: &Context, seat: &Seat, peer: &Peer) -> Result<Connection, OpenError> {
    let most = context.core.settings.command_timeout * COMMANDS;
    match timeout(most, open_in_time(context, seat, peer)).await {
        Ok(opened) => opened,
        Err(_) => Err(OpenError::Connect(ConnectError::TimedOut {
            address: peer.hop.to_string(),
        })),
    }
}

/// Where neither TLS nor clear text works with a host, the next one is tried.
async fn open_in_time(
    context: &Context,
    seat: &Seat,
    peer: &Peer,
) -> Result<Connection, OpenError> {
    let connector = context.core.connector.as_ref();
    let clear_text = peer.hop.terms.tls.allows_clear_text();
    let mut peer = peer.clone();
    let mut refused: Option<OpenError> = None;
    loop {
        if clear_text && !seat.may_encrypt() {
            let opened = Connection::open_plain(&peer, connector, None).await;
            return opened.map_err(|error| telling(error, refused));
        }
        let opened = Connection::open(&peer, connector).await;
        let (host, address) = match &opened {
            Err(error @ OpenError::Handshake { host, address, .. }) if clear_text => {
                tracing::warn!(destination = %peer.hop, %error, "TLS failed, going on without it");
                (host, address)
            }
            Err(_) => return opened.map_err(|error| telling(error, refused)),
            Ok(connection) => {
                if connection.is_encrypted() {
                    seat.tell(What::Handshake { succeeded: true }).await;
                }
                return opened;
            }
        };
        seat.tell(What::Handshake { succeeded: false }).await;
        match Connection::open_plain(&peer, connector, Some((host, address))).await {
            Err(error) if error.is_of_host() => {
                tracing::debug!(destination = %peer.hop, %error, "host ruled out");
                peer.ruled_out.push(address.clone());
                refused = Some(error);
            }
            opened => return opened,
        }
    }
}

/// What tells more: where there is no other host, or none that can be reached, what the last one said.
fn telling(error: OpenError, refused: Option<OpenError>) -> OpenError {
    match (error, refused) {
        (OpenError::Connect(_), Some(refused)) => refused,
        (error, _) => error,
    }
}
