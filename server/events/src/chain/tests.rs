#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod early;
mod model;
mod policies;

use std::collections::HashMap;

use super::*;
use crate::context::Made;
use crate::event::EventKind;
use crate::fault::{Fault, FaultKind, Policy};
use crate::plan::{
    Ask, BindingSpec, Member, Pin, PinnedEvent, Plan, PlanSpec, ServerSpec, SinkSpec, Timeouts,
};
use crate::ruling::{Decision, FinishScope, Ruling, Settlement, Verdict};
use postern_message::Edit;
use postern_smtp::reply::Reply;

const SECOND: Duration = Duration::from_secs(1);

/// Everything fires, and every edit can be applied.
#[derive(Default)]
struct Easy {
    applied: Vec<String>,
    skipped: Vec<String>,
}

impl ChainState for Easy {
    fn fires(&mut self, _member: &Member) -> Result<bool, Fault> {
        Ok(true)
    }

    fn apply(&mut self, member: &Member, _verdict: &Verdict) -> Result<Made, Fault> {
        self.applied.push(member.binding.name.to_string());
        Ok(Made::default())
    }

    fn enter(&mut self, _branch: u32) {}

    fn skipped(&mut self, member: &Member, _fault: &Fault) {
        self.skipped.push(member.binding.name.to_string());
    }
}

fn binding(name: &str, reads: &[&str], may: &[&str]) -> BindingSpec {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    BindingSpec {
        events: words(&["inbound.message"]),
        reads: words(reads),
        may: words(may),
        timeouts: Timeouts::uniform(10 * SECOND),
        ..BindingSpec::new(name, name)
    }
}

fn stage(bindings: Vec<BindingSpec>, event: EventKind, side_effects: &[&str]) -> Arc<Stage> {
    let sinks = bindings
        .iter()
        .map(|binding| SinkSpec {
            name: binding.sink.clone(),
            endpoints: vec!["http://127.0.0.1:1".to_owned()],
            ..SinkSpec::default()
        })
        .collect();
    let pins: HashMap<String, Pin> = side_effects
        .iter()
        .map(|name| {
            let events = vec![PinnedEvent {
                event: event.name().to_owned(),
                body: Default::default(),
                ask: Ask::AtOnce,
            }];
            (
                (*name).to_owned(),
                Pin {
                    side_effects: true,
                    events,
                    ..Pin::default()
                },
            )
        })
        .collect();
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("s")],
        sinks,
        bindings,
    };
    Arc::clone(Plan::build(spec, &pins).unwrap().stage("s", event).unwrap())
}

fn chain(stage: Arc<Stage>, budget: Option<Budget>) -> Chain {
    let options = ChainOptions {
        budget,
        reference: "ID".to_owned(),
        ..ChainOptions::default()
    };
    Chain::new(stage, options)
}

/// All steps up to the next wait or the end, which is the last of them.
fn steps(chain: &mut Chain, now: Instant, state: &mut dyn ChainState) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let step = chain.poll(now, state);
        let last = matches!(step, Step::Wait { .. } | Step::Done(_));
        steps.push(step);
        if last {
            return steps;
        }
    }
}

fn asked(steps: &[Step]) -> Vec<usize> {
    steps
        .iter()
        .filter_map(|step| match step {
            Step::Ask { member, .. } => Some(*member),
            _ => None,
        })
        .collect()
}

fn ruling(steps: &[Step]) -> &Ruling {
    match steps.last() {
        Some(Step::Done(ruling)) => ruling,
        other => panic!("not done: {other:?}"),
    }
}

fn reject() -> Verdict {
    Verdict::of(Decision::Reject(
        Reply::parse(550, Some("5.7.1"), "no").unwrap(),
    ))
}

fn proceed() -> Result<Verdict, Fault> {
    Ok(Verdict::of(Decision::Proceed))
}

#[test]
fn five_of_equal_standing_are_asked_at_once_and_one_that_reads_waits() {
    let now = Instant::now();
    let bindings = (0..5)
        .map(|n| binding(&format!("b{n}"), &[], &[]))
        .collect();
    let mut run = chain(
        stage(bindings, EventKind::InboundMessage, &[]),
        Some(Budget::starting(now, 240 * SECOND)),
    );
    assert_eq!(
        asked(&steps(&mut run, now, &mut Easy::default())),
        [0, 1, 2, 3, 4]
    );

    let bindings = vec![
        binding("edits", &[], &["headers:X-*"]),
        binding("reads", &["headers:X-A"], &[]),
    ];
    let mut run = chain(
        stage(bindings, EventKind::InboundMessage, &[]),
        Some(Budget::starting(now, 240 * SECOND)),
    );
    let mut state = Easy::default();
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [0]);
    assert!(run.answer(0, proceed(), now));
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [1]);
}

#[test]
fn side_effects_wait_for_their_turn() {
    let now = Instant::now();
    let bindings = vec![
        binding("a", &[], &[]),
        binding("counts", &[], &[]),
        binding("c", &[], &[]),
    ];
    let mut run = chain(
        stage(bindings, EventKind::InboundMessage, &["counts"]),
        Some(Budget::starting(now, 240 * SECOND)),
    );
    let mut state = Easy::default();
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [0, 2]);
    run.answer(0, proceed(), now);
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [1]);
}

#[test]
fn a_refusal_takes_effect_only_after_those_before_it_and_cancels_those_behind() {
    let now = Instant::now();
    let bindings = vec![
        binding("a", &[], &[]),
        binding("b", &[], &[]),
        binding("c", &[], &[]),
        binding("d", &[], &[]),
    ];
    let budget = Some(Budget::starting(now, 240 * SECOND));
    let mut run = chain(stage(bindings, EventKind::InboundMessage, &[]), budget);
    let mut state = Easy::default();
    assert_eq!(asked(&steps(&mut run, now, &mut state)).len(), 4);
    run.answer(1, Ok(reject()), now);
    run.answer(2, proceed(), now);
    let until = Some(now + 10 * SECOND);
    assert_eq!(steps(&mut run, now, &mut state), [Step::Wait { until }]);
    run.answer(0, proceed(), now);
    let because_of: Arc<str> = "b".into();
    let not_reached = || Settlement::NotReached {
        because_of: Arc::clone(&because_of),
    };
    let all = steps(&mut run, now, &mut state);
    assert_eq!(
        &all[..all.len() - 1],
        [
            Step::Settle {
                member: 0,
                settlement: Settlement::Applied
            },
            Step::Settle {
                member: 1,
                settlement: Settlement::Applied
            },
            Step::Settle {
                member: 2,
                settlement: not_reached()
            },
            Step::Cancel {
                member: 3,
                why: Cancelled::Decided
            },
            Step::Settle {
                member: 3,
                settlement: not_reached()
            },
        ]
    );
    assert_eq!(ruling(&all).decision.name(), "reject");
    assert_eq!(ruling(&all).by.as_ref().unwrap().member, 1);
    assert_eq!(state.applied, ["a", "b"]);
    assert!(!run.answer(3, proceed(), now), "nobody waits for it");
    assert_eq!(run.poll(now, &mut state), Step::Wait { until: None });
}

#[test]
fn splices_wait_for_the_end_of_the_content() {
    let now = Instant::now();
    let bindings = vec![
        binding("editor", &["body"], &["body"]),
        binding("next", &["body"], &[]),
    ];
    let mut run = chain(stage(bindings, EventKind::InboundMessage, &[]), None);
    let mut state = Easy::default();
    steps(&mut run, now, &mut state);
    let edits = vec![Edit::SpliceBody {
        offset: 0,
        remove: 0,
        insert: bytes::Bytes::from_static(b"x"),
    }];
    run.answer(
        0,
        Ok(Verdict {
            edits,
            ..Verdict::of(Decision::Proceed)
        }),
        now,
    );
    assert_eq!(
        steps(&mut run, now, &mut state),
        [Step::Wait { until: None }]
    );
    run.content_ended(Budget::starting(now, 240 * SECOND), now);
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [1]);
    assert_eq!(run.deadline(1), Some(now + 10 * SECOND));
}

#[test]
fn time_starts_at_the_end_of_the_content() {
    let start = Instant::now();
    let mut run = chain(
        stage(vec![binding("a", &[], &[])], EventKind::InboundMessage, &[]),
        None,
    );
    let mut state = Easy::default();
    let first = steps(&mut run, start, &mut state);
    assert_eq!(
        first,
        [
            Step::Ask {
                member: 0,
                deadline: None
            },
            Step::Wait { until: None }
        ]
    );
    let later = start + 1000 * SECOND;
    assert_eq!(
        steps(&mut run, later, &mut state),
        [Step::Wait { until: None }]
    );
    run.content_ended(Budget::starting(later, 240 * SECOND), later);
    let due = later + 10 * SECOND;
    assert_eq!(
        steps(&mut run, later, &mut state),
        [Step::Wait { until: Some(due) }]
    );
    let end = steps(&mut run, due, &mut state);
    assert_eq!(
        end.first(),
        Some(&Step::Cancel {
            member: 0,
            why: Cancelled::Deadline
        })
    );
    let ruling = ruling(&end);
    assert_eq!(ruling.failures[0].fault.kind, FaultKind::Timeout);
    assert_eq!(
        ruling.decision.reply().unwrap().to_string(),
        "451 4.7.1 Service unavailable, try again later (ID)"
    );
}

#[test]
fn a_late_answer_is_dropped_even_before_the_next_poll() {
    let now = Instant::now();
    let mut run = chain(
        stage(vec![binding("a", &[], &[])], EventKind::InboundMessage, &[]),
        Some(Budget::starting(now, 240 * SECOND)),
    );
    let mut state = Easy::default();
    steps(&mut run, now, &mut state);
    assert!(!run.answer(0, proceed(), now + 10 * SECOND));
    assert_eq!(
        ruling(&steps(&mut run, now + 10 * SECOND, &mut state))
            .decision
            .name(),
        "tempfail"
    );
}

#[test]
fn the_budget_bounds_a_question_and_those_behind_are_not_asked_at_all() {
    let now = Instant::now();
    let pass = |mut spec: BindingSpec| {
        spec.on_failure = crate::fault::FailurePolicy::uniform(Policy::Continue);
        spec
    };
    let bindings = vec![
        pass(binding("a", &[], &["body"])),
        pass(binding("b", &["body"], &[])),
    ];
    let mut run = chain(
        stage(bindings, EventKind::InboundMessage, &[]),
        Some(Budget::starting(now, 4 * SECOND)),
    );
    let mut state = Easy::default();
    steps(&mut run, now, &mut state);
    assert_eq!(run.deadline(0), Some(now + 4 * SECOND));
    let end = steps(&mut run, now + 4 * SECOND, &mut state);
    assert!(asked(&end).is_empty());
    let kinds: Vec<FaultKind> = ruling(&end)
        .failures
        .iter()
        .map(|failure| failure.fault.kind)
        .collect();
    assert_eq!(kinds, [FaultKind::Budget, FaultKind::Budget]);
    assert_eq!(ruling(&end).decision, Decision::Proceed);
    assert_eq!(state.skipped, ["a", "b"]);
    // The second was never asked, so there is nothing of it to settle.
    assert_eq!(
        end.iter()
            .filter(|step| matches!(step, Step::Settle { .. }))
            .count(),
        1
    );
}

#[test]
fn progress_extends_but_not_into_what_is_reserved() {
    let now = Instant::now();
    let bindings = vec![
        binding("a", &[], &["body"]),
        binding("b", &["body"], &["body"]),
        binding("c", &["body"], &[]),
        binding("free", &[], &[]),
    ];
    let mut run = chain(
        stage(bindings, EventKind::InboundMessage, &[]),
        Some(Budget::starting(now, 45 * SECOND)),
    );
    let mut state = Easy::default();
    steps(&mut run, now, &mut state);
    run.progress(0, None, now + 5 * SECOND);
    assert_eq!(run.deadline(0), Some(now + 15 * SECOND));
    run.progress(0, None, now + 14 * SECOND);
    assert_eq!(run.deadline(0), Some(now + 24 * SECOND));
    // b and c need ten seconds each.
    run.progress(0, None, now + 20 * SECOND);
    assert_eq!(run.deadline(0), Some(now + 25 * SECOND));
    run.progress(0, None, now + 24 * SECOND);
    assert_eq!(run.deadline(0), Some(now + 25 * SECOND));
    run.answer(0, proceed(), now + 24 * SECOND);
    steps(&mut run, now + 24 * SECOND, &mut state);
    run.progress(1, None, now + 30 * SECOND);
    assert_eq!(run.deadline(1), Some(now + 35 * SECOND));
    // Progress never shortens, and never revives.
    run.progress(1, None, now + 26 * SECOND);
    assert_eq!(run.deadline(1), Some(now + 35 * SECOND));
    run.progress(0, None, now + 26 * SECOND);
    assert_eq!(run.deadline(0), None);
}

#[test]
fn each_policy_comes_to_its_decision() {
    let now = Instant::now();
    let cases = [
        (
            EventKind::InboundMessage,
            Policy::Tempfail,
            "tempfail",
            Some(451),
        ),
        (
            EventKind::InboundConnect,
            Policy::Tempfail,
            "tempfail",
            Some(421),
        ),
        (
            EventKind::InboundMessage,
            Policy::Reject,
            "reject",
            Some(550),
        ),
        (EventKind::InboundMessage, Policy::Hold, "hold", None),
        (
            EventKind::InboundMessage,
            Policy::Quarantine,
            "quarantine",
            None,
        ),
        (
            EventKind::InboundMessage,
            Policy::Disconnect,
            "disconnect",
            Some(421),
        ),
        (EventKind::InboundMessage, Policy::Continue, "proceed", None),
    ];
    for (event, policy, name, code) in cases {
        let mut spec = binding("a", &[], &[]);
        spec.events = Some(vec![event.name().to_owned()]);
        spec.on_failure = crate::fault::FailurePolicy::uniform(policy);
        let mut run = chain(
            stage(vec![spec], event, &[]),
            Some(Budget::starting(now, 90 * SECOND)),
        );
        let mut state = Easy::default();
        steps(&mut run, now, &mut state);
        run.answer(0, Err(Fault::new(FaultKind::Unreachable, "gone")), now);
        let end = steps(&mut run, now, &mut state);
        let ruling = ruling(&end);
        assert_eq!(ruling.decision.name(), name);
        assert_eq!(
            ruling.decision.reply().map(|reply| reply.code().value()),
            code
        );
        assert_eq!(ruling.failures[0].policy, policy);
    }
}

#[test]
fn a_reply_that_stands_is_not_turned_into_a_refusal() {
    let now = Instant::now();
    for (policy, name) in [
        (Policy::Tempfail, "proceed"),
        (Policy::Disconnect, "disconnect"),
    ] {
        let mut spec = binding("a", &[], &[]);
        spec.events = Some(vec!["inbound.response".to_owned()]);
        spec.on_failure = crate::fault::FailurePolicy::uniform(policy);
        let options = ChainOptions {
            budget: Some(Budget::starting(now, 90 * SECOND)),
            reference: "ID".to_owned(),
            stands: true,
            ..ChainOptions::default()
        };
        let mut run = Chain::new(stage(vec![spec], EventKind::InboundResponse, &[]), options);
        let mut state = Easy::default();
        steps(&mut run, now, &mut state);
        run.answer(0, Err(Fault::new(FaultKind::Fault, "broken")), now);
        assert_eq!(
            ruling(&steps(&mut run, now, &mut state)).decision.name(),
            name
        );
    }
}

#[test]
fn a_held_message_goes_on_from_its_binding_which_has_fired() {
    /// Nothing fires any more.
    struct Never(Easy);

    impl ChainState for Never {
        fn fires(&mut self, _member: &Member) -> Result<bool, Fault> {
            Ok(false)
        }

        fn apply(&mut self, member: &Member, verdict: &Verdict) -> Result<Made, Fault> {
            self.0.apply(member, verdict)
        }

        fn skipped(&mut self, _member: &Member, _fault: &Fault) {}

        fn enter(&mut self, _branch: u32) {}
    }

    let now = Instant::now();
    let bindings = vec![
        binding("a", &[], &["body"]),
        binding("b", &["body"], &[]),
        binding("c", &[], &[]),
    ];
    let stage = stage(bindings, EventKind::InboundMessage, &[]);
    assert_eq!(stage.position("z"), None);
    assert_eq!(stage.names_before(2), ["a", "b"]);
    let from = |binding: &str, passed: &[&str]| ChainOptions {
        start: Start::At {
            binding: binding.to_owned(),
            passed: passed.iter().map(|&name| name.to_owned()).collect(),
        },
        budget: Some(Budget::starting(now, 90 * SECOND)),
        ..ChainOptions::default()
    };
    let mut run = Chain::new(Arc::clone(&stage), from("b", &["a"]));
    let mut state = Easy::default();
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [1, 2]);
    assert_eq!(run.open().collect::<Vec<_>>(), [1, 2]);
    run.answer(1, proceed(), now);
    run.answer(2, proceed(), now);
    assert_eq!(
        ruling(&steps(&mut run, now, &mut state)).decision,
        Decision::Proceed
    );
    // The binding that held the message is asked whatever its condition says now; those behind it are not.
    let mut run = Chain::new(Arc::clone(&stage), from("b", &["a"]));
    let mut never = Never(Easy::default());
    assert_eq!(asked(&steps(&mut run, now, &mut never)), [1]);
    // It is not there any more: who had a say is not asked again.
    let mut run = Chain::new(Arc::clone(&stage), from("gone", &["a", "b"]));
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [2]);
    // An operator let it go without the binding that kept it.
    let mut run = Chain::new(Arc::clone(&stage), from("b", &["a", "b"]));
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [2]);
    let mut run = Chain::new(stage, from("", &["b"]));
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [0, 2]);
}

#[test]
fn a_refusal_is_applied_at_once_if_nobody_before_it_can_spare() {
    let now = Instant::now();
    let refused_at_once = |before: &[BindingSpec], answers: &[(usize, Verdict)], strict| {
        let mut bindings = before.to_vec();
        bindings.push(binding("last", &[], &[]));
        let options = ChainOptions {
            strict,
            ..ChainOptions::default()
        };
        let mut run = Chain::new(stage(bindings, EventKind::InboundMessage, &[]), options);
        let mut state = Easy::default();
        steps(&mut run, now, &mut state);
        for (member, verdict) in answers {
            run.answer(*member, Ok(verdict.clone()), now);
        }
        run.answer(before.len(), Ok(reject()), now);
        let all = steps(&mut run, now, &mut state);
        let done = all.iter().find_map(|step| match step {
            Step::Done(ruling) => Some(ruling.clone()),
            _ => None,
        });
        done.map(|ruling| (ruling.by.unwrap().member, all.len()))
    };
    let plain = || binding("a", &[], &[]);
    // The second and the third refuse: applied, the others cancelled and told why.
    assert_eq!(
        refused_at_once(&[plain(), binding("b", &[], &["body"])], &[], false),
        Some((2, 6))
    );
    assert_eq!(refused_at_once(&[plain()], &[], true), None);
    for grant in ["finish", "discard", "quarantine", "hold"] {
        assert_eq!(
            refused_at_once(&[binding("a", &[], &[grant])], &[], false),
            None
        );
    }
    // Postponing is not for this event.
    assert!(refused_at_once(&[binding("a", &[], &["postpone"])], &[], false).is_some());
    for (policy, at_once) in [
        (Policy::Hold, false),
        (Policy::Quarantine, false),
        (Policy::Continue, true),
        (Policy::Reject, true),
    ] {
        let spec = BindingSpec {
            on_failure: crate::fault::FailurePolicy::uniform(policy),
            ..plain()
        };
        assert_eq!(
            refused_at_once(&[spec], &[], false).is_some(),
            at_once,
            "{policy:?}"
        );
    }
    // Who could have spared has proceeded.
    let can = binding("c", &[], &["finish"]);
    let yes = Verdict::of(Decision::Proceed);
    assert!(refused_at_once(std::slice::from_ref(&can), &[(0, yes)], false).is_some());
    // Who has spared, has: its verdict lies behind one that is open.
    let finish = Verdict::of(Decision::Finish(FinishScope::Event));
    assert_eq!(
        refused_at_once(&[plain(), can], &[(1, finish)], false),
        None
    );
}

#[test]
fn a_refusal_waits_for_an_earlier_chain_that_may_spare() {
    let now = Instant::now();
    let options = ChainOptions {
        earlier_may_spare: true,
        ..ChainOptions::default()
    };
    let two = vec![binding("a", &[], &[]), binding("b", &[], &[])];
    let mut run = Chain::new(stage(two, EventKind::InboundMessage, &[]), options);
    let mut state = Easy::default();
    steps(&mut run, now, &mut state);
    run.answer(1, Ok(reject()), now);
    assert!(matches!(
        steps(&mut run, now, &mut state)[..],
        [Step::Wait { .. }]
    ));
    run.earlier_decided();
    assert!(
        ruling(&steps(&mut run, now, &mut state))
            .decision
            .is_refusal()
    );
}

#[test]
fn who_turns_out_to_have_side_effects_is_asked_in_its_turn() {
    struct Careful(Easy);

    impl ChainState for Careful {
        fn fires(&mut self, _member: &Member) -> Result<bool, Fault> {
            Ok(true)
        }

        fn apply(&mut self, member: &Member, verdict: &Verdict) -> Result<Made, Fault> {
            self.0.apply(member, verdict)
        }

        fn skipped(&mut self, _member: &Member, _fault: &Fault) {}

        fn enter(&mut self, _branch: u32) {}

        fn in_turn(&self, member: &Member) -> bool {
            &*member.binding.name == "b"
        }
    }

    let now = Instant::now();
    let bindings = ["a", "b", "c"].map(|name| binding(name, &[], &[])).into();
    let budget = Some(Budget::starting(now, 90 * SECOND));
    let mut run = chain(stage(bindings, EventKind::InboundMessage, &[]), budget);
    let mut state = Careful(Easy::default());
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [0, 2]);
    run.answer(0, proceed(), now);
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [1]);
}

#[test]
fn progress_may_name_a_time_and_hears_what_it_got() {
    let now = Instant::now();
    let budget = Budget::starting(now, 60 * SECOND).reserving(20 * SECOND);
    let one = vec![binding("a", &[], &[])];
    let mut run = chain(stage(one, EventKind::InboundMessage, &[]), Some(budget));
    let mut state = Easy::default();
    steps(&mut run, now, &mut state);
    let left = |extension: Option<Extension>| extension.unwrap().remaining.unwrap();
    assert_eq!(left(run.progress(0, Some(25 * SECOND), now)), 25 * SECOND);
    // Less than before takes nothing back; more than there is gives what there is.
    assert_eq!(left(run.progress(0, Some(SECOND), now)), 25 * SECOND);
    assert_eq!(left(run.progress(0, Some(90 * SECOND), now)), 40 * SECOND);
    run.answer(0, proceed(), now);
    assert_eq!(run.progress(0, None, now), None);
    // Before the end of the content no time runs.
    let one = vec![binding("a", &[], &[])];
    let mut run = chain(stage(one, EventKind::InboundMessage, &[]), None);
    steps(&mut run, now, &mut state);
    let extension = run.progress(0, Some(SECOND), now);
    assert_eq!(extension, Some(Extension { remaining: None }));
}

#[test]
fn the_longest_delay_of_an_applied_verdict_counts() {
    let now = Instant::now();
    let bindings = vec![
        binding("a", &[], &[]),
        binding("b", &[], &[]),
        binding("c", &[], &[]),
    ];
    let mut run = chain(
        stage(bindings, EventKind::InboundMessage, &[]),
        Some(Budget::starting(now, 90 * SECOND)),
    );
    let mut state = Easy::default();
    steps(&mut run, now, &mut state);
    let delayed = |seconds, decision| {
        Ok(Verdict {
            delay: SECOND * seconds,
            ..Verdict::of(decision)
        })
    };
    run.answer(0, delayed(3, Decision::Proceed), now);
    run.answer(1, delayed(2, Decision::Quarantine), now);
    run.answer(2, delayed(9, Decision::Proceed), now);
    assert_eq!(ruling(&steps(&mut run, now, &mut state)).delay, 3 * SECOND);
}

#[test]
fn who_asks_for_the_size_is_asked_once_the_content_has_ended() {
    let now = Instant::now();
    let by_size = BindingSpec {
        when: Some("message.size > 10".to_owned()),
        ..binding("by-size", &[], &[])
    };
    let bindings = vec![by_size, binding("always", &[], &[])];
    let mut chain = chain(stage(bindings, EventKind::InboundMessage, &[]), None);
    let mut state = Easy::default();
    assert_eq!(asked(&steps(&mut chain, now, &mut state)), [1]);
    chain.content_ended(Budget::starting(now, 240 * SECOND), now);
    assert_eq!(asked(&steps(&mut chain, now, &mut state)), [0]);
}

/// Nothing can be applied.
struct Stubborn;

impl ChainState for Stubborn {
    fn fires(&mut self, _member: &Member) -> Result<bool, Fault> {
        Ok(true)
    }

    fn apply(&mut self, member: &Member, _verdict: &Verdict) -> Result<Made, Fault> {
        match &*member.binding.name {
            "refuses" => Err(Fault::protocol("it cannot be applied")),
            _ => Ok(Made::default()),
        }
    }

    fn enter(&mut self, _branch: u32) {}

    fn skipped(&mut self, _member: &Member, _fault: &Fault) {}
}

#[test]
fn an_early_refusal_that_cannot_be_applied_is_a_failure_in_its_turn() {
    let now = Instant::now();
    let bindings = vec![binding("slow", &[], &[]), binding("refuses", &[], &[])];
    let mut chain = chain(stage(bindings, EventKind::InboundMessage, &[]), None);
    assert_eq!(asked(&steps(&mut chain, now, &mut Stubborn)), [0, 1]);
    assert!(chain.answer(1, Ok(reject()), now));
    let waits = steps(&mut chain, now, &mut Stubborn);
    assert_eq!(waits, [Step::Wait { until: None }]);
    assert!(chain.answer(0, proceed(), now));
    let all = steps(&mut chain, now, &mut Stubborn);
    let ruling = ruling(&all);
    assert!(
        matches!(ruling.decision, Decision::Tempfail(_)),
        "{ruling:?}"
    );
    assert_eq!(ruling.failures.len(), 1);
    let settled = all.iter().any(|step| {
        matches!(
            step,
            Step::Settle {
                member: 1,
                settlement: Settlement::Refused(_)
            }
        )
    });
    assert!(settled, "{all:?}");
}
