//! From a verdict as a sink sent it to one that may be applied, or to the sink's fault.
//!
//! Nothing that a sink sends is trusted. What may be decided, edited and answered is in `rules.json`; what this binding
//! may do is in its grants; how much it may bring, in the limits here. What edits come to is checked once more when they
//! are applied, by the limits of the server that accepts the message.

mod address;
mod answer;
mod decision;
mod edit;
mod header;
mod later;
mod lines;
mod order;
mod recipient;
mod reply;

use std::time::Duration;

use bytes::Bytes;
use postern_message::{BodyKind, RecipientId, Version};
use postern_proto::rules::{DecisionKind, bounds};
use postern_proto::v1 as pb;

use crate::context::{Context, ForkEdits};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::plan::Binding;
use crate::question::{EventFacts, Question};
use crate::ruling::Verdict;

/// Edits in one verdict, those of its forks together with its own.
pub const MAX_EDITS: usize = 10_000;
/// Octets of a verdict, all its parts together.
pub const MAX_VERDICT_OCTETS: usize = 16 << 20;
/// Property edits in one verdict.
pub const MAX_PROPERTY_EDITS: usize = bounds::PROPERTIES;
/// Octets of literal data in one verdict, all edits together.
pub const MAX_LITERAL_OCTETS: usize = bounds::LITERAL_BYTES;
/// Octets of one property's text or octets.
pub const MAX_PROPERTY_OCTETS: usize = 4 << 10;
/// Octets of the explanation.
pub const MAX_EXPLANATION_OCTETS: usize = 4 << 10;
/// Warnings in one verdict.
pub const MAX_WARNINGS: usize = 10;
/// Octets of one warning, and of the reason of `hold` and `quarantine`.
pub const MAX_WARNING_OCTETS: usize = 1 << 10;
/// Longest delay that a verdict may ask for.
pub const MAX_DELAY: Duration = Duration::from_secs(bounds::DELAY_SECONDS as u64);
/// Longest time of `postpone`, `hold` and `expiry`.
pub const MAX_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Branches that one verdict may make.
pub const MAX_BRANCHES: usize = 1000;

/// What the sink was asked, as far as its verdict is measured by it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The event, with what earlier bindings answered.
    pub question: &'a Question,
    /// What is known.
    pub context: &'a Context,
    /// The binding that was asked.
    pub binding: &'a Binding,
    /// The content as the sink was shown it.
    pub version: Option<&'a Version>,
}

impl<'a> Asked<'a> {
    fn event(&self) -> EventKind {
        self.question.kind()
    }

    fn facts(&self) -> EventFacts<'a> {
        self.question.event().facts()
    }

    /// Addresses, header values and replies may hold UTF-8 (SMTPUTF8 was given).
    fn utf8(&self) -> bool {
        self.context
            .working()
            .is_some_and(|working| working.draft().envelope.smtp_utf8)
    }

    /// Lines of the content need not end in CRLF (RFC 3030).
    fn is_binary(&self) -> bool {
        self.context
            .working()
            .is_some_and(|working| working.draft().envelope.body == BodyKind::BinaryMime)
    }

    /// The event's list has, or had, this recipient.
    fn knows(&self, id: RecipientId) -> bool {
        let listed = self.facts().recipients;
        if !listed.is_empty() {
            return listed.contains(&id);
        }
        self.context.recipient(id).is_some()
            || self.context.working().is_some_and(|working| {
                let others = working.pieces().flat_map(|piece| &piece.draft.recipients);
                others
                    .chain(working.dealt_with())
                    .any(|recipient| recipient.id == id)
            })
    }
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
    if decision == crate::ruling::Decision::Proceed {
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

fn kind_of(decision: &crate::ruling::Decision) -> DecisionKind {
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

fn wait(wait: &prost_types::Duration, what: &str) -> Result<Duration, Fault> {
    let wait = duration(wait, what)?;
    if (Duration::from_secs(1)..=MAX_WAIT).contains(&wait) {
        Ok(wait)
    } else {
        Err(Fault::protocol(format!(
            "{what} is not between 1 s and 30 days"
        )))
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
    is_name(text, |b| matches!(b, b'.' | b'_' | b'-'))
}

/// A letter or digit, and then at most 62 of these and of what `also` holds.
fn is_name(text: &str, also: impl Fn(u8) -> bool) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || also(b))
}

/// `[a-z0-9][a-z0-9.-]{0,62}`, or empty.
fn name_or_empty(text: String, what: &str) -> Result<String, Fault> {
    if text.is_empty() || is_name(&text, |b| matches!(b, b'.' | b'-')) {
        Ok(text)
    } else {
        Err(Fault::protocol(format!(
            "{what} is not [a-z0-9][a-z0-9.-]{{0,62}}"
        )))
    }
}

fn recipient_id(octets: &[u8]) -> Result<RecipientId, Fault> {
    <[u8; 16]>::try_from(octets)
        .map(RecipientId::from_bytes)
        .map_err(|_| Fault::protocol("a recipient id has not 16 octets"))
}

/// Recipients of a group, of which the event's list must know each, and none of which was named before.
fn group(
    ids: &[Bytes],
    asked: &Asked<'_>,
    seen: &mut std::collections::HashSet<RecipientId>,
) -> Result<Vec<RecipientId>, Fault> {
    if ids.is_empty() {
        return Err(Fault::protocol("a group of recipients is empty"));
    }
    let mut checked = Vec::with_capacity(ids.len());
    for id in ids {
        let id = recipient_id(id)?;
        if !seen.insert(id) {
            return Err(Fault::protocol(format!("recipient {id} is in two groups")));
        }
        if !asked.knows(id) {
            return Err(Fault::protocol(format!(
                "recipient {id} is none of those that were asked about"
            )));
        }
        checked.push(id);
    }
    Ok(checked)
}

/// A fork whose edits are checked.
type Fork = ForkEdits;

#[cfg(test)]
mod tests;
