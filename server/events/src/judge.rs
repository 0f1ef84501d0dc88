//! What a chain does to its context: whether a binding fires, its edits, its answers, and that it was passed over.

use postern_message::EditLimits;
use postern_proto::v1 as pb;

use crate::chain::ChainState;
use crate::condition::Shown;
use crate::context::{Context, Made, TRUNK};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::plan::Member;
use crate::question::Question;
use crate::ruling::{Ruling, Verdict};
use crate::source::Source;

/// The state of one chain: the context of its scope, and its questions.
#[derive(Debug)]
pub struct Judge<'a> {
    /// What is known.
    pub context: &'a mut Context,
    /// The questions of the stage, by [`Member::about`]: one, or those that waited and then the stage's own.
    pub questions: &'a mut [Question],
    /// What edits may come to: [`Plan::limits`](crate::plan::Plan::limits) of the server that accepts the message.
    pub limits: &'a EditLimits,
    /// Bindings that must be asked in their turn, by what their sinks say now.
    pub cautious: &'a [String],
}

impl Judge<'_> {
    fn question(&self, member: &Member) -> Result<&Question, Fault> {
        self.questions
            .get(member.about)
            .ok_or_else(|| Fault::protocol("a member of a stage has no question"))
    }

    /// The attributes that the operator shows to a member's sink.
    ///
    /// # Errors
    /// One of them cannot be evaluated: the binding's failure.
    pub fn attributes(&self, member: &Member) -> Result<Vec<pb::NamedValue>, Fault> {
        attributes(
            &member.binding.attributes,
            self.context,
            self.question(member)?,
        )
    }
}

/// The attributes that the operator shows, at one event.
///
/// # Errors
/// One of them cannot be evaluated: the binding's failure.
pub fn attributes(
    shown: &[Shown],
    context: &Context,
    question: &Question,
) -> Result<Vec<pb::NamedValue>, Fault> {
    let source = Source { context, question };
    shown.iter().map(|own| own.value(&source)).collect()
}

/// What is known to the sink alone: whom names stand for, and whose mail it keeps. Without it the mail that the sink itself put
/// in would come to an end that no other has.
const fn looks_up(event: EventKind) -> bool {
    matches!(
        event,
        EventKind::TransportCategorize
            | EventKind::TransportExpand
            | EventKind::TransportLocalDelivery
    )
}

/// Whether a binding's rule and condition hold for a question.
///
/// # Errors
/// The condition could not be evaluated: the binding's failure.
pub fn fires(
    binding: &crate::plan::Binding,
    context: &Context,
    question: &Question,
) -> Result<bool, Fault> {
    if !binding.asks_about_own
        && !looks_up(question.kind())
        && context.is_injected_by(&binding.sink.name)
    {
        return Ok(false);
    }
    if binding.rule.is_empty() && binding.condition.is_none() {
        return Ok(true);
    }
    let source = Source { context, question };
    if !binding.rule.holds(&source) {
        return Ok(false);
    }
    binding
        .condition
        .as_ref()
        .map_or(Ok(true), |condition| condition.holds(&source))
}

impl ChainState for Judge<'_> {
    fn fires(&mut self, member: &Member) -> Result<bool, Fault> {
        fires(&member.binding, self.context, self.question(member)?)
    }

    fn apply(&mut self, member: &Member, verdict: &Verdict) -> Result<Made, Fault> {
        let of = self.question(member)?.event().facts().recipient;
        let split = verdict.split();
        let sink = &member.binding.sink.name;
        let refused = |error| Fault::protocol(format!("its edits cannot be applied: {error}"));
        // Of what had waited for this RCPT only the recipient's own event is about one recipient.
        let of = of.filter(|_| member.event == EventKind::InboundRcpt);
        let made = self
            .context
            .apply(
                sink,
                &verdict.edits,
                &verdict.orders,
                &split,
                of,
                self.limits,
            )
            .map_err(refused)?;
        if let Some(answer) = &verdict.answer
            && let Some(question) = self.questions.get_mut(member.about)
        {
            question.answer(answer.clone(), &member.binding.name);
        }
        Ok(made)
    }

    fn skipped(&mut self, member: &Member, _fault: &Fault) {
        self.context.skip(&member.binding.name);
    }

    fn enter(&mut self, branch: u32) {
        if let Some(working) = self.context.working_mut() {
            working.enter(branch);
        }
    }

    fn in_turn(&self, member: &Member) -> bool {
        self.cautious
            .iter()
            .any(|name| **name == *member.binding.name)
    }

    fn complete(&mut self, ruling: &mut Ruling) {
        let last = self.questions.last_mut();
        ruling.answered_by = last.and_then(Question::take_answered_by);
        ruling.answer = self.questions.last_mut().and_then(Question::take_answer);
        let Some(working) = self.context.working_mut() else {
            return;
        };
        working.enter(TRUNK);
        for piece in working.pieces() {
            if let Some(branch) = ruling
                .branches
                .iter_mut()
                .find(|branch| branch.number == piece.number)
            {
                branch.message_id = piece.id;
                branch.recipients = piece.draft.recipients.iter().map(|one| one.id).collect();
                branch.draft = piece.draft.clone();
                branch.orders = piece.orders.clone();
            }
        }
        // All of it went into other branches.
        ruling
            .branches
            .retain(|branch| !branch.recipients.is_empty());
    }
}

#[cfg(test)]
mod tests;
