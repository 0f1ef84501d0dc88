//! For random chains, grants, answers and timings the outcome is that of asking one binding after the other.

use proptest::prelude::*;

use super::*;
use crate::fault::FailurePolicy;

/// What bindings read and change, one cell for each word.
const WORDS: [&str; 5] = ["headers:X-A", "headers:X-B", "body", "sender", "recipients"];
const BODY: usize = 2;

#[derive(Clone, Debug)]
struct Sink {
    reads: [bool; 5],
    may: [bool; 5],
    side_effects: bool,
    needs_end: bool,
    /// It has the grants for decisions that spare.
    spares: bool,
    policy: Policy,
    /// What the sink would answer is made from this and from what it reads.
    seed: u64,
    /// In the order of answers, lower first.
    speed: u32,
    says_progress: bool,
}

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![4 => Just(Policy::Continue), 1 => Just(Policy::Tempfail), 1 => Just(Policy::Hold), 1 => Just(Policy::Disconnect)]
}

fn sinks() -> impl Strategy<Value = Vec<Sink>> {
    let flags = || proptest::array::uniform5(proptest::bool::weighted(0.3));
    let sink = (
        flags(),
        flags(),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.3),
        policies(),
        any::<u64>(),
        0..1000u32,
        any::<bool>(),
    );
    let sink = sink.prop_map(
        |(reads, may, side_effects, needs_end, spares, policy, seed, speed, says_progress)| Sink {
            reads,
            may,
            side_effects,
            needs_end,
            spares,
            policy,
            seed,
            speed,
            says_progress,
        },
    );
    proptest::collection::vec(sink, 1..8)
}

/// The state that verdicts change, and how the sinks behave on it.
#[derive(Clone, Debug, PartialEq)]
struct World {
    cells: [u64; 5],
    log: Vec<(String, String)>,
}

fn index(member: &Member) -> usize {
    member.binding.name.trim_start_matches('s').parse().unwrap()
}

fn mix(seed: u64, parts: &[u64]) -> u64 {
    parts.iter().fold(seed, |hash, part| {
        (hash ^ part)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_add(0x1234_5677)
    })
}

impl World {
    /// All that a sink may see of the state.
    fn seen_by(&self, sink: &Sink) -> u64 {
        let shown: Vec<u64> = self
            .cells
            .iter()
            .zip(sink.reads)
            // A binding that edits the body refers to what is in it.
            .zip([false, false, sink.may[BODY], sink.may[3], sink.may[4]])
            .map(|((cell, reads), edits)| if reads || edits { *cell } else { 0 })
            .collect();
        mix(sink.seed, &shown)
    }

    fn fires(&self, sink: &Sink) -> Result<bool, Fault> {
        match self.seen_by(sink) % 16 {
            0 => Err(Fault::new(FaultKind::Fault, "condition")),
            1..=3 => Ok(false),
            _ => Ok(true),
        }
    }

    /// `None`: the sink never answers.
    fn answer(&self, sink: &Sink) -> Option<Result<Verdict, Fault>> {
        let hash = self.seen_by(sink) >> 8;
        let reply = || Reply::parse(550, Some("5.7.1"), "no").unwrap();
        let decision = match hash % 40 {
            0 => return None,
            1 => return Some(Err(Fault::new(FaultKind::Unreachable, "gone"))),
            2 => return Some(Err(Fault::protocol("nonsense"))),
            3 => Decision::Reject(reply()),
            4 if sink.spares => Decision::Quarantine,
            5 if sink.spares => Decision::Hold { at_most: None },
            6 if sink.spares => Decision::Discard,
            7 if sink.spares => Decision::Finish(FinishScope::Event),
            _ => Decision::Proceed,
        };
        let mut verdict = Verdict::of(decision);
        verdict.delay = Duration::from_millis(hash % 7);
        for cell in (0..WORDS.len())
            .filter(|cell| sink.may[*cell] && (hash >> (8 + cell)).is_multiple_of(2))
        {
            verdict
                .warnings
                .push(format!("{cell} {}", (hash >> 16) % 100));
            // What stands for the edits, so that the chain knows that there are some.
            verdict
                .edits
                .push(Edit::RetainRecipients { ids: Vec::new() });
            if cell == BODY {
                verdict.edits.push(Edit::SpliceBody {
                    offset: 0,
                    remove: 0,
                    insert: bytes::Bytes::new(),
                });
            }
        }
        Some(Ok(verdict))
    }

    fn apply(&mut self, sink: usize, verdict: &Verdict) -> Result<(), Fault> {
        let mut cells = self.cells;
        // Edits of what is refused are nothing.
        let edits = verdict.warnings.iter();
        for edit in edits.filter(|_| !verdict.decision.is_refusal()) {
            let (cell, value) = edit.split_once(' ').unwrap();
            let cell = &mut cells[cell.parse::<usize>().unwrap()];
            *cell = mix(*cell, &[value.parse().unwrap()]);
            if cell.is_multiple_of(11) {
                return Err(Fault::protocol("over a limit"));
            }
        }
        self.cells = cells;
        self.log.push(("applied".to_owned(), format!("s{sink}")));
        Ok(())
    }
}

/// What a chain came to, without what only one of the two ways can know.
#[derive(Debug, PartialEq)]
struct Outcome {
    decision: String,
    by: Option<usize>,
    failures: Vec<(usize, FaultKind, Policy)>,
    delay: Duration,
}

/// Asks one after the other.
fn sequential(sinks: &[Sink], world: &mut World) -> Outcome {
    let mut failures = Vec::new();
    let mut delay = Duration::ZERO;
    for (place, sink) in sinks.iter().enumerate() {
        let answer = match world.fires(sink) {
            Ok(false) => continue,
            Ok(true) => world
                .answer(sink)
                .unwrap_or_else(|| Err(Fault::new(FaultKind::Timeout, "late"))),
            Err(fault) => Err(fault),
        };
        let applied = answer.and_then(|verdict| world.apply(place, &verdict).map(|()| verdict));
        match applied {
            Ok(verdict) => {
                delay = delay.max(verdict.delay);
                if verdict.decision.ends_chain() {
                    let decision = verdict.decision.name().to_owned();
                    return Outcome {
                        decision,
                        by: Some(place),
                        failures,
                        delay,
                    };
                }
            }
            Err(fault) => {
                failures.push((place, fault.kind, sink.policy));
                if sink.policy == Policy::Continue {
                    world.log.push(("skipped".to_owned(), format!("s{place}")));
                } else {
                    let decision = sink.policy.name().to_owned();
                    return Outcome {
                        decision,
                        by: Some(place),
                        failures,
                        delay,
                    };
                }
            }
        }
    }
    Outcome {
        decision: "proceed".to_owned(),
        by: None,
        failures,
        delay,
    }
}

struct Live<'a> {
    sinks: &'a [Sink],
    world: World,
}

impl ChainState for Live<'_> {
    fn fires(&mut self, member: &Member) -> Result<bool, Fault> {
        self.world.fires(&self.sinks[index(member)])
    }

    fn apply(&mut self, member: &Member, verdict: &Verdict) -> Result<Made, Fault> {
        self.world.apply(index(member), verdict)?;
        Ok(Made::default())
    }

    fn enter(&mut self, _branch: u32) {}

    fn skipped(&mut self, member: &Member, _fault: &Fault) {
        self.world
            .log
            .push(("skipped".to_owned(), member.binding.name.to_string()));
    }
}

fn stage_of(sinks: &[Sink]) -> Arc<Stage> {
    let words = |flags: [bool; 5]| -> Vec<&str> {
        WORDS
            .iter()
            .zip(flags)
            .filter(|(_, on)| *on)
            .map(|(word, _)| *word)
            .collect()
    };
    let bindings = sinks
        .iter()
        .enumerate()
        .map(|(place, sink)| {
            let mut may = words(sink.may);
            if sink.spares {
                may.extend(["finish", "discard", "quarantine", "hold"]);
            }
            BindingSpec {
                on_failure: FailurePolicy::uniform(sink.policy),
                events: Some(vec!["inbound.message".to_owned()]),
                ..binding(&format!("s{place}"), &words(sink.reads), &may)
            }
        })
        .collect();
    let named: Vec<String> = (0..sinks.len())
        .filter(|place| sinks[*place].side_effects)
        .map(|p| format!("s{p}"))
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let stage = stage(bindings, EventKind::InboundMessage, &named);
    let mut members = stage.members.clone();
    for (member, sink) in members.iter_mut().zip(sinks) {
        member.needs_end = sink.needs_end;
    }
    Arc::new(Stage {
        event: stage.event,
        members,
    })
}

/// A question on its way: the sink's speed, its place, and what it will answer.
type OpenQuestion = (u32, usize, Option<Result<Verdict, Fault>>);

/// Runs the chain with answers in the order of the sinks' speed; the content ends before the answer number `end`.
fn concurrent(sinks: &[Sink], world: World, end: usize, strict: bool) -> (World, Ruling) {
    let mut now = Instant::now();
    let mut live = Live { sinks, world };
    let options = ChainOptions {
        strict,
        reference: "ID".to_owned(),
        ..ChainOptions::default()
    };
    let mut run = Chain::new(stage_of(sinks), options);
    let mut open: Vec<OpenQuestion> = Vec::new();
    let mut asked = vec![0; sinks.len()];
    let mut settled = vec![0; sinks.len()];
    let mut answers = 0;
    for _turn in 0..10_000 {
        match run.poll(now, &mut live) {
            Step::Ask { member, .. } => {
                asked[member] += 1;
                // The sink sees the state as it is now.
                open.push((
                    sinks[member].speed,
                    member,
                    live.world.answer(&sinks[member]),
                ));
                open.sort_by_key(|(speed, member, _)| (*speed, *member));
            }
            Step::Cancel { member, .. } => open.retain(|(_, own, _)| *own != member),
            Step::Settle { member, .. } => settled[member] += 1,
            Step::Passed { member } => assert_eq!(asked[member], 0),
            Step::Done(ruling) => {
                assert_eq!(asked, settled, "each that was asked is settled once");
                assert!(asked.iter().all(|count| *count <= 1));
                return (live.world, ruling);
            }
            Step::Wait { until } => {
                if answers == end {
                    run.content_ended(Budget::starting(now, 3600 * SECOND), now);
                }
                answers += 1;
                if let Some(next) = open.iter().position(|(_, _, answer)| answer.is_some()) {
                    let (_, member, answer) = open.remove(next);
                    if sinks[member].says_progress {
                        run.progress(member, None, now);
                    }
                    assert!(run.answer(member, answer.unwrap(), now), "it is waited for");
                } else if let Some(until) = until {
                    now = until;
                } else {
                    assert!(answers <= end + 1, "nothing can happen any more: {run:?}");
                    answers = end;
                }
            }
        }
    }
    panic!("it does not end: {run:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_outcome_is_that_of_asking_in_turn(sinks in sinks(), end in 0..6usize, cells in any::<[u64; 5]>()) {
        let world = World { cells, log: Vec::new() };
        let mut expected = world.clone();
        let outcome = sequential(&sinks, &mut expected);
        let (live, ruling) = concurrent(&sinks, world, end, true);
        prop_assert_eq!(&live, &expected);
        prop_assert_eq!(Outcome::of(ruling), outcome);
    }

    #[test]
    fn an_early_refusal_changes_no_fate(sinks in sinks(), end in 0..6usize, cells in any::<[u64; 5]>()) {
        let world = World { cells, log: Vec::new() };
        let mut expected = world.clone();
        let outcome = sequential(&sinks, &mut expected);
        let (live, ruling) = concurrent(&sinks, world, end, false);
        let refused = ["reject", "tempfail", "disconnect"].contains(&outcome.decision.as_str());
        prop_assert_eq!(ruling.decision.is_refusal(), refused);
        // Of what is refused only the reply may be another one.
        if !refused {
            prop_assert_eq!(&live, &expected);
            prop_assert_eq!(Outcome::of(ruling), outcome);
        }
    }
}

impl Outcome {
    fn of(ruling: Ruling) -> Self {
        let failures = ruling.failures.iter();
        let failures = failures.map(|failure| (failure.member, failure.fault.kind, failure.policy));
        Self {
            failures: failures.collect(),
            decision: ruling.decision.name().to_owned(),
            by: ruling.by.map(|by| by.member),
            delay: ruling.delay,
        }
    }
}
