//! How a plan is made of what was configured and what was accepted.

use super::*;

fn with_pin(spec: BindingSpec, pin: Option<Pin>) -> Result<Plan, Vec<PlanError>> {
    let pins = pin
        .map(|pin| (spec.name.clone(), pin))
        .into_iter()
        .collect();
    Plan::build(super::spec(vec![spec]), &pins)
}

fn problems(built: Result<Plan, Vec<PlanError>>) -> Vec<Problem> {
    let errors = built.unwrap_err();
    errors.into_iter().map(|error| error.problem).collect()
}

#[test]
fn without_a_description_both_events_and_grants_have_to_be_said() {
    let pin = || Pin {
        events: vec![PinnedEvent {
            event: "inbound.message".to_owned(),
            body: BodyDepth::None,
            ask: Ask::AtOnce,
        }],
        may: vec!["finish".to_owned()],
        ..Pin::default()
    };
    for (events, may) in [(false, false), (true, false), (false, true), (true, true)] {
        let own = || BindingSpec {
            events: events.then(|| vec!["inbound.rcpt".to_owned()]),
            may: may.then(|| vec!["discard".to_owned()]),
            ..BindingSpec::new("a", "a")
        };
        let alone = with_pin(own(), None);
        if events && may {
            assert!(alone.is_ok());
        } else {
            assert_eq!(
                problems(alone),
                [Problem::NothingAccepted],
                "{events} {may}"
            );
        }
        let plan = with_pin(own(), Some(pin())).unwrap();
        let own = &plan.bindings()[0];
        assert_eq!(own.has(EventKind::InboundRcpt), events);
        assert_eq!(own.has(EventKind::InboundMessage), !events);
        assert_eq!(
            (own.grants.has("discard"), own.grants.has("finish")),
            (may, !may)
        );
    }
}

#[test]
fn the_more_careful_of_configuration_and_description_counts() {
    let pin = |side_effects, repeatable| Pin {
        side_effects,
        repeatable,
        ..Pin::default()
    };
    for (said, accepted, side_effects, repeatable) in [
        (None, None, false, true),
        (Some(false), None, false, true),
        (Some(true), None, true, false),
        (None, Some(pin(false, false)), false, true),
        (None, Some(pin(true, false)), true, false),
        (None, Some(pin(true, true)), true, true),
        (Some(false), Some(pin(true, false)), true, false),
        (Some(true), Some(pin(false, false)), true, false),
        (Some(true), Some(pin(false, true)), true, true),
    ] {
        let own = BindingSpec {
            side_effects: said,
            ..binding("a", &[])
        };
        let plan = with_pin(own, accepted.clone()).unwrap();
        let own = &plan.bindings()[0];
        let seen = (own.side_effects, own.repeatable);
        assert_eq!(seen, (side_effects, repeatable), "{said:?} {accepted:?}");
    }
}

#[test]
fn a_name_that_was_accepted_is_kept_with_its_users_and_no_name_is_none() {
    let pin = |name: &str| Pin {
        name: name.to_owned(),
        users: vec![7],
        ..Pin::default()
    };
    for (name, expected) in [("scanner", Some("scanner")), ("", None)] {
        let plan = with_pin(binding("a", &[]), Some(pin(name))).unwrap();
        let own = &plan.bindings()[0];
        assert_eq!(own.accepted_name.as_deref(), expected);
        assert_eq!(own.accepted_users, [7]);
        let stranger = pin(name).stranger("other", None);
        assert_eq!(stranger.is_some(), expected.is_some());
    }
    let plan = with_pin(binding("a", &[]), None).unwrap();
    let own = &plan.bindings()[0];
    assert!(own.accepted_name.is_none() && own.accepted_users.is_empty());
}

#[test]
fn what_is_given_stands_in_the_binding() {
    let spec = BindingSpec {
        description: "counts".to_owned(),
        priority: MAX_PRIORITY,
        servers: vec!["out".to_owned()],
        rule: "MAIL FROM=*@x.test".to_owned(),
        when: Some("message.priority > 0".to_owned()),
        attributes: vec![("p".to_owned(), "message.priority".to_owned())],
        properties_json: b"{}".to_vec(),
        ..binding("a", &["finish"])
    };
    let plan = build(vec![spec]).unwrap();
    let own = &plan.bindings()[0];
    assert_eq!((&*own.description, own.priority), ("counts", 32_767));
    assert_eq!(own.servers, ["out"]);
    assert_eq!(own.rule.text(), "MAIL FROM=*@x.test");
    assert_eq!(
        own.condition.as_ref().unwrap().text(),
        "message.priority > 0"
    );
    assert_eq!(own.attributes.len(), 1);
    assert_eq!(own.properties_json, b"{}");
    assert_ne!(own.revision, 0);
    let over = BindingSpec {
        priority: MAX_PRIORITY + 1,
        ..binding("a", &[])
    };
    let priority = MAX_PRIORITY + 1;
    assert_eq!(
        problems(build(vec![over])),
        [Problem::Priority { priority }]
    );
}

#[test]
fn original_goes_with_no_grant_for_the_body() {
    let own = |reads: &[&str], may: &[&str]| BindingSpec {
        reads: words(reads),
        ..binding("a", may)
    };
    assert!(build(vec![own(&["original"], &["headers"])]).is_ok());
    assert!(build(vec![own(&["headers"], &["body"])]).is_ok());
    assert_eq!(
        problems(build(vec![own(&["original"], &["body"])])),
        [Problem::Original { grant: "body" }]
    );
}

#[test]
fn attributes_are_as_many_as_can_be_shown() {
    let own = |count: usize| BindingSpec {
        attributes: (0..count)
            .map(|n| (format!("a{n}"), "message.priority".to_owned()))
            .collect(),
        ..binding("a", &[])
    };
    let plan = build(vec![own(64)]).unwrap();
    assert_eq!(plan.bindings()[0].attributes.len(), 64);
    assert_eq!(
        problems(build(vec![own(65)])),
        [Problem::TooManyAttributes {
            count: 65,
            limit: 64
        }]
    );
}

#[test]
fn properties_are_one_object() {
    let own = |json: &str| BindingSpec {
        properties_json: json.as_bytes().to_vec(),
        ..binding("a", &[])
    };
    for good in ["", "{}", "{\"a\": [1]}"] {
        assert!(build(vec![own(good)]).is_ok(), "{good}");
    }
    for bad in ["[]", "1", "{", "{} {}", " "] {
        assert_eq!(
            problems(build(vec![own(bad)])),
            [Problem::Properties],
            "{bad}"
        );
    }
}

#[test]
fn a_time_of_zero_is_refused_for_the_groups_that_are_bound() {
    let second = Duration::from_secs(1);
    let none = Duration::ZERO;
    type Set = fn(&mut Timeouts, Duration);
    let rows: [(EventGroup, &str, Set); 4] = [
        (EventGroup::Command, "inbound.mail", |own, time| {
            own.command = time
        }),
        (EventGroup::Headers, "inbound.headers", |own, time| {
            own.headers = time
        }),
        (EventGroup::Message, "inbound.message", |own, time| {
            own.message = time
        }),
        (EventGroup::Transport, "transport.submit", |own, time| {
            own.transport = time
        }),
    ];
    for (group, event, set) in rows {
        let mut zero = Timeouts::uniform(second);
        set(&mut zero, none);
        let mut rest = Timeouts::uniform(none);
        set(&mut rest, second);
        let own = |timeouts| BindingSpec {
            events: words(&[event]),
            timeouts,
            ..binding("a", &[])
        };
        let refused = problems(build(vec![own(zero)]));
        assert_eq!(refused, [Problem::ZeroTimeout { stage: group }]);
        let plan = build(vec![own(rest)]).unwrap();
        let event: EventKind = event.parse().unwrap();
        assert_eq!(plan.bindings()[0].timeout(event), second);
    }
    // One-way events have none that matters.
    let told = BindingSpec {
        events: words(&["inbound.disconnect"]),
        timeouts: Timeouts::uniform(none),
        ..binding("a", &[])
    };
    assert!(build(vec![told]).is_ok());
}

#[test]
fn a_policy_that_an_event_cannot_have_is_said_once_or_for_each_kind() {
    let own = |on_failure| BindingSpec {
        events: words(&["inbound.mail", "inbound.disconnect"]),
        on_failure,
        ..binding("a", &[])
    };
    let all = problems(build(vec![own(FailurePolicy::uniform(Policy::Hold))]));
    let [
        Problem::Policy {
            event,
            policy,
            instead,
            ..
        },
    ] = &all[..]
    else {
        panic!("{all:?}");
    };
    assert_eq!((*event, *policy), (EventKind::InboundMail, Policy::Hold));
    assert_eq!(instead, "continue, tempfail, reject, disconnect");
    let mut some = FailurePolicy::default();
    for kind in [FaultKind::Timeout, FaultKind::Size] {
        some.set(EventGroup::Command, Some(kind), Policy::Quarantine);
    }
    let kinds: Vec<FaultKind> = problems(build(vec![own(some)]))
        .into_iter()
        .filter_map(|problem| match problem {
            Problem::Policy { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [FaultKind::Timeout, FaultKind::Size]);
}

#[test]
fn bindings_that_read_the_same_share_a_view() {
    let own = |name: &str, reads: &[&str], priority| BindingSpec {
        reads: words(reads),
        priority,
        ..binding(name, &[])
    };
    let plan = build(vec![
        own("a", &["sender"], 4),
        own("b", &["recipients"], 3),
        own("c", &["sender"], 2),
        own("d", &["recipients"], 1),
    ])
    .unwrap();
    let view = |name: &str| {
        let own = plan.bindings().iter().find(|own| &*own.name == name);
        own.unwrap().view
    };
    assert_eq!(view("a"), view("c"));
    assert_eq!(view("b"), view("d"));
    assert_ne!(view("a"), view("b"));
}

#[test]
fn only_sinks_that_are_used_are_in_the_plan_and_a_name_is_used_once() {
    let mut spec = super::spec(vec![binding("a", &[])]);
    spec.sinks.push(sink("unused"));
    let plan = Plan::build(spec, &HashMap::new()).unwrap();
    let names: Vec<&str> = plan.sinks().iter().map(|own| &*own.name).collect();
    assert_eq!(names, ["a"]);
    let twice = build(vec![binding("a", &[]), binding("a", &[])]);
    assert_eq!(problems(twice), [Problem::Duplicate]);
    // One that is not enabled is checked too.
    let off = BindingSpec {
        enabled: false,
        ..binding("A B", &[])
    };
    assert!(matches!(
        &problems(build(vec![off]))[..],
        [Problem::Name { .. }, ..]
    ));
}

#[test]
fn a_key_pair_is_whole_and_an_endpoint_is_one() {
    let with = |own: SinkSpec| {
        let mut spec = super::spec(vec![binding("a", &[])]);
        spec.sinks = vec![own];
        Plan::build(spec, &HashMap::new())
    };
    let tls = |cert: bool, key: bool| SinkSpec {
        tls: SinkTls {
            cert: cert.then(|| "cert.pem".into()),
            key: key.then(|| "key.pem".into()),
            ..SinkTls::default()
        },
        ..sink("a")
    };
    for (cert, key, whole) in [
        (false, false, true),
        (true, true, true),
        (true, false, false),
        (false, true, false),
    ] {
        let built = with(tls(cert, key));
        if whole {
            assert!(built.is_ok());
        } else {
            assert_eq!(problems(built), [Problem::HalfKeyPair]);
        }
    }
    let none = SinkSpec {
        endpoints: Vec::new(),
        ..sink("a")
    };
    assert_eq!(problems(with(none)), [Problem::NoEndpoint]);
    let plain = |plaintext| SinkSpec {
        endpoints: vec!["http://192.0.2.1:7".to_owned()],
        plaintext,
        ..sink("a")
    };
    assert!(with(plain(true)).is_ok());
    assert!(matches!(
        &problems(with(plain(false)))[..],
        [Problem::Endpoint(_)]
    ));
}

#[test]
fn a_sink_is_full_when_as_many_questions_are_open_as_may_be() {
    let with = |concurrency| {
        let mut spec = super::spec(vec![binding("a", &[])]);
        spec.sinks[0].concurrency = concurrency;
        Plan::build(spec, &HashMap::new()).unwrap()
    };
    let plan = with(Some(2));
    let own = &plan.sinks()[0];
    assert!(!own.is_full());
    for (change, open, full) in [
        (1, 1, false),
        (1, 2, true),
        (1, 3, true),
        (-2, 1, false),
        (-2, 0, false),
    ] {
        own.count_questions(change);
        assert_eq!((own.open_questions(), own.is_full()), (open, full));
    }
    let plan = with(None);
    plan.sinks()[0].count_questions(1_000_000);
    assert!(!plan.sinks()[0].is_full());
}

#[test]
fn who_may_let_a_message_be_accepted_in_spite_of_a_later_refusal() {
    let spares = |may: &[&str], on_failure| {
        let own = BindingSpec {
            events: words(&["inbound.message", "inbound.rcpt"]),
            on_failure,
            ..binding("a", may)
        };
        let plan = build(vec![own]).unwrap();
        let own = Arc::clone(&plan.bindings()[0]);
        [EventKind::InboundMessage, EventKind::InboundRcpt].map(|event| own.may_spare(event))
    };
    let plain = FailurePolicy::default();
    for (word, at_message, at_rcpt) in [
        ("finish", true, true),
        ("discard", true, true),
        ("quarantine", true, false),
        ("hold", true, false),
        ("postpone", false, false),
        ("headers", false, false),
    ] {
        assert_eq!(spares(&[word], plain), [at_message, at_rcpt], "{word}");
    }
    assert_eq!(spares(&[], plain), [false, false]);
    for policy in Policy::ALL {
        let mut own = plain;
        own.set(EventGroup::Message, Some(FaultKind::Budget), policy);
        assert_eq!(spares(&[], own), [policy.spares(), false], "{policy:?}");
    }
}

#[test]
fn what_a_sink_says_now_can_only_make_it_more_careful() {
    use postern_proto::v1 as pb;
    let live = |side_effects, repeatable| pb::DescribeResponse {
        side_effects,
        repeatable,
        ..pb::DescribeResponse::default()
    };
    for (accepted, said, side_effects, repeatable) in [
        ((false, false), None, false, true),
        ((false, false), Some((false, false)), false, true),
        ((false, false), Some((true, false)), true, false),
        ((false, false), Some((true, true)), true, true),
        ((true, true), None, true, true),
        ((true, true), Some((false, false)), true, true),
        ((true, true), Some((true, false)), true, false),
        ((true, false), None, true, false),
        ((true, false), Some((true, true)), true, false),
        ((true, false), Some((false, true)), true, false),
    ] {
        let pin = Pin {
            side_effects: accepted.0,
            repeatable: accepted.1,
            ..Pin::default()
        };
        let plan = with_pin(binding("a", &[]), Some(pin)).unwrap();
        let live = said.map(|(side_effects, repeatable)| live(side_effects, repeatable));
        let caution = plan.bindings()[0].caution(live.as_ref());
        let expected = Caution {
            side_effects,
            repeatable,
        };
        assert_eq!(caution, expected, "{accepted:?} {said:?}");
    }
}

#[test]
fn a_name_that_is_near_is_thought_to_be_meant() {
    let own = |server: &str| BindingSpec {
        servers: vec![server.to_owned()],
        ..binding("a", &[])
    };
    // One in four may differ, and one more.
    for (server, nearest) in [("inn", Some("in")), ("out1", Some("out")), ("abcd", None)] {
        let problems = problems(build(vec![own(server)]));
        let [Problem::Unknown { nearest: near, .. }] = &problems[..] else {
            panic!("{problems:?}");
        };
        assert_eq!(near.as_deref(), nearest, "{server}");
    }
    // A grant of a later version is known, and none is meant in its place.
    let problems = problems(build(vec![binding("a", &["injekt", "inject"])]));
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "the first word that is wrong is named");
}
