//! Checks a verdict against the table, the binding's grants and the limits, before it is sent.
//!
//! The rules are those of [`postern_proto::rules`], which the gateway has from the same file, and the words are the
//! gateway's. A verdict that breaks one would be the sink's failure there; here its author is told at once. The test kit
//! checks with the same function.

mod answer;
mod edits;
mod grants;
mod reply;

use std::time::Duration;

use postern_proto::rules::{self, DecisionKind, EventRule, bounds};
use prost::Message as _;

pub use self::grants::Grants;
use crate::picture::Picture;
use crate::v1::{self, decision, event};

const EXPLANATION_OCTETS: usize = 4 << 10;
const WARNINGS: usize = 10;
const WARNING_OCTETS: usize = 1 << 10;
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a verdict cannot be sent: the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    fn new(detail: impl Into<String>) -> Self {
        Self(detail.into())
    }

    fn not_granted(word: &str) -> Self {
        Self(format!("the binding's `may` does not grant {word}"))
    }
}

/// What a verdict is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The event.
    pub event: v1::EventKind,
    /// What the event says. None: what depends on it is not checked.
    pub body: Option<&'a event::Kind>,
    /// What the binding's verdicts may do.
    pub grants: &'a Grants,
    /// The bounds that the gateway told. Those that are 0 are not checked.
    pub limits: &'a v1::Limits,
    /// What the sink was told.
    pub picture: &'a Picture,
    /// Octets of the content as it was shown. None: not known.
    pub content_bytes: Option<u64>,
}

/// Checks a verdict.
///
/// # Errors
/// The first rule that it breaks.
pub fn verdict(verdict: &v1::Verdict, question: &Question<'_>) -> Result<(), Refusal> {
    let rule = rules::event(question.event).ok_or_else(|| Refusal::new("the event is unknown"))?;
    texts(verdict)?;
    if let Some(delay) = &verdict.delay
        && duration(delay, "delay")? > Duration::from_secs(bounds::DELAY_SECONDS as u64)
    {
        return Err(Refusal::new("delay is over 30 s"));
    }
    let decided = kind_of(verdict.decision.as_ref())?;
    decision(decided, rule, question, verdict.answer.as_deref())?;
    answer::check(verdict.answer.as_deref(), decided, rule, question)?;
    edits::check(&verdict.edits, rule, question)?;
    edits::properties(&verdict.properties, rule, question)?;
    recipients(verdict, rule, question)?;
    let octets = verdict.encoded_len();
    let most = question.limits.verdict_bytes as usize;
    if most > 0 && octets > most {
        return Err(Refusal::new(format!(
            "{octets} octets of a verdict, the limit is {most}; upload what is long"
        )));
    }
    Ok(())
}

fn texts(verdict: &v1::Verdict) -> Result<(), Refusal> {
    if !verdict.reason_code.is_empty() && !is_key(&verdict.reason_code) {
        return Err(Refusal::new("reason_code is not [a-z0-9][a-z0-9._-]{0,62}"));
    }
    limit("explanation", verdict.explanation.len(), EXPLANATION_OCTETS)?;
    limit("warnings", verdict.warnings.len(), WARNINGS)?;
    verdict
        .warnings
        .iter()
        .try_for_each(|warning| limit("octets of a warning", warning.len(), WARNING_OCTETS))
}

fn kind_of(decision: Option<&v1::Decision>) -> Result<&decision::Kind, Refusal> {
    decision
        .and_then(|decision| decision.kind.as_ref())
        .ok_or_else(|| Refusal::new("the decision is unset or unknown"))
}

fn decision(
    kind: &decision::Kind,
    rule: &EventRule,
    question: &Question<'_>,
    answer: Option<&v1::Answer>,
) -> Result<(), Refusal> {
    use decision::Kind;
    let decided = DecisionKind::from(kind);
    let name = decided.name();
    if !rule.allows(decided) {
        return Err(Refusal::new(format!(
            "{name} cannot be decided at {}",
            rule.name
        )));
    }
    if let Some(grant) = decided.rule().grant
        && !question.grants.has(grant)
    {
        return Err(Refusal::not_granted(grant));
    }
    let in_dialogue = matches!(question.body, Some(event::Kind::InboundCommand(command))
        if command.dialogue_input.is_some());
    match kind {
        Kind::Proceed(_) | Kind::Finish(_) if in_dialogue => Err(Refusal::new(
            "a dialogue goes on, or ends, by respond or by a refusal: nobody else has anything to say",
        )),
        Kind::Finish(finish) if !rule.finish.contains(&finish.scope()) => Err(Refusal::new(
            format!("finish for the message cannot be decided at {}", rule.name),
        )),
        Kind::Reject(v1::Reject { reply })
        | Kind::Tempfail(v1::Tempfail { reply })
        | Kind::Disconnect(v1::Disconnect { reply }) => match reply {
            Some(reply) => reply::check(reply, decided, question),
            None => Ok(()),
        },
        Kind::Respond(respond) => reply::respond(respond.reply.as_ref(), question, answer),
        Kind::Quarantine(quarantine) => limit(
            "octets of the reason",
            quarantine.reason.len(),
            WARNING_OCTETS,
        ),
        Kind::Hold(hold) => {
            limit("octets of the reason", hold.reason.len(), WARNING_OCTETS)?;
            match &hold.at_most {
                Some(time) if duration(time, "hold")? > LONGEST_WAIT => {
                    Err(Refusal::new("hold is for more than 30 days"))
                }
                _ => Ok(()),
            }
        }
        Kind::Postpone(postpone) => {
            let wait = postpone
                .wait
                .as_ref()
                .ok_or_else(|| Refusal::new("postpone needs a time"))?;
            let wait = duration(wait, "postpone")?;
            match (Duration::from_secs(1)..=LONGEST_WAIT).contains(&wait) {
                true => Ok(()),
                false => Err(Refusal::new("postpone is not between 1 s and 30 days")),
            }
        }
        Kind::Proceed(_) | Kind::Discard(_) | Kind::Finish(_) => Ok(()),
    }
}

fn recipients(
    verdict: &v1::Verdict,
    rule: &EventRule,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    if verdict.recipients.is_empty() && verdict.forks.is_empty() {
        return Ok(());
    }
    if !rule.per_recipient {
        return Err(Refusal::new(format!(
            "{} does not take decisions or forks for some recipients",
            rule.name
        )));
    }
    let mut named = Named::default();
    for decided in &verdict.recipients {
        let kind = kind_of(decided.decision.as_ref())?;
        if matches!(
            DecisionKind::from(kind),
            DecisionKind::Respond | DecisionKind::Finish | DecisionKind::Disconnect
        ) {
            return Err(Refusal::new(
                "respond, finish and disconnect are not for some recipients",
            ));
        }
        decision(kind, rule, question, None)?;
        named.take(&decided.recipient_ids, question.picture)?;
    }
    let mut named = Named::default();
    for fork in &verdict.forks {
        named.take(&fork.recipient_ids, question.picture)?;
        edits::check(&fork.edits, rule, question)?;
        edits::properties(&fork.properties, rule, question)?;
    }
    Ok(())
}

/// Recipients that were named so far: none may be in two lists.
#[derive(Default)]
struct Named<'a>(std::collections::HashSet<&'a [u8]>);

impl<'a> Named<'a> {
    fn take(&mut self, ids: &'a [bytes::Bytes], picture: &Picture) -> Result<(), Refusal> {
        if ids.is_empty() {
            return Err(Refusal::new("a list of recipients is empty"));
        }
        let known = picture.recipients();
        for id in ids {
            if !known.iter().any(|recipient| recipient.recipient_id == *id) {
                return Err(Refusal::new(
                    "no recipient that the binding was shown has this id",
                ));
            }
            if !self.0.insert(id) {
                return Err(Refusal::new("a recipient is in two lists"));
            }
        }
        Ok(())
    }
}

fn duration(duration: &prost_types::Duration, what: &str) -> Result<Duration, Refusal> {
    Duration::try_from(*duration)
        .map_err(|_| Refusal::new(format!("the duration of {what} is out of range")))
}

fn limit(what: &str, value: usize, limit: usize) -> Result<(), Refusal> {
    match value <= limit {
        true => Ok(()),
        false => Err(Refusal::new(format!(
            "{value} {what}, the limit is {limit}"
        ))),
    }
}

/// `[a-z0-9][a-z0-9._-]{0,62}`
pub(crate) fn is_key(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        })
}

#[cfg(test)]
mod tests;
