//! What `postern check` shows beside its findings: the spool, servers, domains, sinks, and each binding's powers.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use postern_config::Effective;
use postern_config::settings::binding::Binding as Configured;
use postern_config::settings::delivery::{Domain, Recipients};
use postern_config::settings::route::Route;
use postern_config::settings::server::{ListenAddress, Listener, Server};
use postern_events::event::EventKind;
use postern_events::fault::{FaultKind, Policy};
use postern_events::plan::{Ask, Binding, BodyDepth, Bound, Pin, Plan};

use super::accept::{needs_consent, pin, shown, words};
use super::hops::Hops;
use super::reach::Reached;
use super::spool::Line;

/// The whole listing.
pub(super) struct Listing<'a> {
    pub(super) effective: &'a Effective,
    /// The plan, if there can be one. Bindings that are not accepted have in it what their sinks ask for.
    pub(super) plan: Option<&'a Plan>,
    /// What is accepted.
    pub(super) pins: &'a HashMap<String, Pin>,
    pub(super) reached: &'a HashMap<String, Reached>,
    pub(super) hops: &'a Hops<'a>,
    pub(super) spool: &'a [Line],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.effective.config;
        for file in self.effective.files() {
            writeln!(f, "file {}", file.display())?;
        }
        if let Some(user) = &config.process.user {
            write!(f, "\nprocess\n{}", line("runs as", user))?;
        }
        f.write_str("\nspool\n")?;
        for (label, text) in self.spool {
            f.write_str(&line(label, text))?;
        }
        for server in &config.servers {
            write!(f, "\nserver {}\n{}", server.name, of_server(server))?;
        }
        for domain in &config.domains {
            write!(f, "\ndomain {}\n{}", domain.name, self.of_domain(domain))?;
        }
        for route in &config.routes {
            write!(f, "\nroute {}\n{}", route.name, self.of_route(route))?;
        }
        if let Some(deliver) = &config.outbound.deliver {
            let text = line("deliver", &self.hops.shown(deliver, None));
            write!(f, "\noutbound\n{text}")?;
        }
        for sink in &config.sinks {
            writeln!(f, "\nsink {}", sink.name)?;
            match self.reached.get(&sink.name) {
                Some(reached) => f.write_str(&of_reached(reached))?,
                None => {
                    let endpoints: Vec<_> =
                        sink.endpoints.iter().map(ToString::to_string).collect();
                    f.write_str(&line("endpoint", &endpoints.join(", ")))?;
                }
            }
        }
        self.bindings(f)
    }
}

impl Listing<'_> {
    fn of_domain(&self, domain: &Domain) -> String {
        let recipients = match &domain.recipients {
            Recipients::Any => "any".to_owned(),
            Recipients::File(path) => format!("those in {}", path.display()),
        };
        let mut text = line("recipients", &recipients);
        if let Some(path) = &domain.aliases {
            text += &line("aliases", &format!("those in {}", path.display()));
        }
        if let Some(separator) = &domain.subaddress {
            text += &line("subaddress", &format!("user{separator}tag"));
        }
        if let Some(address) = &domain.catch_all {
            text += &line("catch-all", address);
        }
        let others = self.effective.config.domain_aliases.iter();
        let others = others.filter(|other| other.of == domain.name);
        let others: Vec<_> = others.map(|other| other.name.as_str()).collect();
        if !others.is_empty() {
            text += &line("other names", &others.join(", "));
        }
        text + &line(
            "deliver",
            &self.hops.shown(&domain.deliver, Some(&domain.name)),
        )
    }

    fn of_route(&self, route: &Route) -> String {
        let mut text = line("match", &route.domains);
        if let Some(deliver) = &route.deliver {
            let shown = self.hops.shown(deliver, Some(&route.domains));
            text += &line("deliver", &shown);
        }
        text += &line("tls", route.tls.as_str());
        if let Some(auth) = &route.auth {
            text += &line("auth", &format!("as {}", auth.user));
        }
        text
    }

    /// In the order in which their outcome counts; those that are in no plan at the end.
    fn bindings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = self.plan.map_or(&[][..], Plan::bindings);
        for binding in bound {
            write!(f, "\nbinding {}\n{}", binding.name, of_binding(binding))?;
            let name = &*binding.name;
            let configured = |own: &&Configured| own.name == name;
            let needs = self.effective.config.bindings.iter().find(configured);
            match self.pins.get(name) {
                Some(pin) => {
                    let accepted = format!("{} {}", pin.name, pin.version);
                    f.write_str(&line("accepted", &accepted))?;
                }
                None if needs.is_some_and(needs_consent) => {
                    let how =
                        format!("not yet; `postern check --accept {name}` gives it the above");
                    f.write_str(&line("accepted", &how))?;
                }
                None => {}
            }
            if let Some(reached) = self.reached.get(&*binding.sink.name) {
                for wish in binding.shortfalls(&reached.response) {
                    f.write_str(&line("not given", &shown(&wish.to_string())))?;
                }
            }
        }
        for binding in &self.effective.config.bindings {
            if bound.iter().any(|own| *own.name == *binding.name) {
                continue;
            }
            let text = match binding.enabled {
                true => line("sink", &binding.sink),
                false => line("enabled", "no"),
            };
            write!(f, "\nbinding {}\n{text}", binding.name)?;
        }
        Ok(())
    }
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
                "{}{}{}",
                listener.address,
                if listener.implicit_tls { " (TLS)" } else { "" },
                of_access(listener)
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
        + &match &server.submission {
            Some(submission) => line(
                "relays for",
                &format!("the users of {}", submission.users.display()),
            ),
            None => line("relays for", &or_none(&networks)),
        }
}

/// Who may connect to a Unix socket.
fn of_access(listener: &Listener) -> String {
    let access = &listener.access;
    if !matches!(listener.address, ListenAddress::Unix(_)) {
        return String::new();
    }
    let mut text = format!(" (mode {:04o}", access.mode);
    for (what, name) in [("owner", &access.owner), ("group", &access.group)] {
        if let Some(name) = name {
            text += &format!(", {what} {name}");
        }
    }
    text + ")"
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
    for replica in &reached.replicas {
        let differs = match replica.differs {
            true => ", describes itself differently",
            false => "",
        };
        let user = replica.user.map(|user| format!(", as user {user}"));
        text += &line(
            "reached",
            &format!(
                "{} in {} ms{}{differs}",
                replica.endpoint,
                replica.elapsed.as_millis().max(1),
                user.unwrap_or_default()
            ),
        );
    }
    let (pin, left_out) = pin(reached);
    let [events, reads, may] = words(&pin);
    text += &line("asks for", &format!("events {events}"));
    text += &line("", &format!("to read {reads}"));
    text += &line("", &format!("may {may}"));
    for line in left_out {
        text += &self::line("", &line);
    }
    text
}

fn of_binding(binding: &Binding) -> String {
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
