//! Which events a binding has, and what it is shown at them.

use postern_proto::rules;
use postern_proto::v1 as pb;

use crate::event::EventKind;
use crate::grant::{HeaderSet, Reads};

use super::Bound;
use super::error::Problem;
use super::pin::Pin;
use super::report::{Report, nearest, unknown};
use super::spec::{Ask, BindingSpec, BodyDepth};

/// The events, in their own order, each with what is shown of the content.
pub(super) fn events(spec: &BindingSpec, pin: Option<&Pin>, report: &mut Report<'_>) -> Vec<Bound> {
    let pinned: Vec<(&str, BodyDepth)> = pin.map_or_else(Vec::new, |pin| {
        pin.events
            .iter()
            .map(|own| (own.event.as_str(), own.body))
            .collect()
    });
    let depth_of = |name: &str| {
        let accepted = pinned
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, depth)| *depth);
        spec.body.or(accepted).unwrap_or_else(|| asked_depth(spec))
    };
    let names: Vec<&str> = match &spec.events {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => pinned.iter().map(|(name, _)| *name).collect(),
    };
    if names.is_empty() {
        report.error("events", Problem::NoEvents);
    }
    let mut events: Vec<Bound> = Vec::new();
    for name in names {
        match name.parse::<EventKind>() {
            Err(_) => {
                report.error(
                    "events",
                    unknown("event", name, EventKind::published().map(EventKind::name)),
                );
            }
            Ok(event) if !event.is_published() => {
                report.error("events", Problem::NotPublished { event })
            }
            Ok(event) if events.iter().any(|own| own.event == event) => {}
            Ok(event) => {
                let depth = match event {
                    // The body is not there yet.
                    EventKind::InboundHeaders if depth_of(name).shows_headers() => {
                        BodyDepth::Headers
                    }
                    _ if event.shows_content() => depth_of(name),
                    _ => BodyDepth::None,
                };
                let ask = ask(spec, pin, event, report);
                events.push(Bound { event, depth, ask });
            }
        }
    }
    for (name, _) in &spec.ask {
        let bound = || events.iter().map(|own| own.event.name());
        if let Some(name) = name
            && !bound().any(|own| own == name)
        {
            report.error("ask", unknown("event of this binding", name, bound()));
        }
    }
    events.sort_by_key(|own| own.event);
    events
}

/// When the binding is asked about an event: as it says, else as accepted. What is only told stays told.
fn ask(spec: &BindingSpec, pin: Option<&Pin>, event: EventKind, report: &mut Report<'_>) -> Ask {
    let modes = event.rule().ask_modes;
    let can = |ask: Ask| modes.contains(&ask.wire());
    let accepted = pin
        .and_then(|pin| pin.events.iter().find(|own| own.event == event.name()))
        .map_or(Ask::AtOnce, |own| own.ask);
    let own = spec
        .ask
        .iter()
        .find(|(of, _)| of.as_deref() == Some(event.name()))
        .map(|(_, ask)| *ask);
    if let Some(ask) = own
        && !can(ask)
    {
        report.error(
            "ask",
            Problem::Ask {
                event,
                ask: ask.name(),
            },
        );
    }
    let all = spec.ask.iter().find(|(of, _)| of.is_none());
    let all = all.map(|(_, ask)| *ask).filter(|ask| can(*ask));
    match (accepted, own.or(all)) {
        (Ask::Told, _) if modes.contains(&pb::AskMode::Told) => Ask::Told,
        (_, Some(ask)) => ask,
        (ask, None) if can(ask) => ask,
        (_, None) => Ask::AtOnce,
    }
}

/// The depth where neither the binding nor an accepted description says one: what `reads` needs.
fn asked_depth(spec: &BindingSpec) -> BodyDepth {
    let Some(reads) = spec
        .reads
        .as_ref()
        .and_then(|words| Reads::parse(words).ok())
    else {
        return BodyDepth::None;
    };
    match (reads.body, reads.headers.is_empty()) {
        (true, _) => BodyDepth::Full,
        (false, false) => BodyDepth::Headers,
        (false, true) => BodyDepth::None,
    }
}

/// What the binding is shown. Without a word from anybody: all that the depth shows.
pub(super) fn reads(
    spec: &BindingSpec,
    pin: Option<&Pin>,
    events: &[Bound],
    report: &mut Report<'_>,
) -> Reads {
    let words = spec
        .reads
        .as_ref()
        .or_else(|| pin.map(|pin| &pin.reads).filter(|words| !words.is_empty()));
    let parsed = words.map(|words| Reads::parse(words));
    let shows_headers = events.iter().any(|own| own.depth.shows_headers());
    let shows_body = events.iter().any(|own| own.depth.shows_body());
    match parsed {
        Some(Err(error)) => {
            let nearest = nearest(&error.word, rules::READS.iter().copied());
            report.error("reads", Problem::Word { error, nearest });
            Reads::default()
        }
        Some(Ok(mut reads)) => {
            if let (Some(body), true) = (spec.body, spec.reads.is_some()) {
                for (named, shown, what) in [
                    (reads.body, body.shows_body(), "the body"),
                    (
                        !reads.headers.is_empty(),
                        body.shows_headers(),
                        "header fields",
                    ),
                ] {
                    if named && !shown {
                        report.error(
                            "reads",
                            Problem::NotShown {
                                what,
                                body: body.name(),
                            },
                        );
                    }
                }
            }
            reads.body |= shows_body;
            reads
        }
        None => {
            let mut reads = Reads::everything();
            reads.body = shows_body;
            if !shows_headers {
                reads.headers = HeaderSet::default();
            }
            reads
        }
    }
}
