//! What takes messages to their destination: one connection, or one at a time into Maildirs.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use postern_message::{Message, Notify, Return};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::client::{
    self, ClientName, ClientNameError, Config, Delivery, Protocol, Report, Ret, Timeouts, TlsUse,
    Transaction,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::core::{Core, MESSAGES_PER_CONNECTION, RECIPIENTS, Settings};
use super::fitting::{Fitting, fit_to, fit_to_mailbox};
use super::job::{Group, Job};
use super::recording::Recording;
use super::results::{self, Attempt};
use super::scheduler::End;
use super::seat::{Seat, What};
use super::settle::Outcome;
use super::worker::Context;
use postern_delivery::{
    Attempted, ConnectError, Connection, Destination, Fate, Fitted, Hop, HopAddress, Maildir,
    MaildirError, Occasion, OpenError, Peer, PeerFacts, TlsPolicy, is_damage, is_trouble,
    is_without_bdat,
};

/// The time for a connection, and that for a message's commands, each in times for one command.
const COMMANDS: u32 = 5;
/// The most time for a peer to take the next piece of a content (RFC 5321 4.5.3.2.5).
const CONTENT_BLOCK: Duration = Duration::from_secs(3 * 60);
/// Octets a second that a peer has to take of a content.
const LEAST_RATE: u64 = 16 * 1024;
/// Time for a delivery to come to its end once the gateway is stopping, while it may still be given up.
const LAST_WORDS: Duration = Duration::from_secs(3);

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
    }
    recording.all().await;
    seat.left()
}

async fn carry_to_hop(context: &Context, seat: &mut Seat, recording: &mut Recording, hop: &Hop) {
    let shutdown = context.shutdown.begun();
    tokio::pin!(shutdown);
    let peer = match peer(&context.core, hop) {
        Ok(peer) => peer,
        Err(error) => {
            let hostname = &context.core.settings.hostname;
            tracing::error!(hostname, %error, "nothing can be delivered");
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
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => {
            tracing::warn!(destination = %hop, %error, "destination cannot be reached");
            let why = Attempted::from_open_error(&error, context.core.now());
            let lasting = error.is_of_domain();
            return seat.tell(What::Refused { why, lasting }).await;
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
        let delivered = deliver(context, seat, recording, hop, &mut connection, group).await;
        let delivered =
            go_beyond(context, seat, &peer, recording, &mut connection, delivered).await;
        let ready = delivered.usable
            && connection.is_ready()
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

fn peer(core: &Core, hop: &Hop) -> Result<Peer, ClientNameError> {
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

/// Recipients of a message that a host refused because of itself.
struct Unwanted {
    job: Arc<Job>,
    /// What it said to each.
    outcomes: Vec<(usize, Outcome)>,
    /// Recipients that had no answer, and are to be tried again in any case.
    left: VecDeque<usize>,
    attempt: Attempt,
}

impl Unwanted {
    /// All of them, for another host.
    fn into_group(self) -> Group {
        let refused = self.outcomes.into_iter().map(|(index, _)| index);
        Group {
            job: self.job,
            recipients: refused.chain(self.left).collect(),
        }
    }

    /// There is no other host: what this one said is the result. Returns what is left.
    async fn record(self, context: &Context) -> Option<Group> {
        let partly = !self.left.is_empty();
        results::record(context, &self.job, self.outcomes, partly, &self.attempt).await;
        partly.then(|| Group {
            job: self.job,
            recipients: self.left.into(),
        })
    }
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

async fn open_in_time(
    context: &Context,
    seat: &Seat,
    peer: &Peer,
) -> Result<Connection, OpenError> {
    let connector = context.core.connector.as_ref();
    let clear_text = peer.hop.terms.tls.allows_clear_text();
    if clear_text && !seat.may_encrypt() {
        return Connection::open_plain(peer, connector, None).await;
    }
    let opened = Connection::open(peer, connector).await;
    if let Err(error @ OpenError::Handshake { host, address, .. }) = &opened
        && clear_text
    {
        tracing::warn!(destination = %peer.hop, %error, "TLS failed, going on without it");
        seat.tell(What::Handshake { succeeded: false }).await;
        return Connection::open_plain(peer, connector, Some((host, address))).await;
    }
    if opened.as_ref().is_ok_and(Connection::is_encrypted) {
        seat.tell(What::Handshake { succeeded: true }).await;
    }
    opened
}

/// How a delivery ended.
enum Ended<T> {
    Done(T),
    /// It was given up before the peer could have taken the message: the whole attempt took too long.
    TooLong,
    /// It was given up before the peer could have taken the message: the gateway is stopping.
    Stopping,
}

/// Waits for a delivery, and not for ever. Once the peer may have taken the message only the session's own time-outs end it.
async fn watched<T>(
    context: &Context,
    most: Duration,
    at_stake: &AtomicBool,
    delivery: impl Future<Output = T>,
) -> Ended<T> {
    let stopping = context.shutdown.begun();
    tokio::pin!(delivery, stopping);
    let mut until = Instant::now() + most;
    let mut is_stopping = false;
    loop {
        tokio::select! {
            done = &mut delivery => return Ended::Done(done),
            () = &mut stopping, if !is_stopping => {
                is_stopping = true;
                until = until.min(Instant::now() + LAST_WORDS);
            }
            () = sleep_until(until) => match (at_stake.load(Ordering::Relaxed), is_stopping) {
                (true, _) => until = Instant::now() + most,
                (false, true) => return Ended::Stopping,
                (false, false) => return Ended::TooLong,
            }
        }
    }
}

/// The most that an attempt may take for a message of this size, whatever the peer does within the time for each reply.
fn most_time(settings: &Settings, size: u64) -> Duration {
    let content = Duration::from_secs(size / LEAST_RATE);
    settings.command_timeout * COMMANDS + settings.data_timeout + content
}

/// What came of a group, beside its results.
struct Delivered {
    end: End,
    /// Recipients that are to be tried again at once.
    again: Option<Group>,
    /// Those that another host may take. They have no result yet, and nobody else of the group has to be tried again.
    unwanted: Option<Unwanted>,
    /// False: the connection was left in the middle of something.
    usable: bool,
}

/// Sends one message to a group of its recipients, in as many transactions as the peer wants it in.
async fn deliver(
    context: &Context,
    seat: &Seat,
    recording: &mut Recording,
    hop: &Hop,
    connection: &mut Connection,
    group: Group,
) -> Delivered {
    let Group { job, recipients } = group;
    let mut left: VecDeque<usize> = recipients.into();
    let mut outcomes = Vec::with_capacity(left.len());
    let mut unwanted = Vec::new();
    let mut given_up = false;
    let mut end = End::Result;
    let attempt = Attempt::new(hop.to_string(), connection.host(), connection.address());
    let bdat = seat.may_use_bdat();
    if !bdat {
        connection.leave_out_bdat();
    }
    let way = connection.way(bdat);
    // What goes by BDAT alone may go again once that is tried again.
    let weakened = connection.is_weakened() || way != connection.way(true);
    let fitting = fit_to(&context.core, &job, way, weakened, &hop.to_string()).await;
    while !left.is_empty() && connection.is_ready() {
        let most = connection
            .most_recipients()
            .unwrap_or(RECIPIENTS)
            .clamp(1, RECIPIENTS);
        let part: Vec<usize> = left.drain(..most.min(left.len())).collect();
        let reused = connection.messages() > 0;
        let fitted = match &fitting {
            Fitting::Fits(fitted) => fitted,
            Fitting::Unfit(why) => {
                outcomes.extend(part.iter().map(|&at| (at, Outcome::Tried(why.clone()))));
                continue;
            }
            Fitting::Damaged(error) => {
                job.put_aside(&context.core, error).await;
                return Delivered {
                    end,
                    again: None,
                    unwanted: None,
                    usable: true,
                };
            }
        };
        let transaction = transaction(&job.message, &part, fitted);
        let content = fitted.content(&job.message, &job.content);
        let at_stake = connection.at_stake();
        let most = most_time(&context.core.settings, fitted.size);
        let delivery = connection.deliver(transaction, content);
        let report = match watched(context, most, &at_stake, delivery).await {
            Ended::Done(Some(report)) => match connection.take_unreadable() {
                Some(error) if is_damage(&error) => {
                    job.put_aside(&context.core, &error).await;
                    return Delivered {
                        end,
                        again: None,
                        unwanted: None,
                        usable: false,
                    };
                }
                _ => report,
            },
            Ended::Done(None) => {
                left.extend(part);
                break;
            }
            Ended::Stopping => {
                // It is in the spool as it was, and due.
                tracing::info!(id = %job.message.id, destination = %hop, "delivery given up, stopping");
                given_up = true;
                left.extend(part);
                break;
            }
            Ended::TooLong => {
                let text = format!("the attempt took longer than {} s", most.as_secs());
                let at = context.core.now();
                let late = Attempted::own(Fate::Deferred, 4, 2, text, at);
                outcomes.extend(
                    part.iter()
                        .map(|&index| (index, Outcome::Tried(late.clone()))),
                );
                given_up = true;
                end = End::Trouble;
                break;
            }
        };
        if report.recipients.iter().any(is_trouble) {
            end = End::Trouble;
        }
        let facts = PeerFacts {
            host: connection.host(),
            lmtp: hop.lmtp,
            reused,
            weakened: connection.is_weakened(),
        };
        if report.recipients.iter().any(refuses_bdat) {
            tracing::warn!(destination = %hop, "BDAT is refused though CHUNKING is offered, going on with DATA");
            seat.tell(What::BdatRefused).await;
        }
        let sorted = Sorted {
            outcomes: &mut outcomes,
            left: &mut left,
            unwanted: &mut unwanted,
        };
        sort(&part, &report, &facts, context, sorted);
    }
    let usable = !given_up;
    if left.is_empty() && unwanted.is_empty() {
        recording.begin(record(context, job, outcomes, attempt));
        return Delivered {
            end,
            again: None,
            unwanted: None,
            usable,
        };
    }
    // The others are tried again at once, and what is done may not be done again.
    if !outcomes.is_empty() {
        results::record(context, &job, outcomes, true, &attempt).await;
    }
    let (again, unwanted) = match unwanted.is_empty() {
        true => {
            let recipients = left.into();
            (Some(Group { job, recipients }), None)
        }
        false => {
            let unwanted = Unwanted {
                job,
                outcomes: unwanted,
                left,
                attempt,
            };
            (None, Some(unwanted))
        }
    };
    Delivered {
        end,
        again,
        unwanted,
        usable,
    }
}

/// Where the results of a transaction go.
struct Sorted<'a> {
    /// What is to be recorded.
    outcomes: &'a mut Vec<(usize, Outcome)>,
    /// Who is to be tried again at once.
    left: &'a mut VecDeque<usize>,
    /// Who is to be tried at another host, and what this one said.
    unwanted: &'a mut Vec<(usize, Outcome)>,
}

/// Sorts the recipients of a transaction by what becomes of them.
fn sort(part: &[usize], report: &Report, facts: &PeerFacts<'_>, context: &Context, to: Sorted<'_>) {
    let now = context.core.now();
    let some_accepted = report
        .recipients
        .iter()
        .any(|delivery| matches!(delivery, Delivery::Accepted(_)));
    for (&index, delivery) in part.iter().zip(&report.recipients) {
        if some_accepted && delivery.is_too_many_recipients() {
            to.left.push_back(index);
            continue;
        }
        match Attempted::from_peer(delivery, facts, now).map(Outcome::Tried) {
            Some(outcome) if delivery.rules_out_host() => to.unwanted.push((index, outcome)),
            Some(outcome) => to.outcomes.push((index, outcome)),
            None => to.left.push_back(index),
        }
    }
}

fn refuses_bdat(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Broken(failure) if is_without_bdat(failure))
}

fn transaction(message: &Message, recipients: &[usize], fitted: &Fitted) -> Transaction {
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
        size: fitted.size,
        body: fitted.body,
        ret: envelope.ret.map(|ret| match ret {
            Return::Full => Ret::Full,
            Return::Headers => Ret::Headers,
        }),
        envelope_id: envelope.envid.clone(),
        priority: envelope.priority,
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

async fn carry_to_maildir(
    context: &Context,
    seat: &mut Seat,
    recording: &mut Recording,
    destination: &str,
    maildir: &Maildir,
) {
    seat.tell(What::Opened).await;
    while !context.shutdown.has_begun() {
        let group = tokio::select! {
            biased;
            () = recording.one(), if !recording.has_room() => continue,
            group = seat.next() => group,
        };
        let Some(group) = group else { return };
        into_maildir(context, recording, destination, maildir, group).await;
        let finished = What::Finished {
            end: End::Result,
            again: None,
            ready: true,
        };
        seat.tell(finished).await;
    }
}

async fn into_maildir(
    context: &Context,
    recording: &mut Recording,
    destination: &str,
    maildir: &Maildir,
    group: Group,
) {
    let Group { job, recipients } = group;
    let message = &job.message;
    let mut outcomes = Vec::with_capacity(recipients.len());
    let mut done: HashMap<Option<PathBuf>, Attempted> = HashMap::new();
    let fitting = fit_to_mailbox(&context.core, &job, destination).await;
    for &index in &recipients {
        let Some(recipient) = message.recipients.get(index) else {
            continue;
        };
        // A client that names one mailbox twice means one message.
        let folder = maildir.folder(&recipient.address);
        if let Some(attempted) = done.get(&folder) {
            outcomes.push((index, Outcome::Tried(attempted.clone())));
            continue;
        }
        let content = match &fitting {
            Fitting::Fits(fitted) => fitted.content(message, &job.content),
            Fitting::Unfit(why) => {
                outcomes.push((index, Outcome::Tried(why.clone())));
                continue;
            }
            Fitting::Damaged(error) => return job.put_aside(&context.core, error).await,
        };
        let occasion = Occasion {
            message: message.id,
            recipient: recipient.id,
            received_at: message.received_at,
            again: job.may_be_done(),
        };
        let result = maildir
            .deliver(
                &message.envelope.sender,
                &recipient.address,
                occasion,
                content,
            )
            .await;
        if let Err(MaildirError::Content(error)) = &result
            && is_damage(error)
        {
            return job.put_aside(&context.core, error).await;
        }
        let attempted = Attempted::from_maildir(&result, context.core.now());
        done.insert(folder, attempted.clone());
        outcomes.push((index, Outcome::Tried(attempted)));
    }
    let attempt = Attempt::without_host(destination.to_owned());
    recording.begin(record(context, job, outcomes, attempt));
}

/// Records the results of a message that is done with.
fn record(
    context: &Context,
    job: Arc<Job>,
    outcomes: Vec<(usize, Outcome)>,
    attempt: Attempt,
) -> impl Future<Output = ()> + Send + 'static {
    let context = context.clone();
    async move { results::record(&context, &job, outcomes, false, &attempt).await }
}
