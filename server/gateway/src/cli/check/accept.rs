//! What a sink asks for, and what of it was accepted.

use std::collections::HashMap;

use postern_config::Effective;
use postern_events::event::EventKind;
use postern_events::grant::{Grants, Reads};
use postern_events::plan::{Ask, BodyDepth, Pin, PinnedEvent};
use postern_proto::v1 as pb;

use super::reach::Reached;

/// The description as it is accepted, and a line for each thing that this version cannot give.
pub(super) fn pin(response: &pb::DescribeResponse) -> (Pin, Vec<String>) {
    let mut left_out = Vec::new();
    let mut events = Vec::new();
    for interest in &response.events {
        match EventKind::from_number(interest.event) {
            Some(event) if event.is_published() => {
                events.push(PinnedEvent {
                    event: event.name().to_owned(),
                    body: BodyDepth::described(interest.body.as_ref()),
                    ask: Ask::described(interest.ask()),
                });
            }
            Some(event) => left_out.push(format!(
                "the sink asks for {event}, which is not in this version; left out"
            )),
            None => left_out.push(format!(
                "the sink asks for event {}, which is unknown; left out",
                interest.event
            )),
        }
    }
    let mut words = |key: &str, words: &[String], usable: &dyn Fn(&String) -> bool| {
        let (kept, gone): (Vec<_>, Vec<_>) = words.iter().map(|word| shown(word)).partition(usable);
        left_out.extend(gone.iter().map(|word| {
            format!("the sink asks for {key} {word:?}, which is not in this version; left out")
        }));
        kept
    };
    let reads = words("reads", &response.reads, &|word| {
        Reads::parse(&[word]).is_ok()
    });
    let may = words("may", &response.grants, &|word| {
        Grants::parse(&[word]).is_ok()
    });
    let pin = Pin {
        name: shown(&response.name),
        version: shown(&response.version),
        events,
        reads,
        may,
        side_effects: response.side_effects,
        repeatable: response.repeatable,
    };
    (pin, left_out)
}

/// Lines about sinks that now ask for more than was accepted.
pub(super) fn asks_for_more(
    effective: &Effective,
    pins: &HashMap<String, Pin>,
    reached: &HashMap<String, Reached>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for binding in effective
        .config
        .bindings
        .iter()
        .filter(|binding| binding.enabled)
    {
        let Some(sink) = reached.get(&binding.sink) else {
            continue;
        };
        let (now, _) = pin(&sink.response);
        // What a binding says itself is the operator's choice; only what was accepted can fall behind.
        let Some(accepted) = pins.get(&binding.name) else {
            continue;
        };
        let mut more: Vec<String> = Vec::new();
        if binding.events.is_none() {
            let known = |event: &str| accepted.events.iter().any(|own| own.event == event);
            more.extend(
                now.events
                    .iter()
                    .map(|own| own.event.clone())
                    .filter(|event| !known(event)),
            );
        }
        if binding.may.is_none() {
            let missing = now.may.iter().filter(|word| !covers(&accepted.may, word));
            more.extend(missing.map(|word| format!("may {word}")));
        }
        if !more.is_empty() {
            lines.push(format!(
                "note: binding.{}: the sink asks for more than was accepted: {}; accept it with `postern check --accept`",
                binding.name,
                more.join(", ")
            ));
        }
    }
    lines
}

fn covers(granted: &[String], word: &str) -> bool {
    let (Ok(granted), Ok(wanted)) = (Grants::parse(granted), Grants::parse(&[word])) else {
        return false;
    };
    // A word adds nothing exactly when it is covered; header names are compared word by word.
    wanted
        .words()
        .iter()
        .all(|word| match word.strip_prefix("headers:") {
            Some(name) => granted
                .headers
                .contains(name.trim_end_matches('*').as_bytes()),
            None => granted.words().contains(word),
        })
}

/// Text of a sink, fit for a terminal and a file.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_version_cannot_give_is_left_out_and_said() {
        let interest = |event: pb::EventKind| pb::EventInterest {
            event: event.into(),
            body: None,
        };
        let response = pb::DescribeResponse {
            name: "x\u{1b}[31m".into(),
            events: vec![
                interest(pb::EventKind::InboundRcpt),
                interest(pb::EventKind::TransportRoute),
            ],
            grants: vec!["body".into(), "redirect".into()],
            ..pb::DescribeResponse::default()
        };
        let (pin, left_out) = pin(&response);
        assert_eq!(pin.name, "x[31m");
        assert_eq!(pin.events.len(), 1);
        assert_eq!(pin.may, ["body"]);
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert!(
            left_out[0].contains("transport.route") && left_out[1].contains("redirect"),
            "{left_out:?}"
        );
    }

    #[test]
    fn a_star_covers_the_names_below_it() {
        let granted = ["headers:X-*".to_owned(), "body".to_owned()];
        assert!(covers(&granted, "headers:X-Spam"));
        assert!(covers(&granted, "headers:X-*"));
        assert!(covers(&granted, "reject"));
        assert!(!covers(&granted, "headers:Subject"));
        assert!(!covers(&granted, "recipients"));
    }
}
