//! What a run tells: sinks that nobody waits any more or what became of their answers, the observer everything.

use std::sync::Arc;

use postern_proto::v1 as pb;
use postern_proto::v1::AttachRequest;
use postern_proto::v1::attach_request::Kind;

use crate::chain::Cancelled;
use crate::observer::What;
use crate::plan::Binding;
use crate::verdict::{Decision, FinishScope, Ruling, Settlement, Verdict};

use super::Run;

impl Run {
    pub(super) fn cancel(&mut self, member: usize, why: Cancelled) {
        self.note_elapsed(member);
        let Some(asked) = self.asks.get(member).and_then(|ask| ask.asked.clone()) else {
            return;
        };
        let reason = match why {
            Cancelled::Deadline => pb::CancelReason::Deadline,
            Cancelled::Decided => pb::CancelReason::Decided,
        };
        let was_open = asked.instance.give_up(asked.event_id, reason);
        if was_open && why == Cancelled::Deadline {
            let stream = Arc::clone(asked.instance.stream());
            // The handler of a sink for one at a time may be stuck: the next event gets a new one.
            if stream.is_exclusive() && asked.instance.is_idle() {
                asked.instance.close(pb::CloseReason::Parked);
            }
            stream.replica().timed_out();
        }
    }

    pub(super) fn settle(&mut self, member: usize, settlement: &Settlement) {
        if let Settlement::NotReached { because_of } = settlement {
            self.observe(
                member,
                What::NotReached {
                    because: because_of,
                },
            );
        }
        let Some(asked) = self.asks.get(member).and_then(|ask| ask.asked.as_ref()) else {
            return;
        };
        let stream = asked.instance.stream();
        let wanted = stream
            .replica()
            .described()
            .is_some_and(|described| described.wants_settled);
        if !wanted || !asked.instance.is_open() {
            return;
        }
        let (word, because, detail) = match settlement {
            Settlement::Applied => (pb::Settlement::Applied, String::new(), String::new()),
            Settlement::NotReached { because_of } => (
                pb::Settlement::NotReached,
                because_of.to_string(),
                String::new(),
            ),
            Settlement::Refused(fault) => {
                (pb::Settlement::Refused, String::new(), fault.to_string())
            }
        };
        let settled = pb::Settled {
            event_id: asked.event_id,
            settlement: word.into(),
            because_of_binding: because,
            detail,
        };
        stream.send_in_any_case(AttachRequest {
            instance_id: asked.instance.id(),
            kind: Some(Kind::Settled(settled)),
        });
    }

    pub(super) fn finish(mut self, ruling: Ruling) -> Ruling {
        self.done = true;
        for failure in &ruling.failures {
            let elapsed = self
                .asks
                .get(failure.member)
                .and_then(|ask| ask.elapsed)
                .unwrap_or_default();
            self.observe(
                failure.member,
                What::Failed {
                    elapsed,
                    fault: &failure.fault,
                },
            );
        }
        if matches!(ruling.decision, Decision::Hold | Decision::Defer(_)) {
            self.note_passed(&ruling);
        }
        if matches!(ruling.decision, Decision::Finish(FinishScope::Message)) {
            self.scope.facts.lock().finish_message();
        }
        let what = What::Ruled {
            elapsed: self.began.elapsed(),
            decision: &ruling.decision,
            by: ruling.by.as_ref().map(|by| &*by.binding),
            reply: ruling.decision.reply(),
        };
        self.scope.observe(&self.happening, None, "", what);
        ruling
    }

    /// The message is put off: who stood before the binding that did it is not to be asked again.
    pub(super) fn note_passed(&self, ruling: &Ruling) {
        let Some(by) = &ruling.by else { return };
        let before = self.chain.stage().members.iter().take(by.member);
        let names: Vec<&str> = before.map(|member| &*member.binding.name).collect();
        self.scope
            .facts
            .lock()
            .note_passed(ruling.event, &names.join(" "));
    }

    pub(super) fn binding(&self, member: usize) -> Option<Arc<Binding>> {
        self.chain
            .stage()
            .members
            .get(member)
            .map(|member| Arc::clone(&member.binding))
    }

    pub(super) fn note_elapsed(&mut self, member: usize) {
        if let Some(ask) = self.asks.get_mut(member) {
            ask.elapsed = ask.asked.as_ref().map(|asked| asked.at.elapsed());
        }
    }

    pub(super) fn observe_answer(&self, member: usize, verdict: &Verdict) {
        let elapsed = self
            .asks
            .get(member)
            .and_then(|ask| ask.elapsed)
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

    pub(super) fn observe(&self, member: usize, what: What<'_>) {
        let Some(binding) = self
            .chain
            .stage()
            .members
            .get(member)
            .map(|member| &member.binding)
        else {
            return;
        };
        let asked = self.asks.get(member).and_then(|ask| ask.asked.as_ref());
        let replica = asked.map_or("", |asked| asked.instance.stream().replica().name());
        self.scope
            .observe(&self.happening, Some(binding), replica, what);
    }
}
