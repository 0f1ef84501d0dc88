//! Checks what was configured and makes a plan of it. Collects every error before it gives up.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use postern_proto::rules;
use postern_smtp::server::Additions;

use crate::condition::{Condition, MAX_SHOWN, Shown};
use crate::event::{EventGroup, EventKind};
use crate::fault::FaultKind;
use crate::grant::{Grants, LATER_GRANTS, WordError};
use crate::rule::Rule;
use crate::table;

use super::additions;
use super::endpoint::Endpoint;
use super::error::{Place, PlanError, Problem};
use super::order;
use super::pin::Pin;
use super::report::{Findings, Report, nearest, unknown};
use super::shown;
use super::spec::{BindingSpec, MAX_PRIORITY, PlanSpec, SinkSpec};
use super::{Binding, Plan, Sink};

/// How the words of `may` are taken.
type ParseGrants = fn(&[String]) -> Result<Grants, WordError>;

impl Plan {
    /// Checks sinks, bindings and accepted descriptions and makes a plan of them.
    ///
    /// `pins` are the descriptions that the operator accepted, by binding name.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn build(spec: PlanSpec, pins: &HashMap<String, Pin>) -> Result<Self, Vec<PlanError>> {
        build(spec, pins, Grants::parse)
    }

    /// As [`Plan::build`], with the grants of all versions.
    ///
    /// # Errors
    /// Everything that is wrong.
    #[cfg(test)]
    pub(crate) fn build_all(
        spec: PlanSpec,
        pins: &HashMap<String, Pin>,
    ) -> Result<Self, Vec<PlanError>> {
        build(spec, pins, Grants::parse_all)
    }
}

fn build(
    spec: PlanSpec,
    pins: &HashMap<String, Pin>,
    parse: ParseGrants,
) -> Result<Plan, Vec<PlanError>> {
    let mut findings = Findings::default();
    let sinks = build_sinks(&spec.sinks, &mut findings);
    let servers: Vec<String> = spec.servers.iter().map(|own| own.name.clone()).collect();
    let mut bindings: Vec<Binding> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for binding in &spec.bindings {
        let mut report = Report::new(&mut findings, Place::Binding(binding.name.clone()));
        report.name(&binding.name);
        if names.contains(&binding.name.as_str()) {
            report.error("name", Problem::Duplicate);
        }
        names.push(&binding.name);
        let built = build_binding(
            binding,
            pins.get(&binding.name),
            &servers,
            &sinks,
            parse,
            &mut report,
        );
        if let Some(built) = built
            && binding.enabled
        {
            bindings.push(built);
        }
    }
    if !findings.errors.is_empty() {
        return Err(findings.errors);
    }
    for place in 0..bindings.len() {
        let (before, rest) = bindings.split_at_mut(place);
        if let Some(own) = rest.first_mut() {
            let same = before.iter().position(|other| other.reads == own.reads);
            own.view = u32::try_from(same.unwrap_or(place)).unwrap_or(u32::MAX);
        }
    }
    let mut bindings: Vec<Arc<Binding>> = bindings.into_iter().map(Arc::new).collect();
    // Stable: among equal priorities the order of the configuration stays.
    bindings.sort_by_key(|binding| binding.priority);
    let used: Vec<Arc<Sink>> = sinks
        .into_iter()
        .filter(|sink| {
            bindings
                .iter()
                .any(|binding| Arc::ptr_eq(&binding.sink, sink))
        })
        .collect();
    let additions = spec.servers.iter().filter_map(|server| {
        let is_for =
            |own: &&Arc<Binding>| own.servers.is_empty() || own.servers.contains(&server.name);
        let own = bindings.iter().filter(is_for).map(AsRef::as_ref);
        let own = Some(additions::of(own)).filter(|own| *own != Additions::default())?;
        Some((server.name.clone(), Arc::new(own)))
    });
    let additions = additions.collect();
    let servers = spec
        .servers
        .into_iter()
        .map(|server| {
            let stages = order::stages(&server.name, &bindings);
            (server.name, (server.limits, stages))
        })
        .collect();
    Ok(Plan {
        sinks: used,
        bindings,
        servers,
        additions,
        warnings: findings.warnings,
    })
}

fn build_sinks(specs: &[SinkSpec], findings: &mut Findings) -> Vec<Arc<Sink>> {
    let mut sinks: Vec<Arc<Sink>> = Vec::new();
    for spec in specs {
        let mut report = Report::new(findings, Place::Sink(spec.name.clone()));
        report.name(&spec.name);
        if sinks.iter().any(|sink| *sink.name == *spec.name) {
            report.error("name", Problem::Duplicate);
        }
        if spec.endpoints.is_empty() {
            report.error("endpoint", Problem::NoEndpoint);
        }
        if spec.tls.cert.is_some() != spec.tls.key.is_some() {
            report.error("tls", Problem::HalfKeyPair);
        }
        let mut endpoints = Vec::new();
        for text in &spec.endpoints {
            match Endpoint::parse(text, spec.plaintext) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(error) => report.error("endpoint", error),
            }
        }
        // Kept even when it is wrong, so that its bindings are not reported too.
        sinks.push(Arc::new(Sink {
            name: spec.name.as_str().into(),
            endpoints,
            tls: spec.tls.clone(),
            concurrency: spec.concurrency,
            open: AtomicI64::new(0),
        }));
    }
    sinks
}

/// `None` only where no sink is there to bind; what else is wrong is in the report.
fn build_binding(
    spec: &BindingSpec,
    pin: Option<&Pin>,
    servers: &[String],
    sinks: &[Arc<Sink>],
    parse: ParseGrants,
    report: &mut Report<'_>,
) -> Option<Binding> {
    if spec.priority > MAX_PRIORITY {
        report.error(
            "priority",
            Problem::Priority {
                priority: spec.priority,
            },
        );
    }
    for server in spec
        .servers
        .iter()
        .filter(|server| !servers.contains(server))
    {
        report.error(
            "servers",
            unknown("server", server, servers.iter().map(String::as_str)),
        );
    }
    if pin.is_none() && (spec.events.is_none() || spec.may.is_none()) {
        report.error("events", Problem::NothingAccepted);
        return None;
    }
    let Some(sink) = sinks.iter().find(|sink| *sink.name == *spec.sink).cloned() else {
        report.error(
            "sink",
            unknown("sink", &spec.sink, sinks.iter().map(|sink| &*sink.name)),
        );
        return None;
    };
    let events = shown::events(spec, pin, report);
    let kinds: Vec<EventKind> = events.iter().map(|own| own.event).collect();
    let rule = rule(spec, &kinds, report);
    let condition = spec
        .when
        .as_ref()
        .and_then(|text| match Condition::compile(text, &kinds) {
            Ok(condition) => Some(condition),
            Err(error) => {
                report.error("when", error);
                None
            }
        });
    let grants = grants(spec, pin, parse, report);
    let reads = shown::reads(spec, pin, &events, report);
    if reads.original {
        let grants = [("body", grants.has("body"))];
        for (grant, _) in grants.into_iter().filter(|(_, has)| *has) {
            report.error("reads", Problem::Original { grant });
        }
    }
    let attributes = attributes(spec, &kinds, report);
    check_policies(spec, &kinds, report);
    check_timeouts(spec, &kinds, report);
    if !is_object(&spec.properties_json) {
        report.error("properties", Problem::Properties);
    }
    Some(Binding {
        name: spec.name.as_str().into(),
        description: spec.description.clone(),
        sink,
        revision: revision(spec, pin),
        servers: spec.servers.clone(),
        events,
        rule,
        condition,
        priority: u16::try_from(spec.priority).unwrap_or(u16::MAX),
        timeouts: spec.timeouts,
        on_failure: spec.on_failure,
        reads,
        view: 0,
        verbs: pin
            .filter(|_| grants.has("respond") && kinds.contains(&EventKind::InboundCommand))
            .map_or_else(Vec::new, |pin| pin.verbs.clone()),
        ehlo_keywords: pin
            .filter(|_| grants.has("ehlo"))
            .map_or_else(Vec::new, |pin| pin.ehlo_keywords.clone()),
        grants,
        side_effects: spec.side_effects == Some(true) || pin.is_some_and(|pin| pin.side_effects),
        repeatable: pin.map_or(spec.side_effects != Some(true), |pin| {
            pin.repeatable || !(pin.side_effects || spec.side_effects == Some(true))
        }),
        asks_about_own: spec.asks_about_own,
        attributes,
        properties_json: spec.properties_json.clone(),
        accepted_name: pin
            .map(|pin| pin.name.clone())
            .filter(|name| !name.is_empty()),
        accepted_users: pin.map_or_else(Vec::new, |pin| pin.users.clone()),
    })
}

fn rule(spec: &BindingSpec, events: &[EventKind], report: &mut Report<'_>) -> Rule {
    let rule = match Rule::parse(&spec.rule) {
        Ok(rule) => rule,
        Err(error) => {
            report.error("rule", error);
            return Rule::default();
        }
    };
    for text in rule.warnings() {
        report.warn("rule", text);
    }
    let impossible: Vec<(EventKind, String)> = events
        .iter()
        .filter_map(|event| rule.impossible_at(*event).map(|command| (*event, command)))
        .collect();
    match impossible.first() {
        Some((_, command)) if impossible.len() == events.len() => {
            report.error(
                "rule",
                Problem::NeverFires {
                    command: command.clone(),
                },
            );
        }
        _ => {
            for (event, command) in impossible {
                report.warn(
                    "rule",
                    format!("never fires at {event}: {command} is not known there"),
                );
            }
        }
    }
    rule
}

/// What is shown to the sink with each event.
fn attributes(spec: &BindingSpec, events: &[EventKind], report: &mut Report<'_>) -> Vec<Shown> {
    if spec.attributes.len() > MAX_SHOWN {
        report.error(
            "attributes",
            Problem::TooManyAttributes {
                count: spec.attributes.len(),
                limit: MAX_SHOWN,
            },
        );
        return Vec::new();
    }
    let mut shown = Vec::new();
    for (name, text) in &spec.attributes {
        match Shown::compile(name, text, events) {
            Ok(own) => shown.push(own),
            Err(error) => report.error("attributes", error),
        }
    }
    shown
}

fn grants(
    spec: &BindingSpec,
    pin: Option<&Pin>,
    parse: ParseGrants,
    report: &mut Report<'_>,
) -> Grants {
    let words = spec.may.as_ref().or_else(|| pin.map(|pin| &pin.may));
    let Some(words) = words else {
        return Grants::default();
    };
    parse(words).unwrap_or_else(|error| {
        let known = rules::GRANTS.iter().copied();
        let known = known.filter(|word| !LATER_GRANTS.contains(word));
        let nearest = nearest(&error.word, known).filter(|_| !error.later);
        report.error("may", Problem::Word { error, nearest });
        Grants::default()
    })
}

fn check_policies(spec: &BindingSpec, events: &[EventKind], report: &mut Report<'_>) {
    for event in events.iter().filter(|event| !event.is_one_way()) {
        for kind in FaultKind::ALL {
            let policy = spec.on_failure.at(*event, kind);
            if table::policy_allowed(*event, policy) {
                continue;
            }
            let instead = table::policies(*event)
                .map(|policy| policy.name())
                .collect::<Vec<_>>()
                .join(", ");
            report.error(
                "on_failure",
                Problem::Policy {
                    policy,
                    kind,
                    event: *event,
                    instead,
                },
            );
            // One line for an event is enough where all kinds have the same policy.
            if FaultKind::ALL
                .iter()
                .all(|other| spec.on_failure.at(*event, *other) == policy)
            {
                break;
            }
        }
    }
}

fn check_timeouts(spec: &BindingSpec, events: &[EventKind], report: &mut Report<'_>) {
    let timeouts = [
        (EventGroup::Command, spec.timeouts.command),
        (EventGroup::Headers, spec.timeouts.headers),
        (EventGroup::Message, spec.timeouts.message),
        (EventGroup::Transport, spec.timeouts.transport),
        (EventGroup::Outgoing, spec.timeouts.outgoing),
    ];
    for (stage, timeout) in timeouts {
        if timeout.is_zero() && events.iter().any(|event| event.group() == stage) {
            report.error("timeout", Problem::ZeroTimeout { stage });
        }
    }
}

fn is_object(json: &[u8]) -> bool {
    json.is_empty()
        || serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(json).is_ok()
}

/// The same for the same configuration, whichever gateway or thread asks.
fn revision(spec: &BindingSpec, pin: Option<&Pin>) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{spec:?}{pin:?}").hash(&mut hasher);
    // Zero is the absent value on the wire.
    hasher.finish().max(1)
}
