//! One message from question to outcome, without anything of the SDK.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::binding;
use crate::edit::{self, Edits, Limits, Plan};
use crate::policy::{self, Mail};
use crate::reason::Reason;
use crate::settings::Settings;

/// Characters of an explanation. The gateway takes 4 KiB.
const EXPLANATION_MAX: usize = 900;

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The changes, if there are any.
    pub edits: Option<Edits>,
    /// For metrics: `added`, or `left-alone.` and why.
    pub code: String,
    /// For the trace.
    pub explanation: String,
    /// The explanation is for the operator's log too: something is wrong with the binding or the sink.
    pub is_for_the_operator: bool,
}

/// What a binding shows and grants, and the gateway's limits.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The words of `reads`.
    pub reads: Vec<String>,
    /// The words of `may`.
    pub may: Vec<String>,
    /// The limits.
    pub limits: Limits,
    /// Where the body begins in the octets that were shown.
    pub body_start: usize,
}

impl Outcome {
    /// Judges a message.
    #[must_use]
    pub fn of(settings: &Settings, mail: &Mail<'_>, frame: &Frame) -> Self {
        // Mail is written by anybody and read by libraries too. A panic would be the sink's failure, and the message
        // would wait for a footer that never comes.
        let added = catch_unwind(AssertUnwindSafe(|| Self::added(settings, mail, frame)));
        match added.unwrap_or(Err(Reason::Bug)) {
            Ok(outcome) => outcome,
            Err(reason) => Self::left_alone(&reason),
        }
    }

    /// The outcome for a message that keeps its octets.
    #[must_use]
    pub fn left_alone(reason: &Reason) -> Self {
        Self {
            edits: None,
            code: format!("left-alone.{}", reason.code()),
            explanation: shown(&format!("left alone: {reason}")),
            is_for_the_operator: reason.is_for_the_operator(),
        }
    }

    fn added(settings: &Settings, mail: &Mail<'_>, frame: &Frame) -> Result<Self, Reason> {
        binding::shows(&frame.reads, settings)?;
        let (name, addition) = policy::choose(settings, mail)?;
        match edit::plan(mail.message, &addition, settings.dkim, &frame.limits) {
            Plan::Edit(edits) => {
                if edits.body_start != frame.body_start {
                    return Err(Reason::Structure("where its body begins"));
                }
                binding::grants(&frame.may, &edits)?;
                let place = match edits.texts {
                    0 => "as a part of its own".to_owned(),
                    1 => "to 1 text".to_owned(),
                    count => format!("to {count} texts"),
                };
                Ok(Self {
                    explanation: shown(&format!("\"{name}\" added {place}")),
                    code: "added".to_owned(),
                    edits: Some(edits),
                    is_for_the_operator: false,
                })
            }
            Plan::LeftAlone(reason) => Err(reason),
        }
    }
}

/// Text that may hold what a message or an operator wrote, as a trace takes it: short, in one line.
fn shown(text: &str) -> String {
    let in_one_line = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text
        .chars()
        .take(EXPLANATION_MAX)
        .map(in_one_line)
        .collect();
    if text.chars().nth(EXPLANATION_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_panic_leaves_the_message_alone() {
        let settings = serde_json::json!({ "text": "${property:directory/title}" });
        let mail = Mail {
            message: b"Subject: x\r\n\r\nHello\r\n",
            sender: "a@example.test",
            recipients: &[],
            property: &|_, _| panic!("as the test wants it"),
        };
        let frame = Frame {
            reads: ["headers", "body", "properties"]
                .map(str::to_owned)
                .to_vec(),
            ..Frame::default()
        };
        let outcome = Outcome::of(&Settings::read(&settings).unwrap(), &mail, &frame);
        assert_eq!(
            (outcome.code.as_str(), outcome.edits),
            ("left-alone.bug", None)
        );
    }
}
