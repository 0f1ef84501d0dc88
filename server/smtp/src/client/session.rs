//! The client's state machine.

mod opening;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::capabilities::Capabilities;
use super::config::{Config, Protocol};
use super::exchange::{Exchange, Step};
use super::outcome::{Failure, Report, Stage};
use super::response::{Response, ResponseParser};
use super::transaction::Transaction;

/// A session with a next hop. See the [module](super) for the order of calls.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    state: State,
    parser: ResponseParser,
    peer: Capabilities,
    /// Commands sent whose replies are still to come, in order.
    expected: VecDeque<Expected>,
    actions: VecDeque<Action>,
    /// Command lines of the group being made; they leave as one piece.
    commands: BytesMut,
    deadline: Option<(Instant, Stage)>,
    encrypted: bool,
    /// The peer refused EHLO and took HELO.
    without_extensions: bool,
    /// The peer may still have a transaction open: RSET goes before the next MAIL.
    needs_reset: bool,
    messages: u32,
}

#[derive(Debug)]
enum State {
    /// From the greeting to the end of EHLO.
    Opening,
    /// The peer agreed to STARTTLS; the handshake is the caller's.
    Handshake,
    Idle,
    Busy(Box<Exchange>),
    Quitting,
    Closed,
}

/// A reply that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Greeting,
    Ehlo,
    /// HELO, or LHLO.
    Hello,
    StartTls,
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    /// The reply to the content; over LMTP one for each accepted recipient.
    Content,
    /// The reply to content that was ended at once since no recipient was left.
    Nothing,
    Quit,
}

impl Expected {
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Greeting => Stage::Greeting,
            Self::Ehlo | Self::Hello => Stage::Hello,
            Self::StartTls => Stage::StartTls,
            Self::Rset => Stage::Rset,
            Self::Mail => Stage::Mail,
            Self::Rcpt(_) => Stage::Rcpt,
            Self::Data => Stage::Data,
            Self::Content | Self::Nothing => Stage::ContentReply,
            Self::Quit => Stage::Quit,
        }
    }
}

/// What the caller has to do next, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Send these octets.
    Send(Bytes),
    /// Make the TLS handshake, then call [`Session::tls_established`]. What was read beyond the peer's reply is gone.
    StartTls,
    /// The session is open: [`Session::send`] may be called.
    Ready,
    /// The transaction is over. The session takes the next one, unless a `Close` follows.
    Finished(Report),
    /// Close the connection; `None` after QUIT.
    Close(Option<Arc<Failure>>),
}

/// What the session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Octets from the peer.
    Input,
    /// The next slice of the content, or its end. Octets from the peer too.
    Content,
    /// The end of the handshake.
    Tls,
    /// A message or [`Session::quit`]. Octets from the peer too: it may close.
    Message,
    /// Nothing more: it is over.
    Nothing,
}

/// The session is not free to take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the session is not ready for a message")]
pub struct NotReady;

impl Session {
    /// A session on a connection that was just made. `encrypted`: TLS has been there from the first octet.
    pub fn new(config: Arc<Config>, encrypted: bool, now: Instant) -> Self {
        let parser = ResponseParser::new(config.replies);
        let mut session = Self {
            config,
            state: State::Opening,
            parser,
            peer: Capabilities::default(),
            expected: VecDeque::from([Expected::Greeting]),
            actions: VecDeque::new(),
            commands: BytesMut::new(),
            deadline: None,
            encrypted,
            without_extensions: false,
            needs_reset: false,
            messages: 0,
        };
        session.restart_clock(now);
        session
    }

    /// What the peer offered when it last answered EHLO or LHLO.
    pub fn peer(&self) -> &Capabilities {
        &self.peer
    }

    /// Whether the peer refused EHLO and took HELO: what it would offer otherwise is not known.
    pub fn without_extensions(&self) -> bool {
        self.without_extensions
    }

    /// Whether the connection is encrypted.
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether a message may be sent now: open, idle, and the peer's MAILMAX not reached.
    pub fn is_ready(&self) -> bool {
        let left = self
            .peer
            .limits
            .messages
            .is_none_or(|max| self.messages < max);
        matches!(self.state, State::Idle) && left
    }

    /// What the session waits for, once [`poll_action`](Self::poll_action) has nothing more.
    pub fn wants(&self) -> Wants {
        match &self.state {
            State::Opening | State::Quitting => Wants::Input,
            State::Handshake => Wants::Tls,
            State::Idle => Wants::Message,
            State::Busy(exchange) if exchange.wants_content() => Wants::Content,
            State::Busy(_) => Wants::Input,
            State::Closed => Wants::Nothing,
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what is being waited for. None while idle, and during
    /// the handshake: these two waits are the caller's.
    pub fn poll_timeout(&self) -> Option<(Instant, Stage)> {
        self.deadline
    }

    /// Takes the peer's octets. What belongs to an unfinished line stays in `input`.
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) {
        while !matches!(self.state, State::Closed | State::Handshake) {
            match self.parser.parse(input) {
                Ok(Some(response)) => self.handle_response(Arc::new(response), now),
                Ok(None) => break,
                Err(error) => {
                    let stage = self.stage();
                    self.fail(Failure::Garbage { stage, error });
                }
            }
        }
        if matches!(self.state, State::Closed | State::Handshake) {
            // Whatever came with or after the reply to STARTTLS was not encrypted, and is not believed.
            input.clear();
            self.parser = ResponseParser::new(self.config.replies);
        }
        self.flush(now);
    }

    /// The peer closed its side.
    pub fn handle_eof(&mut self) {
        match self.state {
            State::Closed => {}
            State::Quitting => self.close(None),
            _ => {
                let stage = self.stage();
                self.fail(Failure::Disconnected { stage });
            }
        }
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.deadline {
            Some((deadline, _)) if deadline > now => {}
            Some(_) if matches!(self.state, State::Quitting) => self.close(None),
            Some((_, stage)) => self.fail(Failure::TimedOut { stage }),
            None => {}
        }
    }

    /// The handshake succeeded: everything known of the peer is forgotten, and it is greeted anew.
    pub fn tls_established(&mut self, now: Instant) {
        if matches!(self.state, State::Handshake) {
            self.encrypted = true;
            self.peer = Capabilities::default();
            self.without_extensions = false;
            self.state = State::Opening;
            self.say_hello();
            self.flush(now);
        }
    }

    /// Ends the session at once, without a word: the handshake failed, the content cannot be read, time is up.
    pub fn abandon(&mut self) {
        let stage = self.stage();
        self.fail(Failure::Abandoned { stage });
    }

    /// Starts a transaction. Its end is told by [`Action::Finished`], always.
    pub fn send(&mut self, transaction: Transaction, now: Instant) -> Result<(), NotReady> {
        if !self.is_ready() {
            return Err(NotReady);
        }
        let lmtp = self.config.protocol == Protocol::Lmtp;
        let mut exchange = Box::new(Exchange::new(transaction, lmtp));
        if exchange.prepare(&self.peer, self.config.bdat_up_to) {
            self.messages = self.messages.saturating_add(1);
            if std::mem::take(&mut self.needs_reset) {
                self.command(b"RSET\r\n", Expected::Rset);
            }
            // Without PIPELINING the reply to RSET starts the transaction.
            if self.expected.is_empty() || self.peer.pipelining {
                exchange.start(&mut self.commands, &mut self.expected);
            }
        }
        self.state = State::Busy(exchange);
        self.finish_if_done();
        self.restart_clock(now);
        self.flush(now);
        Ok(())
    }

    /// The next slice of the content, while [`wants`](Self::wants) says so; otherwise it is dropped.
    pub fn content(&mut self, slice: Bytes, now: Instant) {
        let State::Busy(exchange) = &mut self.state else {
            return;
        };
        let mut out = VecDeque::new();
        let result = exchange.content(slice, &mut out);
        self.content_out(result, out, now);
    }

    /// The content is complete.
    pub fn content_end(&mut self, now: Instant) {
        let State::Busy(exchange) = &mut self.state else {
            return;
        };
        let mut out = VecDeque::new();
        let result = exchange.content_end(&mut out);
        self.content_out(result, out, now);
    }

    /// Says QUIT if nothing is under way, and closes otherwise.
    pub fn quit(&mut self, now: Instant) {
        match self.state {
            State::Idle => {
                self.state = State::Quitting;
                self.command(b"QUIT\r\n", Expected::Quit);
                self.restart_clock(now);
                self.flush(now);
            }
            State::Closed | State::Quitting => {}
            _ => self.abandon(),
        }
    }

    fn content_out(
        &mut self,
        result: Result<(), super::content::ContentError>,
        out: VecDeque<Bytes>,
        now: Instant,
    ) {
        match result {
            Ok(()) => {
                self.flush(now);
                self.actions.extend(out.into_iter().map(Action::Send));
                self.restart_clock(now);
            }
            // Neither a dot nor the missing octets follow, so the peer cannot take what it has for a message.
            Err(error) => self.fail(Failure::Content(error)),
        }
    }

    fn handle_response(&mut self, response: Arc<Response>, now: Instant) {
        let Some(&expected) = self.expected.front() else {
            self.fail(match response.announces_close() {
                true => Failure::Refused {
                    stage: Stage::Idle,
                    response,
                },
                false => Failure::Unexpected {
                    stage: Stage::Idle,
                    response,
                },
            });
            return;
        };
        match &mut self.state {
            State::Opening | State::Handshake | State::Idle => {
                self.expected.pop_front();
                self.opening_response(expected, response);
            }
            State::Busy(exchange) => {
                let step = exchange.handle_response(
                    expected,
                    response,
                    &mut self.commands,
                    &mut self.expected,
                );
                match step {
                    Step::Go => self.finish_if_done(),
                    Step::Fail(failure) => self.fail(failure),
                }
            }
            State::Quitting => self.close(None),
            State::Closed => {}
        }
        self.restart_clock(now);
    }

    fn command(&mut self, line: &[u8], expected: Expected) {
        self.commands.put_slice(line);
        self.expected.push_back(expected);
    }

    fn finish_if_done(&mut self) {
        let State::Busy(exchange) = &mut self.state else {
            return;
        };
        if !exchange.is_done() || !self.expected.is_empty() {
            return;
        }
        self.needs_reset |= exchange.leaves_transaction_open();
        let report = exchange.report();
        self.state = State::Idle;
        self.actions.push_back(Action::Finished(report));
    }

    /// Where the session stands: the command whose reply is next, or the content.
    fn stage(&self) -> Stage {
        if let State::Busy(exchange) = &self.state
            && exchange.wants_content()
        {
            return Stage::Content;
        }
        match (&self.state, self.expected.front()) {
            (State::Handshake, _) => Stage::StartTls,
            (_, Some(expected)) => expected.stage(),
            (_, None) => Stage::Idle,
        }
    }

    fn fail(&mut self, failure: Failure) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let failure = Arc::new(failure);
        let state = std::mem::replace(&mut self.state, State::Closed);
        // What was not sent yet must not follow the failure, and what was reported stays reported.
        self.commands.clear();
        self.actions
            .retain(|action| !matches!(action, Action::Send(_)));
        if let State::Busy(mut exchange) = state {
            exchange.break_off(&failure);
            self.actions.push_back(Action::Finished(exchange.report()));
        }
        self.close(Some(failure));
    }

    fn close(&mut self, failure: Option<Arc<Failure>>) {
        self.state = State::Closed;
        self.expected.clear();
        self.deadline = None;
        self.actions.push_back(Action::Close(failure));
    }

    fn flush(&mut self, now: Instant) {
        if !self.commands.is_empty() && !matches!(self.state, State::Closed) {
            let group = self.commands.split().freeze();
            self.actions.push_back(Action::Send(group));
            self.restart_clock(now);
        }
    }

    /// Gives whatever is being waited for its full time from now on.
    fn restart_clock(&mut self, now: Instant) {
        self.deadline = match &self.state {
            State::Closed | State::Idle | State::Handshake => None,
            _ => {
                let stage = self.stage();
                now.checked_add(self.time_for(stage)).map(|at| (at, stage))
            }
        };
    }

    fn time_for(&self, stage: Stage) -> Duration {
        let times = &self.config.timeouts;
        match stage {
            Stage::Greeting => times.greeting,
            Stage::Content => times.content_block,
            Stage::ContentReply => times.content_reply,
            Stage::Quit => times.quit,
            _ => times.command,
        }
    }
}
