//! Decisions, of the whole and of some recipients.

use std::collections::HashSet;

use postern_message::RecipientId;
use postern_proto::rules::DecisionKind;
use postern_proto::v1 as pb;
use postern_proto::v1::decision::Kind;

use super::asked::{Asked, not_granted};
use super::reply;
use crate::check::{MAX_WARNING_OCTETS, limit, wait};
use crate::fault::Fault;
use crate::ruling::{Decision, FinishScope};

/// The decision, and the reason that `hold` and `quarantine` give.
pub(super) fn decide(
    decision: Option<pb::Decision>,
    asked: &Asked<'_>,
    has_answer: bool,
) -> Result<(Decision, String), Fault> {
    let kind = decision
        .and_then(|decision| decision.kind)
        .ok_or_else(|| Fault::protocol("the decision is unset or unknown"))?;
    allow(DecisionKind::from(&kind), asked)?;
    let plain = |decision| Ok((decision, String::new()));
    let reason = |text: String| {
        limit("octets of the reason", text.len(), MAX_WARNING_OCTETS)?;
        Ok::<_, Fault>(text)
    };
    if asked.facts().in_dialogue && matches!(kind, Kind::Proceed(_) | Kind::Finish(_)) {
        return Err(Fault::protocol(
            "a dialogue goes on, or ends, by respond or by a refusal: nobody else has anything to say",
        ));
    }
    match kind {
        Kind::Proceed(_) => plain(Decision::Proceed),
        Kind::Finish(finish) => plain(Decision::Finish(finish_scope(finish.scope, asked)?)),
        Kind::Respond(respond) => plain(Decision::Respond(reply::respond(
            respond.reply,
            has_answer,
            asked,
        )?)),
        Kind::Reject(reject) => plain(Decision::Reject(reply::reject(reject.reply, asked)?)),
        Kind::Tempfail(tempfail) => {
            plain(Decision::Tempfail(reply::tempfail(tempfail.reply, asked)?))
        }
        Kind::Disconnect(disconnect) => plain(Decision::Disconnect(reply::disconnect(
            disconnect.reply,
            asked,
        )?)),
        Kind::Discard(_) => plain(Decision::Discard),
        Kind::Quarantine(quarantine) => Ok((Decision::Quarantine, reason(quarantine.reason)?)),
        Kind::Hold(hold) => {
            let at_most = hold.at_most.as_ref().map(|time| wait(time, "hold"));
            let at_most = at_most.transpose()?;
            Ok((Decision::Hold { at_most }, reason(hold.reason)?))
        }
        Kind::Postpone(postpone) => {
            let time = postpone
                .wait
                .ok_or_else(|| Fault::protocol("postpone needs a time"))?;
            plain(Decision::Postpone(wait(&time, "postpone")?))
        }
    }
}

/// Decisions that differ for some recipients.
pub(super) fn of_recipients(
    decisions: Vec<pb::RecipientDecision>,
    asked: &Asked<'_>,
) -> Result<Vec<(Vec<RecipientId>, Decision)>, Fault> {
    if decisions.is_empty() {
        return Ok(Vec::new());
    }
    if !asked.event().rule().per_recipient {
        return Err(Fault::protocol(format!(
            "{} takes no decisions for some recipients",
            asked.event()
        )));
    }
    let mut seen = HashSet::new();
    let mut checked = Vec::with_capacity(decisions.len());
    for own in decisions {
        let ids = asked.group(&own.recipient_ids, &mut seen)?;
        let (decision, _) = decide(own.decision, asked, false)?;
        if matches!(
            decision,
            Decision::Respond(_) | Decision::Finish(_) | Decision::Disconnect(_)
        ) {
            return Err(Fault::protocol(format!(
                "{} cannot be decided for some recipients",
                decision.name()
            )));
        }
        checked.push((ids, decision));
    }
    Ok(checked)
}

fn allow(kind: DecisionKind, asked: &Asked<'_>) -> Result<(), Fault> {
    let event = asked.event();
    if !event.rule().allows(kind) {
        return Err(Fault::protocol(format!(
            "{} cannot be decided at {event}",
            kind.name()
        )));
    }
    match kind.rule().grant {
        Some(grant) if !asked.binding.grants.has(grant) => Err(not_granted(grant)),
        _ => Ok(()),
    }
}

fn finish_scope(scope: i32, asked: &Asked<'_>) -> Result<FinishScope, Fault> {
    let known = pb::FinishScope::try_from(scope);
    let checked = match known {
        Ok(pb::FinishScope::Event) => FinishScope::Event,
        Ok(pb::FinishScope::Message) => FinishScope::Message,
        Ok(pb::FinishScope::Unspecified) | Err(_) => {
            return Err(Fault::protocol("the scope of finish is unset or unknown"));
        }
    };
    let event = asked.event();
    if known.is_ok_and(|known| event.rule().finish.contains(&known)) {
        Ok(checked)
    } else {
        Err(Fault::protocol(format!(
            "finish for the message cannot be decided at {event}"
        )))
    }
}
