#![allow(clippy::unwrap_used)]
use super::*;
use crate::fault::{FaultKind, Policy};

fn sink(name: &str) -> SinkSpec {
    SinkSpec {
        name: name.to_owned(),
        endpoints: vec!["http://127.0.0.1:7001".to_owned()],
        ..SinkSpec::default()
    }
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

/// A binding of the sink of the same name at `inbound.message`.
fn binding(name: &str, may: &[&str]) -> BindingSpec {
    BindingSpec {
        events: words(&["inbound.message"]),
        may: words(may),
        reads: words(&[]),
        ..BindingSpec::new(name, name)
    }
}

fn build(bindings: Vec<BindingSpec>) -> Result<Plan, Vec<PlanError>> {
    let mut sinks: Vec<SinkSpec> = Vec::new();
    for binding in &bindings {
        if sinks.iter().all(|sink| sink.name != binding.sink) {
            sinks.push(sink(&binding.sink));
        }
    }
    Plan::build(
        PlanSpec {
            servers: vec!["in".to_owned(), "out".to_owned()],
            sinks,
            bindings,
        },
        &HashMap::new(),
    )
}

fn after(plan: &Plan) -> Vec<Option<usize>> {
    plan.stage("in", EventKind::InboundMessage)
        .unwrap()
        .members
        .iter()
        .map(|member| member.after)
        .collect()
}

#[test]
fn order_is_priority_and_then_position() {
    let with = |name, priority| BindingSpec {
        priority,
        ..binding(name, &[])
    };
    let plan = build(vec![
        with("c", 5),
        with("a", 5),
        with("b", 1),
        binding("d", &[]),
    ])
    .unwrap();
    let names: Vec<&str> = plan
        .bindings()
        .iter()
        .map(|binding| &*binding.name)
        .collect();
    assert_eq!(names, ["b", "c", "a", "d"]);
}

#[test]
fn sinks_that_touch_nothing_of_each_other_do_not_wait() {
    let plan = build(
        (0..5)
            .map(|n| binding(&format!("s{n}"), &["headers:X-*"]))
            .collect(),
    )
    .unwrap();
    assert_eq!(after(&plan), [None; 5]);
}

#[test]
fn who_reads_what_an_earlier_one_may_edit_waits_for_it() {
    let reader = |reads: &[&str]| BindingSpec {
        reads: words(reads),
        ..binding("reader", &[])
    };
    let editor = |may: &[&str]| binding("editor", may);
    for (may, reads, waits) in [
        (&["headers:X-*"][..], &["headers:X-Spam"][..], true),
        (&["headers:X-*"], &["headers:Subject"], false),
        (&["headers"], &["headers:Subject"], true),
        (&["body"], &["body"], true),
        (&["body"], &["headers"], false),
        (&["sender"], &["sender"], true),
        (&["recipients"], &["recipients"], true),
        (&["recipients"], &["sender"], false),
        (
            &["finish", "discard"],
            &["body", "headers", "sender", "recipients"],
            false,
        ),
        (&[], &["properties:editor"], true),
        (&[], &["properties:other"], false),
        (&[], &["properties"], true),
        (&[], &["properties:postern"], false),
    ] {
        let plan = build(vec![editor(may), reader(reads)]).unwrap();
        assert_eq!(
            after(&plan),
            [None, waits.then_some(0)],
            "{may:?} before {reads:?}"
        );
    }
    // Passing over leaves a property, which is then read.
    let passing = BindingSpec {
        on_failure: FailurePolicy::uniform(Policy::Continue),
        ..editor(&[])
    };
    assert_eq!(
        after(&build(vec![passing, reader(&["properties:postern"])]).unwrap()),
        [None, Some(0)]
    );
}

#[test]
fn rules_and_conditions_read_too() {
    let ruled = BindingSpec {
        rule: "RCPT TO=a@b".to_owned(),
        ..binding("ruled", &[])
    };
    assert_eq!(
        after(&build(vec![binding("editor", &["recipients"]), ruled]).unwrap()),
        [None, Some(0)]
    );
    let when = Some("message.size > 10".to_owned());
    let sized = BindingSpec {
        when,
        ..binding("sized", &[])
    };
    let plan = build(vec![binding("editor", &["body"]), sized]).unwrap();
    assert_eq!(after(&plan), [None, Some(0)]);
    assert!(
        plan.stage("in", EventKind::InboundMessage)
            .unwrap()
            .members
            .last()
            .unwrap()
            .needs_end
    );
}

#[test]
fn two_bindings_of_one_sink_and_two_editors_of_the_body_go_in_turn() {
    let second = BindingSpec {
        sink: "one".to_owned(),
        ..binding("two", &[])
    };
    assert_eq!(
        after(&build(vec![binding("one", &[]), second]).unwrap()),
        [None, Some(0)]
    );
    let plan = build(vec![binding("one", &["body"]), binding("two", &["body"])]).unwrap();
    assert_eq!(after(&plan), [None, Some(0)]);
}

#[test]
fn nothing_accepted_is_refused_and_a_pin_stands_in() {
    let bare = BindingSpec::new("b", "b");
    let errors = build(vec![bare.clone()]).unwrap_err();
    assert!(
        matches!(
            errors.as_slice(),
            [PlanError {
                problem: Problem::NothingAccepted,
                ..
            }]
        ),
        "{errors:?}"
    );
    let pin = Pin {
        events: vec![PinnedEvent {
            event: "transport.submit".to_owned(),
            body: BodyDepth::Full,
        }],
        reads: vec!["body".to_owned()],
        may: vec!["body".to_owned(), "headers:X-*".to_owned()],
        side_effects: true,
        ..Pin::default()
    };
    let spec = PlanSpec {
        servers: vec!["in".to_owned()],
        sinks: vec![sink("b")],
        bindings: vec![bare],
    };
    let plan = Plan::build(spec, &HashMap::from([("b".to_owned(), pin)])).unwrap();
    let binding = plan.bindings().first().unwrap();
    assert_eq!(binding.depth(EventKind::TransportSubmit), BodyDepth::Full);
    assert!(binding.grants.body && binding.side_effects && !binding.repeatable);
    assert!(
        plan.wants("in", EventKind::TransportSubmit)
            && !plan.wants("in", EventKind::InboundMessage)
    );
}

#[test]
fn servers_and_enabled_decide_who_is_there() {
    let only = BindingSpec {
        servers: vec!["out".to_owned()],
        ..binding("a", &[])
    };
    let off = BindingSpec {
        enabled: false,
        ..binding("b", &[])
    };
    let plan = build(vec![only, off]).unwrap();
    assert!(
        plan.wants("out", EventKind::InboundMessage)
            && !plan.wants("in", EventKind::InboundMessage)
    );
    assert_eq!(plan.bindings().len(), 1);
    assert_eq!(plan.sinks().len(), 1);
}

#[test]
fn every_error_is_collected_with_its_key() {
    let hold = FailurePolicy::uniform(Policy::Hold);
    let spec = BindingSpec {
        name: "Bad Name".to_owned(),
        servers: vec!["inn".to_owned()],
        events: words(&["inbound.rcpt", "inbound.mesage", "inbound.auth"]),
        rule: "MAIL FROM=a*b".to_owned(),
        when: Some("message.size > 1".to_owned()),
        priority: 40_000,
        reads: words(&["bdy"]),
        may: words(&["inject"]),
        on_failure: hold,
        timeouts: Timeouts::uniform(Duration::ZERO),
        properties_json: b"[]".to_vec(),
        ..binding("x", &[])
    };
    let errors = build(vec![spec]).unwrap_err();
    let mut keys: Vec<&str> = errors.iter().map(|error| error.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(
        keys,
        [
            "events",
            "may",
            "name",
            "on_failure",
            "priority",
            "properties",
            "reads",
            "rule",
            "servers",
            "timeout",
            "when"
        ]
    );
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for part in [
        "did you mean \"inbound.message\"?",
        "did you mean \"in\"?",
        "did you mean \"body\"?",
        "not in this version",
    ] {
        assert!(
            text.iter().any(|line| line.contains(part)),
            "{part}: {text:#?}"
        );
    }
    assert!(
        text.iter()
            .any(|line| line.contains("hold (for unreachable) cannot be done at inbound.rcpt"))
    );
}

#[test]
fn sinks_are_checked_too() {
    let spec = PlanSpec {
        servers: Vec::new(),
        sinks: vec![
            SinkSpec {
                endpoints: vec!["http://192.0.2.1:1".to_owned()],
                ..sink("far")
            },
            SinkSpec {
                endpoints: Vec::new(),
                ..sink("none")
            },
            sink("twice"),
            sink("twice"),
            sink("postern"),
        ],
        bindings: vec![BindingSpec {
            sink: "far2".to_owned(),
            ..binding("b", &[])
        }],
    };
    let errors = Plan::build(spec, &HashMap::new()).unwrap_err();
    let problems: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 5, "{problems:#?}");
    assert!(
        problems
            .iter()
            .any(|line| line.contains("did you mean \"far\"?"))
    );
}

#[test]
fn a_policy_is_refused_only_where_its_event_is_bound() {
    let mut on_failure = FailurePolicy::default();
    on_failure.set(
        crate::event::EventGroup::Command,
        Some(FaultKind::Timeout),
        Policy::Quarantine,
    );
    assert!(
        build(vec![BindingSpec {
            on_failure,
            ..binding("a", &[])
        }])
        .is_ok()
    );
    let events = words(&["inbound.message", "inbound.mail"]);
    assert_eq!(
        build(vec![BindingSpec {
            on_failure,
            events,
            ..binding("a", &[])
        }])
        .unwrap_err()
        .len(),
        1
    );
}

#[test]
fn a_rule_warns_where_it_cannot_fire_and_errs_where_it_never_can() {
    let rule = "MAIL FROM=*".to_owned();
    let some = BindingSpec {
        rule: rule.clone(),
        events: words(&["inbound.helo", "inbound.mail"]),
        ..binding("a", &[])
    };
    let plan = build(vec![some]).unwrap();
    assert_eq!(plan.warnings().len(), 1);
    assert!(!plan.wants("in", EventKind::InboundHelo) && plan.wants("in", EventKind::InboundMail));
    let never = BindingSpec {
        rule,
        events: words(&["inbound.helo"]),
        ..binding("a", &[])
    };
    assert!(matches!(
        build(vec![never]).unwrap_err().as_slice(),
        [PlanError {
            problem: Problem::NeverFires { .. },
            ..
        }]
    ));
}

#[test]
fn the_revision_changes_with_the_binding_and_only_then() {
    let revision = |spec: BindingSpec| {
        build(vec![spec])
            .unwrap()
            .bindings()
            .first()
            .unwrap()
            .revision
    };
    assert_eq!(revision(binding("a", &[])), revision(binding("a", &[])));
    let other = BindingSpec {
        properties_json: b"{\"a\":1}".to_vec(),
        ..binding("a", &[])
    };
    assert_ne!(revision(binding("a", &[])), revision(other));
}
