//! From the configuration to the plan of the dispatcher.

use std::collections::HashMap;

use postern_config::settings::binding::{
    AskMode, AskModes, Binding, BodyDepth, ByFault, OwnMessages, Policy,
};
use postern_config::settings::delivery::Deliver;
use postern_config::settings::server::Server;
use postern_config::settings::sink::Sink;
use postern_config::{Config, ConfigError, Effective};
use postern_events::event::{EventGroup, EventKind};
use postern_events::fault::{FailurePolicy, FaultKind, Policy as Done};
use postern_events::plan::{
    Ask, BindingSpec, BodyDepth as Depth, Pin, Place, Plan, PlanError, PlanSpec, PlanWarning,
    Problem, ServerSpec, SinkSpec, SinkTls, Timeouts,
};
use postern_message::EditLimits;

/// What the configuration says about sinks and bindings, as the dispatcher takes it.
#[must_use]
pub fn spec(config: &Config) -> PlanSpec {
    PlanSpec {
        servers: config.servers.iter().map(server).collect(),
        sinks: config.sinks.iter().map(sink).collect(),
        bindings: config.bindings.iter().map(binding).collect(),
    }
}

/// Makes the plan. `pins` are the accepted descriptions by binding name, see [`crate::accepted`].
///
/// # Errors
/// Everything that is wrong, each with the place in the configuration that says it.
pub fn build(effective: &Effective, pins: &HashMap<String, Pin>) -> Result<Plan, Vec<ConfigError>> {
    let located_all = |errors: Vec<PlanError>| {
        let errors = errors.iter();
        errors
            .map(|error| located(effective, error))
            .collect::<Vec<_>>()
    };
    let plan = of(effective, pins).map_err(located_all)?;
    match unasked_stores(effective, &plan) {
        errors if errors.is_empty() => Ok(plan),
        errors => Err(errors),
    }
}

/// Sinks that are to keep mailboxes and are never asked to.
#[must_use]
pub fn unasked_stores(effective: &Effective, plan: &Plan) -> Vec<ConfigError> {
    let config = &effective.config;
    let domains = config.domains.iter().map(|own| {
        let key = vec!["domain", own.name.as_str(), "deliver"];
        (key, Some(&own.deliver))
    });
    let routes = config.routes.iter().map(|own| {
        let key = vec!["route", own.name.as_str(), "deliver"];
        (key, own.deliver.as_ref())
    });
    let outbound = (
        vec!["outbound", "deliver"],
        config.outbound.deliver.as_ref(),
    );
    let event = EventKind::TransportLocalDelivery;
    let is_asked = |name: &str| {
        let mut bindings = plan.bindings().iter();
        bindings.any(|own| *own.sink.name == *name && own.has(event))
    };
    let all = domains.chain(routes).chain([outbound]);
    let unasked = all.filter_map(|(key, deliver)| match deliver {
        Some(Deliver::Sink(name)) if !is_asked(name) => {
            let what = format!("no binding of the sink \"{name}\" has the event {event}");
            let advice = "add a [[binding]] for it with events = [\"transport.local_delivery\"]";
            Some(effective.error_at(&key, what, advice))
        }
        _ => None,
    });
    unasked.collect()
}

/// Makes the plan, as [`build`].
///
/// # Errors
/// Everything that is wrong, in the terms of the plan.
pub fn of(effective: &Effective, pins: &HashMap<String, Pin>) -> Result<Plan, Vec<PlanError>> {
    Plan::build(spec(&effective.config), pins)
}

/// An error of the plan with the place in the configuration that says it.
#[must_use]
pub fn located(effective: &Effective, error: &PlanError) -> ConfigError {
    let (section, name) = place(&error.place);
    if error.problem == Problem::NothingAccepted {
        let what = "nothing says what this binding may see and do";
        let advice = format!(
            "accept what its sink asks for with `postern check --accept {name}`, or set events and may"
        );
        return effective.error_at(&[section, name, error.key], what, advice);
    }
    let text = error.problem.to_string();
    // Problems say what to do behind a semicolon, where there is more to say than the reference does.
    let advice = format!("see \"postern config explain {section}.{}\"", error.key);
    let (what, advice) = text.split_once("; ").unwrap_or((&text, &advice));
    effective.error_at(&[section, name, error.key], what, advice)
}

/// A warning of the plan with the place in the configuration that it is about.
#[must_use]
pub fn located_warning(effective: &Effective, warning: &PlanWarning) -> ConfigError {
    let (section, name) = place(&warning.place);
    let advice = format!("see \"postern config explain {section}.{}\"", warning.key);
    effective.error_at(&[section, name, warning.key], &warning.text, advice)
}

fn place(place: &Place) -> (&'static str, &str) {
    match place {
        Place::Sink(name) => ("sink", name),
        Place::Binding(name) => ("binding", name),
    }
}

/// A virtual server with the limits that its messages keep after all edits.
fn server(server: &Server) -> ServerSpec {
    ServerSpec {
        name: server.name.clone(),
        limits: edit_limits(server),
    }
}

/// The limits of a virtual server, as edits have to keep them.
#[must_use]
pub fn edit_limits(server: &Server) -> EditLimits {
    let limits = &server.limits;
    EditLimits {
        message: server.max_message_size,
        header_octets: limits.header_size,
        header_count: usize::try_from(limits.header_count).unwrap_or(usize::MAX),
        recipients: usize::try_from(limits.recipients).unwrap_or(usize::MAX),
        ..EditLimits::default()
    }
}

fn sink(sink: &Sink) -> SinkSpec {
    let tls = sink
        .tls
        .as_ref()
        .map_or_else(SinkTls::default, |tls| SinkTls {
            ca: tls.ca.clone(),
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            server_name: tls.server_name.clone(),
        });
    SinkSpec {
        name: sink.name.clone(),
        endpoints: sink.endpoints.iter().map(ToString::to_string).collect(),
        tls,
        plaintext: sink.plaintext,
        concurrency: Some(sink.concurrency),
    }
}

fn binding(binding: &Binding) -> BindingSpec {
    let properties_json = match binding.properties.is_empty() {
        true => Vec::new(),
        false => serde_json::Value::Object(binding.properties.clone())
            .to_string()
            .into_bytes(),
    };
    BindingSpec {
        description: binding.description.clone().unwrap_or_default(),
        servers: binding.servers.clone(),
        events: binding.events.clone(),
        rule: binding.rule.clone().unwrap_or_default(),
        when: binding.when.clone(),
        priority: binding.priority.into(),
        timeouts: Timeouts {
            command: binding.timeout.command,
            headers: binding.timeout.headers,
            message: binding.timeout.message,
            transport: binding.timeout.transport,
            outgoing: binding.timeout.outgoing,
        },
        on_failure: failure_policy(binding),
        body: binding.body.map(depth),
        reads: binding.reads.clone(),
        may: binding.may.clone(),
        ask: binding.ask.as_ref().map_or_else(Vec::new, asked),
        side_effects: binding.side_effects,
        asks_about_own: binding.own_messages == OwnMessages::Ask,
        attributes: binding.attributes.clone(),
        properties_json,
        enabled: binding.enabled,
        ..BindingSpec::new(&binding.name, &binding.sink)
    }
}

/// When it is asked, by event; under no event: at all that can be asked then.
fn asked(modes: &AskModes) -> Vec<(Option<String>, Ask)> {
    let mode = |mode: AskMode| match mode {
        AskMode::AtOnce => Ask::AtOnce,
        AskMode::AtRcpt => Ask::AtRcpt,
    };
    match modes {
        AskModes::Every(every) => vec![(None, mode(*every))],
        AskModes::ByEvent(events) => events
            .iter()
            .map(|(event, own)| (Some(event.clone()), mode(*own)))
            .collect(),
    }
}

fn failure_policy(binding: &Binding) -> FailurePolicy {
    let mut policy = FailurePolicy::default();
    for (group, by_fault) in [
        (EventGroup::Command, binding.on_failure.command),
        (EventGroup::Message, binding.on_failure.message),
        (EventGroup::Transport, binding.on_failure.transport),
        (EventGroup::Outgoing, binding.on_failure.outgoing),
    ] {
        for (kind, word) in by_kind(by_fault) {
            policy.set(group, Some(kind), done(word));
        }
    }
    policy
}

fn by_kind(by_fault: ByFault) -> [(FaultKind, Policy); 7] {
    [
        (FaultKind::Unreachable, by_fault.unreachable),
        (FaultKind::Timeout, by_fault.timeout),
        (FaultKind::Overload, by_fault.overload),
        (FaultKind::Protocol, by_fault.protocol),
        (FaultKind::Fault, by_fault.fault),
        (FaultKind::Budget, by_fault.budget),
        (FaultKind::Size, by_fault.size),
    ]
}

fn done(policy: Policy) -> Done {
    match policy {
        Policy::Continue => Done::Continue,
        Policy::Tempfail => Done::Tempfail,
        Policy::Reject => Done::Reject,
        Policy::Hold => Done::Hold,
        Policy::Quarantine => Done::Quarantine,
        Policy::Disconnect => Done::Disconnect,
    }
}

fn depth(depth: BodyDepth) -> Depth {
    match depth {
        BodyDepth::None => Depth::None,
        BodyDepth::Headers => Depth::Headers,
        BodyDepth::Prefix(octets) => Depth::Prefix(octets),
        BodyDepth::Full => Depth::Full,
        BodyDepth::OnDemand => Depth::OnDemand,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn effective(text: &str) -> (tempfile::TempDir, Effective) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.toml");
        std::fs::write(&file, text).unwrap();
        let effective = postern_config::load(&file, &[("NONE", "")]).unwrap();
        (folder, effective)
    }

    const HEAD: &str = "[[sink]]\nname = \"s\"\nendpoint = \"http://127.0.0.1:1\"\n[[binding]]\nname = \"b\"\nsink = \"s\"\n";

    #[test]
    fn a_binding_keeps_what_the_file_says() {
        let (_folder, effective) = effective(&format!(
            "{HEAD}events = [\"inbound.rcpt\", \"inbound.message\"]\nmay = [\"headers:X-*\"]\nbody = {{ prefix = \"1 KiB\" }}\n\
             priority = 7\ntimeout = {{ message = \"2s\" }}\n\
             on_failure = {{ message = {{ timeout = \"hold\", default = \"reject\" }} }}\n\
             [binding.properties]\ntext = \"x\"\n"
        ));
        let plan = build(&effective, &HashMap::new()).unwrap();
        let binding = plan.bindings().first().unwrap();
        let message = postern_events::event::EventKind::InboundMessage;
        assert_eq!(binding.priority, 7);
        assert_eq!(binding.timeouts.message.as_secs(), 2);
        assert_eq!(binding.depth(message), Depth::Prefix(1024));
        assert_eq!(
            binding.on_failure.at(message, FaultKind::Timeout),
            Done::Hold
        );
        assert_eq!(
            binding.on_failure.at(message, FaultKind::Budget),
            Done::Reject
        );
        assert_eq!(
            binding.on_failure.at(
                postern_events::event::EventKind::InboundRcpt,
                FaultKind::Timeout
            ),
            Done::Tempfail
        );
        assert_eq!(binding.properties_json, b"{\"text\":\"x\"}");
    }

    #[test]
    fn a_binding_says_when_it_is_asked_and_what_it_is_shown_beside() {
        let built = |text: &str| {
            let (_folder, effective) = effective(&format!(
                "{HEAD}events = [\"inbound.helo\", \"inbound.mail\", \"inbound.rcpt\"]\nmay = []\n{text}"
            ));
            let plan = build(&effective, &HashMap::new()).unwrap();
            std::sync::Arc::clone(plan.bindings().first().unwrap())
        };
        let modes = |binding: &postern_events::plan::Binding| {
            let modes = binding.events.iter().map(|bound| bound.ask);
            modes.collect::<Vec<_>>()
        };
        let plain = built("");
        assert_eq!(modes(&plain), [Ask::AtOnce; 3]);
        assert!(!plain.side_effects && plain.attributes.is_empty());
        let all = built("ask = \"at-rcpt\"\nside_effects = true\n");
        assert_eq!(modes(&all), [Ask::AtRcpt, Ask::AtRcpt, Ask::AtOnce]);
        assert!(all.side_effects && !all.repeatable);
        let some = built(
            "ask = { inbound.mail = \"at-rcpt\" }\n[binding.attributes]\nhelo = \"session.helo\"\n",
        );
        assert_eq!(modes(&some), [Ask::AtOnce, Ask::AtRcpt, Ask::AtOnce]);
        let shown = some.attributes.iter().map(|own| own.name());
        assert_eq!(shown.collect::<Vec<_>>(), ["helo"]);
    }

    #[test]
    fn what_the_plan_refuses_is_said_at_its_line() {
        let refused = |text: &str| {
            let (folder, effective) = effective(&format!("{HEAD}{text}"));
            let errors = build(&effective, &HashMap::new()).unwrap_err();
            let place = folder.path().display().to_string();
            errors
                .iter()
                .map(|error| error.to_string().replace(&place, ""))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            refused(""),
            [
                "/p.toml:4:1: binding.b.events: nothing says what this binding may see and do; accept what its \
              sink asks for with `postern check --accept b`, or set events and may"
            ]
        );
        let lines = refused(
            "events = [\"inbound.rcpt\"]\nmay = []\non_failure = \"hold\"\nrule = \"NONSENSE\"\n",
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("/p.toml:9:14: binding.b.on_failure: hold")),
            "{lines:?}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("/p.toml:10:8: binding.b.rule: ")),
            "{lines:?}"
        );
        let lines = refused(
            "events = [\"inbound.rcpt\"]\nmay = []\nask = { \"inbound.mial\" = \"at-rcpt\", \"inbound.rcpt\" = \"at-rcpt\" }\n\
             [binding.attributes]\nx = \"no.such\"\n",
        );
        for start in [
            "/p.toml:9:7: binding.b.ask: no event of this binding is called \"inbound.mial\"",
            "/p.toml:9:7: binding.b.ask: inbound.rcpt cannot be asked at-rcpt",
            "/p.toml:10:1: binding.b.attributes: ",
        ] {
            assert!(
                lines.iter().any(|line| line.starts_with(start)),
                "{start} is not in {lines:?}"
            );
        }
        let lines = refused("events = [\"inbound.rctp\"]\nmay = [\"bdy\"]\n");
        assert!(
            lines[0].starts_with("/p.toml:7:10: binding.b.events: ")
                && lines[0].contains("inbound.rcpt"),
            "{lines:?}"
        );
        assert!(
            lines[1].starts_with("/p.toml:8:7: binding.b.may: "),
            "{lines:?}"
        );
    }
}
