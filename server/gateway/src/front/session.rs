//! One session: the async shell around the machine of `postern-smtp`.
//!
//! The machine says what to do, the shell does it: it reads and writes, asks the dispatcher and the policy, stores
//! content, and keeps the time. Replies of a pipelined group leave in one write.

mod ask;
mod begin;
mod connection;
mod content;
mod facts;
mod memory;
mod outgoing;
mod phase;
mod replied;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::future::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use postern_dispatch::content::BoxFuture;
use postern_events::budget::Budget;
use postern_events::inbound::{Disconnect, DisconnectReason};
use postern_smtp::reply::Reply;
use postern_smtp::server::{
    Action, Answer, Ask, Prospect, Question, QuestionId, Session as Machine, Transport, Wants,
};
use postern_spool::Receiving;
use tokio::time::{Instant as Moment, Sleep, sleep_until};

use super::memory::Reservation;
use super::reception::Reception;
use super::reception::authentication::Outcome;
use super::reception::chains::{Finding, Said};
use super::reception::ruling::Refused;
use super::reception::upload::Upload;
use super::reception::vouching::Word;
use super::replies;
use super::wire::Wire;

use self::ask::{Asked, Done, Found, Left, Noted};
pub(super) use self::begin::run;
use self::memory::Holding;
pub(super) use self::memory::SESSION;
use self::outgoing::Outgoing;
use self::phase::{Arriving, Phase};

/// Octets that are read ahead while an answer is waited for: enough for any group of commands, and to notice when
/// the client goes away.
const READ_AHEAD: usize = 16 * 1024;

/// A time further away than any limit.
const NEVER: Duration = Duration::from_secs(86_400);

/// A session in progress.
struct Session {
    reception: Arc<Reception>,
    wire: Wire,
    machine: Machine,
    input: BytesMut,
    /// New octets came that the machine has not seen.
    fresh: bool,
    eof: bool,
    received: u64,
    /// When the first octet of what is in `input` came.
    input_since: Instant,
    outgoing: Outgoing,
    /// What is being found out.
    pending: FuturesUnordered<BoxFuture<'static, Done>>,
    /// What each open question was about.
    asked: HashMap<QuestionId, Asked>,
    /// What the last step of an AUTH exchange, or of a dialogue, has left.
    left: Option<Left>,
    /// How far it is with its transaction.
    phase: Phase,
    /// The last reply, if it refused something other than a message, and the binding whose it was.
    last_refusal: Option<(Reply, Option<String>)>,
    last_reply: Instant,
    timer: Pin<Box<Sleep>>,
    holding: Holding,
}

/// What the session does next.
enum Flow {
    /// It goes on.
    Go,
    /// It ends.
    End(DisconnectReason),
}

impl Session {
    /// A session over `wire`, on which TLS is in use or not. `memory` is set aside for it.
    fn new(
        reception: Arc<Reception>,
        machine: Arc<postern_smtp::server::Config>,
        wire: Wire,
        tls: bool,
        memory: Reservation,
    ) -> Self {
        let now = Instant::now();
        Self {
            machine: Machine::new(machine, Transport { tls }, now),
            outgoing: Outgoing::new(Arc::clone(&reception)),
            reception,
            wire,
            input: BytesMut::new(),
            fresh: false,
            eof: false,
            received: 0,
            input_since: now,
            pending: FuturesUnordered::new(),
            asked: HashMap::new(),
            left: None,
            phase: Phase::Idle,
            last_refusal: None,
            last_reply: now,
            timer: Box::pin(sleep_until(Moment::now() + NEVER)),
            holding: Holding::new(memory),
        }
    }

    /// Runs to the end, and tells of it.
    async fn run(mut self) {
        let reason = self.serve().await;
        self.end_by_force(reason);
        self.note_conduct();
        self.reception.scope.tell_disconnect(Disconnect {
            reason,
            received_bytes: self.received,
            sent_bytes: self.outgoing.sent,
        });
        let counters = self.machine.counters();
        tracing::debug!(
            session = %self.reception.session, ?reason, commands = counters.commands, errors = counters.errors,
            messages = counters.messages, "session ends"
        );
    }

    async fn serve(&mut self) -> DisconnectReason {
        let shutdown = self.reception.tools.shutdown.clone();
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
                && !self.phase.is_at_the_end()
                && self.outgoing.is_settled()
                && let Err(reason) = self.flush().await
            {
                return reason;
            }
            self.follow_memory();
            self.set_timer();
            let wanted = self.machine.wants() == Wants::Input && !self.outgoing.is_greeting();
            let reading = !self.eof && (wanted || self.input.len() < READ_AHEAD);
            tokio::select! {
                biased;
                // What is being committed is a matter of moments, and then certain.
                () = &mut over, if !self.phase.is_committing() => return DisconnectReason::Shutdown,
                () = &mut begun, if !draining => {
                    draining = true;
                    self.machine.shutdown();
                }
                step = self.phase.next() => {
                    if let Flow::End(reason) = self.step(step) {
                        return reason;
                    }
                }
                Some(done) = self.pending.next() => {
                    if let Flow::End(reason) = self.settle(done).await {
                        return reason;
                    }
                }
                () = self.outgoing.next(), if !self.outgoing.is_settled() => {
                    let withdrawn = self.outgoing.take_withdrawn();
                    self.machine.withdraw(withdrawn.iter().map(AsRef::as_ref));
                    if self.outgoing.hang_up().is_some() {
                        return self.hang_up().await;
                    }
                }
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
        if self.outgoing.is_greeting() {
            return false;
        }
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
                if self.input.len() == octets {
                    self.input_since = Instant::now();
                }
                self.fresh = true;
                self.received += octets as u64;
            }
            Err(error) => {
                tracing::debug!(session = %self.reception.session, %error, "connection broke");
                self.eof = true;
                self.input.clear();
            }
        }
        // A client that has gone without leaving commands behind reads no replies: nothing is asked for it any
        // more. A message that is being committed is no question any more.
        if self.eof && self.input.is_empty() && !self.phase.is_committing() {
            return Flow::End(DisconnectReason::ClientGone);
        }
        Flow::Go
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

    /// Does what the machine wants done.
    async fn act(&mut self, action: Action) -> Flow {
        match action {
            Action::Ask(question) => self.ask(question),
            Action::Reply(to, reply) => self.reply(to, reply),
            Action::Content(bytes) => self.take_content(bytes).await,
            // The question about the message follows, and takes the upload.
            Action::ContentEnd => self.wire.read_little(),
            Action::ContentRefused(reply) => self.content_refused(reply),
            Action::TransactionReset(cause) => self.reset_transaction(cause),
            Action::StartTls => return self.start_tls().await,
            Action::Close(reason) => return Flow::End(self.close(reason).await),
        }
        Flow::Go
    }

    /// Finds an answer to a question.
    fn ask(&mut self, question: Question) {
        let since = Instant::now();
        self.note_conduct();
        if let Prospect::Accept(Ask::MessageEnd(_)) = question.prospect {
            let budget = Budget::starting(since, self.reception.server.message_budget);
            self.asked
                .insert(question.id, Asked::new(Noted::Message, since, budget));
            self.judge(question.id, since);
            return;
        }
        let id = question.id;
        let entry = match self.reserve_for(&question) {
            Ok(entry) => entry,
            Err(reply) => {
                let budget = Budget::starting(since, self.reception.server.command_budget);
                self.asked
                    .insert(id, Asked::new(Noted::Nothing, since, budget));
                return self.answer(id, Answer::Reply(reply), None);
            }
        };
        let message = self.phase.message_id();
        let left = self.left.take();
        let (mut asked, answer) = ask::begin(&self.reception, question, message, left, since);
        asked.entry = entry;
        self.asked.insert(id, asked);
        self.pending.push(answer);
    }

    /// How the client has behaved goes with whatever is asked or told next.
    fn note_conduct(&self) {
        let idle = self.input_since.saturating_duration_since(self.last_reply);
        let connections = self.reception.connections.open();
        let conduct = facts::conduct(self.machine.counters(), idle, connections);
        self.reception.scope.note_conduct(conduct);
    }

    /// A sink may have said who the client is.
    pub(super) fn follow_authentication(&mut self) {
        if !self.machine.is_authenticated() && self.reception.scope.is_authenticated() {
            self.machine.authenticate();
            self.reception.note_vouched();
        }
    }

    /// Something has been found out.
    async fn settle(&mut self, done: Done) -> Flow {
        let Done { id, found } = done;
        self.follow_authentication();
        let (answer, by) = match found {
            Found::Finding(Finding::Proceed) => (Answer::Proceed, None),
            Found::Finding(Finding::Content(incoming)) => (self.expect_content(*incoming), None),
            Found::Finding(Finding::Dropped { by }) => {
                self.drop_recipient(id);
                (Answer::Proceed, by)
            }
            Found::Finding(Finding::Offers(names)) => {
                self.offer(&names);
                (Answer::Proceed, None)
            }
            Found::Finding(Finding::Word(word)) => (self.take_word(id, word), None),
            Found::Finding(Finding::Dialogue(said)) => self.carry_on(id, *said),
            Found::Finding(Finding::Refused(refused)) => answer_of(refused),
            Found::Authentication(outcome) => (self.go_on_with(id, outcome), None),
        };
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
        Flow::Go
    }

    /// Content may come, if there is a transaction for it.
    fn expect_content(&mut self, incoming: Receiving) -> Answer {
        match self.phase.take() {
            Phase::Envelope(transaction) => {
                let upload = Upload::new(&self.reception, transaction.id(), incoming);
                self.phase = Phase::Arriving(Box::new(Arriving {
                    transaction,
                    upload,
                    early: None,
                }));
                Answer::Proceed
            }
            other => {
                self.phase = other;
                Answer::Reply(replies::storage_failed(self.reception.session))
            }
        }
    }

    /// The greeting that is asked about is told of these mechanisms too.
    fn offer(&mut self, names: &[Bytes]) {
        let names = names
            .iter()
            .filter_map(|name| String::from_utf8(name.to_vec()).ok());
        self.machine.offer_mechanisms(names.collect());
    }

    /// A sink has something to say of a step of AUTH.
    fn take_word(&mut self, id: QuestionId, word: Word) -> Answer {
        match word {
            Word::Challenge(challenge, by) => {
                self.left = Some(Left::Vouching(by));
                Answer::Challenge(challenge)
            }
            Word::Success(who) => {
                if let Some(asked) = self.asked.get_mut(&id) {
                    asked.noted = Noted::Vouched(who);
                }
                Answer::Proceed
            }
            Word::Refused(refused) => answer_of(refused).0,
            Word::None => Answer::Proceed,
        }
    }

    /// A sink goes on with the client about its command.
    fn carry_on(&mut self, id: QuestionId, said: Said) -> (Answer, Option<String>) {
        let Said {
            reply,
            expects,
            next,
        } = said;
        let expects = facts::expects(expects);
        if let Err(reply) = self.reserve_for_dialogue(expects) {
            return (Answer::Disconnect(reply), None);
        }
        if reply.is_none() {
            self.asked.remove(&id);
        }
        let by = next.binding.to_string();
        self.left = Some(Left::Dialogue(next));
        (Answer::Dialogue { reply, expects }, Some(by))
    }

    /// A step of an AUTH exchange was taken.
    fn go_on_with(&mut self, id: QuestionId, outcome: Outcome) -> Answer {
        match outcome {
            Outcome::Challenge(challenge, next) => {
                self.left = Some(Left::Exchange(next));
                Answer::Challenge(challenge)
            }
            Outcome::Authenticated(who) => {
                if let Some(asked) = self.asked.get_mut(&id) {
                    asked.noted = Noted::Authenticated(who);
                }
                Answer::Proceed
            }
            Outcome::Refused(reply) => Answer::Reply(reply),
        }
    }

    /// RCPT is answered with 250, and the recipient not kept.
    fn drop_recipient(&mut self, id: QuestionId) {
        if let Some(asked) = self.asked.get_mut(&id)
            && let Noted::Rcpt(recipient) = asked.noted
        {
            asked.noted = Noted::Dropped(recipient);
        }
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

    fn answer(&mut self, id: QuestionId, answer: Answer, by: Option<String>) {
        if let Some(asked) = self.asked.get_mut(&id) {
            asked.by = by;
        }
        if !matches!(answer, Answer::Dialogue { .. }) {
            self.end_dialogue();
        }
        if let Err(error) = self.machine.answer(id, answer, Instant::now()) {
            tracing::error!(session = %self.reception.session, %error, "answer does not fit its question");
        }
    }
}

/// A refusal as an answer to the machine, and the binding that decided.
fn answer_of(refused: Refused) -> (Answer, Option<String>) {
    let Refused {
        reply,
        disconnect,
        by,
    } = refused;
    let answer = if disconnect {
        Answer::Disconnect(reply)
    } else {
        Answer::Reply(reply)
    };
    (answer, by)
}

#[cfg(test)]
mod tests;
