//! Refusals that need not wait for their turn.

use std::sync::Arc;
use std::time::Instant;

use super::slot::Slot;
use super::{Chain, ChainState};
use crate::plan::Member;
use crate::ruling::{By, Cause, Settlement};

impl Chain {
    /// An earlier chain has been decided, with nothing that spares the message: refusals here may be applied.
    pub const fn earlier_decided(&mut self) {
        self.earlier_may_spare = false;
    }

    /// Some member that has not taken effect yet may let the message be accepted in spite of a later refusal.
    #[must_use]
    pub fn may_still_spare(&self) -> bool {
        let slots = self.slots.iter().zip(&self.stage.members).skip(self.head);
        !self.done
            && slots
                .into_iter()
                .any(|(slot, member)| self.spares(slot, member))
    }

    /// Applies a refusal that has arrived while the content is still arriving, if nobody before it can spare the
    /// message. True if there was one.
    pub(super) fn refuse_early(&mut self, now: Instant, state: &mut dyn ChainState) -> bool {
        let is_split = !(self.later.is_empty() && self.decided.is_empty());
        if self.budget.is_some() || self.strict || self.earlier_may_spare || is_split {
            return false;
        }
        let stage = Arc::clone(&self.stage);
        let mut refuser = None;
        for (place, member) in stage.members.iter().enumerate().skip(self.head) {
            let Some(slot) = self.slots.get(place) else {
                break;
            };
            let refuses = matches!(
                slot,
                Slot::Answered { answer: Ok(verdict), .. }
                    if verdict.decision.is_refusal() && !verdict.splits()
            );
            if refuses {
                refuser = Some((place, member));
                break;
            }
            if self.spares(slot, member) {
                break;
            }
        }
        let Some((place, member)) = refuser else {
            return false;
        };
        let Some(Slot::Answered {
            answer: Ok(verdict),
            ..
        }) = self
            .slots
            .get_mut(place)
            .map(|slot| std::mem::replace(slot, Slot::Over))
        else {
            return false;
        };
        // Properties hold whatever is decided. A verdict that cannot be applied is a failure, in its turn.
        if let Err(fault) = state.apply(member, &verdict.effective()) {
            if let Some(slot) = self.slots.get_mut(place) {
                *slot = Slot::Answered {
                    answer: Err(fault),
                    asked: true,
                    settled: false,
                };
            }
            return true;
        }
        self.settle(place, Settlement::Applied);
        self.delay = self.delay.max(verdict.delay);
        let by = By {
            member: place,
            binding: Arc::clone(&member.binding.name),
            cause: Cause::Verdict,
        };
        self.end_branch(verdict.decision, Some(by), verdict.reason_code, now, state);
        true
    }

    /// Whether the member may still let the message be accepted.
    fn spares(&self, slot: &Slot, member: &Member) -> bool {
        match slot {
            Slot::Over => false,
            Slot::Waiting | Slot::Asked(_) => member.spares,
            Slot::Answered {
                answer: Ok(verdict),
                ..
            } => {
                verdict.splits()
                    || verdict.decision.ends_chain() && !verdict.decision.is_refusal()
                    // Edits that cannot be applied are a failure, and its policy may spare.
                    || !verdict.edits.is_empty() && member.spares
            }
            Slot::Answered {
                answer: Err(fault), ..
            } => {
                let policy = member.binding.on_failure.at(self.stage.event, fault.kind);
                policy.spares()
            }
        }
    }
}
