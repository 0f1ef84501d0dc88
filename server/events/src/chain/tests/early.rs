//! Refusals ahead of their turn, and what a fork at the head keeps waiting.

use super::*;

fn splice() -> Edit {
    Edit::SpliceBody {
        offset: 0,
        remove: 1,
        insert: bytes::Bytes::new(),
    }
}

fn forks() -> Verdict {
    Verdict {
        forks: vec![crate::context::ForkEdits::default()],
        ..Verdict::of(Decision::Proceed)
    }
}

/// Three: one that is open and cannot spare, one that has answered, one that refuses.
fn lies_before_a_refusal(spec: BindingSpec, answer: Result<Verdict, Fault>) -> bool {
    let now = Instant::now();
    let bindings = vec![binding("open", &[], &[]), spec, binding("last", &[], &[])];
    let mut run = chain(stage(bindings, EventKind::InboundMessage, &[]), None);
    let mut state = Easy::default();
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [0, 1, 2]);
    assert!(run.answer(1, answer, now));
    assert!(run.answer(2, Ok(reject()), now));
    let may_spare = run.may_still_spare();
    let waits = matches!(steps(&mut run, now, &mut state)[..], [Step::Wait { .. }]);
    assert_eq!(waits, may_spare, "one says what the other does");
    waits
}

#[test]
fn a_refusal_waits_for_what_lies_before_it_and_spares() {
    let plain = || binding("b", &[], &["headers:X-*"]);
    let can = || binding("b", &[], &["headers:X-*", "hold"]);
    let policy = |policy| BindingSpec {
        on_failure: crate::fault::FailurePolicy::uniform(policy),
        ..plain()
    };
    let of = |decision| Ok(Verdict::of(decision));
    let failed = || Err(Fault::new(FaultKind::Fault, "broken"));
    let edited = || {
        Ok(Verdict {
            edits: vec![splice()],
            ..Verdict::of(Decision::Proceed)
        })
    };
    let tempfail = Decision::Tempfail(Reply::parse(451, None, "later").unwrap());
    for (name, spec, answer, waits) in [
        ("proceed", plain(), of(Decision::Proceed), false),
        (
            "proceed of who could spare",
            can(),
            of(Decision::Proceed),
            false,
        ),
        ("fork", plain(), Ok(forks()), true),
        ("discard", can(), of(Decision::Discard), true),
        ("hold", can(), of(Decision::Hold { at_most: None }), true),
        (
            "finish",
            can(),
            of(Decision::Finish(FinishScope::Event)),
            true,
        ),
        ("refusal", can(), of(tempfail), false),
        // Edits that cannot be applied are a failure, whose policy may spare.
        ("edits", plain(), edited(), false),
        ("edits of who can spare", can(), edited(), true),
        ("failure", plain(), failed(), false),
        ("failure that holds", policy(Policy::Hold), failed(), true),
        (
            "failure that keeps",
            policy(Policy::Quarantine),
            failed(),
            true,
        ),
        (
            "failure that goes on",
            policy(Policy::Continue),
            failed(),
            false,
        ),
    ] {
        assert_eq!(lies_before_a_refusal(spec, answer), waits, "{name}");
    }
}

#[test]
fn a_verdict_that_splits_is_no_early_refusal() {
    let verdict = Verdict {
        forks: forks().forks,
        ..reject()
    };
    let now = Instant::now();
    let bindings = vec![binding("open", &[], &[]), binding("b", &[], &[])];
    let mut run = chain(stage(bindings, EventKind::InboundMessage, &[]), None);
    let mut state = Easy::default();
    steps(&mut run, now, &mut state);
    run.answer(1, Ok(verdict), now);
    assert_eq!(
        steps(&mut run, now, &mut state),
        [Step::Wait { until: None }]
    );
}

#[test]
fn nobody_is_asked_while_a_fork_waits_for_who_is_asked_about_the_whole() {
    let now = Instant::now();
    let sized = BindingSpec {
        when: Some("message.size > 0".to_owned()),
        ..binding("c", &[], &[])
    };
    let bindings = vec![binding("a", &[], &[]), binding("b", &[], &[]), sized];
    let mut run = chain(stage(bindings, EventKind::InboundMessage, &[]), None);
    let mut state = Easy::default();
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [0, 1]);
    assert!(run.answer(0, Ok(forks()), now));
    run.content_ended(Budget::starting(now, 240 * SECOND), now);
    // The third could be asked now, but about which branch is not known yet.
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [0_usize; 0]);
    assert!(state.applied.is_empty());
    assert!(run.answer(1, proceed(), now));
    assert_eq!(asked(&steps(&mut run, now, &mut state)), [2]);
    assert_eq!(state.applied, ["a", "b"]);
}

#[test]
fn once_a_chain_is_done_nothing_spares_and_no_time_runs() {
    let now = Instant::now();
    let can = binding("a", &[], &["hold"]);
    let budget = Some(Budget::starting(now, 240 * SECOND));
    let mut run = chain(stage(vec![can], EventKind::InboundMessage, &[]), budget);
    let mut state = Easy::default();
    assert!(run.may_still_spare());
    steps(&mut run, now, &mut state);
    assert!(run.may_still_spare());
    assert_eq!(run.deadline(0), Some(now + 10 * SECOND));
    assert_eq!(run.deadline(1), None);
    run.answer(0, proceed(), now);
    steps(&mut run, now, &mut state);
    assert!(!run.may_still_spare());
    assert_eq!((run.deadline(0), run.open().count()), (None, 0));
    let later = now + 1000 * SECOND;
    assert_eq!(
        steps(&mut run, later, &mut state),
        [Step::Wait { until: None }]
    );
}

#[test]
fn whoever_cannot_be_asked_at_all_fails_at_once() {
    /// Whether it fires cannot be told.
    struct Unknown(Easy);

    impl ChainState for Unknown {
        fn fires(&mut self, _member: &Member) -> Result<bool, Fault> {
            Err(Fault::new(FaultKind::Fault, "no such key"))
        }

        fn apply(&mut self, member: &Member, verdict: &Verdict) -> Result<Made, Fault> {
            self.0.apply(member, verdict)
        }

        fn skipped(&mut self, member: &Member, fault: &Fault) {
            self.0.skipped(member, fault);
        }

        fn enter(&mut self, _branch: u32) {}
    }

    let now = Instant::now();
    let one = || stage(vec![binding("a", &[], &[])], EventKind::InboundMessage, &[]);
    let spent = Some(Budget::until(now));
    let mut run = chain(one(), spent);
    let all = steps(&mut run, now, &mut Easy::default());
    assert_eq!(ruling(&all).failures[0].fault.kind, FaultKind::Budget);
    // Nobody was asked, so nothing is settled or cancelled.
    assert_eq!(all.len(), 1);
    let budget = Some(Budget::starting(now, 240 * SECOND));
    let mut run = chain(one(), budget);
    let all = steps(&mut run, now, &mut Unknown(Easy::default()));
    assert_eq!(ruling(&all).failures[0].fault.kind, FaultKind::Fault);
    assert_eq!((ruling(&all).decision.name(), all.len()), ("tempfail", 1));
    // Passed over, the others come to their turn.
    let easy = BindingSpec {
        on_failure: crate::fault::FailurePolicy::uniform(Policy::Continue),
        ..binding("a", &[], &[])
    };
    let two = stage(
        vec![easy.clone(), binding("b", &["properties"], &[])],
        EventKind::InboundMessage,
        &[],
    );
    let mut run = chain(two, spent);
    let mut state = Easy::default();
    let all = steps(&mut run, now, &mut state);
    let failed: Vec<usize> = ruling(&all).failures.iter().map(|own| own.member).collect();
    assert_eq!((failed, state.skipped), (vec![0, 1], vec!["a".to_owned()]));
}
