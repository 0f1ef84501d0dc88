#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod built;
mod depths;
mod waiting;

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
    Plan::build(spec(bindings), &HashMap::new())
}

/// With the grants of all versions.
fn build_all(bindings: Vec<BindingSpec>) -> Result<Plan, Vec<PlanError>> {
    Plan::build_all(spec(bindings), &HashMap::new())
}

fn spec(bindings: Vec<BindingSpec>) -> PlanSpec {
    let mut sinks: Vec<SinkSpec> = Vec::new();
    for binding in &bindings {
        if sinks.iter().all(|sink| sink.name != binding.sink) {
            sinks.push(sink(&binding.sink));
        }
    }
    PlanSpec {
        servers: vec![ServerSpec::new("in"), ServerSpec::new("out")],
        sinks,
        bindings,
    }
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
        (&["headers"], &["headers", "original"], false),
        (&["body"], &["body", "original"], false),
        (&["recipients"], &["recipients", "original"], true),
        (&["parameters"], &["sender"], true),
    ] {
        let plan = build(vec![editor(may), reader(reads)]).unwrap();
        assert_eq!(
            after(&plan),
            [None, waits.then_some(0)],
            "{may:?} before {reads:?}"
        );
    }
}

#[test]
fn what_a_former_one_may_answer_is_seen() {
    let at = |events: &[&str], name: &str, may: &[&str], reads: &[&str]| BindingSpec {
        events: words(events),
        reads: words(reads),
        ..binding(name, may)
    };
    let waits = |event: &str, may: &[&str], reads: &[&str]| {
        let pair = vec![
            at(&[event], "former", may, &[]),
            at(&[event], "later", &[], reads),
        ];
        let plan = build_all(pair).unwrap();
        let stage = plan.stage("in", event.parse().unwrap()).unwrap();
        stage.members[1].after.is_some()
    };
    assert!(waits("inbound.rcpt", &["admit"], &["recipients"]));
    assert!(!waits("inbound.rcpt", &["admit"], &["sender"]));
    assert!(!waits("inbound.rcpt", &[], &["recipients"]));
    // Anybody may change the text of a reply.
    assert!(waits("inbound.response", &[], &[]));
    assert!(!waits("inbound.command", &["respond"], &[]));
    assert!(waits("inbound.mail", &["relay"], &["session"]));
    assert!(!waits("inbound.mail", &["relay"], &[]));
}

#[test]
fn attributes_that_are_shown_are_read() {
    let shown = BindingSpec {
        attributes: vec![("size".to_owned(), "message.size".to_owned())],
        ..binding("shown", &[])
    };
    let plan = build(vec![binding("editor", &["headers:X-*"]), shown]).unwrap();
    assert_eq!(after(&plan), [None, Some(0)]);
    let stage = plan.stage("in", EventKind::InboundMessage).unwrap();
    assert!(stage.members[1].needs_end);
    let wrong = |text: &str| BindingSpec {
        attributes: vec![("a".to_owned(), text.to_owned())],
        ..binding("wrong", &[])
    };
    for text in ["message.siz", "message.headers", "command.verb"] {
        let errors = build(vec![wrong(text)]).unwrap_err();
        assert_eq!(errors[0].key, "attributes", "{text}");
    }
}

#[test]
fn a_binding_is_asked_at_once_at_rcpt_or_told() {
    let at = |ask: Vec<(Option<String>, Ask)>| BindingSpec {
        events: words(&["inbound.connect", "inbound.mail", "inbound.rcpt"]),
        ask,
        ..binding("a", &[])
    };
    let plan = build(vec![at(vec![(None, Ask::AtRcpt)])]).unwrap();
    assert!(plan.stage("in", EventKind::InboundConnect).is_none());
    assert!(plan.wants("in", EventKind::InboundConnect));
    assert_eq!(plan.at_rcpt("in", EventKind::InboundMail).len(), 1);
    // RCPT itself is not put off.
    assert!(plan.stage("in", EventKind::InboundRcpt).is_some());
    let one = vec![(Some("inbound.mail".to_owned()), Ask::AtRcpt)];
    let plan = build(vec![at(one)]).unwrap();
    assert!(plan.stage("in", EventKind::InboundConnect).is_some());
    assert!(plan.stage("in", EventKind::InboundMail).is_none());
    let never = vec![(Some("inbound.rcpt".to_owned()), Ask::AtRcpt)];
    assert_eq!(build(vec![at(never)]).unwrap_err()[0].key, "ask");
    // What the sink wants only told stays told.
    let pin = Pin {
        events: vec![PinnedEvent {
            event: "inbound.mail".to_owned(),
            body: BodyDepth::None,
            ask: Ask::Told,
        }],
        ..Pin::default()
    };
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("in")],
        sinks: vec![sink("a")],
        bindings: vec![BindingSpec {
            events: words(&["inbound.mail"]),
            ..at(vec![(None, Ask::AtOnce)])
        }],
    };
    let plan = Plan::build(spec, &HashMap::from([("a".to_owned(), pin)])).unwrap();
    assert_eq!(plan.told("in", EventKind::InboundMail).len(), 1);
    assert!(plan.wants("in", EventKind::InboundMail));
    assert!(!plan.wants("in", EventKind::InboundRcpt));
    assert!(plan.stage("in", EventKind::InboundMail).is_none());
}

#[test]
fn the_reserve_is_all_chains_that_the_reply_still_needs() {
    let at = |name: &str, event: &str, seconds| BindingSpec {
        events: words(&[event]),
        timeouts: Timeouts::uniform(Duration::from_secs(seconds)),
        ..binding(name, &[])
    };
    let plan = build(vec![
        at("any", "inbound.command", 1),
        at("mail", "inbound.mail", 2),
        at("mail2", "inbound.mail", 3),
        at("reply", "inbound.response", 4),
        BindingSpec {
            sink: "reply".to_owned(),
            ..at("reply2", "inbound.response", 5)
        },
        at("headers", "inbound.headers", 6),
        at("message", "inbound.message", 7),
        at("tls", "inbound.tls", 8),
    ])
    .unwrap();
    let reserve = |event, verb: &[u8]| plan.reserve("in", event, verb, false).as_secs();
    // Side by side the slowest counts, one after the other the sum.
    assert_eq!(reserve(EventKind::InboundCommand, b"mail"), 3 + 9);
    assert_eq!(reserve(EventKind::InboundCommand, b"NOOP"), 9);
    assert_eq!(reserve(EventKind::InboundMail, b""), 9);
    assert_eq!(reserve(EventKind::InboundHeaders, b""), 7 + 9);
    assert_eq!(reserve(EventKind::InboundMessage, b""), 9);
    assert_eq!(reserve(EventKind::InboundResponse, b""), 0);
    // The handshake is part of what the banner waits for only if it comes first.
    assert_eq!(reserve(EventKind::InboundConnect, b""), 9);
    assert_eq!(reserve(EventKind::InboundTls, b""), 0);
    let implicit = |event| plan.reserve("in", event, b"", true).as_secs();
    assert_eq!(implicit(EventKind::InboundConnect), 8 + 9);
    assert_eq!(implicit(EventKind::InboundTls), 9);
    assert_eq!(reserve(EventKind::TransportSubmit, b""), 0);
}

#[test]
fn x3_who_answers_is_compared_with_who_was_accepted() {
    let pin = |users: &[u32]| Pin {
        name: "scanner".to_owned(),
        users: users.to_vec(),
        ..Pin::default()
    };
    let stranger = |pin: Option<Pin>, name: &str, user| {
        let pins = pin.map(|pin| ("a".to_owned(), pin)).into_iter().collect();
        let spec = PlanSpec {
            servers: vec![ServerSpec::new("in")],
            sinks: vec![sink("a")],
            bindings: vec![binding("a", &[])],
        };
        let plan = Plan::build(spec, &pins).unwrap();
        plan.bindings()[0].stranger(name, user)
    };
    assert_eq!(stranger(None, "other", Some(7)), None);
    assert_eq!(stranger(Some(pin(&[])), "scanner", Some(7)), None);
    assert_eq!(stranger(Some(pin(&[7])), "scanner", Some(7)), None);
    // By TCP there is no user to be seen; the certificate speaks there.
    assert_eq!(stranger(Some(pin(&[7])), "scanner", None), None);
    let said = |found: Option<Stranger>| found.map(|found| found.to_string()).unwrap_or_default();
    assert_eq!(
        said(stranger(Some(pin(&[])), "other", None)),
        "\"scanner\" was accepted, and \"other\" answers; it is not asked"
    );
    assert_eq!(
        said(stranger(Some(pin(&[7, 9])), "scanner", Some(8))),
        "\"scanner\" was accepted as a process of user 7 or 9, and one of user 8 answers; it is not asked"
    );
}

#[test]
fn what_a_sink_asks_for_is_compared_with_what_its_binding_gives() {
    use postern_proto::v1 as pb;
    let interest = |event: EventKind, body: BodyDepth| pb::EventInterest {
        event: event.number(),
        body: Some(body.wire()),
        ask: 0,
    };
    let described = pb::DescribeResponse {
        events: vec![
            interest(EventKind::InboundMessage, BodyDepth::Full),
            interest(EventKind::InboundRcpt, BodyDepth::None),
        ],
        reads: vec![
            "body".to_owned(),
            "headers:Subject".to_owned(),
            "bdy".to_owned(),
        ],
        grants: vec!["headers:X-*".to_owned(), "finish".to_owned()],
        side_effects: true,
        repeatable: false,
        ..pb::DescribeResponse::default()
    };
    let given = |body, reads: &[&str], may: &[&str]| {
        let spec = BindingSpec {
            body: Some(body),
            reads: words(reads),
            ..binding("a", may)
        };
        build(vec![spec]).unwrap()
    };
    let plan = given(BodyDepth::None, &[], &["headers:X-Spam"]);
    let own = &plan.bindings()[0];
    let found = own.shortfalls(&described);
    assert_eq!(
        found,
        [
            Shortfall::Depth {
                event: EventKind::InboundMessage,
                given: BodyDepth::None,
                wanted: BodyDepth::Full,
            },
            Shortfall::Events(vec![EventKind::InboundRcpt]),
            Shortfall::Word("bdy".to_owned()),
            Shortfall::Reads(vec!["body".to_owned(), "headers:Subject".to_owned()]),
            Shortfall::Grants(vec!["headers:X-*".to_owned(), "finish".to_owned()]),
        ]
    );
    let plan = given(
        BodyDepth::Full,
        &["body", "headers"],
        &["headers", "finish"],
    );
    let own = &plan.bindings()[0];
    assert_eq!(own.shortfalls(&described).len(), 2);
    // Being more careful than accepted needs no consent.
    assert_eq!(
        own.caution(Some(&described)),
        Caution {
            side_effects: true,
            repeatable: false
        }
    );
    assert!(!own.caution(None).side_effects && own.caution(None).repeatable);
    let harmless = pb::DescribeResponse::default();
    assert!(!own.caution(Some(&harmless)).side_effects);
    assert!(own.caution(Some(&harmless)).repeatable);
    let careful = BindingSpec {
        side_effects: Some(true),
        ..binding("a", &[])
    };
    let plan = build(vec![careful]).unwrap();
    let live = pb::DescribeResponse::default();
    assert!(plan.bindings()[0].caution(Some(&live)).side_effects);
}

#[test]
fn a_depth_gives_what_it_covers() {
    use BodyDepth as D;
    for (given, wanted, gives) in [
        (D::None, D::None, true),
        (D::None, D::Headers, false),
        (D::Headers, D::Headers, true),
        (D::Prefix(10), D::Prefix(10), true),
        (D::Prefix(9), D::Prefix(10), false),
        (D::Prefix(10), D::Full, false),
        (D::Full, D::OnDemand, true),
        (D::OnDemand, D::Full, false),
        (D::OnDemand, D::Headers, true),
    ] {
        assert_eq!(given.gives(wanted), gives, "{given:?} {wanted:?}");
    }
}

#[test]
fn a_binding_on_the_wire_says_what_was_configured() {
    let mut on_failure = FailurePolicy::default();
    on_failure.set(EventGroup::Message, Some(FaultKind::Timeout), Policy::Hold);
    let spec = BindingSpec {
        on_failure,
        reads: words(&["headers:Subject"]),
        attributes: vec![("size".to_owned(), "message.size".to_owned())],
        when: Some("message.size > 1".to_owned()),
        servers: vec!["in".to_owned()],
        ..binding("a", &["finish", "headers:X-*"])
    };
    let plan = build(vec![spec]).unwrap();
    let wire = plan.bindings()[0].wire();
    assert_eq!((wire.name.as_str(), wire.priority), ("a", DEFAULT_PRIORITY));
    assert_eq!(wire.reads, ["headers:subject"]);
    assert_eq!(wire.grants, ["headers:x-*", "finish"]);
    assert_eq!(wire.attributes, ["size"]);
    assert_eq!(wire.condition, "message.size > 1");
    assert_eq!(wire.servers, ["in"]);
    assert_eq!(wire.timeouts["message"].seconds, 60);
    let held: Vec<_> = wire
        .on_failure
        .iter()
        .filter(|rule| rule.policy == "hold")
        .collect();
    assert_eq!(held.len(), 1);
    assert_eq!(
        (held[0].events.as_str(), held[0].fault.as_str()),
        ("message", "timeout")
    );
    assert_eq!(wire.on_failure.len(), 5);
    let edits = EditLimits {
        message: 100 << 10,
        recipients: 100,
        ..EditLimits::default()
    };
    let limits = limits(&edits);
    assert_eq!(
        (limits.message_bytes, limits.recipient_count),
        (100 << 10, 100)
    );
    assert_eq!(limits.property_bytes, 16 << 10);
}

#[test]
fn limits_are_those_of_the_server() {
    let mut small = ServerSpec::new("small");
    small.limits.recipients = 3;
    let spec = PlanSpec {
        servers: vec![small, ServerSpec::new("large")],
        sinks: Vec::new(),
        bindings: Vec::new(),
    };
    let plan = Plan::build(spec, &HashMap::new()).unwrap();
    assert_eq!(plan.limits("small").recipients, 3);
    assert_eq!(plan.limits("large"), EditLimits::default());
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
            ask: Ask::AtOnce,
        }],
        reads: vec!["body".to_owned()],
        may: vec!["body".to_owned(), "headers:X-*".to_owned()],
        side_effects: true,
        ..Pin::default()
    };
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("in")],
        sinks: vec![sink("b")],
        bindings: vec![bare],
    };
    let plan = Plan::build(spec, &HashMap::from([("b".to_owned(), pin)])).unwrap();
    let binding = plan.bindings().first().unwrap();
    assert_eq!(binding.depth(EventKind::TransportSubmit), BodyDepth::Full);
    assert!(binding.grants.has("body") && binding.side_effects && !binding.repeatable);
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
        may: words(&["act:routes"]),
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
        ],
        bindings: vec![BindingSpec {
            sink: "far2".to_owned(),
            ..binding("b", &[])
        }],
    };
    let errors = Plan::build(spec, &HashMap::new()).unwrap_err();
    let problems: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 4, "{problems:#?}");
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

#[test]
fn a_name_is_made_of_its_characters_throughout() {
    let named = |name: &str| BindingSpec {
        name: name.to_owned(),
        ..binding("a", &[])
    };
    assert!(build(vec![named("a-b.c")]).is_ok());
    for bad in ["a_b", "a b", "aB", "", &"a".repeat(64)] {
        assert!(build(vec![named(bad)]).is_err(), "{bad:?}");
    }
}
