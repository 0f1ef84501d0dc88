//! Whether the gateway can accept mail at all, the sinks standing as they do.
//!
//! A dead sink does not make a gateway useless: its failure policy speaks. Where that policy refuses, and the sink is asked
//! about all mail of every virtual server, nothing can be accepted: clients are better off with another gateway, so this one
//! says that it is not ready.

use postern_events::event::EventKind;
use postern_events::fault::{FaultKind, Policy};
use postern_events::plan::{Binding, Plan};

use crate::observe::standing::Standing;

/// The events that every message comes by, in their order.
const EVERY_MESSAGE: [EventKind; 7] = [
    EventKind::InboundConnect,
    EventKind::InboundHelo,
    EventKind::InboundMail,
    EventKind::InboundRcpt,
    EventKind::InboundData,
    EventKind::InboundHeaders,
    EventKind::InboundMessage,
];

/// Why none of the virtual servers can accept any mail; `None`: one of them can.
pub(super) fn closed<'a>(
    plan: &Plan,
    servers: impl IntoIterator<Item = &'a str>,
    sinks: &[Standing],
) -> Option<String> {
    let mut why = None;
    for server in servers {
        why = Some(closed_server(plan, server, sinks)?);
    }
    why
}

fn closed_server(plan: &Plan, server: &str, sinks: &[Standing]) -> Option<String> {
    let is_down = |binding: &Binding| {
        sinks
            .iter()
            .any(|one| one.sink == binding.sink.name && one.is_up == Some(false))
    };
    let is_for_server = |binding: &Binding| {
        binding.servers.is_empty() || binding.servers.iter().any(|own| own == server)
    };
    let binding = plan
        .bindings()
        .iter()
        .find(|binding| is_for_server(binding) && is_down(binding) && refuses_all(binding))?;
    Some(format!(
        "no mail is accepted: binding {} refuses it without its sink {}",
        binding.name, binding.sink.name
    ))
}

/// Without its sink it refuses every message.
fn refuses_all(binding: &Binding) -> bool {
    let is_for_all = binding.rule.is_empty() && binding.condition.is_none();
    is_for_all
        && EVERY_MESSAGE.iter().any(|event| {
            let policy = binding.on_failure.at(*event, FaultKind::Unreachable);
            let refuses = matches!(
                policy,
                Policy::Tempfail | Policy::Reject | Policy::Disconnect
            );
            binding.has(*event) && refuses
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use postern_events::event::EventGroup;
    use postern_events::fault::FailurePolicy;
    use postern_events::plan::{BindingSpec, PlanSpec, ServerSpec, SinkSpec};

    use super::*;

    fn plan(change: impl FnOnce(&mut BindingSpec)) -> Plan {
        let mut binding = BindingSpec::new("scan", "scanner");
        binding.events = Some(vec!["inbound.message".to_owned()]);
        binding.may = Some(Vec::new());
        change(&mut binding);
        let sink = SinkSpec {
            name: "scanner".to_owned(),
            endpoints: vec!["http://127.0.0.1:7001".to_owned()],
            ..SinkSpec::default()
        };
        let spec = PlanSpec {
            servers: vec![ServerSpec::new("one"), ServerSpec::new("two")],
            sinks: vec![sink],
            bindings: vec![binding],
        };
        Plan::build(spec, &HashMap::new()).unwrap()
    }

    fn standing(is_up: Option<bool>) -> [Standing; 1] {
        [Standing {
            sink: "scanner".into(),
            is_up,
            why: None,
            open_questions: 0,
            instances: 0,
            replicas: Vec::new(),
        }]
    }

    #[test]
    fn a_gateway_that_can_accept_nothing_is_not_ready() {
        let both = ["one", "two"];
        let refuses = plan(|_| {});
        let why = closed(&refuses, both, &standing(Some(false))).unwrap();
        assert!(why.contains("scan") && why.contains("scanner"), "{why}");
        assert_eq!(closed(&refuses, both, &standing(Some(true))), None);
        assert_eq!(
            closed(&refuses, both, &standing(None)),
            None,
            "not known yet"
        );
    }

    #[test]
    fn a_gateway_that_can_accept_some_mail_is_ready() {
        let both = ["one", "two"];
        let down = standing(Some(false));
        let for_one = plan(|binding| binding.servers = vec!["one".to_owned()]);
        assert_eq!(closed(&for_one, both, &down), None);
        assert!(closed(&for_one, ["one"], &down).is_some());
        let for_some = plan(|binding| binding.when = Some("message.size > 5".to_owned()));
        assert_eq!(closed(&for_some, both, &down), None);
        let holds = plan(|binding| {
            let mut policy = FailurePolicy::default();
            policy.set(EventGroup::Message, None, Policy::Hold);
            binding.on_failure = policy;
        });
        assert_eq!(closed(&holds, both, &down), None);
        let later = plan(|binding| {
            binding.events = Some(vec!["transport.submit".to_owned()]);
        });
        assert_eq!(closed(&later, both, &down), None, "it is accepted first");
    }
}
