//! One run of a chain against real sinks: sends what the chain asks, hears what they answer, keeps its time.
//!
//! It runs inside the future of whoever waits for the ruling, with no task of its own. Dropping it cancels what is open.

mod driving;
mod group;
mod putting;
mod reporting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_events::budget::Budget;
use postern_events::chain::{Chain, ChainOptions, Start, Step};
use postern_events::fault::Fault;
use postern_events::judge::Judge;
use postern_events::plan::{Binding, Stage};
use postern_events::question::Question;
use postern_events::ruling::{Decision, Ruling, Verdict};
use postern_events::validate::{Asked, NoUploads, validate};
use postern_message::Version;
use postern_proto::v1 as pb;

use crate::answers::Answers;
use crate::attached::Attached;
use crate::attachment::Unasked;
use crate::content::Content;
use crate::observer::What;
use crate::scope::Scope;
use crate::sink::{Answer, QuestionKey, Ticket};

pub(crate) use group::Gathering;

/// One run.
pub(crate) struct Run {
    scope: Arc<Scope>,
    questions: Vec<Question>,
    chain: Chain,
    answers: Arc<Answers<Answer>>,
    members: Vec<MemberState>,
    content: Option<Arc<dyn Content>>,
    /// How often a sink may have been asked before, when the stage was begun earlier.
    earlier: u32,
    reason: pb::AskReason,
    began: Instant,
    /// The ruling, where the chain ended before anybody waited.
    ended: Option<Ruling>,
    /// Bindings whose sinks say that asking has side effects, though the plan does not know.
    cautious: Vec<String>,
    done: bool,
}

/// One member, as far as it was asked.
#[derive(Default)]
struct MemberState {
    /// How often it was asked.
    attempt: u32,
    asked: Option<Sent>,
    /// The version that the sink was shown.
    version: Option<Version>,
    elapsed: Option<Duration>,
}

/// A question that was sent.
#[derive(Clone)]
struct Sent {
    key: QuestionKey,
    attached: Arc<Attached>,
    /// When it was sent the first time.
    at: Instant,
    /// The replica that was asked before this one.
    before: Option<Arc<str>>,
}

impl Sent {
    /// The replica that has it; the one before, while it is with none.
    fn replica(&self) -> Arc<str> {
        let replica = self.attached.replica();
        match &self.before {
            Some(before) if replica.is_empty() => Arc::clone(before),
            _ => replica,
        }
    }
}

/// How a run begins.
pub(crate) struct Begin {
    /// The time for the reply; absent while the content is still arriving.
    pub(crate) budget: Option<Budget>,
    /// Whom to begin with.
    pub(crate) start: Start,
    /// How often a sink may have been asked before, when the stage was begun earlier.
    pub(crate) earlier: u32,
    /// Why it is asked.
    pub(crate) reason: pb::AskReason,
    /// The content that belongs to the event.
    pub(crate) content: Option<Arc<dyn Content>>,
    /// The reply reports something that has been done.
    pub(crate) reply_stands: bool,
}

impl Default for Begin {
    fn default() -> Self {
        Self {
            budget: None,
            start: Start::First,
            earlier: 0,
            reason: pb::AskReason::Happened,
            content: None,
            reply_stands: false,
        }
    }
}

/// One question that the chain wants asked now.
#[derive(Clone, Copy)]
struct Due {
    member: usize,
    deadline: Option<Instant>,
}

impl Run {
    /// Begins a run of a stage.
    pub(crate) fn new(
        scope: &Arc<Scope>,
        stage: Arc<Stage>,
        questions: Vec<Question>,
        begin: Begin,
    ) -> Self {
        let options = ChainOptions {
            start: begin.start,
            budget: begin.budget,
            reference: scope.reference(),
            stands: begin.reply_stands,
            ..ChainOptions::default()
        };
        let members = stage
            .members
            .iter()
            .map(|_| MemberState::default())
            .collect();
        let cautious = stage
            .members
            .iter()
            .map(|member| &member.binding)
            .filter(|binding| {
                !binding.side_effects && scope.shared.sink(&binding.sink).is_cautious()
            })
            .map(|binding| binding.name.to_string())
            .collect();
        Self {
            scope: Arc::clone(scope),
            questions,
            chain: Chain::new(stage, options),
            answers: Arc::new(Answers::new()),
            members,
            content: begin.content,
            earlier: begin.earlier,
            reason: begin.reason,
            began: Instant::now(),
            ended: None,
            cautious,
            done: false,
        }
    }

    /// Goes on until the chain waits or has ended: whom it wants asked, and until when it waits.
    fn advance(&mut self) -> (Vec<Due>, Option<Instant>) {
        let mut due = Vec::new();
        loop {
            match self.poll_chain() {
                Step::Ask {
                    member, deadline, ..
                } => due.push(Due { member, deadline }),
                Step::Wait { until } => return (due, until),
                Step::Done(ruling) => {
                    self.ended = Some(ruling);
                    return (due, None);
                }
                other => self.tell(other),
            }
        }
    }

    fn poll_chain(&mut self) -> Step {
        let mut state = self.scope.state();
        let limits = self.scope.plan.limits(&self.scope.server);
        let mut judge = Judge {
            context: &mut state.context,
            questions: &mut self.questions,
            limits: &limits,
            cautious: &self.cautious,
        };
        self.chain.poll(Instant::now(), &mut judge)
    }

    /// A member is not asked after all.
    fn unasked(&mut self, member: usize, why: &Unasked) {
        match why {
            Unasked::Declined => self.declined(member),
            Unasked::Fault(fault) => {
                self.chain
                    .answer(member, Err(fault.clone()), Instant::now());
            }
        }
    }

    fn timeout(&self, member: usize) -> Duration {
        self.chain
            .stage()
            .members
            .get(member)
            .map_or(Duration::ZERO, |member| member.timeout)
    }

    fn declined(&mut self, member: usize) {
        self.observe(
            member,
            What::Skipped {
                why: "the sink needs nothing further",
            },
        );
        self.chain
            .answer(member, Ok(Verdict::of(Decision::Proceed)), Instant::now());
    }

    /// The question is still open, and was not asked elsewhere meanwhile.
    fn is_current(&self, ticket: Ticket) -> bool {
        self.members
            .get(ticket.member)
            .is_some_and(|own| own.attempt == ticket.attempt)
            && self.chain.open().any(|member| member == ticket.member)
    }

    fn check(&self, member: usize, verdict: pb::Verdict) -> Result<Verdict, Fault> {
        let (Some(binding), Some(own), Some(question)) = (
            self.binding(member),
            self.members.get(member),
            self.question_of(member),
        ) else {
            return Err(Fault::protocol("nobody asked"));
        };
        let state = self.scope.state();
        let asked = Asked {
            binding: &binding,
            question,
            context: &state.context,
            version: own.version.as_ref(),
        };
        validate(verdict, &asked, &mut NoUploads)
    }

    fn content_ended(&mut self, budget: Budget) {
        if let Some(end) = self.content.as_ref().and_then(|content| content.end()) {
            self.scope.close_content(end.size_bytes);
            for own in &mut self.members {
                own.version = own.version.take().map(|version| {
                    if version.is_open() {
                        version.close(end.size_bytes)
                    } else {
                        version
                    }
                });
            }
        }
        self.chain.content_ended(budget, Instant::now());
    }

    fn binding(&self, member: usize) -> Option<Arc<Binding>> {
        self.chain
            .stage()
            .members
            .get(member)
            .map(|member| Arc::clone(&member.binding))
    }

    /// The question that a member is asked: of several, where some waited for this moment.
    fn question_of(&self, member: usize) -> Option<&Question> {
        let about = self.chain.stage().members.get(member)?.about;
        self.questions.get(about)
    }

    /// A question is not open any more.
    fn note_over(&mut self, member: usize) {
        let (Some(binding), Some(question)) =
            (self.binding(member), self.question_of(member).cloned())
        else {
            return;
        };
        if let Some(own) = self.members.get_mut(member) {
            own.elapsed = own.asked.as_ref().map(|asked| asked.at.elapsed());
        }
        let mut state = self.scope.state();
        let (attachment, _, _) = self.scope.attachment(&mut state, &binding);
        attachment.over(&question);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let open: Vec<usize> = self.chain.open().collect();
        for member in open {
            self.give_up(member, pb::CancelReason::ClientGone);
        }
    }
}
