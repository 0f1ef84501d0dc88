//! What takes messages from a queue to their destination: one connection, or one at a time into Maildirs.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use postern_message::{BodyKind, Envelope, Message, Notify, Return};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::client::{
    self, Body, ClientName, Config, Delivery, Protocol, Report, Ret, Timeouts, TlsUse, Transaction,
};
use tokio::time::Instant;

use super::core::{Core, IDLE, MESSAGES_PER_CONNECTION, RECIPIENTS};
use super::job::Job;
use super::queue::{Group, Queue};
use super::results::{self, Attempt};
use super::settle::Outcome;
use super::worker::Context;
use crate::delivery::{
    Attempted, Connection, ContentReader, Destination, Hop, HopAddress, Maildir, OpenError, Peer,
    PeerFacts, is_without_bdat,
};

/// Serves a queue until it is empty or the connection ends.
pub(crate) async fn carry(context: Context, queue: Arc<Queue>) {
    let place = Place {
        core: Arc::clone(&context.core),
        queue,
    };
    match place.queue.destination() {
        Destination::Hop(hop) => carry_to_hop(&context, &place.queue, hop).await,
        Destination::Maildir(path) => carry_to_maildir(&context, &place.queue, path).await,
    }
}

/// Counts as a connection of the queue until it is dropped. Then another one is made if messages are waiting.
struct Place {
    core: Arc<Core>,
    queue: Arc<Queue>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.closed();
        self.core.serve(&self.queue);
    }
}

async fn carry_to_hop(context: &Context, queue: &Arc<Queue>, hop: &Hop) {
    let shutdown = context.shutdown.begun();
    tokio::pin!(shutdown);
    let Some(peer) = peer(&context.core, queue, hop) else {
        return;
    };
    let opened = tokio::select! {
        opened = open(context, queue, &peer) => opened,
        () = &mut shutdown => return,
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => return destination_down(context, queue, hop, &error).await,
    };
    queue.is_up();
    context.core.serve(queue);
    while connection.is_ready() && connection.messages() < MESSAGES_PER_CONNECTION {
        let group = tokio::select! {
            biased;
            () = &mut shutdown => break,
            group = queue.next(Instant::now() + IDLE) => group,
            () = connection.closed() => return,
        };
        let Some(group) = group else { break };
        deliver(context, queue, hop, &mut connection, group).await;
    }
    if connection.is_ready() {
        connection.quit().await;
    }
}

fn peer(core: &Core, queue: &Queue, hop: &Hop) -> Option<Peer> {
    let settings = &core.settings;
    let name = match ClientName::new(&settings.hostname) {
        Ok(name) => name,
        Err(error) => {
            tracing::error!(hostname = settings.hostname, %error, "nothing can be delivered");
            return None;
        }
    };
    let protocol = if hop.lmtp {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let mut config = Config::new(protocol, name);
    config.timeouts = Timeouts {
        greeting: settings.command_timeout,
        command: settings.command_timeout,
        content_reply: settings.data_timeout,
        quit: Duration::from_secs(2),
        ..Timeouts::default()
    };
    if !queue.may_use_bdat() {
        config.bdat_up_to = 0;
    }
    if matches!(hop.address, HopAddress::Unix(_)) {
        config.tls = TlsUse::Never;
    }
    Some(Peer {
        hop: hop.clone(),
        config: Arc::new(config),
        tls: Arc::clone(&core.tls),
    })
}

/// A connection, encrypted if that works. If it does not, then one without, since the alternative to opportunistic TLS is
/// none; it is a new one, as nothing that was said on the other is believed.
async fn open(context: &Context, queue: &Queue, peer: &Peer) -> Result<Connection, OpenError> {
    let connector = context.core.connector.as_ref();
    if !queue.may_encrypt() {
        return Connection::open_plain(peer, connector).await;
    }
    match Connection::open(peer, connector).await {
        Err(error @ OpenError::Handshake { .. }) => {
            tracing::warn!(destination = %peer.hop, %error, "TLS failed, going on without it");
            queue.is_plain();
            Connection::open_plain(peer, connector).await
        }
        opened => opened,
    }
}

/// Settles whatever waits for a destination that cannot be reached.
async fn destination_down(context: &Context, queue: &Queue, hop: &Hop, error: &OpenError) {
    let why = Attempted::from_open_error(error, hop.address.host(), context.core.now());
    let longest = context.core.settings.schedule.first_wait();
    let groups = queue.is_down(&why, longest);
    tracing::warn!(destination = %hop, %error, waiting = groups.len(), "destination cannot be reached");
    let settled = groups.into_iter().map(|group| {
        let outcome = Outcome::Tried(why.clone());
        let outcomes = group
            .recipients
            .iter()
            .map(|&index| (index, outcome.clone()))
            .collect();
        let attempt = Attempt::without_host(hop.to_string());
        async move { results::record(context, &group.job, outcomes, false, &attempt).await }
    });
    join_all(settled).await;
}

/// Sends one message to a group of its recipients, in as many transactions as the peer wants it in.
async fn deliver(
    context: &Context,
    queue: &Queue,
    hop: &Hop,
    connection: &mut Connection,
    group: Group,
) {
    let Group { job, recipients } = group;
    let mut left: VecDeque<usize> = recipients.into();
    let mut outcomes = Vec::with_capacity(left.len());
    let attempt = Attempt::new(hop.to_string(), connection.host(), connection.address());
    while !left.is_empty() && connection.is_ready() {
        let most = connection
            .most_recipients()
            .unwrap_or(RECIPIENTS)
            .clamp(1, RECIPIENTS);
        let part: Vec<usize> = left.drain(..most.min(left.len())).collect();
        let reused = connection.messages() > 0;
        let transaction = transaction(&job.message, &part);
        let content = ContentReader::new(&job.message.version, Arc::clone(&job.content));
        let Some(report) = connection.deliver(transaction, content).await else {
            left.extend(part);
            break;
        };
        let facts = PeerFacts {
            host: connection.host(),
            lmtp: hop.lmtp,
            reused,
            weakened: connection.is_weakened(),
        };
        if refuses_bdat(&report) {
            tracing::warn!(destination = %hop, "BDAT is refused though CHUNKING is offered, going on with DATA");
            queue.is_without_bdat();
        }
        sort(&part, &report, &facts, context, &mut outcomes, &mut left);
    }
    let partly = !left.is_empty();
    if !outcomes.is_empty() || !partly {
        results::record(context, &job, outcomes, partly, &attempt).await;
    }
    if partly {
        queue.put_back(Group {
            job,
            recipients: left.into(),
        });
    }
}

/// Results to `outcomes`, and to `left` the recipients that are to be tried again at once.
fn sort(
    part: &[usize],
    report: &Report,
    facts: &PeerFacts<'_>,
    context: &Context,
    outcomes: &mut Vec<(usize, Outcome)>,
    left: &mut VecDeque<usize>,
) {
    let now = context.core.now();
    let some_accepted = report
        .recipients
        .iter()
        .any(|delivery| matches!(delivery, Delivery::Accepted(_)));
    for (&index, delivery) in part.iter().zip(&report.recipients) {
        if some_accepted && delivery.is_too_many_recipients() {
            left.push_back(index);
            continue;
        }
        match Attempted::from_peer(delivery, facts, now) {
            Some(attempted) => outcomes.push((index, Outcome::Tried(attempted))),
            None => left.push_back(index),
        }
    }
}

fn refuses_bdat(report: &Report) -> bool {
    report.recipients.iter().any(|delivery| match delivery {
        Delivery::Broken(failure) => is_without_bdat(failure),
        _ => false,
    })
}

fn transaction(message: &Message, recipients: &[usize]) -> Transaction {
    let envelope = &message.envelope;
    let chosen = recipients
        .iter()
        .filter_map(|&index| message.recipients.get(index));
    let recipients: Vec<_> = chosen
        .map(|recipient| client::Recipient {
            address: match &recipient.address {
                ForwardPath::Postmaster => Bytes::from_static(b"Postmaster"),
                ForwardPath::Mailbox(mailbox) => Bytes::copy_from_slice(mailbox.raw()),
            },
            notify: recipient.notify.map(notify),
            original: recipient.orcpt.clone(),
        })
        .collect();
    Transaction {
        sender: match &envelope.sender {
            ReversePath::Null => Bytes::new(),
            ReversePath::Mailbox(mailbox) => Bytes::copy_from_slice(mailbox.raw()),
        },
        smtp_utf8: needs_utf8(message, &recipients),
        recipients,
        size: message.version.size().unwrap_or(0),
        body: body(envelope),
        ret: envelope.ret.map(|ret| match ret {
            Return::Full => Ret::Full,
            Return::Headers => Ret::Headers,
        }),
        envelope_id: envelope.envid.clone(),
    }
}

fn body(envelope: &Envelope) -> Body {
    match envelope.body {
        BodyKind::SevenBit => Body::SevenBit,
        BodyKind::EightBitMime => Body::EightBitMime,
        BodyKind::BinaryMime => Body::BinaryMime,
    }
}

/// Whether this copy of the message is internationalized. A client that says SMTPUTF8 with everything it sends must not make
/// plain mail undeliverable to hosts that have not got it.
fn needs_utf8(message: &Message, recipients: &[client::Recipient]) -> bool {
    let address =
        !message.envelope.sender.is_ascii() || recipients.iter().any(|r| !r.address.is_ascii());
    address
        || (message.envelope.smtp_utf8
            && message
                .version
                .headers()
                .iter()
                .any(|field| !field.raw().is_ascii()))
}

fn notify(notify: Notify) -> Bytes {
    let words = [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ];
    let chosen: Vec<_> = words
        .iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, word)| *word)
        .collect();
    match chosen.is_empty() {
        true => Bytes::from_static(b"NEVER"),
        false => chosen.join(",").into(),
    }
}

async fn carry_to_maildir(context: &Context, queue: &Queue, path: &Path) {
    queue.is_up();
    let maildir = Maildir::new(path.to_owned(), &context.core.settings.hostname);
    while !context.shutdown.has_begun() {
        let Some(group) = queue.next(Instant::now() + Duration::from_millis(1)).await else {
            return;
        };
        into_maildir(context, queue, &maildir, &group.job, &group.recipients).await;
    }
}

async fn into_maildir(
    context: &Context,
    queue: &Queue,
    maildir: &Maildir,
    job: &Arc<Job>,
    recipients: &[usize],
) {
    let message = &job.message;
    let mut outcomes = Vec::with_capacity(recipients.len());
    for &index in recipients {
        let Some(recipient) = message.recipients.get(index) else {
            continue;
        };
        let content = ContentReader::new(&message.version, Arc::clone(&job.content));
        let result = maildir
            .deliver(&message.envelope.sender, &recipient.address, content)
            .await;
        let attempted = Attempted::from_maildir(&result, context.core.now());
        outcomes.push((index, Outcome::Tried(attempted)));
    }
    let attempt = Attempt::without_host(queue.destination().to_string());
    results::record(context, job, outcomes, false, &attempt).await;
}
