//! AUTH exchanges (RFC 4954): lines, base64 and order are looked after here. What mechanisms are, and whether the client
//! is who it says, is the caller's affair.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};

use super::action::{Action, ReplyTo};
use super::exchange::{Effect, Exchange};
use super::judge::Judgement;
use super::lines::{Line, next_line};
use super::question::{Ask, AuthStep, Prospect, Question, QuestionId};
use super::replies::{self, Offered};
use super::session::{Session, State};
use crate::command::{Auth, Verb};
use crate::reply::Reply;

/// Longest line of an exchange in octets, CRLF included (RFC 4954 4).
pub(super) const AUTH_LINE: usize = 12_288;

/// Longest challenge in octets: in base64 it has room on one line of a reply.
pub const MAX_CHALLENGE: usize = 369;

/// Steps of one exchange, more than any mechanism has.
const MAX_STEPS: u32 = 16;

/// An exchange between the command and its end.
#[derive(Debug)]
pub(super) struct Dialogue {
    mechanism: Bytes,
    /// The one that was asked about last.
    step: u32,
}

impl Dialogue {
    pub(super) fn begin(step: &AuthStep) -> Self {
        Self {
            mechanism: step.mechanism.clone(),
            step: step.step,
        }
    }
}

impl Session {
    /// AUTH could begin now, but for the order of commands.
    pub(super) fn offers_auth(&self) -> bool {
        let in_clear = self.config.auth.as_ref().is_some_and(|auth| auth.in_clear);
        !self.authenticated && self.has_auth() && (self.transport.tls || in_clear)
    }

    /// There is some mechanism: a configured one, or one that was offered to the last greeting.
    pub(super) fn has_auth(&self) -> bool {
        self.config.auth.is_some() || !self.mechanisms.is_empty()
    }

    /// Offers these mechanisms beside the configured ones in the reply to the greeting that is asked about; AUTH takes
    /// them until the next greeting. Without TLS only where the configured ones are offered without it too. Names are in
    /// upper case (RFC 4422 3.1).
    pub fn offer_mechanisms(&mut self, mut mechanisms: Vec<String>) {
        if let Some(auth) = &self.config.auth {
            mechanisms.retain(|name| !auth.mechanisms.contains(name));
        }
        self.mechanisms = mechanisms;
        let Some(Effect::Hello(kind)) = self.exchanges.back().map(|last| last.effect) else {
            return;
        };
        let own = replies::hello(kind, &self.config, &self.limits, &self.offered());
        if let Some(last) = self.exchanges.back_mut() {
            last.own = own;
        }
    }

    /// The client counts as authenticated, without AUTH: by its certificate, or by what somebody else knows of it.
    pub const fn authenticate(&mut self) {
        self.authenticated = true;
        self.expects_secrets = false;
    }

    /// The client has to authenticate before it sends mail.
    pub(super) fn lacks_auth(&self) -> bool {
        let required = self.config.auth.as_ref().is_some_and(|auth| auth.required);
        required && !self.authenticated
    }

    /// What EHLO offers as things stand now.
    pub(super) fn offered(&self) -> Offered<'_> {
        let auth = self.config.auth.as_ref();
        let configured = auth.map_or(&[][..], |auth| auth.mechanisms.as_slice());
        let mechanisms = match self.offers_auth() {
            true => [configured, self.mechanisms.as_slice()],
            false => [&[][..]; 2],
        };
        Offered {
            starttls: self.offers_starttls(),
            mechanisms,
        }
    }

    pub(super) fn judge_auth(&self, auth: Auth) -> Judgement {
        let own = self.config.auth.iter().flat_map(|own| &own.mechanisms);
        let known = own
            .chain(&self.mechanisms)
            .any(|name| name.as_bytes() == auth.mechanism);
        if !known {
            let reply = Reply::fixed(504, Some((5, 4)), "No such mechanism here");
            return Judgement::refuse(reply);
        }
        let response = match auth.initial.as_deref() {
            None => None,
            // The response is there, and empty (RFC 4954 4).
            Some(b"=") => Some(Bytes::new()),
            Some(initial) => match STANDARD.decode(initial) {
                Ok(response) => Some(Bytes::from(response)),
                Err(_) => return Judgement::refuse(not_base64()),
            },
        };
        let step = AuthStep {
            mechanism: auth.mechanism,
            response,
            step: 1,
        };
        Judgement::accept(Ask::Auth(step), Effect::Auth, success())
    }

    /// Asks the client for more.
    pub(super) fn challenge(&mut self, id: QuestionId, challenge: &Bytes, now: Instant) {
        self.exchanges.pop_front();
        let text = STANDARD.encode(challenge);
        self.push_reply(
            ReplyTo::Command(Some(id), Verb::Auth),
            Reply::fixed(334, None, text),
        );
        self.state = State::ExpectResponse;
        self.clock.await_command(now);
        if self.shutting_down {
            self.announce_shutdown();
        }
    }

    /// Takes the answer to a challenge. Returns whether anything was taken.
    pub(super) fn take_response(&mut self, input: &mut BytesMut, now: Instant) -> bool {
        match next_line(input, AUTH_LINE) {
            Line::Incomplete => return false,
            Line::BareLf => self.refuse_bare_lf(),
            Line::TooLong => {
                self.dialogue = None;
                self.state = State::SkipLine { skipped: 0 };
            }
            Line::Whole(line) => self.handle_response(&line, now),
        }
        true
    }

    fn handle_response(&mut self, line: &[u8], now: Instant) {
        self.state = State::ExpectCommand;
        let Some(dialogue) = &mut self.dialogue else {
            return;
        };
        dialogue.step += 1;
        if line == b"*" {
            return self.end_exchange(
                Reply::fixed(501, Some((7, 0)), "Authentication cancelled"),
                now,
            );
        }
        if dialogue.step > MAX_STEPS {
            return self.end_exchange(
                Reply::fixed(501, Some((5, 2)), "The exchange has no end"),
                now,
            );
        }
        let Ok(response) = STANDARD.decode(line) else {
            return self.end_exchange(not_base64(), now);
        };
        let step = AuthStep {
            mechanism: dialogue.mechanism.clone(),
            response: Some(Bytes::from(response)),
            step: dialogue.step,
        };
        let id = self.next_question();
        self.exchanges
            .push_back(exchange(Some(id), success(), true));
        self.actions.push_back(Action::Ask(Question {
            id,
            line: None,
            prospect: Prospect::Accept(Ask::Auth(step)),
        }));
    }

    /// The exchange is over with this refusal, and nobody is asked.
    fn end_exchange(&mut self, reply: Reply, now: Instant) {
        self.dialogue = None;
        let mut exchange = exchange(None, reply.clone(), false);
        exchange.settled = Some((reply, None));
        self.exchanges.push_back(exchange);
        self.flush(now);
    }
}

fn exchange(id: Option<QuestionId>, own: Reply, acceptable: bool) -> Exchange {
    Exchange {
        id,
        verb: Some(Verb::Auth),
        effect: Effect::Auth,
        acceptable,
        own,
        close: None,
        settled: None,
        talked_over: false,
        unknown: false,
    }
}

fn success() -> Reply {
    Reply::fixed(235, Some((7, 0)), "Authenticated")
}

fn not_base64() -> Reply {
    Reply::fixed(501, Some((5, 2)), "The response is not base64")
}
