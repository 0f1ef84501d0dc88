//! What `postern check` shows when nothing is wrong: servers, sinks, and each binding's powers.

use std::collections::HashMap;
use std::time::Duration;

use postern_config::Effective;
use postern_config::settings::server::Server;
use postern_events::event::EventKind;
use postern_events::fault::{FaultKind, Policy};
use postern_events::plan::{Ask, Binding, BodyDepth, Bound, Pin, Plan};

use super::accept::shown;
use super::reach::Reached;

/// The whole listing.
pub(super) fn listing(
    effective: &Effective,
    plan: &Plan,
    pins: &HashMap<String, Pin>,
    reached: &HashMap<String, Reached>,
) -> String {
    let mut page = String::new();
    for file in effective.files() {
        page.push_str(&format!("file {}\n", file.display()));
    }
    for server in &effective.config.servers {
        page.push_str(&format!("\nserver {}\n{}", server.name, of_server(server)));
    }
    for sink in plan.sinks() {
        page.push_str(&format!("\nsink {}\n", sink.name));
        match reached.get(&*sink.name) {
            Some(reached) => page.push_str(&of_reached(reached)),
            None => {
                let endpoints: Vec<_> = sink.endpoints.iter().map(ToString::to_string).collect();
                page.push_str(&line("endpoint", &endpoints.join(", ")));
            }
        }
    }
    // In the order in which their outcome counts.
    for binding in plan.bindings() {
        page.push_str(&format!(
            "\nbinding {}\n{}",
            binding.name,
            of_binding(binding, pins.get(&*binding.name))
        ));
        if let Some(reached) = reached.get(&*binding.sink.name) {
            for wish in binding.shortfalls(&reached.response) {
                page.push_str(&line("not given", &shown(&wish.to_string())));
            }
        }
    }
    for binding in effective
        .config
        .bindings
        .iter()
        .filter(|binding| !binding.enabled)
    {
        page.push_str(&format!(
            "\nbinding {}\n{}",
            binding.name,
            line("enabled", "no")
        ));
    }
    page
}

fn line(label: &str, text: &str) -> String {
    format!("  {label:<12}{text}\n")
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}

fn of_server(server: &Server) -> String {
    let listeners: Vec<_> = server
        .listen
        .iter()
        .map(|listener| {
            format!(
                "{}{}",
                listener.address,
                if listener.implicit_tls { " (TLS)" } else { "" }
            )
        })
        .collect();
    let starttls = if server.tls.is_empty() {
        "no certificate: neither STARTTLS nor TLS"
    } else {
        "STARTTLS"
    };
    let networks: Vec<_> = server.relay_from.iter().map(ToString::to_string).collect();
    line("hostname", &server.hostname)
        + &line(
            "listens",
            &format!("{} ({})", listeners.join(", "), server.protocol),
        )
        + &line("tls", starttls)
        + &line("relays for", &or_none(&networks))
}

fn of_reached(reached: &Reached) -> String {
    let response = &reached.response;
    let mut text = line(
        "is",
        &format!("{} {}", shown(&response.name), shown(&response.version)),
    );
    if !response.summary.is_empty() {
        text += &line("does", &shown(&response.summary));
    }
    for (endpoint, elapsed) in &reached.replicas {
        let differs = if reached.different.contains(endpoint) {
            ", describes itself differently"
        } else {
            ""
        };
        text += &line(
            "reached",
            &format!("{endpoint} in {} ms{differs}", elapsed.as_millis().max(1)),
        );
    }
    text
}

fn of_binding(binding: &Binding, pin: Option<&Pin>) -> String {
    let mut text = String::new();
    if !binding.description.is_empty() {
        text += &line("for", &binding.description);
    }
    let servers = if binding.servers.is_empty() {
        "all".to_owned()
    } else {
        binding.servers.join(", ")
    };
    let events: Vec<_> = binding.events.iter().map(of_event).collect();
    text += &line("sink", &binding.sink.name);
    text += &line("servers", &servers);
    text += &line("priority", &binding.priority.to_string());
    text += &line("events", &events.join(", "));
    text += &line("reads", &or_none(&binding.reads.words()));
    text += &line("may", &or_none(&binding.grants.words()));
    text += &line("time-outs", &of_times(binding));
    text += &line("on failure", &of_failure(binding));
    if binding.side_effects {
        let again = if binding.repeatable {
            "may be asked again"
        } else {
            "never asked twice"
        };
        text += &line("effects", &format!("asked in its turn, {again}"));
    }
    if let Some(pin) = pin {
        text += &line("accepted", &format!("{} {}", pin.name, pin.version));
    }
    text
}

fn of_event(bound: &Bound) -> String {
    let event = bound.event;
    let mut notes = Vec::new();
    match bound.depth {
        BodyDepth::None => {}
        BodyDepth::Prefix(octets) => notes.push(format!("headers and {octets} octets")),
        depth => notes.push(depth.name().to_owned()),
    }
    if bound.ask != Ask::AtOnce && !event.is_one_way() {
        notes.push(bound.ask.name().to_owned());
    }
    if notes.is_empty() {
        event.to_string()
    } else {
        format!("{event} ({})", notes.join(", "))
    }
}

/// The events at which it is asked.
fn asked(binding: &Binding) -> impl Iterator<Item = EventKind> {
    let events = binding.events.iter().map(|bound| bound.event);
    events.filter(|event| !event.is_one_way())
}

/// The time-outs that its events have, each once.
fn of_times(binding: &Binding) -> String {
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for event in asked(binding) {
        let entry = (event.group().name(), binding.timeout(event));
        if !times.contains(&entry) {
            times.push(entry);
        }
    }
    let times: Vec<_> = times
        .iter()
        .map(|(group, time)| format!("{group} {time:?}"))
        .collect();
    or_none(&times)
}

/// The policies of the groups that its events belong to; kinds of fault that differ are named.
fn of_failure(binding: &Binding) -> String {
    let mut parts: Vec<String> = Vec::new();
    for event in asked(binding) {
        let Some(group) = event.group().policy_group() else {
            continue;
        };
        let policy = |kind: &FaultKind| binding.on_failure.at(event, *kind);
        let count = |wanted: Policy| {
            FaultKind::ALL
                .iter()
                .filter(|kind| policy(kind) == wanted)
                .count()
        };
        let Some(usual) = FaultKind::ALL
            .iter()
            .map(policy)
            .max_by_key(|policy| count(*policy))
        else {
            continue;
        };
        let others = FaultKind::ALL.iter().filter(|kind| policy(kind) != usual);
        let others: String = others
            .map(|kind| format!(", on {kind} {}", policy(kind).name()))
            .collect();
        let text = format!("{}{others}", usual.name());
        let part = format!("{}: {text}", group.name());
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.is_empty() {
        "told, never asked".to_owned()
    } else {
        parts.join("; ")
    }
}
