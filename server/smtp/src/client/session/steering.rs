//! Which replies may be taken for which others, and where a session may go on.
//!
//! | reply to | comes as | may be taken for |
//! | --- | --- | --- |
//! | the connection, EHLO, HELO, LHLO | success | another success, a failure: the session is not used |
//! | | failure | another failure |
//! | MAIL | success | another success; a failure, if nothing was pipelined behind it |
//! | | failure | another failure |
//! | STARTTLS, RCPT, DATA, the content | success | another success |
//! | | failure | another failure |
//! | RSET, QUIT | anything | the same |
//! | a command that an answer put in | success, failure | any of these |
//!
//! A 3xx is what it is. So nothing that the peer took counts as refused, and nothing that it refused as taken.

use super::opening::Opening;
use super::{Quitting, Session, State};
use crate::client::command::Own;
use crate::client::config::TlsUse;
use crate::client::flight::To;
use crate::client::outcome::{Delivery, Stage};
use crate::client::question::{AnswerError, NextStage, Taking};
use crate::client::response::Response;

/// How often answers may have a session greet again.
const MOST_HELLOS: u8 = 5;

impl Session {
    pub(super) fn check_taking(
        &self,
        to: &To,
        native: &Response,
        taking: &Taking,
    ) -> Result<(), AnswerError> {
        let pipelined = !self.flight.is_idle();
        let taken = taking.response.as_deref().unwrap_or(native);
        if !may_be_taken(to, native, taken, pipelined) {
            return Err(AnswerError::OtherClass);
        }
        match taking.next {
            Some(next) if pipelined || !self.may_go_on(to, taken, next) => {
                Err(AnswerError::OtherStage)
            }
            _ => Ok(()),
        }
    }

    /// Whether the session can go on there after this reply, with nothing else unanswered.
    fn may_go_on(&self, to: &To, taken: &Response, next: NextStage) -> bool {
        if taken.announces_close() || taken.is_intermediate() {
            return false;
        }
        match &self.state {
            State::Opening(_) => {
                let hello =
                    matches!(to, To::Own(Own::Ehlo | Own::Helo | Own::Lhlo)) && taken.code == 250;
                let stays = match to {
                    To::Extra { .. } => true,
                    To::Own(Own::StartTls) => {
                        taken.code != 220 && self.config.tls == TlsUse::IfOffered
                    }
                    _ => hello,
                };
                stays
                    && match next {
                        NextStage::SessionStart => self.hellos_again < MOST_HELLOS,
                        NextStage::MessageStart => {
                            let known = self.authenticated || self.config.login.is_none();
                            known
                                && (hello || self.greeted)
                                && (self.encrypted || self.config.tls != TlsUse::Required)
                        }
                        NextStage::SessionEnd => true,
                        NextStage::Recipient | NextStage::BeforeData => false,
                    }
            }
            // Recipients that the peer has not spoken of yet may be delivered all the same.
            State::Busy(exchange) if to == &To::Content && !exchange.is_last_content_reply() => {
                false
            }
            State::Busy(exchange) => match next {
                NextStage::SessionStart => false,
                NextStage::MessageStart | NextStage::SessionEnd => true,
                NextStage::Recipient => {
                    self.queue.is_empty()
                        && exchange.has_recipients_left()
                        && (taken.is_positive() || to != &To::Own(Own::Mail))
                }
                NextStage::BeforeData => {
                    matches!(to, To::Own(Own::Rcpt(_))) && self.queue.is_empty()
                }
            },
            _ => false,
        }
    }

    /// Goes on there, after [`check_taking`](Self::check_taking).
    pub(super) fn steer(&mut self, next: NextStage) {
        let withheld = |stage| Delivery::Withheld { stage };
        match (&mut self.state, next) {
            (State::Opening(_), NextStage::SessionStart) => {
                self.queue.clear();
                self.hellos_again += 1;
                self.say_hello();
            }
            (State::Opening(opening), NextStage::MessageStart) => {
                self.queue.clear();
                *opening = Opening::Done;
            }
            (State::Opening(_), NextStage::SessionEnd) => {
                self.queue.clear();
                self.state = State::Quitting(Quitting::Due);
            }
            (State::Busy(exchange), NextStage::BeforeData) => {
                exchange.skip_to_content(&withheld(Stage::Rcpt));
            }
            (State::Busy(exchange), NextStage::MessageStart) => {
                self.queue.clear();
                exchange.give_up(&withheld(Stage::Idle));
            }
            (State::Busy(exchange), NextStage::SessionEnd) => {
                self.queue.clear();
                exchange.give_up(&withheld(Stage::Idle));
                self.ending = true;
            }
            _ => {}
        }
    }
}

fn may_be_taken(to: &To, native: &Response, taken: &Response, pipelined: bool) -> bool {
    let is_failure = |response: &Response| response.is_temporary() || response.is_permanent();
    if native.is_intermediate() || taken.is_intermediate() {
        return native.code == taken.code;
    }
    match to {
        To::Extra { .. } => true,
        To::Own(Own::Rset | Own::Quit) | To::Nothing => native.code == taken.code,
        _ if is_failure(native) => is_failure(taken),
        To::Greeting | To::Own(Own::Ehlo | Own::Helo | Own::Lhlo) => true,
        To::Own(Own::Mail) => taken.is_positive() || !pipelined,
        // STARTTLS and AUTH are known by their code.
        To::Own(Own::StartTls | Own::Auth(_)) => taken.code == native.code,
        _ => taken.is_positive(),
    }
}
