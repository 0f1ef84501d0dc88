//! Typed answers.

mod client;
mod destination;
mod fate;
mod outgoing;

use postern_proto::rules::{AnswerKind, DecisionKind};
use postern_proto::v1 as pb;
use postern_proto::v1::answer::Kind;

use super::edit::Checker;
use crate::answer::{AnyAnswer, RecipientKind, SizeAnswer};
use crate::event::EventKind;
use crate::fault::Fault;

/// Elements of the lists of an answer.
const MAX_ITEMS: usize = 10_000;

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
    Ok(match kind {
        Kind::Rcpt(own) => AnyAnswer::Rcpt(client::rcpt(own, checker)?),
        Kind::Response(own) => AnyAnswer::Response(client::response(own, checker)?),
        Kind::Auth(own) => AnyAnswer::Auth(client::auth(own, checker)?),
        Kind::Dialogue(own) => AnyAnswer::Dialogue(client::dialogue(own, checker)?),
        Kind::Expansion(own) => AnyAnswer::Expansion(destination::expansion(own, checker)?),
        Kind::Route(own) => AnyAnswer::Route(destination::route(own)?),
        Kind::Resolve(own) => AnyAnswer::Resolve(destination::resolve(own)?),
        Kind::Size(own) => AnyAnswer::Size(match pb::SizeRuling::try_from(own.ruling) {
            Ok(pb::SizeRuling::Impose) => SizeAnswer::Impose,
            Ok(pb::SizeRuling::Waive) => SizeAnswer::Waive,
            Ok(pb::SizeRuling::Unspecified) | Err(_) => {
                return Err(Fault::protocol(
                    "the ruling on the size is unset or unknown",
                ));
            }
        }),
        Kind::LocalDelivery(own) => AnyAnswer::LocalDelivery(fate::local_delivery(own, checker)?),
        Kind::Dsn(own) => AnyAnswer::Dsn(fate::dsn(own, checker)?),
        Kind::Commands(own) => AnyAnswer::Commands(outgoing::commands(own, checker)?),
        Kind::RemoteStatus(own) => AnyAnswer::RemoteStatus(outgoing::remote_status(own, checker)?),
    })
}

fn kind_of_recipient(kind: i32) -> Result<RecipientKind, Fault> {
    match pb::RecipientKind::try_from(kind) {
        Ok(pb::RecipientKind::Unspecified) => Ok(RecipientKind::Unspecified),
        Ok(pb::RecipientKind::Hosted) => Ok(RecipientKind::Hosted),
        Ok(pb::RecipientKind::Relayed) => Ok(RecipientKind::Relayed),
        Ok(pb::RecipientKind::Forbidden | pb::RecipientKind::Unknown) => Err(Fault::protocol(
            "a recipient that is not to be taken is refused, not answered for",
        )),
        Err(_) => Err(Fault::protocol("the kind of recipient is unknown")),
    }
}
