//! Typed answers: that an event takes one, with this decision and for this binding. What is in it, its type checks.

use std::any::Any;
use std::collections::HashSet;

use bytes::Bytes;
use postern_message::{HeaderName, HeaderValue, RecipientId};
use postern_proto::rules::{AnswerKind, DecisionKind};
use postern_proto::v1 as pb;
use postern_proto::v1::answer::Kind;
use postern_smtp::reply::Reply;

use super::edit::Checker;
use super::reply;
use crate::answer::{AnyAnswer, Checks};
use crate::check::recipient_id;
use crate::event::EventKind;
use crate::fault::Fault;

/// Checks an answer: that it is of the kind that the event asks for, goes with the decision, and is granted.
pub(super) fn answer(
    answer: pb::Answer,
    decision: DecisionKind,
    checker: &mut Checker<'_, '_>,
) -> Result<AnyAnswer, Fault> {
    let event = checker.asked.event();
    let kind = answer
        .kind
        .ok_or_else(|| Fault::protocol("the answer is unset or unknown"))?;
    let of = AnswerKind::from(&kind);
    let arm = match &kind {
        Kind::Auth(auth) => match &auth.kind {
            Some(pb::auth_answer::Kind::Challenge(_)) => Some("challenge"),
            Some(pb::auth_answer::Kind::Success(_)) => Some("success"),
            Some(pb::auth_answer::Kind::Mechanisms(_)) => Some("mechanisms"),
            None => None,
        },
        _ => None,
    };
    let is_asked = event
        .rule()
        .answers
        .iter()
        .any(|own| own.kind == of && (own.arm.is_none() || own.arm == arm));
    if !is_asked {
        return Err(Fault::protocol(format!(
            "{} is no answer to {event}",
            arm.unwrap_or(of.name())
        )));
    }
    let goes = match of.rule().only_with {
        Some(only) => decision == only,
        None => {
            matches!(decision, DecisionKind::Proceed | DecisionKind::Finish)
                || event == EventKind::InboundResponse && decision == DecisionKind::Disconnect
        }
    };
    if !goes {
        return Err(Fault::protocol(format!(
            "the answer {} does not go with {}",
            of.name(),
            decision.name()
        )));
    }
    // A recipient's tenant alone needs no more than its own word.
    if of != AnswerKind::Rcpt
        && let Some(grant) = of.rule().grant
    {
        checker.may(grant)?;
    }
    let question = checker.asked.question;
    question.event().check_answer(kind, checker)
}

impl Checks for Checker<'_, '_> {
    fn event(&self) -> &dyn Any {
        self.asked.question.event().as_any()
    }

    fn due(&self) -> Option<(&[u8], &[u8])> {
        let due = self.asked.facts().due?;
        Some((&due.verb, &due.line))
    }

    fn namespace(&self) -> &str {
        &self.asked.binding.sink.name
    }

    fn utf8(&self) -> bool {
        self.asked.utf8()
    }

    fn may(&self, grant: &str) -> Result<(), Fault> {
        Checker::may(self, grant)
    }

    fn recipient(&self, id: &[u8]) -> Result<RecipientId, Fault> {
        let id = recipient_id(id)?;
        self.asked.known(id)
    }

    fn recipients(
        &self,
        ids: &[Bytes],
        seen: &mut HashSet<RecipientId>,
    ) -> Result<Vec<RecipientId>, Fault> {
        self.asked.group(ids, seen)
    }

    fn reply(&self, reply: pb::Reply, classes: &[u8], what: &str) -> Result<Reply, Fault> {
        reply::of_class(reply, classes, what, self.asked)
    }

    fn header(&self, name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), Fault> {
        Checker::header(self, name, value)
    }

    fn data(&mut self, data: pb::Data, what: &str) -> Result<Bytes, Fault> {
        Checker::data(self, data, what)
    }
}
