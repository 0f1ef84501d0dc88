//! From a verdict as a sink sent it to one that may be applied, or to the sink's fault.
//!
//! Nothing that a sink sends is trusted. What may be decided, edited and answered is in `rules.json`; what this binding
//! may do is in its grants; how much it may bring, in the limits here. What edits come to is checked once more when they
//! are applied, by the limits of the server that accepts the message.

mod answer;
mod asked;
mod decision;
mod edit;
mod header;
mod later;
mod order;
mod recipient;
mod reply;

use std::time::Duration;

use postern_proto::rules::DecisionKind;
use postern_proto::v1 as pb;

use crate::check::{duration, is_key, limit};
use crate::fault::Fault;
use crate::ruling::{Decision, Verdict};

pub use crate::check::{
    MAX_BRANCHES, MAX_DELAY, MAX_EDITS, MAX_EXPLANATION_OCTETS, MAX_LITERAL_OCTETS,
    MAX_PROPERTY_EDITS, MAX_PROPERTY_OCTETS, MAX_VERDICT_OCTETS, MAX_WAIT, MAX_WARNING_OCTETS,
    MAX_WARNINGS,
};
pub use asked::{Asked, NoUploads, Uploads};
pub(crate) use order::{goes, injection};

/// Checks a verdict. The event id is the caller's matter.
///
/// # Errors
/// A [`Fault`] of kind `protocol` that says what is wrong, for the operator and the sink's author.
pub fn validate(
    verdict: pb::Verdict,
    asked: &Asked<'_>,
    uploads: &mut dyn Uploads,
) -> Result<Verdict, Fault> {
    later::refuse(&verdict)?;
    validate_all(verdict, asked, uploads)
}

/// Checks a verdict by all that the protocol has.
fn validate_all(
    verdict: pb::Verdict,
    asked: &Asked<'_>,
    uploads: &mut dyn Uploads,
) -> Result<Verdict, Fault> {
    check_texts(&verdict)?;
    let delay = match &verdict.delay {
        Some(delay) => duration(delay, "delay")?,
        None => Duration::ZERO,
    };
    if delay > MAX_DELAY {
        return Err(Fault::protocol(format!(
            "delay is over {} s",
            MAX_DELAY.as_secs()
        )));
    }
    let has_answer = verdict.answer.is_some();
    let (decision, reason) = decision::decide(verdict.decision, asked, has_answer)?;
    let kind = kind_of(&decision);
    let forked: usize = verdict.forks.iter().map(|fork| fork.edits.len()).sum();
    limit(
        "edits",
        verdict.edits.len().saturating_add(forked),
        MAX_EDITS,
    )?;
    let mut checker = edit::Checker::new(asked, uploads);
    let (edits, orders) =
        checker.edits(verdict.edits, verdict.properties, decision.is_refusal())?;
    let forks = checker.forks(verdict.forks)?;
    let mut recipients = decision::of_recipients(verdict.recipients, asked)?;
    // Whoever proceeds with the others is none of those that come to something else.
    if decision == Decision::Proceed {
        recipients.retain(|(_, own)| own.ends_chain());
    }
    limit("branches", forks.len() + recipients.len(), MAX_BRANCHES)?;
    let answer = match verdict.answer {
        Some(answer) => Some(answer::answer(*answer, kind, &mut checker)?),
        None => None,
    };
    if asked.event().rule().answer_required && kind == DecisionKind::Proceed && answer.is_none() {
        return Err(Fault::protocol(format!(
            "{} needs an answer with proceed",
            asked.event()
        )));
    }
    let explanation = if verdict.explanation.is_empty() {
        reason
    } else {
        verdict.explanation
    };
    Ok(Verdict {
        decision,
        edits,
        orders,
        answer,
        recipients,
        forks,
        delay,
        reason_code: verdict.reason_code,
        explanation,
        warnings: verdict.warnings,
    })
}

fn kind_of(decision: &Decision) -> DecisionKind {
    DecisionKind::named(decision.name()).unwrap_or(DecisionKind::Proceed)
}

fn check_texts(verdict: &pb::Verdict) -> Result<(), Fault> {
    let code = &verdict.reason_code;
    if !code.is_empty() && !is_key(code) {
        return Err(Fault::protocol(
            "reason_code is not [a-z0-9][a-z0-9._-]{0,62}",
        ));
    }
    limit(
        "octets of the explanation",
        verdict.explanation.len(),
        MAX_EXPLANATION_OCTETS,
    )?;
    limit("warnings", verdict.warnings.len(), MAX_WARNINGS)?;
    verdict
        .warnings
        .iter()
        .try_for_each(|warning| limit("octets of a warning", warning.len(), MAX_WARNING_OCTETS))
}

#[cfg(test)]
mod tests;
