//! One session: the async shell around the machine of `postern-smtp`.
//!
//! The machine says what to do, the shell does it: it reads and writes, asks the dispatcher and the policy, stores
//! content, and keeps the time. Replies of a pipelined group leave in one write.

mod ask;
mod facts;
mod message;
mod outgoing;
mod ruling;
mod shared;
mod upload;

use std::collections::HashMap;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;
use futures_util::future::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use postern_config::settings::server::Protocol;
use postern_dispatch::budget::Budget;
use postern_dispatch::content::BoxFuture;
use postern_dispatch::event::EventKind;
use postern_dispatch::session::{
    self as told, DisconnectReason, ReverseName, SessionEnd, SessionInfo, TlsInfo,
};
use postern_dispatch::verdict::Ruling;
use postern_message::{ClientFacts, MessageId, SessionId, TlsFacts};
use postern_smtp::reply::Reply;
use postern_smtp::server::{
    Action, Answer, Ask, CloseReason, Prospect, Question, QuestionId, ReplyTo, Session as Machine,
    Transport, Wants,
};
use tokio::time::{Instant as Moment, Sleep, sleep_until, timeout};

use super::accept::Arrival;
use super::wire::{HandshakeError, Wire};
use super::worker::Tools;
use crate::metrics::labels::{Handshake, LimitName, OfServer, TlsMode, TlsResult, WaitedFor};

use self::ask::{Asked, Done, Noted};
use self::message::{Answered, Judged};
use self::outgoing::Outgoing;
use self::ruling::refusal;
use self::shared::Shared;
use self::upload::Upload;

/// Octets that are read ahead while an answer is waited for: enough for any group of commands, and to notice when
/// the client goes away.
const READ_AHEAD: usize = 16 * 1024;

/// Time for the end of a connection: what the client still sends is read so that it gets our last reply.
const LINGER: Duration = Duration::from_secs(2);

/// Octets read for that at most.
const LINGER_OCTETS: usize = 1 << 20;

/// A time further away than any limit.
const NEVER: Duration = Duration::from_secs(86_400);

/// Runs a session from its connection to its end.
pub(super) async fn run(tools: Arc<Tools>, arrival: Arrival) {
    let Arrival {
        server,
        listener,
        stream,
        ticket,
    } = arrival;
    let label = OfServer {
        server: (&server.name).into(),
    };
    let open = tools.metrics.sessions_open.get_or_create_owned(&label);
    tools.metrics.sessions.get_or_create(&label).inc();
    let _open = OpenSession::count(open);
    let peer = stream.peer();
    match Wire::accept(stream) {
        Ok(wire) => {
            let connection = Connection {
                wire,
                peer,
                local: listener.address,
                listener: Arc::clone(&listener.label),
            };
            serve(tools, server, connection, listener.implicit_tls).await;
        }
        Err(error) => tracing::error!(server = %server.name, %error, "connection not taken over"),
    }
    drop(ticket);
}

/// Counts as open until it is dropped, also by a panic or an abort.
struct OpenSession(prometheus_client::metrics::gauge::Gauge);

impl OpenSession {
    fn count(gauge: prometheus_client::metrics::gauge::Gauge) -> Self {
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
struct Connection {
    wire: Wire,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    listener: Arc<str>,
}

async fn serve(
    tools: Arc<Tools>,
    server: Arc<super::VirtualServer>,
    connection: Connection,
    implicit_tls: bool,
) {
    let Connection {
        wire,
        peer,
        local,
        listener,
    } = connection;
    let (wire, tls) = match (&server.tls, implicit_tls) {
        (Some(_), true) => match handshake(&tools, &server, wire, TlsMode::Implicit).await {
            Ok((wire, facts)) => (wire, Some(facts)),
            Err(_) => return,
        },
        _ => (wire, None),
    };
    let id = SessionId::new();
    let client = peer.map(|peer| peer.ip().to_canonical());
    let may_relay = server.policy.may_relay(client);
    let info = session_info(
        id,
        &server,
        &listener,
        (peer, client, local),
        may_relay,
        tls.as_ref(),
    );
    let scope = tools.dispatcher.begin_session(&server.name, info);
    let implicit_tls = tls.as_ref().map(facts::tls_info);
    let facts = ClientFacts {
        peer,
        local,
        tls,
        may_relay,
        ..ClientFacts::default()
    };
    tracing::debug!(session = %id, server = %server.name, ?peer, "session begins");
    let shared = Arc::new(Shared {
        session: id,
        server,
        tools,
        scope,
        may_relay,
        implicit_tls,
    });
    let mut session = Session::new(Arc::clone(&shared), wire, facts);
    let reason = session.serve().await;
    let end = SessionEnd {
        reason,
        received_bytes: session.received,
        sent_bytes: session.outgoing.sent,
    };
    shared.scope.tell_disconnect(end);
    let counters = session.machine.counters();
    tracing::debug!(
        session = %id, ?reason, commands = counters.commands, errors = counters.errors, messages = counters.messages,
        "session ends"
    );
}

fn session_info(
    id: SessionId,
    server: &super::VirtualServer,
    listener: &Arc<str>,
    (peer, client, local): (Option<SocketAddr>, Option<IpAddr>, Option<SocketAddr>),
    may_relay: bool,
    tls: Option<&TlsFacts>,
) -> SessionInfo {
    SessionInfo {
        id,
        hostname: Arc::clone(&server.hostname),
        listener: Arc::clone(listener),
        protocol: match server.protocol {
            Protocol::Smtp => told::Protocol::Smtp,
            Protocol::Lmtp => told::Protocol::Lmtp,
        },
        client_addr: client,
        client_port: peer.map_or(0, |peer| peer.port()),
        local_addr: local.map(|local| local.ip()),
        local_port: local.map_or(0, |local| local.port()),
        reverse_name: ReverseName::NotAsked,
        may_relay,
        tls: tls.map(facts::tls_info),
        connected_at: SystemTime::now(),
    }
}

/// Does a handshake and counts what came of it.
async fn handshake(
    tools: &Tools,
    server: &super::VirtualServer,
    wire: Wire,
    mode: TlsMode,
) -> Result<(Wire, TlsFacts), HandshakeError> {
    let Some(tls) = &server.tls else {
        return Err(HandshakeError::Failed(
            std::io::ErrorKind::Unsupported.into(),
        ));
    };
    let handshake = wire.handshake(
        tls.config(),
        &server.handshakes,
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

/// A session in progress.
struct Session {
    shared: Arc<Shared>,
    wire: Wire,
    machine: Machine,
    input: BytesMut,
    /// New octets came that the machine has not seen.
    fresh: bool,
    eof: bool,
    received: u64,
    outgoing: Outgoing,
    /// What is being found out.
    pending: FuturesUnordered<BoxFuture<'static, Done>>,
    /// What each open question was about.
    asked: HashMap<QuestionId, Asked>,
    client: ClientFacts,
    /// The id of the running transaction.
    message: Option<MessageId>,
    upload: Option<Upload>,
    /// Resolves when the message is to be refused while it still arrives.
    early: Option<BoxFuture<'static, Ruling>>,
    /// The reply to a message that was refused after all of it had come.
    refusal: Option<(Reply, Option<String>)>,
    /// The decision about a message is made: the client's absence no longer changes it.
    committing: bool,
    /// The session ends after the reply to the message.
    close_after_reply: bool,
    reset: told::ResetReason,
    refused_recipients: u32,
    last_reply: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What the session does next.
enum Flow {
    /// It goes on.
    Go,
    /// It ends.
    End(DisconnectReason),
}

impl Session {
    fn new(shared: Arc<Shared>, wire: Wire, client: ClientFacts) -> Self {
        let now = Instant::now();
        let transport = Transport {
            tls: client.tls.is_some(),
        };
        Self {
            machine: Machine::new(Arc::clone(&shared.server.machine), transport, now),
            outgoing: Outgoing::new(Arc::clone(&shared)),
            shared,
            wire,
            input: BytesMut::new(),
            fresh: false,
            eof: false,
            received: 0,
            pending: FuturesUnordered::new(),
            asked: HashMap::new(),
            client,
            message: None,
            upload: None,
            early: None,
            refusal: None,
            committing: false,
            close_after_reply: false,
            reset: told::ResetReason::Command,
            refused_recipients: 0,
            last_reply: now,
            timer: Box::pin(sleep_until(Moment::now() + NEVER)),
        }
    }

    /// Runs to the end.
    async fn serve(&mut self) -> DisconnectReason {
        let shutdown = self.shared.tools.shutdown.clone();
        let mut begun = Box::pin(shutdown.begun());
        let mut over = Box::pin(shutdown.over());
        let mut draining = false;
        loop {
            while let Some(action) = self.machine.poll_action() {
                if let Flow::End(reason) = self.act(action).await {
                    return reason;
                }
            }
            if self.feed() {
                continue;
            }
            if self.pending.is_empty()
                && self.outgoing.is_settled()
                && let Err(reason) = self.flush().await
            {
                return reason;
            }
            self.set_timer();
            let reading = !self.eof
                && (self.machine.wants() == Wants::Input || self.input.len() < READ_AHEAD);
            tokio::select! {
                biased;
                () = &mut over => return DisconnectReason::Shutdown,
                () = &mut begun, if !draining => {
                    draining = true;
                    self.machine.shutdown();
                }
                ruling = early(&mut self.early) => self.refuse_early(&ruling),
                Some(done) = self.pending.next() => {
                    if let Flow::End(reason) = self.settle(done).await {
                        return reason;
                    }
                }
                () = self.outgoing.next(), if !self.outgoing.is_settled() => {}
                read = self.wire.read(&mut self.input), if reading => {
                    if let Flow::End(reason) = self.note_read(read) {
                        return reason;
                    }
                }
                () = &mut self.timer => self.machine.handle_timeout(Instant::now()),
            }
        }
    }

    /// Gives the machine what it may take. True if it did anything.
    fn feed(&mut self) -> bool {
        let wanted = self.machine.wants() == Wants::Input;
        if (wanted || self.fresh) && !self.input.is_empty() {
            self.fresh = false;
            if self.machine.handle_input(&mut self.input, Instant::now()) {
                return true;
            }
        }
        // What is left is no whole command, and never will be one.
        if self.eof && wanted {
            self.machine.handle_eof();
            return true;
        }
        false
    }

    fn note_read(&mut self, read: std::io::Result<usize>) -> Flow {
        match read {
            Ok(0) => self.eof = true,
            Ok(octets) => {
                self.fresh = true;
                self.received += octets as u64;
            }
            Err(error) => {
                tracing::debug!(session = %self.shared.session, %error, "connection broke");
                self.eof = true;
                self.input.clear();
            }
        }
        // A client that has gone without leaving commands behind reads no replies: nothing is asked for it any
        // more. A message that is being committed is no question any more.
        if self.eof && self.input.is_empty() && !self.committing {
            self.give_up_message();
            return Flow::End(DisconnectReason::ClientGone);
        }
        Flow::Go
    }

    /// The client went away with a message on its way.
    fn give_up_message(&mut self) {
        self.pending.clear();
        self.early = None;
        if let Some(upload) = self.upload.take() {
            let size = upload.size();
            upload.give_up();
            self.shared.tell_gone(size);
            self.message = None;
        }
    }

    fn set_timer(&mut self) {
        let due = self
            .machine
            .poll_timeout()
            .map_or_else(|| Moment::now() + NEVER, |(due, _)| Moment::from_std(due));
        // Deadlines mostly move by the moment in which the client last did something.
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
    }

    async fn flush(&mut self) -> Result<(), DisconnectReason> {
        let within = self.shared.server.limits.write_timeout;
        match timeout(within, self.outgoing.write(&mut self.wire)).await {
            Ok(Ok(true)) => self.last_reply = Instant::now(),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::debug!(session = %self.shared.session, %error, "reply not sent");
                return Err(DisconnectReason::ClientGone);
            }
            Err(_) => {
                tracing::debug!(session = %self.shared.session, "client takes no replies");
                return Err(DisconnectReason::Timeout);
            }
        }
        Ok(())
    }

    /// Does what the machine wants done.
    async fn act(&mut self, action: Action) -> Flow {
        match action {
            Action::Ask(question) => self.ask(question),
            Action::Reply(to, reply) => return self.reply(to, reply).await,
            Action::Content(bytes) => self.take_content(bytes).await,
            // The question about the message follows, and takes the upload.
            Action::ContentEnd => self.wire.read_little(),
            Action::ContentRefused(reply) => self.drop_upload(&reply, None),
            Action::TransactionReset => self.reset_transaction(),
            Action::StartTls => return self.start_tls().await,
            Action::Close(reason) => return Flow::End(self.close(reason).await),
        }
        Flow::Go
    }

    async fn reply(&mut self, to: ReplyTo, reply: Reply) -> Flow {
        let id = match to {
            ReplyTo::Greeting(id) => Some(id),
            ReplyTo::Command(id, _) | ReplyTo::Message(id, _) => id,
            ReplyTo::Unsolicited => None,
        };
        let asked = id.and_then(|id| self.take_asked(id, &to));
        if let Some(asked) = &asked {
            let kind = match to {
                ReplyTo::Message(..) => WaitedFor::Message,
                _ => WaitedFor::Command,
            };
            self.shared.tools.metrics.observe_wait(
                &self.shared.server.name,
                kind,
                asked.since.elapsed(),
            );
            self.note(&asked.noted, &reply);
        }
        self.outgoing
            .push(&to, reply, asked, self.machine.replies_utf8());
        if self.close_after_reply && matches!(to, ReplyTo::Message(..)) {
            return Flow::End(self.close(CloseReason::Disconnected).await);
        }
        Flow::Go
    }

    /// LMTP has several replies to one message: the first one is the answer to the question.
    fn take_asked(&mut self, id: QuestionId, to: &ReplyTo) -> Option<Asked> {
        match to {
            ReplyTo::Message(_, Some(place)) if *place > 0 => None,
            _ => self.asked.remove(&id),
        }
    }

    /// What was said counts for later events once its reply is known.
    fn note(&mut self, noted: &Noted, reply: &Reply) {
        let accepted = reply.code().is_positive();
        match noted {
            Noted::Hello(hello) if accepted => {
                self.client.helo = hello.name.clone();
                self.client.extended = !hello.command.verb.eq_ignore_ascii_case(b"HELO");
                self.shared.scope.note_helo(hello.clone());
            }
            Noted::Mail(id) if accepted => {
                self.message = Some(*id);
                self.shared.scope.note_mail();
            }
            Noted::Rcpt(id) => {
                self.refused_recipients += u32::from(!accepted);
                self.shared.scope.note_rcpt(*id, accepted);
            }
            _ => {}
        }
        self.count_limits(noted, reply);
    }

    /// Limits that the machine keeps are seen by their replies.
    fn count_limits(&self, noted: &Noted, reply: &Reply) {
        let status = reply
            .enhanced()
            .map(|code| (code.class(), code.subject(), code.detail()));
        let limit = match (noted, status) {
            (Noted::Rcpt(..), Some((4, 5, 3))) => LimitName::Recipients,
            (Noted::Mail(..) | Noted::Message, Some((5, 3, 4))) => LimitName::MessageSize,
            _ => return,
        };
        self.shared
            .tools
            .metrics
            .count_limit(&self.shared.server.name, limit);
    }

    /// Finds an answer to a question.
    fn ask(&mut self, question: Question) {
        let since = Instant::now();
        self.shared.scope.note_conduct(facts::conduct(
            self.machine.counters(),
            since.saturating_duration_since(self.last_reply),
            self.refused_recipients,
        ));
        if let Prospect::Accept(Ask::MessageEnd(_)) = question.prospect {
            let budget = Budget::starting(since, self.shared.server.message_budget);
            self.asked
                .insert(question.id, Asked::new(Noted::Message, since, budget));
            self.judge(question.id, since);
            return;
        }
        let id = question.id;
        let (asked, answer) = ask::begin(&self.shared, question, self.message, since);
        self.asked.insert(id, asked);
        self.pending.push(answer);
    }

    /// The content is complete: asks for the verdicts about it.
    fn judge(&mut self, id: QuestionId, since: Instant) {
        self.early = None;
        if let Some((reply, by)) = self.refusal.take() {
            return self.answer(id, Answer::Reply(reply), by);
        }
        match self.upload.take() {
            Some(upload) => {
                let shared = Arc::clone(&self.shared);
                let client = self.client.clone();
                self.pending.push(Box::pin(async move {
                    Done::Judged(
                        id,
                        Box::new(message::judge(shared, upload, client, since).await),
                    )
                }));
            }
            // Without an upload there is nothing that could be accepted.
            None => self.answer(
                id,
                Answer::Reply(super::replies::storage_failed(self.shared.session)),
                None,
            ),
        }
    }

    /// Something has been found out.
    async fn settle(&mut self, done: Done) -> Flow {
        match done {
            Done::Answer { id, answer, by } => {
                if self.is_greeting(id) {
                    // One look at the socket: whoever speaks before the banner is no mail server.
                    tokio::task::yield_now().await;
                    if let Flow::End(reason) = self.look() {
                        return Flow::End(reason);
                    }
                    if self.fresh {
                        self.fresh = false;
                        self.machine.handle_input(&mut self.input, Instant::now());
                    }
                }
                self.answer(id, answer, by);
            }
            Done::Content { id, incoming } => {
                let Some(message) = self.message else {
                    self.answer(
                        id,
                        Answer::Reply(super::replies::storage_failed(self.shared.session)),
                        None,
                    );
                    return Flow::Go;
                };
                self.upload = Some(Upload::new(&self.shared, message, *incoming));
                self.answer(id, Answer::Proceed, None);
            }
            Done::Judged(id, judged) => return self.commit(id, *judged),
            Done::Answered(id, answered) => {
                self.committing = false;
                self.finish_message(id, *answered);
            }
        }
        Flow::Go
    }

    fn is_greeting(&self, id: QuestionId) -> bool {
        self.asked
            .get(&id)
            .is_some_and(|asked| matches!(asked.noted, Noted::Greeting))
    }

    /// Reads what is there without waiting.
    fn look(&mut self) -> Flow {
        if self.eof || self.input.len() >= READ_AHEAD {
            return Flow::Go;
        }
        match self.wire.read(&mut self.input).now_or_never() {
            Some(read) => self.note_read(read),
            None => Flow::Go,
        }
    }

    /// The verdicts are in: unless the client has gone meanwhile, the message is committed.
    fn commit(&mut self, id: QuestionId, judged: Judged) -> Flow {
        match judged {
            Judged::Refused(answered) => self.finish_message(id, answered),
            Judged::Ready(ready) => {
                if let Flow::End(reason) = self.look() {
                    self.shared.tell_gone(ready.size());
                    self.message = None;
                    return Flow::End(reason);
                }
                self.committing = true;
                let shared = Arc::clone(&self.shared);
                self.pending.push(Box::pin(async move {
                    Done::Answered(id, Box::new(message::commit(shared, *ready).await))
                }));
            }
        }
        Flow::Go
    }

    fn finish_message(&mut self, id: QuestionId, answered: Answered) {
        let Answered {
            reply,
            disconnect,
            outcome,
        } = answered;
        let by = outcome.decided_by.clone();
        self.message = None;
        self.shared.scope.tell_outcome(outcome);
        let answer = if disconnect {
            Answer::Disconnect(reply)
        } else {
            Answer::Reply(reply)
        };
        self.answer(id, answer, by);
    }

    fn answer(&mut self, id: QuestionId, answer: Answer, by: Option<String>) {
        if let Some(asked) = self.asked.get_mut(&id) {
            asked.by = by;
            match asked.noted {
                Noted::Reset => self.reset = told::ResetReason::Command,
                Noted::Hello(_) => self.reset = told::ResetReason::Greeting,
                _ => {}
            }
        }
        if let Err(error) = self.machine.answer(id, answer, Instant::now()) {
            tracing::error!(session = %self.shared.session, %error, "answer does not fit its question");
        }
    }

    async fn take_content(&mut self, bytes: bytes::Bytes) {
        self.shared.received(bytes.len());
        let Some(upload) = &mut self.upload else {
            return;
        };
        match upload.take(&self.shared, bytes).await {
            Ok(None) => {}
            Ok(Some(early)) => self.early = Some(early),
            Err(reply) => self.refuse_content(reply, None),
        }
    }

    fn refuse_early(&mut self, ruling: &Ruling) {
        self.early = None;
        let Some(message) = self.message else { return };
        if let Some(refused) = refusal(ruling, &message) {
            self.close_after_reply = refused.disconnect;
            let by = ruling.by.as_ref().map(|by| by.binding.to_string());
            self.refuse_content(refused.reply, by);
        }
    }

    /// From here on nothing of the content is kept or shown to sinks.
    fn refuse_content(&mut self, reply: Reply, by: Option<String>) {
        let in_time = self.machine.refuse_content(reply.clone(), Instant::now());
        self.drop_upload(&reply, by.clone());
        if !in_time {
            // All of it had come in one piece: the question about it is on its way.
            self.refusal = Some((reply, by));
        }
    }

    fn drop_upload(&mut self, reply: &Reply, by: Option<String>) {
        self.early = None;
        self.refusal = None;
        let Some(upload) = self.upload.take() else {
            return;
        };
        let size = upload.size();
        upload.give_up();
        self.message = None;
        self.shared.tell_refused(reply, by, size);
    }

    fn reset_transaction(&mut self) {
        self.early = None;
        self.refusal = None;
        if let Some(upload) = self.upload.take() {
            upload.give_up();
        }
        if self.message.take().is_some() {
            self.shared.scope.tell_reset(self.reset);
        }
    }

    async fn start_tls(&mut self) -> Flow {
        if let Err(reason) = self.send_all().await {
            return Flow::End(reason);
        }
        // Whatever came in plain text after the command was not said inside TLS.
        self.input.clear();
        let plain = std::mem::replace(&mut self.wire, Wire::over(tokio::io::empty()));
        let (info, refused) = match handshake(
            &self.shared.tools,
            &self.shared.server,
            plain,
            TlsMode::StartTls,
        )
        .await
        {
            Ok((wire, facts)) => {
                self.wire = wire;
                self.machine
                    .tls_established(&mut self.input, Instant::now());
                self.reset = told::ResetReason::Tls;
                let info = facts::tls_info(&facts);
                self.client.tls = Some(facts);
                (info, false)
            }
            Err(error) => (
                TlsInfo {
                    failure: error.to_string(),
                    ..TlsInfo::default()
                },
                true,
            ),
        };
        let budget = Budget::starting(Instant::now(), self.shared.server.command_budget);
        let ruling = if refused && !self.shared.scope.wants(EventKind::InboundTls) {
            None
        } else {
            Some(self.shared.scope.tls(info, &budget).await)
        };
        if refused {
            self.machine.tls_failed();
            return Flow::Go;
        }
        self.last_reply = Instant::now();
        match ruling.and_then(|ruling| refusal(&ruling, &self.shared.session)) {
            // There is no command to reply to: the client reads it as the reply to its next one.
            Some(refused) => {
                self.outgoing
                    .push(&ReplyTo::Unsolicited, refused.reply, None, false);
                Flow::End(self.close(CloseReason::Disconnected).await)
            }
            None => Flow::Go,
        }
    }

    /// Waits for all replies and writes them.
    async fn send_all(&mut self) -> Result<(), DisconnectReason> {
        while !self.outgoing.is_settled() {
            self.outgoing.next().await;
        }
        self.flush().await
    }

    async fn close(&mut self, reason: CloseReason) -> DisconnectReason {
        if let Some(limit) = facts::limit_of(&reason) {
            self.shared
                .tools
                .metrics
                .count_limit(&self.shared.server.name, limit);
            tracing::info!(session = %self.shared.session, peer = ?self.client.peer, ?reason, "session ended by a limit");
        }
        if let Some(upload) = self.upload.take() {
            let size = upload.size();
            upload.give_up();
            self.shared.tell_gone(size);
        }
        if let Err(reason) = self.send_all().await {
            return reason;
        }
        // After QUIT nothing more comes. Otherwise octets left unread would take our last reply from the client.
        let most = if reason == CloseReason::Quit {
            0
        } else {
            LINGER_OCTETS
        };
        let linger = async {
            self.wire.close().await?;
            let mut octets = 0;
            while octets < most && !self.eof {
                self.input.clear();
                match self.wire.read(&mut self.input).await? {
                    0 => break,
                    read => octets += read,
                }
            }
            std::io::Result::Ok(())
        };
        if let Ok(Err(error)) = timeout(LINGER, linger).await {
            tracing::trace!(session = %self.shared.session, %error, "connection was not closed in order");
        }
        facts::disconnect_reason(&reason)
    }
}

/// Resolves when the message is to be refused early; never, while none arrives.
async fn early(future: &mut Option<BoxFuture<'static, Ruling>>) -> Ruling {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
