//! The client's state machine: what it is made of, and what it offers to its caller.

mod answers;
mod asking;
mod opening;
mod replies;
mod steering;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::action::{Action, NotReady, Wants};
use super::capabilities::Capabilities;
use super::config::{Config, Protocol};
use super::exchange::Exchange;
use super::flight::Flight;
use super::outcome::{Failure, Stage};
use super::response::ResponseParser;
use super::transaction::Transaction;
use asking::{Open, Queued};
use opening::Opening;

/// A session with a next hop. See the [module](super) for the order of calls.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    state: State,
    parser: ResponseParser,
    peer: Capabilities,
    flight: Flight,
    /// Commands that are settled, and wait for their turn to be sent.
    queue: VecDeque<Queued>,
    /// The question whose answer everything waits for.
    open: Option<Open>,
    actions: VecDeque<Action>,
    deadline: Option<(Instant, Stage)>,
    encrypted: bool,
    /// The peer took our AUTH.
    authenticated: bool,
    /// The peer took the last EHLO, HELO or LHLO.
    greeted: bool,
    /// The peer refused EHLO and took HELO.
    without_extensions: bool,
    /// The peer may still have a transaction open: RSET goes before the next MAIL.
    needs_reset: bool,
    /// The peer has invited the next line of a dialogue that an answer began.
    in_dialogue: bool,
    /// An answer said that the session ends with this message.
    ending: bool,
    /// The peer closed its side while a question was open.
    eof: bool,
    /// EHLOs said at the wish of answers.
    hellos_again: u8,
    /// The peer is known not to have BDAT, whatever it offers.
    without_bdat: bool,
    /// The lines with which it answered EHLO or LHLO last, without the first. Kept where something is asked.
    offers: Vec<Bytes>,
    messages: u32,
}

#[derive(Debug)]
enum State {
    /// From the greeting to the end of EHLO.
    Opening(Opening),
    /// The peer agreed to STARTTLS; the handshake is the caller's.
    Handshake,
    Idle,
    Busy(Box<Exchange>),
    Quitting(Quitting),
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quitting {
    /// QUIT is due.
    Due,
    /// QUIT was said.
    Said,
    /// QUIT was left out: nothing keeps the session from closing.
    LeftOut,
}

impl Session {
    /// A session on a connection that was just made. `encrypted`: TLS has been there from the first octet.
    pub fn new(config: Arc<Config>, encrypted: bool, now: Instant) -> Self {
        let parser = ResponseParser::new(config.replies);
        let mut session = Self {
            config,
            state: State::Opening(Opening::Awaiting),
            parser,
            peer: Capabilities::default(),
            flight: Flight::begun(),
            queue: VecDeque::new(),
            open: None,
            actions: VecDeque::new(),
            deadline: None,
            encrypted,
            authenticated: false,
            greeted: false,
            without_extensions: false,
            needs_reset: false,
            in_dialogue: false,
            ending: false,
            eof: false,
            hellos_again: 0,
            without_bdat: false,
            offers: Vec::new(),
            messages: 0,
        };
        session.restart_clock(now);
        session
    }

    /// What the peer offered when it last answered EHLO or LHLO.
    pub fn peer(&self) -> &Capabilities {
        &self.peer
    }

    /// The lines with which the peer answered EHLO or LHLO last, without the first. Nothing where nobody asks.
    pub fn offers(&self) -> &[Bytes] {
        &self.offers
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

    /// Whether the session can end in good order now: no message is under way.
    pub fn may_quit(&self) -> bool {
        matches!(self.state, State::Idle | State::Quitting(_))
    }

    /// What the session waits for, once [`poll_action`](Self::poll_action) has nothing more.
    pub fn wants(&self) -> Wants {
        if self.open.is_some() {
            return Wants::Answer;
        }
        match &self.state {
            State::Opening(_) | State::Quitting(_) => Wants::Input,
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

    /// When to call [`handle_timeout`](Self::handle_timeout), and what is being waited for. None while idle, during the
    /// handshake and while a question is open: these waits are the caller's.
    pub fn poll_timeout(&self) -> Option<(Instant, Stage)> {
        self.deadline
    }

    /// Takes the peer's octets. What belongs to an unfinished line stays in `input`, and all of it while a question is open:
    /// give it again after the answer.
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) {
        while self.takes_input() {
            match self.parser.parse(input) {
                Ok(Some(response)) => {
                    self.handle_response(Arc::new(response));
                    self.pump();
                    self.restart_clock(now);
                }
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
        if self.eof && self.takes_input() {
            self.handle_eof();
        }
        self.flush(now);
    }

    fn takes_input(&self) -> bool {
        self.open.is_none() && !matches!(self.state, State::Closed | State::Handshake)
    }

    /// The peer closed its side. Give [`handle_input`](Self::handle_input) what it said before that first.
    pub fn handle_eof(&mut self) {
        if self.open.is_some() {
            // What it said may not have been taken yet.
            self.eof = true;
            return;
        }
        match self.state {
            State::Closed => {}
            State::Quitting(_) => self.close(None),
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
            Some(_) if matches!(self.state, State::Quitting(_)) => self.close(None),
            Some((_, stage)) => self.fail(Failure::TimedOut { stage }),
            None => {}
        }
    }

    /// The handshake succeeded: everything known of the peer is forgotten, and it is greeted anew.
    pub fn tls_established(&mut self, now: Instant) {
        if matches!(self.state, State::Handshake) {
            self.encrypted = true;
            self.authenticated = false;
            self.peer = Capabilities::default();
            self.offers.clear();
            self.without_extensions = false;
            self.say_hello();
            self.pump();
            self.flush(now);
        }
    }

    /// Ends the session at once, without a word: the handshake failed, the content cannot be read, time is up.
    pub fn abandon(&mut self) {
        let stage = self.stage();
        self.fail(Failure::Abandoned { stage });
    }

    /// From now on what can go by DATA goes by DATA: the peer is known not to have BDAT, although it offers CHUNKING.
    pub fn leave_out_bdat(&mut self) {
        self.without_bdat = true;
    }

    /// Starts a transaction. Its end is told by [`Action::Finished`], always.
    ///
    /// # Errors
    /// [`NotReady`]: see [`is_ready`](Self::is_ready).
    pub fn send(&mut self, transaction: Transaction, now: Instant) -> Result<(), NotReady> {
        if !self.is_ready() {
            return Err(NotReady);
        }
        let lmtp = self.config.protocol == Protocol::Lmtp;
        let mut exchange = Box::new(Exchange::new(transaction, lmtp, self.needs_reset));
        let (bdat_up_to, hurried) = self.haste();
        if exchange.prepare(&self.peer, bdat_up_to, hurried) {
            self.messages = self.messages.saturating_add(1);
        }
        self.state = State::Busy(exchange);
        self.pump();
        self.restart_clock(now);
        self.flush(now);
        Ok(())
    }

    /// Up to which size a content goes by BDAT with its envelope, and whether DATA need not wait for the replies to RCPT.
    pub(super) fn haste(&self) -> (u64, bool) {
        let bdat_up_to = match self.without_bdat {
            true => 0,
            false => self.config.bdat_up_to,
        };
        (bdat_up_to, !self.config.questions.before_data)
    }

    /// The commands gathered so far, to be sent although an answer is awaited that may add to them: for whoever has waited
    /// long enough.
    pub fn take_gathered(&mut self) -> Option<Bytes> {
        self.flight.take_group()
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
                self.state = State::Quitting(Quitting::Due);
                self.pump();
                self.restart_clock(now);
                self.flush(now);
            }
            State::Closed | State::Quitting(_) => {}
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

    fn finish_if_done(&mut self) {
        let State::Busy(exchange) = &mut self.state else {
            return;
        };
        let waits = self.open.is_some() || !self.queue.is_empty();
        if waits || !exchange.is_done() || !self.flight.is_idle() {
            return;
        }
        self.needs_reset = exchange.leaves_transaction_open();
        let report = exchange.report();
        self.state = match std::mem::take(&mut self.ending) {
            true => State::Quitting(Quitting::Due),
            false => State::Idle,
        };
        self.actions.push_back(Action::Finished(report));
    }

    /// Where the session stands: the command whose reply is next, or the content.
    fn stage(&self) -> Stage {
        if let Some(open) = &self.open {
            return open.stage();
        }
        if let State::Busy(exchange) = &self.state
            && exchange.wants_content()
        {
            return Stage::Content;
        }
        match (&self.state, self.flight.next()) {
            (State::Handshake, _) => Stage::StartTls,
            (_, Some(awaited)) => awaited.to.stage(),
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
        self.actions.retain(|action| {
            !matches!(action, Action::Send(_) | Action::Ask(_) | Action::StartTls)
        });
        if let State::Busy(mut exchange) = state {
            exchange.break_off(&failure);
            self.actions.push_back(Action::Finished(exchange.report()));
        }
        self.close(Some(failure));
    }

    /// As [`fail`](Self::fail), and takes leave without waiting for an answer.
    fn fail_politely(&mut self, failure: Failure) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.fail(failure);
        if self.in_dialogue {
            // QUIT would be taken for its next line.
            return;
        }
        let quit = Action::Send(Bytes::from_static(b"QUIT\r\n"));
        self.actions.push_front(quit);
    }

    fn close(&mut self, failure: Option<Arc<Failure>>) {
        self.state = State::Closed;
        self.flight.clear();
        self.queue.clear();
        self.open = None;
        self.deadline = None;
        self.actions.push_back(Action::Close(failure));
    }

    /// Sends the group that was gathered, unless an answer may still add to it.
    fn flush(&mut self, now: Instant) {
        if matches!(self.open, Some(Open::Command(_))) {
            return;
        }
        if let Some(group) = self.flight.take_group() {
            self.actions.push_back(Action::Send(group));
            self.restart_clock(now);
        }
    }

    /// Gives whatever is being waited for its full time from now on.
    fn restart_clock(&mut self, now: Instant) {
        self.deadline = match &self.state {
            State::Closed | State::Idle | State::Handshake => None,
            _ if self.open.is_some() => None,
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
