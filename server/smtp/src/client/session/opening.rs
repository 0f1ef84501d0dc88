//! From the greeting to the first message: EHLO, HELO, LHLO, STARTTLS and AUTH.

use std::sync::Arc;

use bytes::Bytes;

use super::{Session, State};
use crate::client::action::Action;
use crate::client::capabilities::Capabilities;
use crate::client::command::Own;
use crate::client::config::{Protocol, TlsUse};
use crate::client::flight::To;
use crate::client::login::LoginStep;
use crate::client::outcome::Failure;
use crate::client::question::Questions;
use crate::client::response::Response;

/// Where the opening of a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// A reply says how to go on.
    Awaiting,
    /// This command is due.
    Due(Own),
    /// All was said. What is left is to say that the session is open.
    Done,
}

impl Session {
    /// Takes a reply: `response`, as an answer would have it taken, in place of `native`.
    pub(super) fn opening_response(&mut self, to: &To, native: &Response, response: Arc<Response>) {
        let stage = to.stage();
        let response = match to {
            To::Own(Own::Auth(_)) => without_words(&response),
            _ => response,
        };
        let closes = native.announces_close();
        match to {
            _ if closes => self.refuse(to, response, closes),
            To::Greeting if response.code == 220 => self.say_hello(),
            To::Own(own @ (Own::Ehlo | Own::Helo | Own::Lhlo)) if response.code == 250 => {
                self.greeted = true;
                // After HELO nothing is offered, whatever the peer's lines look like.
                self.without_extensions = *own == Own::Helo;
                self.peer = match self.without_extensions {
                    true => Capabilities::default(),
                    false => Capabilities::parse(native),
                };
                self.offers =
                    match self.without_extensions || self.config.questions == Questions::NONE {
                        true => Vec::new(),
                        false => native.lines.iter().skip(1).cloned().collect(),
                    };
                self.after_hello();
            }
            To::Own(Own::Ehlo) if response.is_permanent() => {
                self.state = State::Opening(Opening::Due(Own::Helo));
            }
            To::Own(Own::StartTls) if response.code == 220 => {
                self.state = State::Handshake;
                self.actions.push_back(Action::StartTls);
            }
            To::Own(Own::Auth(LoginStep::Plain | LoginStep::Password)) if response.code == 235 => {
                self.authenticated = true;
                self.state = State::Opening(Opening::Done);
            }
            To::Own(Own::Auth(step)) if response.code == 334 => match step.next() {
                Some(next) => self.state = State::Opening(Opening::Due(Own::Auth(next))),
                None => self.fail(Failure::Unexpected { stage, response }),
            },
            To::Greeting | To::Own(_) if response.is_positive() => {
                self.fail(Failure::Unexpected { stage, response });
            }
            To::Own(Own::StartTls) if self.config.tls == TlsUse::IfOffered => self.log_in(),
            _ => self.refuse(to, response, closes),
        }
    }

    /// The peer wants no session.
    fn refuse(&mut self, to: &To, response: Arc<Response>, closes: bool) {
        let stage = to.stage();
        let failure = Failure::Refused { stage, response };
        match closes {
            true => self.fail(failure),
            false => self.fail_politely(failure),
        }
    }

    pub(super) fn say_hello(&mut self) {
        let own = match self.config.protocol {
            Protocol::Smtp => Own::Ehlo,
            Protocol::Lmtp => Own::Lhlo,
        };
        self.greeted = false;
        self.state = State::Opening(Opening::Due(own));
    }

    /// The line of a command of the opening.
    pub(super) fn opening_line(&self, own: Own) -> Bytes {
        let hello = |verb: &[u8]| [verb, self.config.name.as_bytes(), b"\r\n"].concat().into();
        match own {
            Own::Ehlo => hello(b"EHLO "),
            Own::Lhlo => hello(b"LHLO "),
            Own::Helo => hello(b"HELO "),
            Own::Auth(step) => match &self.config.login {
                Some(login) => login.line(step),
                None => Bytes::new(),
            },
            _ => Bytes::from_static(b"STARTTLS\r\n"),
        }
    }

    fn after_hello(&mut self) {
        let next = match (self.config.tls, self.encrypted) {
            (_, true) | (TlsUse::Never, _) => return self.log_in(),
            _ if self.peer.starttls => Opening::Due(Own::StartTls),
            (TlsUse::IfOffered, _) => return self.log_in(),
            (TlsUse::Required, _) => return self.fail_politely(Failure::TlsNotOffered),
        };
        self.state = State::Opening(next);
    }

    /// Goes on behind TLS, or without it: with AUTH if there is somebody to be.
    pub(super) fn log_in(&mut self) {
        let in_clear = !self.encrypted && !self.config.login_in_clear;
        let next = match &self.config.login {
            None => Opening::Done,
            Some(_) if self.authenticated => Opening::Done,
            Some(_) if in_clear => return self.fail_politely(Failure::LoginInClear),
            Some(_) if self.peer.auth_plain => Opening::Due(Own::Auth(LoginStep::Plain)),
            Some(_) if self.peer.auth_login => Opening::Due(Own::Auth(LoginStep::Login)),
            Some(_) => return self.fail_politely(Failure::LoginNotOffered),
        };
        self.state = State::Opening(next);
    }
}

/// The codes of a reply to AUTH. What a peer says there may have the password in it, or the user's name.
fn without_words(response: &Response) -> Arc<Response> {
    let enhanced = response.enhanced.map(|code| code.to_string().into());
    Arc::new(Response {
        code: response.code,
        enhanced: response.enhanced,
        lines: enhanced.into_iter().collect(),
    })
}
