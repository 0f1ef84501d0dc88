//! Which events a binding has, and what it is shown at them.

use crate::event::EventKind;
use crate::grant::{HeaderSet, Reads};
use crate::table;

use super::build::{Report, nearest, unknown};
use super::error::Problem;
use super::pin::Pin;
use super::spec::{BindingSpec, BodyDepth};

/// The events, in their own order, each with what is shown of the content.
pub(super) fn events(
    spec: &BindingSpec,
    pin: Option<&Pin>,
    report: &mut Report<'_>,
) -> Vec<(EventKind, BodyDepth)> {
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
    let mut events = Vec::new();
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
            Ok(event) if events.iter().any(|(own, _)| *own == event) => {}
            Ok(event) => {
                let depth = if table::shows_content(event) {
                    depth_of(name)
                } else {
                    BodyDepth::None
                };
                events.push((event, depth));
            }
        }
    }
    events.sort_by_key(|(event, _)| *event);
    events
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
    events: &[(EventKind, BodyDepth)],
    report: &mut Report<'_>,
) -> Reads {
    let words = spec
        .reads
        .as_ref()
        .or_else(|| pin.map(|pin| &pin.reads).filter(|words| !words.is_empty()));
    let parsed = words.map(|words| Reads::parse(words));
    let shows_headers = events.iter().any(|(_, depth)| depth.shows_headers());
    let shows_body = events.iter().any(|(_, depth)| depth.shows_body());
    match parsed {
        Some(Err(error)) => {
            let nearest = nearest(&error.word, table::READ_WORDS.iter().copied());
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
