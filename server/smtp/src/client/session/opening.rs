//! From the greeting to the first message: EHLO, HELO, LHLO and STARTTLS.

use std::sync::Arc;

use bytes::Bytes;

use super::{Action, Expected, Session, State};
use crate::client::capabilities::Capabilities;
use crate::client::config::{Protocol, TlsUse};
use crate::client::outcome::{Failure, Stage};
use crate::client::response::Response;

impl Session {
    pub(super) fn opening_response(&mut self, expected: Expected, response: Arc<Response>) {
        let stage = expected.stage();
        match expected {
            Expected::Greeting if response.code == 220 => self.say_hello(),
            Expected::Ehlo | Expected::Hello if response.code == 250 => {
                let offers = expected == Expected::Ehlo || self.config.protocol == Protocol::Lmtp;
                if offers {
                    self.peer = Capabilities::parse(&response);
                }
                self.after_hello();
            }
            Expected::Ehlo if response.is_permanent() => {
                self.without_extensions = true;
                let line = self.hello_line(b"HELO ");
                self.command(&line, Expected::Hello);
            }
            Expected::StartTls if response.code == 220 => {
                self.state = State::Handshake;
                self.actions.push_back(Action::StartTls);
            }
            Expected::StartTls
                if self.config.tls == TlsUse::IfOffered && !response.announces_close() =>
            {
                self.open();
            }
            Expected::Greeting | Expected::Hello | Expected::Ehlo if response.is_positive() => {
                self.fail(Failure::Unexpected { stage, response });
            }
            _ => self.refuse(stage, response),
        }
    }

    /// The peer wants no session: leave politely, without waiting for an answer.
    fn refuse(&mut self, stage: Stage, response: Arc<Response>) {
        let farewell = !response.announces_close();
        self.fail(Failure::Refused { stage, response });
        if farewell {
            let quit = Action::Send(Bytes::from_static(b"QUIT\r\n"));
            self.actions.push_front(quit);
        }
    }

    pub(super) fn say_hello(&mut self) {
        let (verb, expected): (&[u8], _) = match self.config.protocol {
            Protocol::Smtp => (b"EHLO ", Expected::Ehlo),
            Protocol::Lmtp => (b"LHLO ", Expected::Hello),
        };
        let line = self.hello_line(verb);
        self.command(&line, expected);
    }

    fn hello_line(&self, verb: &[u8]) -> Vec<u8> {
        [verb, self.config.name.as_bytes(), b"\r\n"].concat()
    }

    fn after_hello(&mut self) {
        match (self.config.tls, self.encrypted) {
            (_, true) | (TlsUse::Never, _) => self.open(),
            _ if self.peer.starttls => self.command(b"STARTTLS\r\n", Expected::StartTls),
            (TlsUse::IfOffered, _) => self.open(),
            (TlsUse::Required, _) => self.fail(Failure::TlsNotOffered),
        }
    }

    fn open(&mut self) {
        self.state = State::Idle;
        self.actions.push_back(Action::Ready);
    }
}
