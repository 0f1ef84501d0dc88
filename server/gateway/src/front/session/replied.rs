//! What a session does when a reply is known: it is sent, and what was said counts for later events, or does not.

use std::sync::Arc;

use postern_smtp::reply::Reply;
use postern_smtp::server::{QuestionId, ReplyTo};

use super::Session;
use super::ask::{Asked, Noted};
use super::phase::Phase;
use crate::front::reception::transaction::Transaction;
use crate::metrics::labels::{LimitName, WaitedFor};

impl Session {
    pub(super) fn reply(&mut self, to: ReplyTo, reply: Reply) {
        let id = match to {
            ReplyTo::Greeting(id) => Some(id),
            ReplyTo::Command(id, _) | ReplyTo::Message(id, _) => id,
            ReplyTo::Unsolicited => None,
        };
        let asked = id.and_then(|id| self.take_asked(id, &to));
        let by = asked.as_ref().and_then(|asked| asked.by.as_deref());
        self.note_refusal(&to, &reply, by);
        if let Some(asked) = &asked {
            let kind = match to {
                ReplyTo::Message(..) => WaitedFor::Message,
                _ => WaitedFor::Command,
            };
            self.reception.tools.metrics.observe_wait(
                &self.reception.server.name,
                kind,
                asked.since.elapsed(),
            );
            self.log_refusal(asked, &reply);
            if !reply.code().is_positive() {
                self.give_back(asked.entry);
            }
            self.note(&asked.noted, &reply);
        }
        // A challenge is no word to the client: nobody may change it.
        let asked = asked.filter(|_| reply.code().value() != 334);
        self.outgoing
            .push(&to, reply, asked, self.machine.replies_utf8());
    }

    /// LMTP has several replies to one message: the first one is the answer to the question.
    fn take_asked(&mut self, id: QuestionId, to: &ReplyTo) -> Option<Asked> {
        match to {
            ReplyTo::Message(_, Some(place)) if *place > 0 => None,
            _ => self.asked.remove(&id),
        }
    }

    /// Refusals of commands that a sender asks its operator about. What a client does wrong by itself is not logged.
    fn log_refusal(&self, asked: &Asked, reply: &Reply) {
        if !(reply.code().is_transient() || reply.code().is_permanent()) {
            return;
        }
        let by = asked.by.as_deref();
        match asked.noted {
            Noted::Rcpt(id) => {
                self.reception
                    .log_refused_recipient(self.phase.message_id(), id, reply, by)
            }
            Noted::Mail(_) => self.reception.log_refused("sender", reply, by),
            Noted::Greeting => self.reception.log_refused("connection", reply, by),
            Noted::Hello(_) => self.reception.log_refused("greeting", reply, by),
            // Failures of AUTH are logged with what failed.
            Noted::Nothing
            | Noted::Authenticated(_)
            | Noted::Vouched(_)
            | Noted::Dropped(_)
            | Noted::Message => {}
        }
    }

    /// What was said counts for later events once its reply is known.
    fn note(&mut self, noted: &Noted, reply: &Reply) {
        let accepted = reply.code().is_positive();
        match noted {
            Noted::Hello(hello) if accepted => {
                self.reception.scope.note_helo(hello.clone());
            }
            Noted::Greeting if accepted => self.reception.scope.note_connect(),
            Noted::Authenticated(who) if accepted => self.reception.note_authenticated(who),
            Noted::Vouched(who) if accepted => self.reception.note_success(who),
            Noted::Mail(id) if accepted => {
                let transaction = Transaction::begin(Arc::clone(&self.reception), *id);
                self.phase = Phase::Envelope(transaction);
                self.reception.scope.note_mail();
            }
            Noted::Dropped(id) => {
                self.reception
                    .log_dropped_recipient(self.phase.message_id(), *id);
                if let (Phase::Envelope(transaction), Some(recipient)) =
                    (&mut self.phase, self.reception.scope.recipient(*id))
                {
                    transaction.drop_recipient(recipient);
                }
                self.reception.scope.note_rcpt(*id, false);
            }
            Noted::Rcpt(id) => self.reception.scope.note_rcpt(*id, accepted),
            _ => {}
        }
        self.count_limits(noted, reply);
    }

    /// Limits that the machine keeps are seen by their replies.
    fn count_limits(&self, noted: &Noted, reply: &Reply) {
        let status = reply
            .enhanced()
            .map(|code| (code.class(), code.subject(), code.detail()));
        let limit = match (noted, status) {
            (Noted::Rcpt(..), Some((4, 5, 3))) => LimitName::Recipients,
            (Noted::Mail(..) | Noted::Message, Some((5, 3, 4))) => LimitName::MessageSize,
            _ => return,
        };
        self.reception
            .tools
            .metrics
            .count_limit(&self.reception.server.name, limit);
    }

    /// A reply that refuses: if the session closes with it, a transaction ends so.
    pub(super) fn note_refusal(&mut self, to: &ReplyTo, reply: &Reply, by: Option<&str>) {
        let refuses = reply.code().is_transient() || reply.code().is_permanent();
        // After the reply to a message there is no transaction.
        self.last_refusal = (refuses && !matches!(to, ReplyTo::Message(..)))
            .then(|| (reply.clone(), by.map(str::to_owned)));
    }
}
