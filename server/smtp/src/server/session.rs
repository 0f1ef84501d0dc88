//! The session: what it is made of, and what it offers to its caller.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::action::{Action, CloseReason, ReplyTo, TimeoutReason, Wants};
use super::auth::Dialogue;
use super::body::{ExpectBody, ExpectChunk};
use super::clock::Clock;
use super::config::{Config, Limits};
use super::counters::Counters;
use super::dialogue::{ExpectInput, Expects, Talk};
use super::exchange::{Effect, Exchange, Transaction};
use super::extension::Withdrawn;
use super::question::{Ask, Prospect, Question, QuestionId};
use super::replies;
use crate::command::{HelloKind, Verb};
use crate::content::ContentLimits;
use crate::reply::Reply;

pub(super) const SHUTTING_DOWN: &str = "Service shutting down, try again later";

/// What carries the session when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transport {
    /// TLS from the first byte.
    pub tls: bool,
}

/// The server's side of one session.
///
/// It has four kinds of methods. Getters. `handle_*` for what happened: input, end of input, a time. Mutators for what
/// the caller decides: [`answer`](Self::answer), [`refuse_content`](Self::refuse_content),
/// [`shutdown`](Self::shutdown). `poll_*` for what to do next. After any call, poll actions until there are none, then
/// see what it [`wants`](Self::wants); while it wants input and the buffer is not empty, call
/// [`handle_input`](Self::handle_input) again until that returns false, then read.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    pub(super) limits: Limits,
    pub(super) transport: Transport,
    pub(super) state: State,
    /// How the client greeted, if it did.
    pub(super) hello: Option<HelloKind>,
    /// The client has authenticated.
    pub(super) authenticated: bool,
    /// AUTH was the last command that there is: lines that are none may be the answers to challenges that never came.
    pub(super) expects_secrets: bool,
    /// The AUTH exchange that is running.
    pub(super) dialogue: Option<Dialogue>,
    /// Mechanisms of AUTH that were offered to the last greeting beside the configured ones.
    pub(super) mechanisms: Vec<String>,
    /// Keywords that were taken out of the reply to the last greeting.
    pub(super) withdrawn: Withdrawn,
    /// The dialogue that the caller carries on.
    pub(super) talk: Option<Talk>,
    pub(super) transaction: Option<Transaction>,
    /// A BDAT failed: so many that the client may have sent after it are no errors of its own.
    pub(super) excused_chunks: u32,
    pub(super) exchanges: VecDeque<Exchange>,
    pub(super) actions: VecDeque<Action>,
    pub(super) counters: Counters,
    pub(super) clock: Clock,
    pub(super) replies_utf8: bool,
    pub(super) shutting_down: bool,
    /// The input begins with what has to wait for answers.
    pub(super) held_back: bool,
    last_question: u64,
}

/// What the session is about to take from its caller.
#[derive(Debug)]
pub(super) enum State {
    /// The answer about the connection.
    ExpectGreeting,
    /// A command line, or answers about those that came.
    ExpectCommand,
    /// The end of a command line that is too long.
    SkipLine { skipped: usize },
    /// The end of the TLS handshake.
    ExpectHandshake,
    /// What the client says to a challenge.
    ExpectResponse,
    /// What the client says in a dialogue that the caller carries on.
    ExpectInput(ExpectInput),
    /// DATA content.
    ExpectBody(ExpectBody),
    /// Octets of a BDAT chunk.
    ExpectChunk(ExpectChunk),
    /// The answer about a message.
    ExpectMessageVerdict { id: QuestionId },
    /// Nothing any more.
    Closed,
}

impl Session {
    /// Begins a session: its first action asks about the greeting.
    #[must_use]
    pub fn new(config: Arc<Config>, transport: Transport, now: Instant) -> Self {
        let mut session = Self {
            limits: config.limits,
            config,
            transport,
            state: State::ExpectGreeting,
            hello: None,
            authenticated: false,
            expects_secrets: false,
            dialogue: None,
            mechanisms: Vec::new(),
            withdrawn: Withdrawn::default(),
            talk: None,
            transaction: None,
            excused_chunks: 0,
            exchanges: VecDeque::new(),
            actions: VecDeque::new(),
            counters: Counters::default(),
            clock: Clock::new(now),
            replies_utf8: false,
            shutting_down: false,
            held_back: false,
            last_question: 0,
        };
        let id = session.next_question();
        session.exchanges.push_back(Exchange {
            id: Some(id),
            verb: None,
            effect: Effect::Greeting,
            acceptable: true,
            own: replies::greeting(&session.config),
            close: None,
            settled: None,
            talked_over: false,
            unknown: false,
        });
        session.actions.push_back(Action::Ask(Question {
            id,
            line: None,
            prospect: Prospect::Accept(Ask::Greeting),
        }));
        session
    }

    /// Takes of `input` what it can. The rest stays in it, and is to be given again. Returns whether anything was
    /// taken or came of it.
    ///
    /// Give it what comes while it wants a verdict too, if you read then: it takes nothing, but notes a client that
    /// talks before it may.
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) -> bool {
        let mut progress = false;
        loop {
            let taken = match self.state {
                State::ExpectGreeting => {
                    self.note_early_talker(input);
                    false
                }
                State::ExpectCommand => self.take_command(input, now),
                State::SkipLine { skipped } => self.skip_line(skipped, input, now),
                State::ExpectResponse => self.take_response(input, now),
                State::ExpectInput(_) => self.take_input(input, now),
                State::ExpectBody(_) => self.take_body(input, now),
                State::ExpectChunk(_) => self.take_chunk(input, now),
                State::ExpectHandshake | State::ExpectMessageVerdict { .. } | State::Closed => {
                    false
                }
            };
            if !taken {
                return progress;
            }
            progress = true;
        }
    }

    /// The client closed its side: so does the session, whatever is open.
    pub fn handle_eof(&mut self) {
        self.close(CloseReason::ClientGone);
    }

    /// Tells the time. Call it when [`poll_timeout`](Self::poll_timeout) is due; before that it does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some((deadline, reason)) = self.poll_timeout() else {
            return;
        };
        if now < deadline {
            return;
        }
        if reason == TimeoutReason::BodyRate && self.clock.window_passed(&self.limits, now) {
            return;
        }
        let text = match reason {
            TimeoutReason::Command => "Timeout waiting for a command",
            TimeoutReason::Data => "Timeout waiting for content",
            TimeoutReason::BodyRate => "Content comes too slowly",
        };
        let reply = replies::closing(&self.config, (4, 2), text);
        self.push_reply(ReplyTo::Unsolicited, reply);
        self.close(CloseReason::Timeout(reason));
    }

    /// The caller did not read for `pause`, because it was busy with what it had: deadlines of content move by that.
    pub fn excuse_pause(&mut self, pause: Duration) {
        self.clock.excuse(pause);
    }

    /// The handshake that [`Action::StartTls`] asked for is done. The session begins anew. Whatever is left in `input`
    /// came in plain text and is dropped.
    pub fn tls_established(&mut self, input: &mut BytesMut, now: Instant) {
        input.clear();
        if !matches!(self.state, State::ExpectHandshake) {
            return;
        }
        self.transport.tls = true;
        self.hello = None;
        self.mechanisms.clear();
        self.withdrawn = Withdrawn::default();
        self.authenticated = false;
        self.excused_chunks = 0;
        self.state = State::ExpectCommand;
        self.clock.await_command(now);
        if self.shutting_down {
            self.announce_shutdown();
        }
    }

    /// The handshake failed: the session closes.
    pub fn tls_failed(&mut self) {
        self.close(CloseReason::TlsFailed);
    }

    /// The server shuts down. A session without a transaction hears 421 4.3.2 at once, one within a transaction at its
    /// next command, one whose message is arriving or being judged after the reply to that.
    pub fn shutdown(&mut self) {
        self.shutting_down = true;
        if matches!(self.state, State::ExpectGreeting)
            && let Some(greeting) = self.exchanges.front_mut()
        {
            greeting.acceptable = false;
            greeting.own = replies::closing(&self.config, (3, 2), SHUTTING_DOWN);
            greeting.close = Some(CloseReason::Shutdown);
        }
        let idle = match self.state {
            State::ExpectCommand => self.exchanges.is_empty(),
            State::ExpectResponse | State::ExpectInput(_) => true,
            _ => false,
        };
        if idle && self.transaction.is_none() {
            self.announce_shutdown();
        }
    }

    /// Replaces the limits. Content that is arriving keeps those that it began with.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What the session waits for when there is no action left.
    #[must_use]
    pub fn wants(&self) -> Wants {
        match &self.state {
            State::ExpectGreeting | State::ExpectMessageVerdict { .. } => Wants::Verdict,
            State::ExpectCommand => match self.exchanges.back() {
                Some(last) if last.verb != Some(Verb::Rcpt) || self.held_back => Wants::Verdict,
                _ => Wants::Input,
            },
            State::SkipLine { .. }
            | State::ExpectResponse
            | State::ExpectInput(_)
            | State::ExpectBody(_)
            | State::ExpectChunk(_) => Wants::Input,
            State::ExpectHandshake => Wants::Tls,
            State::Closed => Wants::Nothing,
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for. While an answer is awaited there is no
    /// deadline: that time is the caller's.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, TimeoutReason)> {
        match &self.state {
            State::ExpectCommand if !self.exchanges.is_empty() => None,
            State::ExpectInput(own) if matches!(own.expects, Expects::Octets(_)) => {
                Some(self.clock.content_deadline(&self.limits))
            }
            State::ExpectCommand
            | State::ExpectResponse
            | State::ExpectInput(_)
            | State::SkipLine { .. } => Some(self.clock.command_deadline(&self.limits)),
            State::ExpectBody(_) | State::ExpectChunk(_) => {
                Some(self.clock.content_deadline(&self.limits))
            }
            State::ExpectGreeting
            | State::ExpectHandshake
            | State::ExpectMessageVerdict { .. }
            | State::Closed => None,
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the session runs inside TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.transport.tls
    }

    /// Whether the client has authenticated.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether the replies polled now may hold UTF-8: the client gave SMTPUTF8 in the transaction that they belong to.
    #[must_use]
    pub const fn replies_utf8(&self) -> bool {
        self.replies_utf8
    }

    /// What the session was configured with.
    #[must_use]
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes keywords of the session's own out of what the last greeting was told: what belongs to them is refused until
    /// the next one. The caller takes them out of the reply.
    pub fn withdraw<'a>(&mut self, keywords: impl IntoIterator<Item = &'a [u8]>) {
        for keyword in keywords {
            self.withdrawn.add(keyword);
        }
    }

    pub(super) fn next_question(&mut self) -> QuestionId {
        self.last_question += 1;
        QuestionId(self.last_question)
    }

    pub(super) fn content_limits(&self) -> ContentLimits {
        ContentLimits {
            line_length: self.limits.line_length,
            size: self.limits.max_message_size,
        }
    }

    pub(super) fn push_reply(&mut self, to: ReplyTo, reply: Reply) {
        if reply.code().is_transient() || reply.code().is_permanent() {
            self.counters.refusals += 1;
        }
        self.actions.push_back(Action::Reply(to, reply));
    }

    /// Says that it is over, without having been asked about it.
    pub(super) fn refuse_session(&mut self, reply: Reply, reason: CloseReason) {
        self.push_reply(ReplyTo::Unsolicited, reply);
        self.close(reason);
    }

    pub(super) fn announce_shutdown(&mut self) {
        let reply = replies::closing(&self.config, (3, 2), SHUTTING_DOWN);
        self.refuse_session(reply, CloseReason::Shutdown);
    }

    pub(super) fn close(&mut self, reason: CloseReason) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.exchanges.clear();
            self.transaction = None;
            self.actions.push_back(Action::Close(reason));
        }
    }

    fn note_early_talker(&mut self, input: &BytesMut) {
        if input.is_empty() || self.counters.early_talker {
            return;
        }
        self.counters.early_talker = true;
        if let Some(greeting) = self.exchanges.front_mut() {
            greeting.refuse_premature();
            greeting.close = Some(CloseReason::EarlyTalker);
        }
    }
}
