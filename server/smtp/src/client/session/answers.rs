//! What answers come to.

use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut, BytesMut};

use super::asking::{Asked, Due, Open, Queued, bare};
use super::{Session, State};
use crate::client::command::Own;
use crate::client::config::TlsUse;
use crate::client::flight::{Awaited, To};
use crate::client::line::Extra;
use crate::client::outcome::{Delivery, Failure, Stage};
use crate::client::question::{
    AnswerError, CommandAnswer, Commands, OwnLine, ResponseAnswer, TlsAnswer,
};
use crate::client::response::Response;
use crate::client::transaction::Transaction;

/// Commands that one answer may put in.
const MOST_COMMANDS: usize = 100;
/// How often an answer may have its question asked again.
const MOST_ROUNDS: u8 = 10;

impl Session {
    /// Answers a [`Question::Command`](crate::client::Question::Command). Then give
    /// [`handle_input`](Self::handle_input) what is left of the input.
    ///
    /// # Errors
    /// When the answer does not fit. The question stays open.
    pub fn answer_command(
        &mut self,
        answer: CommandAnswer,
        now: Instant,
    ) -> Result<(), AnswerError> {
        let Some(Open::Command(asked)) = &self.open else {
            return Err(AnswerError::NotOpen);
        };
        match &answer {
            CommandAnswer::Proceed | CommandAnswer::End => {}
            CommandAnswer::Send(commands) => self.check_commands(asked, commands)?,
            CommandAnswer::First(extras) => {
                if extras.len() > MOST_COMMANDS || asked.rounds >= MOST_ROUNDS {
                    return Err(AnswerError::TooMany);
                }
            }
            CommandAnswer::Refuse(response) => {
                check_refusal(response)?;
                self.refused_own(asked)
                    .ok_or(AnswerError::NothingToRefuse)?;
            }
        }
        let Some(Open::Command(asked)) = self.open.take() else {
            return Err(AnswerError::NotOpen);
        };
        match answer {
            CommandAnswer::Proceed => self.put_first([asked.due.queued(!asked.of_stage)]),
            CommandAnswer::Send(commands) => self.put_commands(asked, commands),
            CommandAnswer::First(extras) => self.put_and_ask_again(asked, extras),
            CommandAnswer::Refuse(response) => self.refuse_own(&asked, response),
            CommandAnswer::End => self.end_session(asked.due.stage()),
        }
        self.go_on(now);
        Ok(())
    }

    /// Answers a [`Question::Tls`](crate::client::Question::Tls). Then give [`handle_input`](Self::handle_input) what is
    /// left of the input.
    ///
    /// # Errors
    /// When the answer does not fit. The question stays open.
    pub fn answer_tls(&mut self, answer: TlsAnswer, now: Instant) -> Result<(), AnswerError> {
        if !matches!(self.open, Some(Open::Tls)) {
            return Err(AnswerError::NotOpen);
        }
        let stage = Stage::StartTls;
        match answer {
            TlsAnswer::Proceed => {
                self.open = None;
                self.become_ready();
            }
            TlsAnswer::Refuse(response) => {
                check_refusal(&response)?;
                self.fail_politely(Failure::Declined { stage, response });
            }
            TlsAnswer::End => self.fail_politely(Failure::Ended { stage }),
        }
        self.go_on(now);
        Ok(())
    }

    /// Answers a [`Question::Response`](crate::client::Question::Response). Then give
    /// [`handle_input`](Self::handle_input) what is left of the input.
    ///
    /// # Errors
    /// When the answer does not fit. The question stays open.
    pub fn answer_response(
        &mut self,
        answer: ResponseAnswer,
        now: Instant,
    ) -> Result<(), AnswerError> {
        let Some(Open::Response { awaited, response }) = &self.open else {
            return Err(AnswerError::NotOpen);
        };
        match &answer {
            ResponseAnswer::Take(taking) => self.check_taking(&awaited.to, response, taking)?,
            ResponseAnswer::Refuse(refusal) => check_refusal(refusal)?,
            ResponseAnswer::Proceed | ResponseAnswer::End => {}
        }
        let Some(Open::Response { awaited, response }) = self.open.take() else {
            return Err(AnswerError::NotOpen);
        };
        let stage = awaited.to.stage();
        match answer {
            ResponseAnswer::Proceed => self.settle(awaited, &response, Arc::clone(&response)),
            ResponseAnswer::Take(taking) => {
                let taken = taking.response.unwrap_or_else(|| Arc::clone(&response));
                self.settle(awaited, &response, taken);
                if let Some(next) = taking.next {
                    self.steer(next);
                }
            }
            ResponseAnswer::Refuse(refusal) => self.refuse_replied(awaited, &response, refusal),
            ResponseAnswer::End => {
                self.settle(awaited, &response, Arc::clone(&response));
                self.end_session(stage);
            }
        }
        self.go_on(now);
        Ok(())
    }

    /// Answers the open question, whichever it is, by the default. Without one it does nothing.
    pub fn proceed_by_default(&mut self, now: Instant) {
        let answered = match &self.open {
            None => Ok(()),
            Some(Open::Command(_)) => self.answer_command(CommandAnswer::Proceed, now),
            Some(Open::Tls) => self.answer_tls(TlsAnswer::Proceed, now),
            Some(Open::Response { .. }) => self.answer_response(ResponseAnswer::Proceed, now),
        };
        debug_assert!(answered.is_ok(), "the default always fits");
    }

    /// Gives the message that is about to begin another content and other parameters, while a question about its MAIL is
    /// open. The recipients are the same, in the same order. False: nothing of it can be sent to this peer, and the question
    /// is over; [`Action::Finished`](crate::client::Action::Finished) says why.
    ///
    /// # Errors
    /// [`AnswerError::NotOpen`] without such a question, and for other recipients.
    pub fn revise(&mut self, transaction: Transaction, now: Instant) -> Result<bool, AnswerError> {
        let (bdat_up_to, hurried) = self.haste();
        let (
            State::Busy(exchange),
            Some(Open::Command(Asked {
                due: Due::Own(Own::Mail, line),
                ..
            })),
        ) = (&mut self.state, &mut self.open)
        else {
            return Err(AnswerError::NotOpen);
        };
        if exchange.count() != transaction.recipients.len() {
            return Err(AnswerError::NotOpen);
        }
        let revised = exchange.revise(transaction, &self.peer, bdat_up_to, hurried);
        let goes_on = revised.is_some();
        match revised {
            Some(revised) => *line = revised,
            None => {
                self.open = None;
                self.queue.clear();
                self.go_on(now);
            }
        }
        Ok(goes_on)
    }

    fn go_on(&mut self, now: Instant) {
        self.pump();
        self.restart_clock(now);
        self.flush(now);
    }

    fn put_first(
        &mut self,
        queued: impl IntoIterator<Item = Queued, IntoIter: DoubleEndedIterator>,
    ) {
        for one in queued.into_iter().rev() {
            self.queue.push_front(one);
        }
    }

    fn put_commands(&mut self, asked: Asked, commands: Commands) {
        // What a question about a command put in is not asked about: its answer could go on for ever.
        let is_asked = !asked.of_stage;
        let stage = asked.due.stage();
        let extra = |extra| Queued::Extra {
            extra,
            stage,
            asked: is_asked,
        };
        let own = match (commands.own, asked.due) {
            (OwnLine::Drop, Due::Own(own, _)) => {
                self.drop_own(own);
                None
            }
            (OwnLine::Drop, Due::Extra(..)) => None,
            (OwnLine::AsIs, due) => Some(due.queued(is_asked)),
            (OwnLine::Instead(line), Due::Own(own, native)) => {
                let own = own.replaced(&bare(&native), &line).unwrap_or(own);
                let mut octets = BytesMut::from(&line.as_bytes()[..]);
                octets.put_slice(b"\r\n");
                let line = octets.freeze();
                Some(Due::Own(own, line).queued(is_asked))
            }
            (OwnLine::Instead(line), Due::Extra(extra, stage)) => {
                Some(Due::Extra(extra.with_line(line), stage).queued(is_asked))
            }
        };
        let before = commands.before.into_iter().map(extra);
        let after = commands.after.into_iter().map(extra);
        let all: Vec<_> = before.chain(own).chain(after).collect();
        self.put_first(all);
    }

    fn put_and_ask_again(&mut self, asked: Asked, extras: Vec<Extra>) {
        let stage = asked.due.stage();
        let is_asked = !asked.of_stage;
        let again = Asked {
            rounds: asked.rounds + 1,
            ..asked
        };
        let extras = extras.into_iter().map(|extra| Queued::Extra {
            extra,
            stage,
            asked: is_asked,
        });
        let all: Vec<_> = extras.chain([Queued::Again(again)]).collect();
        self.put_first(all);
    }

    fn check_commands(&self, asked: &Asked, commands: &Commands) -> Result<(), AnswerError> {
        if commands.before.len() + commands.after.len() > MOST_COMMANDS {
            return Err(AnswerError::TooMany);
        }
        match (&asked.due, &commands.own) {
            (Due::Own(own, _), _) if !commands.after.is_empty() && !own.may_be_followed() => {
                Err(AnswerError::NothingFollows)
            }
            (Due::Own(own, _), OwnLine::Drop) => {
                let needed = *own == Own::StartTls && self.config.tls == TlsUse::Required;
                match own.may_be_dropped() && !needed {
                    true => Ok(()),
                    false => Err(AnswerError::Needed),
                }
            }
            (Due::Own(own, native), OwnLine::Instead(line)) => {
                own.replaced(&bare(native), line).map(|_| ())
            }
            (Due::Extra(..), OwnLine::Instead(line)) => match Extra::new(line.clone()) {
                Ok(_) => Ok(()),
                Err(_) => Err(AnswerError::OtherCommand),
            },
            _ => Ok(()),
        }
    }

    /// The command of the session's own that a refusal is about: the one that is due, or for which what is due was put in.
    fn refused_own(&self, asked: &Asked) -> Option<Own> {
        let own = match &asked.due {
            Due::Own(own, _) => Some(*own),
            Due::Extra(..) => self.queued_own(),
        };
        own.filter(|own| *own != Own::Quit)
    }

    /// The command of the session's own for which those before it were put in.
    fn queued_own(&self) -> Option<Own> {
        self.queue.iter().find_map(|queued| match queued {
            Queued::Own { own, .. } => Some(*own),
            Queued::Again(Asked {
                due: Due::Own(own, _),
                ..
            }) => Some(*own),
            _ => None,
        })
    }

    fn refuse_own(&mut self, asked: &Asked, response: Arc<Response>) {
        let Some(own) = self.refused_own(asked) else {
            return;
        };
        self.refuse_command(own, response);
    }

    /// What a command is for is refused. It was not sent.
    fn refuse_command(&mut self, own: Own, response: Arc<Response>) {
        self.queue.clear();
        let stage = own.stage();
        let State::Busy(exchange) = &mut self.state else {
            return self.fail_politely(Failure::Declined { stage, response });
        };
        let delivery = Delivery::Declined { stage, response };
        match own {
            Own::Rcpt(index) => exchange.leave_out(index, delivery),
            _ => exchange.give_up(&delivery),
        }
    }

    /// A reply came, and what it is about is refused.
    fn refuse_replied(&mut self, awaited: Awaited, native: &Arc<Response>, refusal: Arc<Response>) {
        let to = awaited.to.clone();
        let stage = to.stage();
        let as_it_came = Arc::clone(native);
        let failed = native.is_temporary() || native.is_permanent();
        let may_be_taken = self.flight.has_content() && !self.is_in_content();
        match to {
            To::Nothing | To::Own(Own::Rset | Own::Quit) => {
                self.settle(awaited, native, as_it_came);
            }
            To::Extra { .. } => {
                self.settle(awaited, native, as_it_came);
                if native.is_intermediate() {
                    // The peer waits for octets that are not to come.
                    self.end_session(stage);
                } else if let Some(own) = self.queued_own().filter(|own| *own != Own::Quit) {
                    self.refuse_command(own, refusal);
                }
            }
            _ if failed => self.settle(awaited, native, refusal),
            To::Content => self.settle(awaited, native, as_it_came),
            _ if may_be_taken => self.settle(awaited, native, as_it_came),
            To::Own(own @ (Own::Mail | Own::Rcpt(_) | Own::Data | Own::Bdat)) => {
                let State::Busy(exchange) = &mut self.state else {
                    return self.settle(awaited, native, as_it_came);
                };
                let declined = Delivery::Declined {
                    stage,
                    response: refusal,
                };
                // Before the reply is taken: who is decided already is not among those who were accepted.
                match own {
                    Own::Rcpt(index) => {
                        exchange.leave_out(index, declined);
                        exchange.give_up(&Delivery::Withheld { stage });
                    }
                    _ => exchange.give_up(&declined),
                }
                self.queue.clear();
                let invites = own == Own::Data;
                if !invites {
                    self.settle(awaited, native, as_it_came);
                }
                // What is on its way might have the peer take the content, or nothing for it.
                if invites || !self.flight.is_idle() {
                    self.fail(Failure::Ended { stage });
                }
            }
            To::Greeting | To::Own(_) => self.fail_politely(Failure::Declined {
                stage,
                response: refusal,
            }),
        }
    }

    /// Ends the session at the wish of an answer.
    fn end_session(&mut self, stage: Stage) {
        if self.flight.has_content() && !self.is_in_content() {
            // The peer has it all and may take it: what it says counts, and the session ends then.
            self.ending = true;
            return;
        }
        let failure = Failure::Ended { stage };
        match self.flight.is_idle() && !self.is_in_content() {
            true => self.fail_politely(failure),
            // A QUIT would be taken for something else, or come before replies that nobody waits for.
            false => self.fail(failure),
        }
    }

    fn is_in_content(&self) -> bool {
        matches!(&self.state, State::Busy(exchange) if exchange.wants_content())
    }
}

fn check_refusal(response: &Response) -> Result<(), AnswerError> {
    match response.is_temporary() || response.is_permanent() {
        true => Ok(()),
        false => Err(AnswerError::NotARefusal),
    }
}
