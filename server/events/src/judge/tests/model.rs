//! For random chains of sinks on real messages the outcome is that of asking one after the other: decisions, answers,
//! branches, places of header fields, splices, recipients, limits; and an early refusal changes nobody's fate.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_message::{
    Edit, EditLimits, HeaderLimits, HeaderName, HeaderNames, HeaderParser, HeaderPlace,
    HeaderValue, MessageId, NewRecipient, Recipient, RecipientId, Segment, Version,
};
use postern_smtp::address::ReversePath;
use postern_smtp::reply::Reply;

use super::random::{Random, mix, mix_octets};
use crate::answer::AnyAnswer;
use crate::budget::Budget;
use crate::chain::{Chain, ChainOptions, ChainState, Step};
use crate::context::{CommandLine, Context, ForkEdits};
use crate::event::EventKind;
use crate::fault::{FailurePolicy, Fault, FaultKind, Policy};
use crate::inbound;
use crate::inbound::RcptAnswer;
use crate::judge::Judge;
use crate::plan::{BindingSpec, BodyDepth, Plan, PlanSpec, ServerSpec, SinkSpec, Stage};
use crate::question::Question;
use crate::recipient_kind::RecipientKind;
use crate::ruling::{By, Decision, FinishScope, Ruling, Verdict};
use crate::testing;

/// Steps of chains that each run of the tests takes.
const STEPS: u64 = 100_000;

/// Steps of chains that `.ci/run` takes.
const ALL_STEPS: u64 = 1_000_000;

const MAIL: &[u8] = b"X-A: 1\r\nSubject: s\r\nX-B: 2\r\nX-A: 3\r\nTo: t\r\n\r\n0123456789\r\n";
const READS: [&str; 6] = [
    "headers:X-A",
    "headers:X-B",
    "headers:Subject",
    "body",
    "sender",
    "recipients",
];
const GRANTS: [&str; 6] = [
    "headers:X-A",
    "headers:X-B",
    "body",
    "sender",
    "recipients",
    "admit",
];
const SPARING: [&str; 4] = ["finish", "discard", "quarantine", "hold"];

/// What is judged in one case, and by whom.
struct Case {
    stage: Arc<Stage>,
    sinks: Vec<Sink>,
    limits: EditLimits,
    event: EventKind,
    recipients: Vec<Recipient>,
    message: MessageId,
}

/// How one sink behaves.
#[derive(Clone, Debug)]
struct Sink {
    seed: u64,
    reads: Vec<&'static str>,
    may: Vec<&'static str>,
    speed: u64,
    says_progress: bool,
}

impl Sink {
    fn reads(&self, word: &str) -> bool {
        self.reads.contains(&word)
    }

    fn may(&self, word: &str) -> bool {
        self.may.contains(&word)
    }
}

fn some(random: &mut Random, words: &[&'static str], one_in: u64) -> Vec<&'static str> {
    words
        .iter()
        .copied()
        .filter(|_| random.one_in(one_in))
        .collect()
}

fn policy(random: &mut Random, event: EventKind) -> Policy {
    match random.below(7) {
        0 => Policy::Tempfail,
        1 => Policy::Reject,
        2 if event == EventKind::InboundMessage => Policy::Hold,
        3 if event == EventKind::InboundMessage => Policy::Quarantine,
        _ => Policy::Continue,
    }
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let event = if random.one_in(4) {
            EventKind::InboundRcpt
        } else {
            EventKind::InboundMessage
        };
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let mut sinks = Vec::new();
        let mut bindings = Vec::new();
        for place in 0..1 + random.below(5) {
            let mut may = some(random, &GRANTS, 3);
            if random.one_in(4) {
                may.extend(some(random, &SPARING, 2));
            }
            let sink = Sink {
                seed: random.next(),
                reads: some(random, &READS, 3),
                may,
                speed: random.below(1000),
                says_progress: random.one_in(5),
            };
            let name = format!("s{place}");
            bindings.push(BindingSpec {
                events: words(&[event.name()]),
                reads: words(&sink.reads),
                may: words(&sink.may),
                body: Some(BodyDepth::Full).filter(|_| event == EventKind::InboundMessage),
                on_failure: FailurePolicy::uniform(policy(random, event)),
                side_effects: random.one_in(8).then_some(true),
                ..BindingSpec::new(name.clone(), name)
            });
            sinks.push(sink);
        }
        // What the depth shows counts as read.
        for binding in &mut bindings {
            let reads = binding.reads.clone().unwrap_or_default();
            let depth = match (reads.iter().any(|word| word == "body"), reads.is_empty()) {
                (true, _) => BodyDepth::Full,
                (false, _) => BodyDepth::Headers,
            };
            binding.body = binding.body.map(|_| depth);
        }
        let spec = PlanSpec {
            servers: vec![ServerSpec::new("in")],
            sinks: bindings
                .iter()
                .map(|binding| SinkSpec {
                    name: binding.name.clone(),
                    endpoints: vec!["unix:/s".to_owned()],
                    ..SinkSpec::default()
                })
                .collect(),
            bindings,
        };
        let plan = Plan::build_all(spec, &HashMap::new()).unwrap();
        let recipients = (0..1 + random.below(4))
            .map(|n| Recipient::new(testing::path(&format!("r{n}@y.test"))));
        let recipients = recipients.collect();
        Self {
            stage: Arc::clone(plan.stage("in", event).unwrap()),
            sinks,
            limits: EditLimits {
                header_count: 5 + usize::try_from(random.below(5)).unwrap(),
                recipients: 4,
                ..EditLimits::default()
            },
            event,
            recipients,
            message: MessageId::new(),
        }
    }

    /// The message before anybody was asked, and the question.
    fn begin(&self, is_complete: bool) -> (Context, Question) {
        let mut context = testing::inbound();
        context.begin(self.message, testing::envelope("a@x.test"), Vec::new());
        context.begun();
        for one in &self.recipients {
            context.propose(one.clone(), Vec::new());
            if self.event == EventKind::InboundMessage {
                context.decide(one.id, true);
            }
        }
        let mut parser = HeaderParser::new(HeaderLimits::default());
        let section = parser.feed(MAIL).unwrap().unwrap();
        let size = is_complete.then_some(MAIL.len() as u64);
        let question = if self.event == EventKind::InboundMessage {
            context.content(Version::original(&section, size));
            Question::new(inbound::Message::new(self.message))
        } else {
            Question::new(inbound::Rcpt {
                command: CommandLine::default(),
                recipient: self.recipients[0].clone(),
                parameters: Vec::new(),
                recipient_kind: RecipientKind::Forbidden,
                duplicate_of: None,
            })
        };
        (context.into(), question)
    }

    /// What a sink sees of the message: all that it reads, and nothing else.
    fn seen(&self, sink: &Sink, context: &Context, question: &Question) -> u64 {
        let draft = context.working().unwrap().draft();
        let mut seen = vec![sink.seed];
        if let Some(version) = &draft.version {
            for field in visible(sink, version) {
                seen.push(u64::from(field.id().0));
                seen.push(mix_octets(field.raw()));
            }
            if sink.reads("body") {
                // Asked while it arrives, answered when all of it was seen.
                seen.push(mix_octets(&body(&version.close(MAIL.len() as u64))));
            }
        }
        if sink.reads("sender") {
            seen.push(mix_octets(draft.envelope.sender.to_string().as_bytes()));
        }
        if self.event == EventKind::InboundRcpt && sink.reads("recipients") {
            let one = context.recipient(self.recipients[0].id).unwrap();
            seen.push(mix_octets(one.address.to_string().as_bytes()));
            if let Some(said) = question.said().and_then(AnyAnswer::get::<RcptAnswer>) {
                seen.push(said.recipient_kind as u64 + 1);
            }
        }
        mix(&seen)
    }

    /// What a sink answers. `None`: nothing, ever.
    fn answer(
        &self,
        place: usize,
        context: &Context,
        question: &Question,
    ) -> Option<Result<Verdict, Fault>> {
        let sink = &self.sinks[place];
        let mut random = Random::new(self.seen(sink, context, question));
        let reply = |code| Reply::parse(code, None, "no").unwrap();
        let message = self.event == EventKind::InboundMessage;
        let decision = match random.below(36) {
            0 => return None,
            1 => return Some(Err(Fault::new(FaultKind::Unreachable, "gone"))),
            2 => return Some(Err(Fault::protocol("nonsense"))),
            3 | 4 => Decision::Reject(reply(550)),
            5 => Decision::Tempfail(reply(450)),
            6 if sink.may("quarantine") && message => Decision::Quarantine,
            7 if sink.may("hold") && message => Decision::Hold { at_most: None },
            8 if sink.may("discard") => Decision::Discard,
            9 | 10 if sink.may("finish") => Decision::Finish(FinishScope::Event),
            _ => Decision::Proceed,
        };
        let mut verdict = Verdict::of(decision);
        verdict.delay = Duration::from_millis(random.below(7));
        let all: Vec<RecipientId> = if message {
            self.recipients.iter().map(|one| one.id).collect()
        } else {
            vec![self.recipients[0].id]
        };
        verdict.edits = self.edits(sink, &mut random, context, &all);
        if message {
            self.split(sink, &mut random, context, &mut verdict);
        } else if sink.may("admit")
            && matches!(verdict.decision, Decision::Proceed | Decision::Finish(_))
            && random.one_in(2)
        {
            let kinds = [
                RecipientKind::Hosted,
                RecipientKind::Relayed,
                RecipientKind::Unspecified,
            ];
            verdict.answer = Some(AnyAnswer::new(RcptAnswer {
                recipient_kind: kinds[random.below(3) as usize],
                ..RcptAnswer::default()
            }));
        }
        Some(Ok(verdict))
    }

    /// Decisions and forks: of each recipient by itself, so that it does not matter who else is asked about.
    fn split(&self, sink: &Sink, random: &mut Random, context: &Context, verdict: &mut Verdict) {
        let chosen = |random: &mut Random| -> Vec<RecipientId> {
            let salt = random.next();
            let of =
                |one: &&Recipient| mix(&[salt, mix_octets(one.id.as_bytes())]).is_multiple_of(3);
            self.recipients
                .iter()
                .filter(of)
                .map(|one| one.id)
                .collect()
        };
        if random.one_in(6) {
            let decision = match random.below(3) {
                0 if sink.may("discard") => Decision::Discard,
                1 => Decision::Proceed,
                _ => Decision::Reject(Reply::parse(550, None, "not you").unwrap()),
            };
            let ids = chosen(random);
            // Whoever proceeds with the others comes to nothing else.
            if !ids.is_empty() && (decision.ends_chain() || verdict.decision.ends_chain()) {
                verdict.recipients.push((ids, decision));
            }
        }
        if random.one_in(6) {
            let ids = chosen(random);
            if !ids.is_empty() {
                let edits = self.edits(sink, random, context, &ids);
                verdict.forks.push(ForkEdits {
                    recipients: ids,
                    edits,
                    orders: Vec::new(),
                });
            }
        }
    }

    fn edits(
        &self,
        sink: &Sink,
        random: &mut Random,
        context: &Context,
        recipients: &[RecipientId],
    ) -> Vec<Edit> {
        let message = self.event == EventKind::InboundMessage;
        let version = context.version();
        let mut edits = Vec::new();
        for name in ["X-A", "X-B"] {
            let may = message && sink.may(&format!("headers:{name}"));
            if let Some(version) = version.filter(|_| may) {
                edits.extend(header_edits(sink, random, version, name));
            }
        }
        if message && sink.may("body") && random.one_in(2) {
            // Several at one place, and one that takes out.
            for (offset, remove) in [(0, 0), (0, 1), (3, 0), (3, random.below(3))] {
                edits.push(Edit::SpliceBody {
                    offset,
                    remove,
                    insert: Bytes::from(format!("<{}>", random.below(100))),
                });
            }
        }
        if message && sink.may("sender") && random.one_in(2) {
            let path = format!("<s{}@x.test>", random.below(9));
            edits.push(Edit::SetSender {
                sender: ReversePath::parse(path.as_bytes(), false).unwrap(),
            });
        }
        if sink.may("recipients") {
            let salt = random.next();
            for id in recipients {
                let own = mix(&[salt, mix_octets(id.as_bytes())]);
                match own % 8 {
                    0 | 1 => edits.push(Edit::RewriteRecipient {
                        id: *id,
                        address: testing::path(&format!("w{}@y.test", own % 1000)),
                    }),
                    2 if message => edits.push(Edit::RemoveRecipient { id: *id }),
                    _ => {}
                }
            }
            if message && random.one_in(4) {
                edits.push(Edit::AddRecipient(NewRecipient::new(testing::path(
                    "new@y.test",
                ))));
            }
        }
        edits
    }
}

fn visible<'a>(
    sink: &Sink,
    version: &'a Version,
) -> impl Iterator<Item = &'a postern_message::HeaderField> {
    let names: Vec<String> = sink
        .reads
        .iter()
        .filter_map(|word| word.strip_prefix("headers:"))
        .map(str::to_ascii_lowercase)
        .collect();
    version.headers().iter().filter(move |field| {
        let name = String::from_utf8_lossy(field.name()).to_ascii_lowercase();
        names.contains(&name)
    })
}

fn header_edits(sink: &Sink, random: &mut Random, version: &Version, name: &str) -> Vec<Edit> {
    let ids: Vec<_> = visible(sink, version).map(|field| field.id()).collect();
    let own: Vec<_> = visible(sink, version)
        .filter(|field| field.is(name))
        .map(|field| field.id())
        .collect();
    let name = HeaderName::parse(name.as_bytes()).unwrap();
    let value = format!("v{}", random.below(1000));
    let value = HeaderValue::parse(value.as_bytes(), false).unwrap();
    let pick = |random: &mut Random, ids: &[postern_message::HeaderId]| {
        let at = random.below(ids.len().max(1) as u64);
        ids.get(usize::try_from(at).unwrap()).copied()
    };
    let at = match (random.below(4), pick(random, &ids)) {
        (0, _) => HeaderPlace::First,
        (1, Some(id)) => HeaderPlace::After(id),
        (2, Some(id)) => HeaderPlace::Before(id),
        _ => HeaderPlace::Last,
    };
    match random.below(6) {
        0 | 1 => vec![Edit::InsertHeader { at, name, value }],
        2 => vec![Edit::SetHeader {
            at,
            name,
            value,
            only_if_missing: random.one_in(2),
        }],
        3 => vec![Edit::RemoveHeaders {
            names: HeaderNames::Exact(name),
        }],
        4 => match pick(random, &own) {
            Some(id) => vec![
                Edit::RemoveHeader { id },
                Edit::InsertHeader {
                    at: HeaderPlace::After(id),
                    name,
                    value,
                },
            ],
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn octets(segments: &[Segment]) -> Vec<u8> {
    let mut out = Vec::new();
    for segment in segments {
        match segment {
            Segment::Original(range) => {
                let end = range.end.min(MAIL.len() as u64) as usize;
                out.extend_from_slice(&MAIL[range.start as usize..end]);
            }
            Segment::Inserted(octets) => out.extend_from_slice(octets),
        }
    }
    out
}

fn body(version: &Version) -> Vec<u8> {
    octets(&version.body_segments(0..u64::MAX))
}

/// What some recipients come to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fate {
    recipients: Vec<String>,
    sender: String,
    decision: &'static str,
    by: Option<usize>,
    content: Vec<u8>,
}

/// What a chain comes to, as far as it is the same whatever ids were made.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    fates: Vec<Fate>,
    answer: Option<AnyAnswer>,
    delay: Duration,
    failures: Vec<(usize, &'static str, &'static str)>,
    skipped: Vec<String>,
}

impl Outcome {
    fn refuses_all(&self) -> bool {
        self.fates
            .iter()
            .all(|fate| ["reject", "tempfail", "disconnect"].contains(&fate.decision))
    }

    fn sort(mut self) -> Self {
        self.fates.sort();
        self.failures.sort();
        self.skipped.sort();
        self
    }
}

fn fate(draft: &postern_message::Draft, decision: &Decision, by: Option<&By>) -> Fate {
    let recipients = draft.recipients.iter().map(|one| one.address.to_string());
    let mut recipients: Vec<String> = recipients.collect();
    recipients.sort();
    // Of what is refused nothing is kept, edits by earlier bindings included.
    let refused = decision.is_refusal();
    Fate {
        recipients,
        sender: draft.envelope.sender.to_string(),
        decision: decision.name(),
        by: by.map(|by| by.member),
        content: match &draft.version {
            Some(version) if !refused => octets(&version.close(MAIL.len() as u64).segments()),
            _ => Vec::new(),
        },
    }
}

fn outcome(context: &Context, ruling: &Ruling) -> Outcome {
    let trunk = context.working().unwrap().draft();
    let mut fates = Vec::new();
    let pending = ruling.event == EventKind::InboundRcpt;
    if pending {
        let Context::Inbound(own) = context else {
            panic!("another context");
        };
        let mut draft = trunk.clone();
        draft.recipients = own.transaction().unwrap().pending().to_vec();
        fates.push(fate(&draft, &ruling.decision, ruling.by.as_ref()));
    } else if !trunk.recipients.is_empty() {
        fates.push(fate(trunk, &ruling.decision, ruling.by.as_ref()));
    }
    for branch in &ruling.branches {
        assert!(!branch.recipients.is_empty());
        fates.push(fate(&branch.draft, &branch.decision, branch.by.as_ref()));
    }
    let failures = ruling.failures.iter();
    let failures = failures.map(|own| (own.member, own.fault.kind.name(), own.policy.name()));
    Outcome {
        fates,
        answer: ruling.answer.clone(),
        delay: ruling.delay,
        failures: failures.collect(),
        skipped: context.working().unwrap().skipped.clone(),
    }
    .sort()
}

/// Asks one after the other, each branch by itself: what a chain must come to.
fn sequential(case: &Case) -> Outcome {
    let (mut context, question) = case.begin(true);
    let mut questions = [question];
    let mut out = Outcome {
        fates: Vec::new(),
        answer: None,
        delay: Duration::ZERO,
        failures: Vec::new(),
        skipped: Vec::new(),
    };
    let mut later: std::collections::VecDeque<(u32, usize)> = [(0, 0)].into();
    let mut decided: Vec<(u32, Decision, Option<usize>)> = Vec::new();
    while let Some((branch, from)) = later.pop_front() {
        let mut judge = Judge {
            context: &mut context,
            questions: &mut questions,
            limits: &case.limits,
            cautious: &[],
        };
        judge.enter(branch);
        let mut end = (Decision::Proceed, None);
        for (place, member) in case.stage.members.iter().enumerate().skip(from) {
            let answer = case
                .answer(place, judge.context, &judge.questions[0])
                .unwrap_or_else(|| Err(Fault::new(FaultKind::Timeout, "late")));
            let applied = answer.and_then(|verdict| {
                let made = judge.apply(member, &verdict.effective())?;
                Ok((verdict, made))
            });
            match applied {
                Ok((verdict, made)) => {
                    out.delay = out.delay.max(verdict.delay);
                    for (numbers, (_, decision)) in made.decided.iter().zip(&verdict.recipients) {
                        if decision.ends_chain() {
                            let by = Some(place);
                            decided.extend(numbers.iter().map(|own| (*own, decision.clone(), by)));
                        } else {
                            later.extend(numbers.iter().map(|own| (*own, place + 1)));
                        }
                    }
                    for number in made.forks {
                        if verdict.decision.ends_chain() {
                            decided.push((number, verdict.decision.clone(), Some(place)));
                        } else {
                            later.push_back((number, place + 1));
                        }
                    }
                    if verdict.decision.ends_chain() {
                        end = (verdict.decision, Some(place));
                        break;
                    }
                    if made.emptied {
                        break;
                    }
                }
                Err(fault) => {
                    let policy = member.binding.on_failure.at(case.event, fault.kind);
                    out.failures.push((place, fault.kind.name(), policy.name()));
                    let reply = |code| Reply::parse(code, None, "x").unwrap();
                    let decision = match policy {
                        Policy::Continue => {
                            judge.skipped(member, &fault);
                            continue;
                        }
                        Policy::Tempfail => Decision::Tempfail(reply(451)),
                        Policy::Reject => Decision::Reject(reply(550)),
                        Policy::Hold => Decision::Hold { at_most: None },
                        Policy::Quarantine => Decision::Quarantine,
                        Policy::Disconnect => Decision::Disconnect(reply(421)),
                    };
                    end = (decision, Some(place));
                    break;
                }
            }
        }
        decided.push((branch, end.0, end.1));
    }
    out.answer = questions[0].take_answer();
    let working = context.working().unwrap();
    for piece in working.pieces() {
        let (_, decision, by) = decided
            .iter()
            .find(|(number, ..)| *number == piece.number)
            .unwrap();
        let by = by.map(|member| By {
            member,
            binding: "x".into(),
            cause: crate::ruling::Cause::Verdict,
        });
        let mut draft = piece.draft.clone();
        if case.event == EventKind::InboundRcpt {
            let Context::Inbound(own) = &context else {
                panic!("another context");
            };
            draft.recipients = own.transaction().unwrap().pending().to_vec();
        }
        if !draft.recipients.is_empty() {
            out.fates.push(fate(&draft, decision, by.as_ref()));
        }
    }
    out.skipped.clone_from(&working.skipped);
    out.sort()
}

/// A question on its way: its speed, the member, and what it will answer.
type Open = (u64, usize, Option<Result<Verdict, Fault>>);

/// Runs the chain with answers in the order of the sinks' speed; the content ends before the answer number `end`.
/// Counts its steps.
fn concurrent(case: &Case, end: u64, strict: bool, steps: &mut u64) -> Outcome {
    let mut now = Instant::now();
    let start = now;
    let message = case.event == EventKind::InboundMessage;
    let (mut context, question) = case.begin(!message);
    let mut questions = [question];
    let budget = Some(Budget::starting(now, Duration::from_secs(36_000)));
    let options = ChainOptions {
        budget: budget.filter(|_| !message),
        strict,
        ..ChainOptions::default()
    };
    let mut chain = Chain::new(Arc::clone(&case.stage), options);
    let mut open: Vec<Open> = Vec::new();
    let (mut asked, mut settled) = (vec![0; case.sinks.len()], vec![0; case.sinks.len()]);
    let mut answers = 0;
    let mut has_ended = !message;
    loop {
        *steps += 1;
        assert!(
            now < start + Duration::from_secs(36_000),
            "it does not end: {chain:?}"
        );
        let mut judge = Judge {
            context: &mut context,
            questions: &mut questions,
            limits: &case.limits,
            cautious: &[],
        };
        match chain.poll(now, &mut judge) {
            Step::Ask { member, .. } => {
                asked[member] += 1;
                let answer = case.answer(member, &context, &questions[0]);
                open.push((case.sinks[member].speed, member, answer));
                open.sort_by_key(|(speed, member, _)| (*speed, *member));
            }
            Step::Cancel { member, .. } => open.retain(|(_, own, _)| *own != member),
            Step::Settle { member, .. } => settled[member] += 1,
            Step::Passed { .. } => panic!("everything fires"),
            Step::Done(ruling) => {
                assert_eq!(
                    asked, settled,
                    "each time that one was asked is settled once"
                );
                return outcome(&context, &ruling);
            }
            Step::Wait { until } => {
                if answers >= end && !has_ended {
                    has_ended = true;
                    if let Context::Inbound(own) = &mut context {
                        own.close_content(MAIL.len() as u64);
                    }
                    chain.content_ended(Budget::starting(now, Duration::from_secs(3600)), now);
                    continue;
                }
                answers += 1;
                if let Some(next) = open.iter().position(|(_, _, answer)| answer.is_some()) {
                    let (_, member, answer) = open.remove(next);
                    if case.sinks[member].says_progress {
                        chain.progress(member, None, now);
                    }
                    assert!(
                        chain.answer(member, answer.unwrap(), now),
                        "it is waited for"
                    );
                } else if let Some(until) = until {
                    now = until;
                } else {
                    assert!(!has_ended, "nothing can happen any more: {chain:?}");
                    answers = end;
                }
            }
        }
    }
}

#[test]
fn the_outcome_is_that_of_asking_in_turn() {
    walk(STEPS, 0);
}

#[test]
#[ignore = "takes a minute; .ci/run runs it"]
fn the_outcome_of_a_million_steps_is_that_of_asking_in_turn() {
    walk(ALL_STEPS, 1 << 32);
}

/// Compares chains with asking in turn for so many steps, from this seed on.
fn walk(most: u64, first: u64) {
    let mut steps = 0;
    let (mut split, mut refused, mut answered, mut failed) = (0, 0, 0, 0);
    let mut seed = first;
    while steps < most {
        seed += 1;
        let mut random = Random::new(seed);
        let case = Case::random(&mut random);
        let end = random.below(6);
        let expected = sequential(&case);
        let live = concurrent(&case, end, true, &mut steps);
        assert_eq!(live, expected, "seed {seed}");
        // Of what is refused early only the reply may be another one.
        let early = concurrent(&case, end, false, &mut steps);
        assert_eq!(early.refuses_all(), expected.refuses_all(), "seed {seed}");
        if !expected.refuses_all() {
            assert_eq!(early, expected, "seed {seed}");
        }
        split += u64::from(expected.fates.len() > 1);
        refused += u64::from(expected.refuses_all());
        answered += u64::from(expected.answer.is_some());
        failed += u64::from(!expected.failures.is_empty());
    }
    // The cases are worth something.
    let seed = seed - first;
    for count in [split, refused, answered, failed] {
        assert!(
            count > seed / 50,
            "{split} split, {refused} refused, {answered} answered, {failed} failed of {seed}"
        );
    }
}
