//! What is sent next, and the questions before it.

use std::mem;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::opening::Opening;
use super::{Quitting, Session, State};
use crate::client::action::Action;
use crate::client::command::Own;
use crate::client::config::TlsUse;
use crate::client::flight::{Awaited, To};
use crate::client::line::{Extra, Payload};
use crate::client::outcome::{Delivery, Failure, Stage};
use crate::client::question::{
    Answered, CommandQuestion, Occasion, Question, Questions, ResponseQuestion,
};
use crate::client::response::Response;

/// A command that waits for its turn.
#[derive(Debug)]
pub(super) enum Queued {
    /// The session's own. `line` has its CRLF.
    Own { own: Own, line: Bytes, asked: bool },
    /// One that an answer put in for a command of this stage.
    Extra {
        extra: Extra,
        stage: Stage,
        asked: bool,
    },
    /// All before it has to be answered, and then the question is asked again.
    Again(Asked),
}

/// A command that is asked about.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) due: Due,
    /// The question is about the stage, and not about the command as such.
    pub(super) of_stage: bool,
    /// How often it was asked before.
    pub(super) rounds: u8,
}

/// What is asked about.
#[derive(Debug)]
pub(super) enum Due {
    Own(Own, Bytes),
    Extra(Extra, Stage),
}

/// The question that is open.
#[derive(Debug)]
pub(super) enum Open {
    Command(Asked),
    Tls,
    Response {
        awaited: Awaited,
        response: Arc<Response>,
    },
}

impl Open {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Command(asked) => asked.due.stage(),
            Self::Tls => Stage::StartTls,
            Self::Response { awaited, .. } => awaited.to.stage(),
        }
    }
}

impl Due {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Own(own, _) => own.stage(),
            Self::Extra(_, stage) => *stage,
        }
    }

    /// The line without CRLF.
    fn line(&self) -> Bytes {
        match self {
            Self::Own(_, line) => bare(line),
            Self::Extra(extra, _) => extra.line().clone(),
        }
    }

    /// As it stands in the queue once this question is answered.
    pub(super) fn queued(self, asked: bool) -> Queued {
        match self {
            Self::Own(own, line) => Queued::Own { own, line, asked },
            Self::Extra(extra, stage) => Queued::Extra {
                extra,
                stage,
                asked,
            },
        }
    }
}

impl Queued {
    /// Whether it may leave in one group with the commands before it.
    fn may_follow(&self) -> bool {
        match self {
            Self::Own { own, .. } => own.may_follow(),
            Self::Extra { extra, .. } => extra.may_pipeline(),
            Self::Again(_) => false,
        }
    }
}

/// A line without its CRLF.
pub(super) fn bare(line: &Bytes) -> Bytes {
    line.slice(..line.len().saturating_sub(2))
}

impl Session {
    /// Sends and asks all that is due, until something has to be waited for.
    pub(super) fn pump(&mut self) {
        while self.open.is_none() && self.proceed() {}
        self.finish_if_done();
        if matches!(self.state, State::Quitting(Quitting::Due)) && self.open.is_none() {
            // The message before it has just ended.
            while self.open.is_none() && self.proceed() {}
        }
    }

    /// Makes one step. False: there is none to make now.
    fn proceed(&mut self) -> bool {
        if let Some(queued) = self.queue.front() {
            if !self.flight.takes(queued.may_follow(), self.peer.pipelining) {
                return false;
            }
            if let Some(queued) = self.queue.pop_front() {
                self.take_up(queued);
            }
            return true;
        }
        match self.next_own() {
            Some((own, line)) => {
                let of_stage = self.occasion(own).is_some();
                let due = Due::Own(own, line);
                match of_stage {
                    true => self.ask(due, true, 0),
                    false => self.queue.push_back(due.queued(false)),
                }
                true
            }
            None => self.settle_opening(),
        }
    }

    /// The next command of the session's own, if one is due now.
    fn next_own(&mut self) -> Option<(Own, Bytes)> {
        match &mut self.state {
            State::Opening(opening @ Opening::Due(_)) if self.flight.is_idle() => {
                let Opening::Due(own) = mem::replace(opening, Opening::Awaiting) else {
                    return None;
                };
                Some((own, self.opening_line(own)))
            }
            State::Busy(exchange) if self.flight.takes(true, self.peer.pipelining) => {
                exchange.next(&self.flight)
            }
            State::Quitting(quitting @ Quitting::Due) if self.flight.is_idle() => {
                *quitting = Quitting::Said;
                Some((Own::Quit, Bytes::from_static(b"QUIT\r\n")))
            }
            _ => None,
        }
    }

    /// Opens or closes a session that has nothing more to say to that end.
    fn settle_opening(&mut self) -> bool {
        if !self.flight.is_idle() {
            return false;
        }
        match self.state {
            State::Opening(Opening::Done) if self.config.questions.tls => {
                self.open = Some(Open::Tls);
                let encrypted = self.encrypted;
                self.actions
                    .push_back(Action::Ask(Question::Tls { encrypted }));
                true
            }
            State::Opening(Opening::Done) => {
                self.become_ready();
                true
            }
            State::Quitting(Quitting::LeftOut) => {
                self.close(None);
                false
            }
            _ => false,
        }
    }

    pub(super) fn become_ready(&mut self) {
        self.state = State::Idle;
        self.actions.push_back(Action::Ready);
    }

    /// The stage that a command begins, if a question about it is wanted.
    fn occasion(&self, own: Own) -> Option<Occasion> {
        let wanted: &Questions = &self.config.questions;
        let (wanted, occasion) = match own {
            Own::Ehlo | Own::Lhlo => (wanted.session_start, Occasion::SessionStart),
            Own::Mail => (wanted.message_start, Occasion::MessageStart),
            Own::Rcpt(_) => (wanted.recipients, Occasion::Recipient),
            Own::Data | Own::Bdat if wanted.before_data => {
                let accepted = match &self.state {
                    State::Busy(exchange) => exchange.accepted(),
                    _ => Vec::new(),
                };
                (true, Occasion::BeforeData { accepted })
            }
            Own::Quit => (wanted.session_end, Occasion::SessionEnd),
            Own::Data | Own::Bdat | Own::Helo | Own::StartTls | Own::Auth(_) | Own::Rset => {
                return None;
            }
        };
        wanted.then_some(occasion)
    }

    /// Asks about a command that is due.
    pub(super) fn ask(&mut self, due: Due, of_stage: bool, rounds: u8) {
        let (occasion, recipient) = match &due {
            Due::Own(own, _) if of_stage => (self.occasion(*own), own.recipient()),
            Due::Own(own, _) => (None, own.recipient()),
            Due::Extra(..) => (None, None),
        };
        let question = CommandQuestion {
            occasion: occasion.unwrap_or(Occasion::Command),
            line: due.line(),
            recipient,
        };
        self.open = Some(Open::Command(Asked {
            due,
            of_stage,
            rounds,
        }));
        self.actions
            .push_back(Action::Ask(Question::Command(question)));
    }

    /// Asks about a command whose turn has come, or sends it.
    fn take_up(&mut self, queued: Queued) {
        let asks = self.config.questions.commands;
        match queued {
            // It has a password in it, and is nobody else's affair.
            Queued::Own {
                own: own @ Own::Auth(_),
                line,
                ..
            } => self.send_own(own, &line),
            Queued::Own { own, line, asked } if asked || !asks => self.send_own(own, &line),
            Queued::Own { own, line, .. } => self.ask(Due::Own(own, line), false, 0),
            Queued::Extra {
                extra,
                stage,
                asked,
            } if asked || !asks => self.send_extra(extra, stage),
            Queued::Extra { extra, stage, .. } => self.ask(Due::Extra(extra, stage), false, 0),
            Queued::Again(asked) => self.ask(asked.due, asked.of_stage, asked.rounds),
        }
    }

    fn send_own(&mut self, own: Own, line: &Bytes) {
        if self.in_dialogue {
            // The peer would take the command for the next line of a dialogue that nobody goes on with.
            let stage = own.stage();
            return self.fail(Failure::Ended { stage });
        }
        if matches!(own, Own::Data | Own::Bdat)
            && let State::Busy(exchange) = &mut self.state
        {
            // Recipients were refused while questions were open.
            if !exchange.is_worth_content(&self.flight) {
                return;
            }
            if own == Own::Bdat {
                exchange.begin_chunk();
            }
        }
        let to = match own {
            Own::Bdat => To::Content,
            _ => To::Own(own),
        };
        let kept = match own {
            Own::Auth(_) => Bytes::from_static(b"AUTH"),
            _ => self.kept(|| bare(line)),
        };
        self.flight
            .add(line, Awaited::new(to, kept, own.ends_group()));
    }

    fn send_extra(&mut self, extra: Extra, stage: Stage) {
        // A dialogue may go on: what follows would be taken for its next line.
        let ends_group = mem::take(&mut self.in_dialogue) || !extra.may_pipeline();
        let (line, payload) = extra.into_parts();
        let line = line.as_bytes();
        let mut octets = BytesMut::with_capacity(line.len() + 2);
        octets.put_slice(line);
        octets.put_slice(b"\r\n");
        let invited = match payload {
            Some(Payload::AtOnce(payload)) => {
                octets.put_slice(&payload);
                None
            }
            Some(Payload::WhenInvited(payload)) => Some(payload),
            None => None,
        };
        let to = To::Extra { stage, invited };
        let kept = self.kept(|| line.clone());
        self.flight.add(&octets, Awaited::new(to, kept, ends_group));
    }

    /// What is kept of a line: all of it if replies are asked about, and nothing otherwise.
    fn kept(&self, line: impl FnOnce() -> Bytes) -> Bytes {
        match self.config.questions.responses {
            true => line(),
            false => Bytes::new(),
        }
    }

    /// Asks about a reply.
    pub(super) fn ask_about_response(&mut self, awaited: Awaited, response: Arc<Response>) {
        let recipient = match (&awaited.to, &self.state) {
            (To::Own(own), _) => own.recipient(),
            (To::Content, State::Busy(exchange)) => exchange.content_reply_recipient(),
            _ => None,
        };
        let to = match awaited.to {
            To::Greeting => Answered::Connection,
            To::Content | To::Nothing => Answered::Content,
            To::Own(_) | To::Extra { .. } => Answered::Command(awaited.line.clone()),
        };
        let question = ResponseQuestion {
            to,
            recipient,
            response: Arc::clone(&response),
            pipelined: !self.flight.is_idle(),
        };
        self.open = Some(Open::Response { awaited, response });
        self.actions
            .push_back(Action::Ask(Question::Response(question)));
    }

    /// A command of the session's own is left out.
    pub(super) fn drop_own(&mut self, own: Own) {
        let delivery = Delivery::Withheld { stage: own.stage() };
        match (own, &mut self.state) {
            (Own::StartTls, _) => match self.config.tls {
                TlsUse::Required => self.fail_politely(Failure::TlsNotOffered),
                TlsUse::IfOffered | TlsUse::Never => self.log_in(),
            },
            (Own::Quit, _) => self.state = State::Quitting(Quitting::LeftOut),
            (Own::Rcpt(index), State::Busy(exchange)) => exchange.leave_out(index, delivery),
            (Own::Mail | Own::Data | Own::Bdat, State::Busy(exchange)) => {
                exchange.give_up(&delivery);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Instant;

    use super::*;
    use crate::client::{ClientName, Config, Protocol};

    #[test]
    fn without_starttls_a_session_that_needs_tls_ends() {
        for (tls, ends) in [(TlsUse::IfOffered, false), (TlsUse::Required, true)] {
            let name = ClientName::new("client.test").unwrap();
            let mut config = Config::new(Protocol::Smtp, name);
            config.tls = tls;
            let now = Instant::now();
            let mut session = Session::new(Arc::new(config), false, now);
            let said = b"220 mx.test\r\n250-mx.test\r\n250 STARTTLS\r\n";
            for line in said.split_inclusive(|octet| *octet == b'\n') {
                session.handle_input(&mut BytesMut::from(line), now);
                while session.poll_action().is_some() {}
            }
            session.drop_own(Own::StartTls);
            let mut closed = None;
            while let Some(action) = session.poll_action() {
                if let Action::Close(failure) = action {
                    closed = failure;
                }
            }
            let not_offered = closed.is_some_and(|failure| *failure == Failure::TlsNotOffered);
            assert_eq!(not_offered, ends, "{tls:?}");
        }
    }
}
