//! Dialogues that the caller carries on about a command that the session itself does not act on: lines and octets of the
//! client go to it as they come, until it says that it is over.
//!
//! What the client sends in a dialogue is never a command, and what it sends before it was told to is no part of a dialogue:
//! where the caller tells it to go on with a 3xx and something is there already, the session closes, as it does for a body
//! that comes before 354.

use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};

use super::action::{Action, CloseReason, ReplyTo};
use super::auth::AUTH_LINE;
use super::exchange::{Effect, Exchange};
use super::lines::{Line, next_line};
use super::question::{Ask, Prospect, Question, QuestionId};
use super::replies;
use super::session::{Session, State};
use crate::command::Verb;
use crate::reply::Reply;

/// Octets that a dialogue may ask for at a time.
pub const MAX_DIALOGUE_OCTETS: usize = 512 << 10;

/// Lines and blocks of octets in one dialogue, more than any protocol has.
const MAX_STEPS: u32 = 1000;

/// What a dialogue waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expects {
    /// One line of at most so many octets without its CRLF; 0, and more than the session takes: as many as that.
    Line(usize),
    /// So many octets, as they are: 1 to [`MAX_DIALOGUE_OCTETS`].
    Octets(usize),
}

/// A step of a dialogue that is awaited.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectInput {
    pub(super) expects: Expects,
    verb: Verb,
    /// Octets that have come.
    seen: usize,
}

/// A dialogue that is carried on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Talk {
    steps: u32,
    octets: u64,
}

impl Exchange {
    /// A dialogue may come of it: nothing happens by its reply.
    pub(super) fn may_be_carried_on(&self, reply: Option<&Reply>, expects: Expects) -> bool {
        let is_inert = self.effect == Effect::Nothing
            && self.close.is_none()
            && matches!(
                self.verb,
                Some(Verb::Noop | Verb::Vrfy | Verb::Expn | Verb::Help | Verb::Other)
            );
        let fits = match expects {
            Expects::Line(_) => true,
            Expects::Octets(octets) => (1..=MAX_DIALOGUE_OCTETS).contains(&octets),
        };
        // After any other reply the client's next words are its next command.
        is_inert && fits && reply.is_none_or(|reply| reply.code().is_intermediate())
    }
}

impl Session {
    /// The caller has said its part, and waits for the client's.
    pub(super) fn carry_on(
        &mut self,
        id: QuestionId,
        reply: Option<Reply>,
        expects: Expects,
        now: Instant,
    ) {
        let Some(exchange) = self.exchanges.pop_front() else {
            return;
        };
        self.held_back = false;
        let verb = exchange.verb.unwrap_or(Verb::Other);
        let to = ReplyTo::Command(Some(id), verb);
        if let Some(reply) = reply {
            if exchange.talked_over {
                self.push_reply(to, replies::premature());
                return self.close(CloseReason::PrematureInput);
            }
            self.push_reply(to, reply);
        }
        self.talk.get_or_insert_default();
        self.state = State::ExpectInput(ExpectInput {
            expects,
            verb,
            seen: 0,
        });
        match expects {
            Expects::Line(_) => self.clock.await_command(now),
            Expects::Octets(_) => self.clock.await_content(now),
        }
        if self.shutting_down && self.transaction.is_none() {
            self.announce_shutdown();
        }
    }

    /// Takes what the dialogue waits for. Returns whether anything was taken.
    pub(super) fn take_input(&mut self, input: &mut BytesMut, now: Instant) -> bool {
        let State::ExpectInput(own) = &mut self.state else {
            return false;
        };
        match own.expects {
            Expects::Line(most) => {
                let limit = AUTH_LINE - 2;
                let most = if most == 0 { limit } else { most.min(limit) };
                match next_line(input, most + 2) {
                    Line::Incomplete => return false,
                    Line::BareLf => self.refuse_bare_lf(),
                    Line::TooLong => {
                        let reply = Reply::fixed(500, Some((5, 6)), "Line too long");
                        self.refuse_session(reply, CloseReason::LineTooLong);
                    }
                    Line::Whole(line) => self.hear(line, !input.is_empty()),
                }
                true
            }
            Expects::Octets(wanted) => {
                let here = input.len().min(wanted);
                if here > own.seen {
                    self.clock.note_content((here - own.seen) as u64, now);
                    own.seen = here;
                }
                if here < wanted {
                    return false;
                }
                // A copy: what is kept of it must not keep all that was read with it.
                let octets = Bytes::copy_from_slice(input.get(..wanted).unwrap_or_default());
                input.advance(wanted);
                self.hear(octets, !input.is_empty());
                true
            }
        }
    }

    /// Hands on what the client said.
    fn hear(&mut self, said: Bytes, more_input: bool) {
        let verb = match &self.state {
            State::ExpectInput(own) => own.verb,
            _ => Verb::Other,
        };
        self.state = State::ExpectCommand;
        let talk = self.talk.get_or_insert_default();
        talk.steps += 1;
        talk.octets += said.len() as u64;
        if talk.steps > MAX_STEPS || talk.octets > self.limits.max_message_size {
            let reply = Reply::fixed(554, Some((5, 0)), "The dialogue has no end");
            // What follows may be more of it, and is no command.
            return self.refuse_session(reply, CloseReason::Dialogue);
        }
        let id = self.next_question();
        self.exchanges.push_back(Exchange {
            id: Some(id),
            verb: Some(verb),
            effect: Effect::Nothing,
            acceptable: false,
            own: replies::local_error(),
            close: None,
            settled: None,
            talked_over: more_input,
            unknown: false,
        });
        self.actions.push_back(Action::Ask(Question {
            id,
            line: None,
            prospect: Prospect::Accept(Ask::Dialogue(said)),
        }));
    }
}
