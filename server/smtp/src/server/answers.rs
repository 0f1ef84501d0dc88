//! What the answers come to.

use std::time::Instant;

use super::action::{Action, CloseReason, ReplyTo, ResetCause};
use super::auth::MAX_CHALLENGE;
use super::body::{ExpectBody, ExpectChunk};
use super::config::Protocol;
use super::exchange::{Effect, Exchange, Transaction};
use super::extension::Withdrawn;
use super::question::{Answer, AnswerError, QuestionId};
use super::replies;
use super::session::{Session, State};
use crate::command::{Chunk, Verb};
use crate::reply::Reply;

/// A command's reply, decided.
struct Settlement {
    reply: Reply,
    accepted: bool,
    close: Option<CloseReason>,
    fit: bool,
}

impl Session {
    /// Answers a question. The greeting, commands other than RCPT and the end of a message are open one at a time;
    /// RCPTs may be answered in any order, their replies leave in theirs.
    ///
    /// # Errors
    /// [`AnswerError`]. Except for an unknown question the client is told 451, and the session goes on.
    pub fn answer(
        &mut self,
        id: QuestionId,
        answer: Answer,
        now: Instant,
    ) -> Result<(), AnswerError> {
        if let State::ExpectMessageVerdict { id: open } = self.state
            && open == id
        {
            return self.answer_message(id, answer, now);
        }
        let open = |exchange: &&mut Exchange| exchange.id == Some(id) && exchange.settled.is_none();
        let Some(exchange) = self.exchanges.iter_mut().find(open) else {
            return Err(AnswerError::UnknownQuestion(id));
        };
        // Whoever answers a verb that nobody has: it moves no mail. Refused for good, it is an error.
        let is_error = match &answer {
            Answer::Reply(reply) | Answer::Disconnect(reply) => reply.code().is_permanent(),
            _ => matches!(answer, Answer::Proceed),
        };
        if exchange.unknown && !is_error {
            self.counters.count_junk();
        }
        if exchange.effect == Effect::Auth
            && exchange.acceptable
            && let Answer::Challenge(challenge) = &answer
            && challenge.len() <= MAX_CHALLENGE
        {
            self.challenge(id, challenge, now);
            return Ok(());
        }
        if let Answer::Dialogue { reply, expects } = &answer
            && exchange.may_be_carried_on(reply.as_ref(), *expects)
        {
            self.carry_on(id, reply.clone(), *expects, now);
            return Ok(());
        }
        self.talk = None;
        let settlement = settle(exchange, answer);
        let effect = exchange.effect;
        let was_tried = exchange.acceptable;
        if effect == Effect::Auth {
            self.dialogue = None;
            // 454 too: who may not be checked now would ask for ever otherwise.
            let failed = was_tried && matches!(settlement.reply.code().value(), 454 | 535);
            self.counters.failed_authentications += u32::from(failed);
        }
        let fit = settlement.fit;
        if let Effect::Chunk(chunk) = effect {
            self.begin_chunk(id, chunk, settlement, now);
        } else {
            exchange.settled = Some((settlement.reply, settlement.close));
            if settlement.accepted {
                self.apply(effect);
            }
            self.flush(now);
            if settlement.accepted {
                self.enter(effect, now);
            }
        }
        if fit {
            Ok(())
        } else {
            Err(AnswerError::Unfit(id))
        }
    }

    /// Sends the replies whose turn it is.
    pub(super) fn flush(&mut self, now: Instant) {
        while let Some((reply, close)) = self
            .exchanges
            .front_mut()
            .and_then(|front| front.settled.take())
        {
            let Some(exchange) = self.exchanges.pop_front() else {
                return;
            };
            self.held_back = false;
            self.count(&exchange, &reply);
            let to = match (exchange.verb, exchange.id) {
                (Some(verb), id) => ReplyTo::Command(id, verb),
                (None, Some(id)) => ReplyTo::Greeting(id),
                (None, None) => ReplyTo::Unsolicited,
            };
            self.push_reply(to, reply);
            if let Some(reason) = close {
                self.close(reason);
                return;
            }
            self.clock.await_command(now);
        }
    }

    fn count(&mut self, exchange: &Exchange, reply: &Reply) {
        let refused = reply.code().is_permanent() || reply.code().is_transient();
        if exchange.verb.is_none() || !refused {
            return;
        }
        self.counters.refused_recipients += u32::from(exchange.verb == Some(Verb::Rcpt));
        if !reply.code().is_permanent() {
            return;
        }
        if exchange.verb == Some(Verb::Bdat) && self.excused_chunks > 0 {
            self.excused_chunks -= 1;
        } else {
            self.counters.errors += 1;
        }
    }

    /// What acceptance changes before the reply leaves.
    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Hello(kind) => {
                self.reset_transaction(ResetCause::Greeting);
                self.hello = Some(kind);
                self.withdrawn = Withdrawn::default();
            }
            Effect::Mail { body, smtp_utf8 } => {
                self.counters.transactions += 1;
                self.excused_chunks = 0;
                self.replies_utf8 = smtp_utf8;
                self.transaction = Some(Transaction {
                    body,
                    smtp_utf8,
                    recipients: 0,
                    tried: false,
                    chunks: None,
                    refusal: None,
                });
            }
            Effect::Rcpt => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
            }
            Effect::Auth => {
                self.authenticated = true;
                self.expects_secrets = false;
            }
            Effect::Rset => self.reset_transaction(ResetCause::Rset),
            Effect::Nothing
            | Effect::Greeting
            | Effect::StartTls
            | Effect::Data
            | Effect::Chunk(_)
            | Effect::Quit => {}
        }
    }

    /// What acceptance changes once the reply has left. By then the session may have closed.
    fn enter(&mut self, effect: Effect, now: Instant) {
        if matches!(self.state, State::Closed) {
            return;
        }
        match effect {
            Effect::Greeting if self.shutting_down => self.announce_shutdown(),
            Effect::Greeting => self.state = State::ExpectCommand,
            Effect::StartTls => {
                self.state = State::ExpectHandshake;
                self.actions.push_back(Action::StartTls);
            }
            Effect::Data => {
                self.state = State::ExpectBody(ExpectBody::new(self.content_limits()));
                self.clock.await_content(now);
            }
            Effect::Quit => self.close(CloseReason::Quit),
            _ => {
                let idle = self.exchanges.is_empty() && self.transaction.is_none();
                if self.shutting_down && idle {
                    self.announce_shutdown();
                }
            }
        }
    }

    fn reset_transaction(&mut self, cause: ResetCause) {
        self.excused_chunks = 0;
        if self.transaction.take().is_some() {
            self.actions.push_back(Action::TransactionReset(cause));
        }
    }

    /// The octets of a chunk follow whatever the answer was; the reply leaves when they are taken.
    fn begin_chunk(&mut self, id: QuestionId, chunk: Chunk, settlement: Settlement, now: Instant) {
        let Some(exchange) = self.exchanges.pop_front() else {
            return;
        };
        let refused = !settlement.accepted;
        if refused {
            self.count(&exchange, &settlement.reply);
        }
        let too_much = refused && chunk.size > self.limits.drain;
        if let Some(reason) = settlement
            .close
            .or(too_much.then_some(CloseReason::RefusedBody))
        {
            self.push_reply(ReplyTo::Command(Some(id), Verb::Bdat), settlement.reply);
            self.close(reason);
            return;
        }
        let limits = self.content_limits();
        if !refused && let Some(transaction) = &mut self.transaction {
            transaction.begin_chunks(limits);
        }
        self.state = State::ExpectChunk(ExpectChunk::new(id, chunk, settlement.reply, refused));
        self.clock.await_content(now);
        self.end_chunk_if_done(now);
    }

    fn answer_message(
        &mut self,
        id: QuestionId,
        answer: Answer,
        now: Instant,
    ) -> Result<(), AnswerError> {
        let recipients = self
            .transaction
            .as_ref()
            .map_or(0, |transaction| transaction.recipients);
        let lmtp = self.config.protocol == Protocol::Lmtp;
        let each = if lmtp { recipients as usize } else { 1 };
        let (replies, mut close, result) = match answer {
            Answer::Reply(reply) if !reply.code().is_intermediate() => {
                (vec![reply; each], None, Ok(()))
            }
            Answer::Disconnect(reply) if !reply.code().is_intermediate() => {
                (vec![reply; each], Some(CloseReason::Disconnected), Ok(()))
            }
            Answer::PerRecipient(replies) if lmtp && replies.len() != each => {
                let error = AnswerError::ReplyCount {
                    id,
                    expected: recipients,
                };
                (vec![replies::local_error(); each], None, Err(error))
            }
            Answer::PerRecipient(replies)
                if lmtp && !replies.iter().any(|reply| reply.code().is_intermediate()) =>
            {
                (replies, None, Ok(()))
            }
            _ => (
                vec![replies::local_error(); each],
                None,
                Err(AnswerError::Unfit(id)),
            ),
        };
        if replies.iter().any(|reply| reply.code().is_positive()) {
            self.counters.messages += 1;
            self.counters.junk = 0;
        } else {
            self.counters.messages_refused += 1;
        }
        if replies.iter().any(|reply| reply.code().value() == 421) {
            close = Some(CloseReason::Disconnected);
        }
        for (index, reply) in replies.into_iter().enumerate() {
            let recipient = if lmtp {
                u32::try_from(index).ok()
            } else {
                None
            };
            self.push_reply(
                ReplyTo::Message(Some(id), recipient),
                reply.with_some_enhanced(),
            );
        }
        self.end_message(close, now);
        result
    }

    /// The reply to the content is sent: the transaction is over.
    pub(super) fn end_message(&mut self, close: Option<CloseReason>, now: Instant) {
        self.transaction = None;
        self.state = State::ExpectCommand;
        self.clock.await_command(now);
        match close {
            Some(reason) => self.close(reason),
            None if self.shutting_down => self.announce_shutdown(),
            None => {}
        }
    }
}

fn settle(exchange: &Exchange, answer: Answer) -> Settlement {
    let mut fit = true;
    let (reply, accepted, mut close) = match answer {
        Answer::Proceed => (exchange.own.clone(), exchange.acceptable, None),
        Answer::Reply(reply) if may_be_replied(exchange, &reply) => {
            let accepted = exchange.acceptable && reply.code().is_positive();
            (reply, accepted, None)
        }
        Answer::Disconnect(reply) if !reply.code().is_intermediate() => {
            (reply, false, Some(CloseReason::Disconnected))
        }
        Answer::Challenge(_)
        | Answer::Dialogue { .. }
        | Answer::Reply(_)
        | Answer::Disconnect(_)
        | Answer::PerRecipient(_) => {
            fit = false;
            (replies::local_error(), false, None)
        }
    };
    let refused_greeting = exchange.effect == Effect::Greeting && !accepted;
    if close.is_none() && (refused_greeting || reply.code().value() == 421) {
        close = Some(CloseReason::Disconnected);
    }
    // Greetings have no enhanced code (RFC 2034 3), everything else has.
    let greets = matches!(exchange.effect, Effect::Greeting | Effect::Hello(_))
        && reply.code().is_positive();
    let reply = if greets {
        reply
    } else {
        reply.with_some_enhanced()
    };
    Settlement {
        reply,
        accepted,
        close: exchange.close.or(close),
        fit,
    }
}

fn may_be_replied(exchange: &Exchange, reply: &Reply) -> bool {
    let code = reply.code();
    match exchange.effect {
        Effect::Greeting => !code.is_intermediate() && (!code.is_positive() || code.value() == 220),
        _ if exchange.is_refusable_only() => !code.is_intermediate() && !code.is_positive(),
        _ => !code.is_intermediate(),
    }
}
