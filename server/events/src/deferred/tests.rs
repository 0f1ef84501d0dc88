#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::collections::HashMap;
use std::time::{Duration, Instant};

use postern_message::{EditLimits, MessageId, Recipient};
use postern_smtp::reply::Reply;

use super::*;
use crate::budget::Budget;
use crate::chain::{Chain, ChainOptions, Step};
use crate::context::{CommandLine, Context};
use crate::inbound;
use crate::judge::Judge;
use crate::plan::{Ask, BindingSpec, PlanSpec, ServerSpec, SinkSpec};
use crate::recipient_kind::RecipientKind;
use crate::ruling::{Decision, Ruling, Verdict};
use crate::testing;

const EVENTS: [&str; 5] = [
    "inbound.connect",
    "inbound.helo",
    "inbound.mail",
    "inbound.rcpt",
    "inbound.command",
];

/// Bindings that are asked at RCPT, or at once.
fn plan(bindings: &[(&str, Ask)]) -> Plan {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("in")],
        sinks: bindings
            .iter()
            .map(|(name, _)| SinkSpec {
                name: (*name).to_owned(),
                endpoints: vec!["unix:/s".to_owned()],
                ..SinkSpec::default()
            })
            .collect(),
        bindings: bindings
            .iter()
            .map(|(name, ask)| BindingSpec {
                events: words(&EVENTS),
                reads: words(&[]),
                may: words(&["finish"]),
                ask: vec![(None, *ask)],
                ..BindingSpec::new(*name, *name)
            })
            .collect(),
    };
    Plan::build(spec, &HashMap::new()).unwrap()
}

fn mail() -> Question {
    Question::new(inbound::Mail {
        command: CommandLine::default(),
        message_id: MessageId::new(),
        envelope: testing::envelope("a@x.test"),
        parameters: Vec::new(),
    })
}

fn rcpt() -> Question {
    Question::new(inbound::Rcpt {
        command: CommandLine::default(),
        recipient: Recipient::new(testing::path("b@y.test")),
        parameters: Vec::new(),
        recipient_kind: RecipientKind::Hosted,
        duplicate_of: None,
    })
}

fn reject() -> Verdict {
    Verdict::of(Decision::Reject(Reply::parse(550, None, "no").unwrap()))
}

/// Asks everybody; who and what says the name and the event. Returns what was asked, in its order, and the ruling.
fn run(joined: Joined, answer: impl Fn(&str, EventKind) -> Verdict) -> (Vec<String>, Ruling) {
    let Joined {
        stage,
        mut questions,
    } = joined;
    let now = Instant::now();
    let options = ChainOptions {
        budget: Some(Budget::starting(now, Duration::from_secs(90))),
        ..ChainOptions::default()
    };
    let mut context = Context::from(testing::inbound());
    let mut chain = Chain::new(Arc::clone(&stage), options);
    let mut asked = Vec::new();
    loop {
        let mut judge = Judge {
            context: &mut context,
            questions: &mut questions,
            limits: &EditLimits::default(),
            cautious: &[],
        };
        match chain.poll(now, &mut judge) {
            Step::Ask { member, .. } => {
                let own = &stage.members[member];
                assert_eq!(questions[own.about].kind(), own.event);
                asked.push(format!("{} {}", own.binding.name, own.event));
                let verdict = answer(&own.binding.name, own.event);
                chain.answer(member, Ok(verdict), now);
            }
            Step::Done(ruling) => return (asked, ruling),
            Step::Wait { .. } => panic!("nobody answers"),
            _ => {}
        }
    }
}

fn proceed(_: &str, _: EventKind) -> Verdict {
    Verdict::of(Decision::Proceed)
}

#[test]
fn what_waited_is_asked_with_the_first_rcpt_in_the_order_of_events() {
    let plan = plan(&[
        ("late", Ask::AtRcpt),
        ("early", Ask::AtOnce),
        ("too", Ask::AtRcpt),
    ]);
    let mut deferred = Deferred::new();
    for question in [
        Question::new(inbound::Connect),
        Question::new(inbound::Helo::default()),
        mail(),
    ] {
        deferred.happened(&plan, "in", &question);
    }
    let own = plan.stage("in", EventKind::InboundRcpt);
    let rcpt = rcpt();
    let joined = deferred.at_rcpt(own, &rcpt).unwrap();
    assert!(joined.questions.last().unwrap().is_same_as(&rcpt));
    let order: Vec<(EventKind, usize)> = joined
        .stage
        .members
        .iter()
        .map(|own| (own.event, own.about))
        .collect();
    use EventKind as E;
    assert_eq!(
        order,
        [
            (E::InboundConnect, 0),
            (E::InboundConnect, 0),
            (E::InboundHelo, 1),
            (E::InboundHelo, 1),
            (E::InboundMail, 2),
            (E::InboundMail, 2),
            (E::InboundRcpt, 3),
            (E::InboundRcpt, 3),
            (E::InboundRcpt, 3),
        ]
    );
    let (asked, ruling) = run(joined, proceed);
    assert_eq!(asked.len(), 9);
    assert_eq!(ruling.decision, Decision::Proceed);
    // Each once: the next RCPT is asked by itself.
    assert!(deferred.at_rcpt(own, &rcpt).is_none());
    // The next transaction has another MAIL, in the same session.
    deferred.transaction_ended();
    deferred.happened(&plan, "in", &mail());
    let joined = deferred.at_rcpt(own, &rcpt).unwrap();
    assert_eq!(joined.stage.members.len(), 2 + 3);
}

#[test]
fn a_refusal_lasts_as_long_as_what_it_refuses() {
    let plan = plan(&[("late", Ask::AtRcpt)]);
    let own = plan.stage("in", EventKind::InboundRcpt);
    for refused in [
        EventKind::InboundConnect,
        EventKind::InboundHelo,
        EventKind::InboundMail,
    ] {
        let mut deferred = Deferred::new();
        deferred.happened(&plan, "in", &Question::new(inbound::Connect));
        deferred.happened(&plan, "in", &Question::new(inbound::Helo::default()));
        deferred.happened(&plan, "in", &mail());
        let joined = deferred.at_rcpt(own, &rcpt()).unwrap();
        let (_, ruling) = run(joined, |_, event| {
            if event == refused {
                reject()
            } else {
                Verdict::of(Decision::Proceed)
            }
        });
        assert!(ruling.decision.is_refusal());
        deferred.ruled(&ruling);
        assert_eq!(deferred.standing().unwrap().event, refused);
        deferred.transaction_ended();
        let of_mail = refused == EventKind::InboundMail;
        assert_eq!(deferred.standing().is_none(), of_mail);
        deferred.happened(&plan, "in", &Question::new(inbound::Helo::default()));
        let of_session = refused == EventKind::InboundConnect;
        assert_eq!(deferred.standing().is_some(), of_session);
    }
    // A refusal of the RCPT itself stands for nothing.
    let mut deferred = Deferred::new();
    deferred.happened(&plan, "in", &mail());
    let joined = deferred.at_rcpt(own, &rcpt()).unwrap();
    let (_, ruling) = run(joined, |_, event| match event {
        EventKind::InboundRcpt => reject(),
        _ => Verdict::of(Decision::Proceed),
    });
    deferred.ruled(&ruling);
    assert!(ruling.decision.is_refusal() && deferred.standing().is_none());
}

#[test]
fn an_earlier_question_brings_what_waits_for_its_binding_and_the_refusal_speaks_at_rcpt() {
    let plan = plan(&[("late", Ask::AtRcpt), ("other", Ask::AtRcpt)]);
    let command = Question::new(inbound::Command::default());
    let stage = Stage {
        event: EventKind::InboundCommand,
        members: plan
            .stage("in", EventKind::InboundCommand)
            .unwrap()
            .members
            .iter()
            .filter(|own| &*own.binding.name == "late")
            .cloned()
            .collect(),
    };
    let stage = Arc::new(stage);
    let mut deferred = Deferred::new();
    deferred.happened(&plan, "in", &Question::new(inbound::Connect));
    let joined = deferred.in_front_of(&stage, &command).unwrap();
    let (asked, ruling) = run(joined, |_, event| match event {
        EventKind::InboundConnect => reject(),
        _ => Verdict::of(Decision::Proceed),
    });
    assert_eq!(asked, ["late inbound.connect", "late inbound.command"]);
    assert_eq!(
        ruling.decision,
        Decision::Proceed,
        "the command is not refused"
    );
    deferred.ruled(&ruling);
    assert_eq!(
        deferred.standing().unwrap().event,
        EventKind::InboundConnect
    );
    // For the other binding it still waits.
    let own = plan.stage("in", EventKind::InboundRcpt);
    let joined = deferred.at_rcpt(own, &rcpt()).unwrap();
    let waiting = joined.stage.members.iter();
    let waiting = waiting.filter(|own| own.event == EventKind::InboundConnect);
    assert_eq!(
        waiting.map(|own| &*own.binding.name).collect::<Vec<_>>(),
        ["other"]
    );
    assert!(deferred.in_front_of(&stage, &command).is_none());
}

#[test]
fn to_finish_an_event_that_waited_skips_only_its_other_bindings() {
    let plan = plan(&[("a", Ask::AtRcpt), ("b", Ask::AtRcpt)]);
    let mut deferred = Deferred::new();
    deferred.happened(&plan, "in", &Question::new(inbound::Connect));
    deferred.happened(&plan, "in", &mail());
    let own = plan.stage("in", EventKind::InboundRcpt);
    let joined = deferred.at_rcpt(own, &rcpt()).unwrap();
    let finish = Verdict::of(Decision::Finish(crate::ruling::FinishScope::Event));
    let (asked, ruling) = run(joined, |name, event| match (name, event) {
        ("a", EventKind::InboundConnect) => finish.clone(),
        _ => Verdict::of(Decision::Proceed),
    });
    assert_eq!(ruling.decision, Decision::Proceed);
    // All are asked at once; the second's answer about the connection is not reached.
    assert_eq!(asked.len(), 6);
    assert!(ruling.by.is_none());
}
