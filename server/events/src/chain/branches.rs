//! Branches of a message in a chain: made by a verdict, judged one after the other.

use std::sync::Arc;
use std::time::Instant;

use super::slot::{Decided, Later, Slot};
use super::{Chain, ChainState, Step};
use crate::context::Made;
use crate::ruling::{Branch, By, Decision, Ruling, Settlement, Verdict};

impl Chain {
    /// A verdict that lies at the head makes branches, and waits for who is being asked.
    pub(super) fn is_about_to_split(&self) -> bool {
        matches!(
            self.slots.get(self.head),
            Some(Slot::Answered { answer: Ok(verdict), .. }) if verdict.splits()
        )
    }

    /// Notes the branches that a verdict made. What lies answered behind it counts for each of them.
    pub(super) fn branch_off(&mut self, verdict: &Verdict, made: Made, by: &By) {
        for (numbers, (_, decision)) in made.decided.into_iter().zip(&verdict.recipients) {
            for number in numbers {
                self.put_aside(number, decision, verdict, by);
            }
        }
        for number in made.forks {
            self.put_aside(number, &verdict.decision, verdict, by);
        }
    }

    /// A branch about which this was decided: it is done, or judged later.
    fn put_aside(&mut self, number: u32, decision: &Decision, verdict: &Verdict, by: &By) {
        if decision.ends_chain() {
            self.decided.push(Decided {
                number,
                decision: decision.clone(),
                by: Some(by.clone()),
                made_by: Some(Arc::clone(&by.binding)),
                reason_code: verdict.reason_code.clone(),
            });
            return;
        }
        let mut slots = self.slots.clone();
        // Settled where the rest of the message comes to them, or where that ends.
        for slot in slots.iter_mut().skip(self.head) {
            if let Slot::Answered { settled, .. } = slot {
                *settled = true;
            }
        }
        self.later.push_back(Later {
            number,
            head: self.head,
            slots,
            made_by: Arc::clone(&by.binding),
        });
    }

    /// What is judged now has come to this. The next branch follows, or the chain is done.
    pub(super) fn end_branch(
        &mut self,
        decision: Decision,
        by: Option<By>,
        reason_code: String,
        now: Instant,
        state: &mut dyn ChainState,
    ) {
        self.settle_rest(by.as_ref());
        self.decided.push(Decided {
            number: self.branch,
            decision,
            by,
            made_by: self.made_by.take(),
            reason_code,
        });
        let Some(next) = self.later.pop_front() else {
            return self.end(state);
        };
        state.enter(next.number);
        self.branch = next.number;
        self.head = next.head;
        self.slots = next.slots;
        self.made_by = Some(next.made_by);
        // The budget is that of the reply: it goes on.
        self.expire(now);
    }

    /// Nobody waits for what is left of the branch.
    fn settle_rest(&mut self, by: Option<&By>) {
        for place in self.head..self.slots.len() {
            match by {
                Some(by) => self.give_up(place, &by.binding),
                None => {
                    if let Some(slot) = self.slots.get_mut(place)
                        && let Slot::Answered {
                            asked: true,
                            settled: false,
                            ..
                        } = std::mem::replace(slot, Slot::Over)
                    {
                        self.settle(place, Settlement::Applied);
                    }
                }
            }
        }
    }

    fn end(&mut self, state: &mut dyn ChainState) {
        self.done = true;
        let mut decided = std::mem::take(&mut self.decided);
        decided.sort_by_key(|own| own.number);
        let mut ruling = Ruling {
            delay: self.delay,
            failures: std::mem::take(&mut self.failures),
            standing: self.standing.take(),
            ..Ruling::proceed(self.stage.event)
        };
        for own in decided {
            if own.number == crate::context::TRUNK {
                ruling.decision = own.decision;
                ruling.by = own.by;
                ruling.reason_code = own.reason_code;
            } else {
                ruling.branches.push(Branch {
                    number: own.number,
                    message_id: postern_message::MessageId::new(),
                    recipients: Vec::new(),
                    decision: own.decision,
                    by: own.by,
                    made_by: own.made_by,
                    reason_code: own.reason_code,
                    draft: postern_message::Draft::empty(),
                    orders: crate::order::Orders::default(),
                });
            }
        }
        state.complete(&mut ruling);
        self.out.push_back(Step::Done(ruling));
    }
}
