//! What a run reports: to sinks that nobody waits any more, or what became of their answers; to the observer everything.

use std::time::Instant;

use postern_events::chain::{Cancelled, Step};
use postern_events::ruling::{Decision, FinishScope, Ruling, Settlement, Verdict};
use postern_proto::v1 as pb;

use crate::observer::What;
use crate::sink::Command;

use super::{Run, Sent};

impl Run {
    /// Acts on a step of the chain that neither asks nor waits.
    pub(super) fn tell(&mut self, step: Step) {
        match step {
            Step::Passed { member } => self.observe(
                member,
                What::Skipped {
                    why: "its rule or condition does not hold",
                },
            ),
            Step::Cancel { member, why } => {
                let reason = match why {
                    Cancelled::Deadline => pb::CancelReason::Deadline,
                    Cancelled::Decided => pb::CancelReason::Decided,
                };
                self.note_over(member);
                self.give_up(member, reason);
            }
            Step::Settle { member, settlement } => self.settle(member, &settlement),
            Step::Ask { .. } | Step::Wait { .. } | Step::Done(_) => {}
        }
    }

    /// Nobody waits for this member's answer any more.
    pub(super) fn give_up(&mut self, member: usize, reason: pb::CancelReason) {
        let key = self
            .members
            .get(member)
            .and_then(|own| own.asked.as_ref())
            .map(|sent| sent.attached.key);
        if let (Some((sink, question)), Some(key)) = (self.way(member), key) {
            let command = Command::Cancel {
                key,
                question,
                reason,
            };
            // An answer that comes all the same is for nobody.
            let _stuck = sink.send(command).is_err();
        }
    }

    fn settle(&mut self, member: usize, settlement: &Settlement) {
        if let Settlement::NotReached { because_of } = settlement {
            self.observe(
                member,
                What::NotReached {
                    because: because_of,
                },
            );
        }
        let wanted = self
            .members
            .get(member)
            .and_then(|own| own.asked.as_ref())
            .is_some_and(|sent| sent.attached.settles());
        if let Some((sink, question)) = self.way(member).filter(|_| wanted) {
            let settled = Box::new(to_wire(settlement));
            let _stuck = sink.send(Command::Settle { question, settled }).is_err();
        }
    }

    /// How to reach the sink of a member, and the question that it was asked.
    pub(super) fn way(
        &self,
        member: usize,
    ) -> Option<(std::sync::Arc<crate::sink::SinkHandle>, u64)> {
        let question = self.members.get(member)?.asked.as_ref()?.key;
        let binding = self.binding(member)?;
        Some((self.scope.shared.sink(&binding.sink), question))
    }

    pub(super) fn finish(mut self, ruling: Ruling) -> Ruling {
        self.done = true;
        if matches!(ruling.decision, Decision::Finish(FinishScope::Message)) {
            self.scope.finish_message();
        }
        for failure in &ruling.failures {
            let elapsed = self
                .members
                .get(failure.member)
                .and_then(|own| own.elapsed)
                .unwrap_or_default();
            self.observe(
                failure.member,
                What::Failed {
                    elapsed,
                    fault: &failure.fault,
                },
            );
        }
        let what = What::Ruled {
            elapsed: self.began.elapsed(),
            decision: &ruling.decision,
            by: ruling.by.as_ref().map(|by| &*by.binding),
            reply: ruling.decision.reply(),
        };
        if let Some(question) = self.questions.last() {
            self.scope.observe(question, None, "", what);
        }
        ruling
    }

    pub(super) fn observe_answer(&self, member: usize, verdict: &Verdict) {
        let elapsed = self
            .members
            .get(member)
            .and_then(|own| own.elapsed)
            .unwrap_or_default();
        self.observe(
            member,
            What::Answered {
                elapsed,
                decision: &verdict.decision,
                reply: verdict.decision.reply(),
                edits: &verdict.edits,
                reason: &verdict.reason_code,
                explanation: &verdict.explanation,
                warnings: &verdict.warnings,
            },
        );
    }

    pub(super) fn observe_asked(&self, member: usize, deadline: Option<Instant>, now: Instant) {
        let time = deadline.map_or_else(
            || self.timeout(member),
            |at| at.saturating_duration_since(now),
        );
        let again = self.members.get(member).is_some_and(|own| own.attempt > 1);
        self.observe(
            member,
            What::Asked {
                deadline: time,
                again,
            },
        );
    }

    pub(super) fn observe(&self, member: usize, what: What<'_>) {
        let (Some(binding), Some(question)) = (self.binding(member), self.question_of(member))
        else {
            return;
        };
        let replica = self
            .members
            .get(member)
            .and_then(|own| own.asked.as_ref())
            .map(Sent::replica);
        self.scope.observe(
            question,
            Some(&binding),
            replica.as_deref().unwrap_or(""),
            what,
        );
    }
}

/// What became of a verdict, for its sink. The link fills in which.
fn to_wire(settlement: &Settlement) -> pb::Settled {
    let (word, because_of_binding, detail) = match settlement {
        Settlement::Applied => (pb::Settlement::Applied, String::new(), String::new()),
        Settlement::NotReached { because_of } => (
            pb::Settlement::NotReached,
            because_of.to_string(),
            String::new(),
        ),
        Settlement::Refused(fault) => (pb::Settlement::Refused, String::new(), fault.to_string()),
    };
    pb::Settled {
        settlement: word.into(),
        because_of_binding,
        detail,
        ..pb::Settled::default()
    }
}
