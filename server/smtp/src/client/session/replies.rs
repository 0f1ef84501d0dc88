//! What replies come to.

use std::sync::Arc;

use bytes::Bytes;

use super::asking::Queued;
use super::{Session, State};
use crate::client::exchange::Step;
use crate::client::flight::{Awaited, To};
use crate::client::outcome::{Failure, Stage};
use crate::client::response::Response;

impl Session {
    /// Asks about a reply, or takes it.
    pub(super) fn handle_response(&mut self, response: Arc<Response>) {
        match self.flight.answered() {
            None => {
                let stage = Stage::Idle;
                self.fail(match response.announces_close() {
                    true => Failure::Refused { stage, response },
                    false => Failure::Unexpected { stage, response },
                });
            }
            Some(awaited) if self.config.questions.responses => {
                self.ask_about_response(awaited, response);
            }
            Some(awaited) => self.settle(awaited, &response, Arc::clone(&response)),
        }
    }

    /// Takes a reply: `response`, as an answer would have it taken, in place of `native`.
    pub(super) fn settle(&mut self, awaited: Awaited, native: &Response, response: Arc<Response>) {
        if let To::Extra { stage, invited } = awaited.to {
            let closes = native.announces_close();
            return self.extra_reply(stage, invited, response, closes);
        }
        match &mut self.state {
            State::Opening(_) => self.opening_response(&awaited.to, native, response),
            State::Busy(exchange) => {
                match exchange.handle_response(awaited, native, response, &mut self.flight) {
                    Step::Go => {}
                    Step::Drop => self.queue.clear(),
                    Step::Fail(failure) => self.fail(failure),
                }
            }
            State::Quitting(_) => self.close(None),
            // Nothing is awaited there.
            State::Idle | State::Handshake | State::Closed => {}
        }
    }

    /// Takes the reply to a command that an answer put in. A refusal of it changes nothing by itself.
    fn extra_reply(
        &mut self,
        stage: Stage,
        invited: Option<Bytes>,
        response: Arc<Response>,
        closes: bool,
    ) {
        if closes {
            return self.fail(Failure::Refused { stage, response });
        }
        if !response.is_intermediate() {
            return;
        }
        let goes_on = matches!(
            self.queue.front(),
            Some(Queued::Extra { .. } | Queued::Again(_))
        );
        match invited {
            Some(octets) => {
                let to = To::Extra {
                    stage,
                    invited: None,
                };
                self.flight.add_octets(&octets);
                self.flight.expect(Awaited::alone(to));
            }
            // The next line of the dialogue.
            None if goes_on && self.flight.is_idle() => self.in_dialogue = true,
            // The peer waits for what nobody has.
            None => self.fail(Failure::Unexpected { stage, response }),
        }
    }
}
