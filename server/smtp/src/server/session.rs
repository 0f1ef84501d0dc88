//! The session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use super::{
    Action, Answer, AnswerError, Ask, CloseReason, Config, Counters, Limits, Prospect, Question, QuestionId,
    TimeoutReason, Wants,
};
use crate::reply::Reply;

/// What carries the session when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transport {
    /// TLS from the first byte.
    pub tls: bool,
}

/// The server's side of one session.
///
/// It has four kinds of methods. Getters. `handle_*` for what happened: input, end of input, a time.
/// Mutators for what the caller decides: `answer`, `refuse_content`, `shutdown`. `poll_*` for what to
/// do next. After any call, poll actions until there are none, then see what it [`wants`](Self::wants).
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    limits: Limits,
    transport: Transport,
    counters: Counters,
    actions: VecDeque<Action>,
    closed: bool,
}

impl Session {
    /// Begins a session: its first action asks about the greeting.
    #[must_use]
    pub fn new(config: Arc<Config>, transport: Transport, now: Instant) -> Self {
        let limits = config.limits;
        let greeting = Question { id: QuestionId(0), line: None, prospect: Prospect::Accept(Ask::Greeting) };
        let _ = now;
        Self {
            config,
            limits,
            transport,
            counters: Counters::default(),
            actions: VecDeque::from([Action::Ask(greeting)]),
            closed: false,
        }
    }

    /// Takes of `input` what it can; the rest stays and is to be given again, with more, when the
    /// session wants input. Returns whether anything was taken or done.
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) -> bool {
        let _ = (input, now);
        false
    }

    /// The client closed its side.
    pub fn handle_eof(&mut self) {
        self.close(CloseReason::ClientGone);
    }

    /// Tells the time. Call it when [`poll_timeout`](Self::poll_timeout) is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// Answers a question.
    ///
    /// # Errors
    /// [`AnswerError`]. Except for an unknown question, the client is told 451 and the session goes on.
    pub fn answer(&mut self, id: QuestionId, answer: Answer, now: Instant) -> Result<(), AnswerError> {
        let _ = (answer, now);
        Err(AnswerError::UnknownQuestion(id))
    }

    /// The handshake that [`Action::StartTls`] asked for is done. Whatever is left in `input` came in
    /// plain text and is dropped.
    pub fn tls_established(&mut self, input: &mut BytesMut, now: Instant) {
        let _ = now;
        input.clear();
        self.transport.tls = true;
    }

    /// The handshake failed: the session closes.
    pub fn tls_failed(&mut self) {
        self.close(CloseReason::TlsFailed);
    }

    /// Refuses the message whose content is arriving: nothing of it is given out any more. A BDAT
    /// chunk is answered at its end, a DATA body at its own, or as `early_refusal` says. Returns
    /// false, and does nothing, if no content is arriving.
    pub fn refuse_content(&mut self, reply: Reply, now: Instant) -> bool {
        let _ = (reply, now);
        false
    }

    /// The server shuts down: 421 4.3.2 at once if the session is idle, at the next command within a
    /// transaction, after the reply if a message is arriving.
    pub fn shutdown(&mut self) {
        self.close(CloseReason::Shutdown);
    }

    /// Replaces the limits, from the next command on.
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
        if self.closed { Wants::Nothing } else { Wants::Verdict }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, TimeoutReason)> {
        None
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

    /// Whether replies may hold UTF-8: the client gave SMTPUTF8 in the current transaction.
    #[must_use]
    pub const fn replies_utf8(&self) -> bool {
        false
    }

    /// What the session was configured with.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    fn close(&mut self, reason: CloseReason) {
        if !self.closed {
            self.closed = true;
            self.actions.push_back(Action::Close(reason));
        }
    }
}
