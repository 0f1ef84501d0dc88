//! What sinks ask for, what of it was accepted, and accepting it.

use std::collections::HashMap;

use postern_config::settings::binding::Binding as Configured;
use postern_config::{ConfigError, Effective};
use postern_events::event::EventKind;
use postern_events::grant::{Grants, Reads};
use postern_events::plan::{Ask, BodyDepth, Pin, PinnedEvent, Plan, PlanError, Problem, Shortfall};

use super::super::Exit;
use super::consent::Consent;
use super::reach::Reached;
use super::report::Report;
use super::{problems, properties};
use crate::log::shown::is_unseen;
use crate::{accepted, plan, preflight};

type Pins = HashMap<String, Pin>;
type Sinks = HashMap<String, Reached>;

/// Looks at all bindings and accepts what the operator accepts, if nothing is wrong. Returns the plan, if there can be
/// one, in which bindings that are not accepted have what their sinks ask for; and what is accepted in the end.
pub(super) fn bindings(
    effective: &Effective,
    consent: &Consent,
    reached: &Sinks,
    report: &mut Report,
) -> (Option<Plan>, Pins) {
    let config = &effective.config;
    if preflight::state(effective).is_some() {
        // That is said already, and nothing in there says anything.
        return (None, Pins::new());
    }
    let names = config.bindings.iter().map(|binding| binding.name.as_str());
    let mut pins = match accepted::load(&config.spool.path, names) {
        Ok(pins) => pins,
        Err(errors) => {
            errors.iter().for_each(|error| report.wrong(error));
            return (None, Pins::new());
        }
    };
    strangers(effective, consent, &pins, reached, report);
    let offers = offers(effective, reached);
    let wanted = wanted(effective, consent, &pins, &offers, report);
    let misfits = properties::check(effective, reached);
    misfits.iter().for_each(|(_, error)| report.wrong(error));
    let mut then = pins.clone();
    then.extend(wanted.iter().cloned());
    let mut looked_at = offers.clone();
    looked_at.extend(then.clone());
    if let Ok(plan) = plan::of(effective, &looked_at) {
        let known: Vec<&str> = misfits.iter().map(|(binding, _)| *binding).collect();
        look(effective, &plan, reached, &known, report);
    }
    if let Err(errors) = plan::of(effective, &then) {
        // Who is not accepted yet keeps nobody else from being accepted.
        let (waiting, wrong): (Vec<_>, Vec<_>) = errors
            .iter()
            .partition(|error| error.problem == Problem::NothingAccepted);
        wrong
            .into_iter()
            .for_each(|error: &PlanError| report.wrong(&plan::located(effective, error)));
        let is_in_order = report.is_in_order();
        accept(effective, wanted, reached, is_in_order, &mut pins, report);
        for error in waiting {
            report.wrong(&plan::located(effective, error));
        }
        not_accepted(effective, &pins, &offers, report);
    } else {
        let is_in_order = report.is_in_order();
        accept(effective, wanted, reached, is_in_order, &mut pins, report);
    }
    let mut shown = offers;
    shown.extend(pins.clone());
    let plan = plan::of(effective, &shown).ok();
    if let Some(plan) = &plan {
        for (error, matters) in shortfalls(effective, plan, &pins, reached) {
            match matters {
                true => report.warning(&error),
                false => report.note(&error),
            }
        }
    }
    (plan, pins)
}

/// Lets the sinks look at their bindings. `known` are wrong anyhow.
fn look(effective: &Effective, plan: &Plan, reached: &Sinks, known: &[&str], report: &mut Report) {
    match problems::ask(effective, plan, reached, known) {
        Ok(found) => {
            found.notes.iter().for_each(|line| report.note(line));
            found.wrong.iter().for_each(|error| report.wrong(error));
        }
        Err(error) => report.error(
            Exit::Software,
            &format!("no runtime to ask the sinks with: {error}"),
        ),
    }
}

/// Writes what is accepted, or says why it is not.
fn accept(
    effective: &Effective,
    wanted: Vec<(String, Pin)>,
    reached: &Sinks,
    is_in_order: bool,
    pins: &mut Pins,
    report: &mut Report,
) {
    if wanted.is_empty() {
        return;
    }
    if !is_in_order {
        return report.note(&"nothing was accepted, because of the errors");
    }
    let config = &effective.config;
    for (name, pin) in wanted {
        let binding = config.bindings.iter().find(|binding| binding.name == name);
        let Some(sink) = binding.and_then(|binding| reached.get(&binding.sink)) else {
            continue;
        };
        let schema = &sink.response.properties_schema;
        if let Err(error) = accepted::store(&config.spool.path, &name, &pin, schema) {
            return report.error(Exit::CantCreate, &error);
        }
        if pins.get(&name) != Some(&pin) {
            let line = format!("accepted: binding.{name}: {} {}", pin.name, pin.version);
            report.note(&line);
        }
        for line in self::pin(sink).1 {
            report.note(&format!("binding.{name}: {line}"));
        }
        pins.insert(name, pin);
    }
}

/// What the operator accepts of what sinks ask for.
fn wanted(
    effective: &Effective,
    consent: &Consent,
    pins: &Pins,
    offers: &Pins,
    report: &mut Report,
) -> Vec<(String, Pin)> {
    let mut wanted = Vec::new();
    for binding in enabled(effective).filter(|binding| consent.covers(&binding.name)) {
        let name = &binding.name;
        let Some(pin) = offers.get(name) else {
            let line = format!("binding.{name}: nothing was accepted, its sink did not answer");
            report.note(&line);
            continue;
        };
        // Another program than before takes a consent of its own.
        if consent.names(name) || pins.get(name).is_none_or(|own| own.name == pin.name) {
            wanted.push((name.clone(), pin.clone()));
        }
    }
    wanted
}

/// What the sink of each enabled binding asks for, by the name of the binding.
fn offers(effective: &Effective, reached: &Sinks) -> Pins {
    let offer = |binding: &Configured| {
        let (pin, _) = pin(reached.get(&binding.sink)?);
        Some((binding.name.clone(), pin))
    };
    enabled(effective).filter_map(offer).collect()
}

fn enabled(effective: &Effective) -> impl Iterator<Item = &Configured> {
    let bindings = effective.config.bindings.iter();
    bindings.filter(|binding| binding.enabled)
}

/// Reports sinks that are others than those that were accepted, but for those that the operator accepts by name.
fn strangers(
    effective: &Effective,
    consent: &Consent,
    pins: &Pins,
    reached: &Sinks,
    report: &mut Report,
) {
    for binding in enabled(effective).filter(|binding| !consent.names(&binding.name)) {
        let (Some(pin), Some(sink)) = (pins.get(&binding.name), reached.get(&binding.sink)) else {
            continue;
        };
        for replica in &sink.replicas {
            if let Some(stranger) = pin.stranger(&replica.name, replica.user) {
                let advice = format!(
                    "start the one that was accepted, or accept this one with `postern check --accept {}`",
                    binding.name
                );
                report.unreachable(&effective.error_at(
                    &["sink", &binding.sink, "endpoint"],
                    format!("{}: {}", replica.endpoint, shown(&stranger.to_string())),
                    advice,
                ));
            }
        }
    }
}

/// The description as it is accepted, and a line for each thing that this version cannot give.
pub(super) fn pin(sink: &Reached) -> (Pin, Vec<String>) {
    let response = &sink.response;
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
        users: sink.users(),
    };
    (pin, left_out)
}

/// Says what sinks ask for that have to be accepted and are not.
fn not_accepted(effective: &Effective, pins: &Pins, offers: &Pins, report: &mut Report) {
    for binding in enabled(effective).filter(|binding| needs_consent(binding)) {
        let name = &binding.name;
        if pins.contains_key(name) {
            continue;
        }
        if let Some(pin) = offers.get(name) {
            report.note(&format!("binding.{name}: {}", asks_for(pin)));
        }
    }
}

/// Nothing but an accepted description says what the binding may see and do.
pub(super) fn needs_consent(binding: &Configured) -> bool {
    binding.events.is_none() || binding.may.is_none()
}

/// What a sink asks for, in one line.
fn asks_for(pin: &Pin) -> String {
    let (name, version, [events, reads, may]) = (&pin.name, &pin.version, words(pin));
    format!("{name} {version} asks for events {events}; to read {reads}; may {may}")
}

/// What a sink asks for: events, what it reads, and what it may.
pub(super) fn words(pin: &Pin) -> [String; 3] {
    [
        listed(pin.events.iter().map(event), "none"),
        listed(pin.reads.iter().cloned(), "what these events show"),
        listed(pin.may.iter().cloned(), "refuse only"),
    ]
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

/// What sinks ask for beyond what their bindings give, of what could be given. True where a sink without it may not
/// work: it sees less than it needs.
fn shortfalls(
    effective: &Effective,
    plan: &Plan,
    pins: &Pins,
    reached: &Sinks,
) -> Vec<(ConfigError, bool)> {
    let mut found = Vec::new();
    for binding in plan.bindings() {
        let Some(sink) = reached.get(&*binding.sink.name) else {
            continue;
        };
        let of_its_own = format!(
            "accept it with `postern check --accept {}`, or",
            binding.name
        );
        let wishes = binding.shortfalls(&sink.response);
        for wish in wishes.into_iter().filter_map(can_be_given) {
            let (key, matters, give) = match &wish {
                Shortfall::Depth { .. } => (
                    "body",
                    true,
                    "give it in the binding: without it the sink may answer with faults",
                ),
                Shortfall::Reads(_) => (
                    "reads",
                    true,
                    "give it in the binding: without it the sink may answer with faults",
                ),
                Shortfall::Grants(_) => {
                    ("may", false, "give it in the binding, if it is to have it")
                }
                Shortfall::Events(_) => (
                    "events",
                    false,
                    "give it in the binding, if it is to have it",
                ),
                Shortfall::Word(_) => ("sink", true, "correct the sink"),
            };
            let advice = match pins.contains_key(&*binding.name) && key != "sink" {
                true => format!("{of_its_own} {give}"),
                false => give.to_owned(),
            };
            let wish = shown(&wish.to_string());
            let error = effective.error_at(&["binding", &binding.name, key], wish, advice);
            found.push((error, matters));
        }
    }
    found
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
    text.chars().filter(|c| !is_unseen(*c)).take(200).collect()
}

#[cfg(test)]
mod tests {
    use postern_proto::v1 as pb;

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
            grants: vec!["body".into(), "act:routes".into()],
            ..pb::DescribeResponse::default()
        };
        let (pin, left_out) = pin(&Reached::saying(response));
        assert_eq!(pin.name, "x[31m");
        assert_eq!(pin.events.len(), 1);
        assert_eq!(pin.may, ["body"]);
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert!(
            left_out[0].contains("transport.route") && left_out[1].contains("act:routes"),
            "{left_out:?}"
        );
    }

    #[test]
    fn of_wishes_only_what_could_be_given_is_news() {
        let grants = |words: &[&str]| Shortfall::Grants(words.iter().map(|&w| w.into()).collect());
        assert_eq!(
            can_be_given(grants(&["act:routes", "body"])),
            Some(grants(&["body"]))
        );
        assert_eq!(can_be_given(grants(&["act:routes"])), None);
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
