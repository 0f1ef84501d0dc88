//! From a verdict as a sink sent it to one that may be applied, or to the sink's fault.
//!
//! Nothing that a sink sends is trusted. What may be decided and edited where says [`crate::table`]; what this
//! binding may do say its grants; how much it may bring, the limits here. What edits come to is checked once more
//! when they are applied.

mod edit;
mod reply;

use std::time::Duration;

use bytes::Bytes;
use postern_message::{RecipientId, Version};
use postern_proto::v1 as wire;
use postern_smtp::reply::Reply;

use crate::event::EventKind;
use crate::fault::Fault;
use crate::plan::Binding;
use crate::table::{self, DecisionKind};
use crate::verdict::{Decision, FinishScope, Verdict};

/// Edits in one verdict.
pub const MAX_EDITS: usize = 1000;
/// Property edits in one verdict.
pub const MAX_PROPERTY_EDITS: usize = 64;
/// Octets of inline data in one verdict, all edits together.
pub const MAX_INLINE_OCTETS: usize = 512 << 10;
/// Octets of one property's text or octets.
pub const MAX_PROPERTY_OCTETS: usize = 4 << 10;
/// Octets of the explanation.
pub const MAX_EXPLANATION_OCTETS: usize = 4 << 10;
/// Warnings in one verdict.
pub const MAX_WARNINGS: usize = 10;
/// Octets of one warning, and of the reason of `hold` and `quarantine`.
pub const MAX_WARNING_OCTETS: usize = 1 << 10;
/// Longest delay that a verdict may ask for.
pub const MAX_DELAY: Duration = Duration::from_secs(30);
/// Shortest and longest time of `defer`.
pub const DEFER_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);

/// What the sink was asked, as far as its verdict is measured by it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The event.
    pub event: EventKind,
    /// The binding that was asked.
    pub binding: &'a Binding,
    /// The content as the sink was shown it.
    pub version: Option<&'a Version>,
    /// Addresses, header values and replies may hold UTF-8 (SMTPUTF8 was given).
    pub utf8: bool,
    /// At `inbound.command`: the verb, and whether the service knows it.
    pub verb: Option<(&'a str, bool)>,
    /// At `inbound.response`: the reply that is about to be sent.
    pub reply: Option<&'a Reply>,
    /// At `inbound.rcpt`: the recipient that is asked about.
    pub recipient: Option<RecipientId>,
}

/// Finished uploads of the instance. Each is used once.
pub trait Uploads {
    /// Takes the octets of an upload out; `None` if there is no such finished one.
    fn take(&mut self, upload_id: u64) -> Option<Bytes>;
}

/// There are no uploads.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUploads;

impl Uploads for NoUploads {
    fn take(&mut self, _upload_id: u64) -> Option<Bytes> {
        None
    }
}

/// Checks a verdict. The event id is the caller's matter.
///
/// # Errors
/// A [`Fault`] of kind `protocol` that says what is wrong, for the operator and the sink's author.
pub fn validate(
    verdict: wire::Verdict,
    question: &Question<'_>,
    uploads: &mut dyn Uploads,
) -> Result<Verdict, Fault> {
    refuse_later(&verdict)?;
    check_texts(&verdict)?;
    let delay = match &verdict.delay {
        Some(delay) => duration(delay, "delay")?,
        None => Duration::ZERO,
    };
    if delay > MAX_DELAY {
        return Err(Fault::protocol("delay is over 30 s"));
    }
    let kind = verdict
        .decision
        .and_then(|decision| decision.kind)
        .ok_or_else(|| Fault::protocol("the decision is unset or unknown"))?;
    let (decision, reason) = decide(kind, question)?;
    let edits = edit::edits(verdict.edits, verdict.properties, question, uploads)?;
    let explanation = if verdict.explanation.is_empty() {
        reason
    } else {
        verdict.explanation
    };
    Ok(Verdict {
        decision,
        edits,
        delay,
        reason_code: verdict.reason_code,
        explanation,
        warnings: verdict.warnings,
    })
}

/// What the wire has and this version has not.
fn refuse_later(verdict: &wire::Verdict) -> Result<(), Fault> {
    let refused = |what: &str| Err(Fault::protocol(format!("{what} are not in this version")));
    if !verdict.recipients.is_empty() {
        return refused("decisions for some recipients");
    }
    if !verdict.forks.is_empty() {
        return refused("forks");
    }
    if verdict.answer.is_some() {
        return refused("typed answers");
    }
    Ok(())
}

fn check_texts(verdict: &wire::Verdict) -> Result<(), Fault> {
    let code = &verdict.reason_code;
    if !code.is_empty() && !is_key(code) {
        return Err(Fault::protocol(
            "reason_code is not [a-z0-9][a-z0-9._-]{0,62}",
        ));
    }
    limit(
        "explanation",
        verdict.explanation.len(),
        MAX_EXPLANATION_OCTETS,
    )?;
    limit("warnings", verdict.warnings.len(), MAX_WARNINGS)?;
    verdict
        .warnings
        .iter()
        .try_for_each(|warning| limit("octets of a warning", warning.len(), MAX_WARNING_OCTETS))
}

/// The decision, and the reason that `hold` and `quarantine` give.
fn decide(
    kind: wire::decision::Kind,
    question: &Question<'_>,
) -> Result<(Decision, String), Fault> {
    use wire::decision::Kind;
    let allowed = |kind| allow(kind, question);
    let plain = |decision| Ok((decision, String::new()));
    match kind {
        Kind::Proceed(_) => {
            allowed(DecisionKind::Proceed)?;
            plain(Decision::Proceed)
        }
        Kind::Finish(finish) => {
            allowed(DecisionKind::Finish)?;
            plain(Decision::Finish(finish_scope(
                finish.scope,
                question.event,
            )?))
        }
        Kind::Respond(respond) => {
            allowed(DecisionKind::Respond)?;
            plain(Decision::Respond(reply::respond(respond.reply, question)?))
        }
        Kind::Reject(reject) => {
            allowed(DecisionKind::Reject)?;
            plain(Decision::Reject(reply::reject(reject.reply, question)?))
        }
        Kind::Tempfail(tempfail) => {
            allowed(DecisionKind::Tempfail)?;
            plain(Decision::Tempfail(reply::tempfail(
                tempfail.reply,
                question,
            )?))
        }
        Kind::Disconnect(disconnect) => {
            allowed(DecisionKind::Disconnect)?;
            plain(Decision::Disconnect(reply::disconnect(
                disconnect.reply,
                question,
            )?))
        }
        Kind::Discard(_) => {
            allowed(DecisionKind::Discard)?;
            plain(Decision::Discard)
        }
        Kind::Quarantine(quarantine) => {
            allowed(DecisionKind::Quarantine)?;
            limit(
                "octets of the reason",
                quarantine.reason.len(),
                MAX_WARNING_OCTETS,
            )?;
            Ok((Decision::Quarantine, quarantine.reason))
        }
        Kind::Hold(hold) => {
            allowed(DecisionKind::Hold)?;
            limit(
                "octets of the reason",
                hold.reason.len(),
                MAX_WARNING_OCTETS,
            )?;
            Ok((Decision::Hold, hold.reason))
        }
        Kind::Defer(defer) => {
            allowed(DecisionKind::Defer)?;
            let wait = defer
                .wait
                .ok_or_else(|| Fault::protocol("defer needs a time"))?;
            let wait = duration(&wait, "defer")?;
            if !DEFER_RANGE.contains(&wait) {
                return Err(Fault::protocol("defer is not between 1 s and 30 days"));
            }
            plain(Decision::Defer(wait))
        }
    }
}

fn allow(kind: DecisionKind, question: &Question<'_>) -> Result<(), Fault> {
    let name = kind.name();
    if !table::decision_allowed(question.event, kind) {
        return Err(Fault::protocol(format!(
            "{name} cannot be decided at {}",
            question.event
        )));
    }
    let grants = &question.binding.grants;
    let granted = match kind {
        DecisionKind::Finish => grants.finish,
        DecisionKind::Respond => grants.respond,
        DecisionKind::Discard => grants.discard,
        DecisionKind::Quarantine => grants.quarantine,
        DecisionKind::Hold => grants.hold,
        DecisionKind::Defer => grants.defer,
        DecisionKind::Proceed
        | DecisionKind::Reject
        | DecisionKind::Tempfail
        | DecisionKind::Disconnect => true,
    };
    if granted || !kind.needs_grant(question.event) {
        Ok(())
    } else {
        Err(not_granted(name))
    }
}

fn finish_scope(scope: i32, event: EventKind) -> Result<FinishScope, Fault> {
    let scope = match wire::FinishScope::try_from(scope) {
        Ok(wire::FinishScope::Event) => FinishScope::Event,
        Ok(wire::FinishScope::Message) => FinishScope::Message,
        Ok(wire::FinishScope::Unspecified) | Err(_) => {
            return Err(Fault::protocol("the scope of finish is unset or unknown"));
        }
    };
    if table::finish_allowed(event, scope) {
        Ok(scope)
    } else {
        Err(Fault::protocol(format!(
            "finish for the message cannot be decided at {event}"
        )))
    }
}

fn duration(duration: &prost_types::Duration, what: &str) -> Result<Duration, Fault> {
    let seconds = u64::try_from(duration.seconds);
    let nanos = u32::try_from(duration.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    match (seconds, nanos) {
        (Ok(seconds), Some(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err(Fault::protocol(format!(
            "the duration of {what} is out of range"
        ))),
    }
}

fn not_granted(what: &str) -> Fault {
    Fault::protocol(format!("the binding's `may` does not grant {what}"))
}

fn limit(what: &str, value: usize, limit: usize) -> Result<(), Fault> {
    if value <= limit {
        Ok(())
    } else {
        Err(Fault::protocol(format!(
            "{value} {what}, the limit is {limit}"
        )))
    }
}

/// `[a-z0-9][a-z0-9._-]{0,62}`
fn is_key(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        })
}

#[cfg(test)]
mod tests;
