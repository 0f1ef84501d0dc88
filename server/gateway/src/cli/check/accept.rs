//! What a sink asks for, and what of it was accepted.

use std::collections::HashMap;

use postern_config::Effective;
use postern_events::event::EventKind;
use postern_events::grant::{Grants, Reads};
use postern_events::plan::{Ask, BodyDepth, Pin, PinnedEvent, Plan, Shortfall};
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

/// What sinks ask for whose descriptions have to be accepted and are not: a line for each binding.
pub(super) fn not_accepted(
    effective: &Effective,
    pins: &HashMap<String, Pin>,
    reached: &HashMap<String, Reached>,
) -> Vec<String> {
    let bindings = effective.config.bindings.iter();
    let open = bindings.filter(|binding| {
        let complete = binding.events.is_some() && binding.may.is_some();
        binding.enabled && !complete && !pins.contains_key(&binding.name)
    });
    open.filter_map(|binding| {
        let (pin, _) = pin(&reached.get(&binding.sink)?.response);
        Some(format!(
            "note: binding.{}: {} {} asks for events {}; to read {}; may {}",
            binding.name,
            pin.name,
            pin.version,
            listed(pin.events.iter().map(event), "none"),
            listed(pin.reads.iter().cloned(), "what these events show"),
            listed(pin.may.iter().cloned(), "refuse only"),
        ))
    })
    .collect()
}

/// An event with what the sink wants of it.
fn event(pinned: &PinnedEvent) -> String {
    let mut notes = Vec::new();
    match pinned.body {
        BodyDepth::None => {}
        BodyDepth::Prefix(octets) => notes.push(format!("headers and {octets} octets")),
        depth => notes.push(depth.name().to_owned()),
    }
    if pinned.ask != Ask::AtOnce {
        notes.push(pinned.ask.name().to_owned());
    }
    match notes.is_empty() {
        true => pinned.event.clone(),
        false => format!("{} ({})", pinned.event, notes.join(", ")),
    }
}

fn listed(words: impl Iterator<Item = String>, none: &str) -> String {
    let words: Vec<_> = words.collect();
    match words.is_empty() {
        true => none.to_owned(),
        false => words.join(", "),
    }
}

/// Lines about sinks that ask for more than their bindings give, of what could be given.
pub(super) fn asks_for_more(
    plan: &Plan,
    pins: &HashMap<String, Pin>,
    reached: &HashMap<String, Reached>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for binding in plan.bindings() {
        let Some(sink) = reached.get(&*binding.sink.name) else {
            continue;
        };
        let advice = if pins.contains_key(&*binding.name) {
            "accept it with `postern check --accept`, or give it in the binding"
        } else {
            "give it in the binding, if it is to have it"
        };
        let wishes = binding.shortfalls(&sink.response);
        lines.extend(wishes.into_iter().filter_map(can_be_given).map(|wish| {
            let wish = shown(&wish.to_string());
            format!("note: binding.{}: {wish}; {advice}", binding.name)
        }));
    }
    lines
}

/// The part of a wish that this version could fulfil.
fn can_be_given(wish: Shortfall) -> Option<Shortfall> {
    Some(match wish {
        Shortfall::Events(mut events) => {
            events.retain(|event| event.is_published());
            (!events.is_empty()).then_some(Shortfall::Events(events))?
        }
        Shortfall::Grants(mut words) => {
            words.retain(|word| Grants::parse(&[word]).is_ok());
            (!words.is_empty()).then_some(Shortfall::Grants(words))?
        }
        wish => wish,
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
            ..pb::EventInterest::default()
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
    fn of_wishes_only_what_could_be_given_is_news() {
        let grants = |words: &[&str]| Shortfall::Grants(words.iter().map(|&w| w.into()).collect());
        assert_eq!(
            can_be_given(grants(&["redirect", "body"])),
            Some(grants(&["body"]))
        );
        assert_eq!(can_be_given(grants(&["redirect"])), None);
        let events = |events: &[EventKind]| Shortfall::Events(events.to_vec());
        assert_eq!(can_be_given(events(&[EventKind::TransportRoute])), None);
        assert_eq!(
            can_be_given(events(&[EventKind::TransportRoute, EventKind::InboundMail])),
            Some(events(&[EventKind::InboundMail]))
        );
        let word = Shortfall::Word("bdy".to_owned());
        assert_eq!(can_be_given(word.clone()), Some(word));
    }
}
