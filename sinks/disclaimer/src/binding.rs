//! Whether a binding shows and grants what an edit takes. A verdict beyond its grants would be refused, and the
//! message stuck: so it is not given.

use postern_sdk::{EventKind, v1};

use crate::edit::{Dkim, Edits};
use crate::reason::Reason;
use crate::settings::{Configured, Settings};

/// Whether the words of `reads` show what the settings need.
///
/// # Errors
/// [`Reason::NotShown`]
pub(crate) fn shows(reads: &[String], settings: &Settings) -> Result<(), Reason> {
    // Offsets and limits are those of the message as it is now.
    if reads.iter().any(|word| word == "original") {
        return Err(Reason::NotShown(
            "the message as it is now: \"reads\" has original".to_owned(),
        ));
    }
    match settings.reads().iter().find(|word| !covers(reads, word)) {
        Some(word) => Err(Reason::NotShown(format!("{word}, which \"reads\" lacks"))),
        None => Ok(()),
    }
}

/// Whether the words of `may` grant what the edits do.
///
/// # Errors
/// [`Reason::Grant`]
pub(crate) fn grants(may: &[String], edits: &Edits) -> Result<(), Reason> {
    let fields = edits
        .fields
        .iter()
        .map(|edit| format!("headers:{}", edit.name()));
    let body = (!edits.splices.is_empty()).then(|| "body".to_owned());
    match body
        .into_iter()
        .chain(fields)
        .find(|word| !covers(may, word))
    {
        Some(word) => Err(Reason::Grant(word)),
        None => Ok(()),
    }
}

/// What is wrong with a binding, before any message is asked about.
pub(crate) fn problems(configured: &Configured, binding: &v1::ConfiguredBinding) -> Vec<String> {
    let settings = match configured.settings() {
        Ok(settings) => settings,
        Err(problem) => return vec![problem.to_owned()],
    };
    let mut problems = Vec::new();
    if let Err(reason) = shows(&binding.reads, settings) {
        problems.push(format!("no message gets the text: {reason}"));
    }
    if !covers(&binding.grants, "body") {
        problems.push("no message gets the text: \"may\" lacks body".to_owned());
    }
    let dkim = "headers:DKIM-Signature";
    if settings.dkim == Dkim::Remove && !covers(&binding.grants, dkim) {
        problems.push(format!(
            "\"dkim\" is \"remove\", but \"may\" lacks {dkim}: add it, or set \"dkim\" to \"keep\" or \"leave-alone\""
        ));
    }
    for interest in &binding.events {
        problems.extend(wrong_event(interest));
    }
    problems
}

fn wrong_event(interest: &v1::EventInterest) -> Option<String> {
    if interest.event() != EventKind::TransportSubmit {
        return Some(
            "\"events\" has more than transport.submit, and it answers no other".to_owned(),
        );
    }
    use v1::body_depth::Kind::{Full, OnDemand};
    let depth = interest.body.as_ref().and_then(|body| body.kind.as_ref());
    let is_whole = matches!(depth, Some(Full(_) | OnDemand(_)));
    (!is_whole).then(|| {
        "no message gets the text: \"body\" does not show all of it; set body = \"full\"".to_owned()
    })
}

/// `headers` covers all fields, `headers:X-*` those that begin so; `properties` all sinks.
fn covers(words: &[String], wanted: &str) -> bool {
    let Some((kind, name)) = wanted.split_once(':') else {
        return words.iter().any(|word| word == wanted);
    };
    words.iter().any(|word| match word.split_once(':') {
        None => word == kind,
        Some((own, pattern)) if own == kind => match pattern.strip_suffix('*') {
            Some(prefix) => name
                .get(..prefix.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix)),
            None => pattern.eq_ignore_ascii_case(name),
        },
        Some(_) => false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn words_cover_what_they_name() {
        let words = ["body", "headers:Content-*", "properties:directory"].map(str::to_owned);
        for (wanted, is_covered) in [
            ("body", true),
            ("headers:content-md5", true),
            ("headers:Subject", false),
            ("properties:directory", true),
            ("properties:other", false),
            ("sender", false),
        ] {
            assert_eq!(covers(&words, wanted), is_covered, "{wanted}");
        }
        assert!(covers(&["headers".to_owned()], "headers:Subject"));
    }

    fn binding() -> v1::ConfiguredBinding {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        v1::ConfiguredBinding {
            name: "footer".to_owned(),
            events: vec![v1::EventInterest {
                event: EventKind::TransportSubmit.into(),
                body: Some(v1::BodyDepth {
                    kind: Some(v1::body_depth::Kind::Full(v1::FullBody {})),
                }),
                ask: 0,
            }],
            reads: words(&["headers", "body"]),
            grants: words(&["body", "headers:Content-*"]),
            ..Default::default()
        }
    }

    fn found(settings: serde_json::Value, change: fn(&mut v1::ConfiguredBinding)) -> Vec<String> {
        let mut binding = binding();
        change(&mut binding);
        problems(&serde_json::from_value(settings).unwrap(), &binding)
    }

    #[test]
    fn what_lets_no_message_get_the_text_is_a_problem_of_the_binding() {
        let text = || serde_json::json!({ "text": "x" });
        assert_eq!(found(text(), |_| {}), Vec::<String>::new());
        let no_body = found(text(), |binding| binding.grants.clear());
        assert_eq!(no_body, ["no message gets the text: \"may\" lacks body"]);
        let narrow = found(text(), |binding| binding.reads = vec!["body".to_owned()]);
        assert!(
            narrow[0].contains("headers, which \"reads\" lacks"),
            "{narrow:?}"
        );
        let original = found(text(), |binding| binding.reads.push("original".to_owned()));
        assert!(original[0].contains("original"), "{original:?}");
        let prefix = found(text(), |binding| binding.events[0].body = None);
        assert!(prefix[0].contains("set body = \"full\""), "{prefix:?}");
        let event = found(text(), |binding| {
            binding.events[0].event = EventKind::InboundMessage.into();
        });
        assert!(event[0].contains("transport.submit"), "{event:?}");
        let dkim = serde_json::json!({ "text": "x", "dkim": "remove" });
        let dkim = found(dkim, |_| {});
        assert!(
            dkim[0].contains("\"may\" lacks headers:DKIM-Signature: add it"),
            "{dkim:?}"
        );
        let wrong = found(serde_json::json!({ "text": "${x}" }), |_| {});
        assert!(
            wrong[0].contains("the placeholder ${x} is unknown"),
            "{wrong:?}"
        );
    }
}
