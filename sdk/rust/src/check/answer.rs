//! Typed answers.

use postern_proto::rules::{AnswerKind, DecisionKind, EventRule};

use super::{Question, Refusal, reply};
use crate::v1::{self, RecipientKind, answer, auth_answer, decision};

pub(super) fn check(
    answer: Option<&v1::Answer>,
    decided: &decision::Kind,
    rule: &EventRule,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    let decision = DecisionKind::from(decided);
    let Some(answer) = answer else {
        return match rule.answer_required && decision == DecisionKind::Proceed {
            true => Err(Refusal::new(format!(
                "proceed at {} needs an answer",
                rule.name
            ))),
            false => Ok(()),
        };
    };
    let kind = answer
        .kind
        .as_ref()
        .ok_or_else(|| Refusal::new("the answer is unset or unknown"))?;
    let answered = AnswerKind::from(kind);
    let name = answered.name();
    let allowed = rule
        .answers
        .iter()
        .any(|allowed| allowed.kind == answered && allowed.arm.is_none_or(|arm| is_arm(kind, arm)));
    if !allowed {
        return Err(Refusal::new(format!(
            "{} takes no answer of the kind {name}",
            rule.name
        )));
    }
    let fits = match answered.rule().only_with {
        Some(only) => decision == only,
        None => matches!(decision, DecisionKind::Proceed | DecisionKind::Finish),
    };
    if !fits {
        return Err(Refusal::new(format!(
            "the answer {name} does not go with {}",
            decision.name()
        )));
    }
    grants(kind, answered, question)
}

fn is_arm(kind: &answer::Kind, arm: &str) -> bool {
    match kind {
        answer::Kind::Auth(answer) => matches!(
            (&answer.kind, arm),
            (Some(auth_answer::Kind::Challenge(_)), "challenge")
                | (Some(auth_answer::Kind::Success(_)), "success")
                | (Some(auth_answer::Kind::Mechanisms(_)), "mechanisms")
        ),
        _ => false,
    }
}

fn grants(
    kind: &answer::Kind,
    answered: AnswerKind,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    let mut needed: Vec<&str> = answered.rule().grant.into_iter().collect();
    match kind {
        answer::Kind::Rcpt(answer) => {
            if answer.recipient_kind() == RecipientKind::Unspecified
                && answer.next_hop.is_none()
                && !answer.tenant.is_empty()
            {
                needed.clear();
            }
            match answer.recipient_kind() {
                RecipientKind::Relayed => needed.push("relay"),
                RecipientKind::Forbidden | RecipientKind::Unknown => {
                    return Err(Refusal::new(
                        "a recipient that is not taken is refused, not answered",
                    ));
                }
                RecipientKind::Hosted | RecipientKind::Unspecified => {}
            }
            needed.extend(answer.next_hop.is_some().then_some("redirect"));
            needed.extend((!answer.tenant.is_empty()).then_some("tenant"));
        }
        answer::Kind::Response(answer) => {
            if let Some(reply) = &answer.reply {
                reply::well_formed(reply, question)?;
            }
            let greeting = match question.body {
                Some(v1::event::Kind::InboundResponse(body)) => {
                    matches!(body.verb.as_ref(), b"EHLO" | b"LHLO")
                }
                _ => false,
            };
            let keywords =
                greeting && !answer.added_lines.is_empty() || !answer.removed_keywords.is_empty();
            needed.extend(keywords.then_some("ehlo"));
        }
        answer::Kind::Dialogue(answer) => {
            let class = match &answer.reply {
                Some(reply) => Some(reply::well_formed(reply, question)?),
                None => None,
            };
            match (answer.expects.is_some(), class) {
                (true, None | Some(3)) | (false, Some(2 | 4 | 5)) => {}
                (true, Some(_)) => {
                    return Err(Refusal::new("a dialogue that goes on says so by 3xx"));
                }
                (false, _) => {
                    return Err(Refusal::new(
                        "a dialogue that is over needs a reply, not 3xx",
                    ));
                }
            }
        }
        answer::Kind::Auth(answer) => {
            if let Some(auth_answer::Kind::Success(success)) = &answer.kind {
                needed.extend(success.may_relay.then_some("relay"));
                needed.extend((!success.tenant.is_empty()).then_some("tenant"));
            }
        }
        _ => {}
    }
    needed
        .into_iter()
        .try_for_each(|word| question.grants.expect(word))
}
