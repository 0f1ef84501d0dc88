//! Answers take effect, in their order.

use std::sync::Arc;
use std::time::Instant;

use super::slot::Slot;
use super::{Cancelled, Chain, ChainState, Step, policy};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::plan::Member;
use crate::ruling::{By, Cause, Decision, Failure, Settlement, Standing, Verdict};

impl Chain {
    /// Lets answers take effect whose turn it is. True if some did.
    pub(super) fn apply_ready(&mut self, now: Instant, state: &mut dyn ChainState) -> bool {
        let before = self.head;
        while !self.done {
            let stage = Arc::clone(&self.stage);
            let in_flight = self.is_asking_behind(self.head);
            let (Some(slot), Some(member)) =
                (self.slots.get_mut(self.head), stage.members.get(self.head))
            else {
                self.end_branch(Decision::Proceed, None, String::new(), now, state);
                return true;
            };
            match slot {
                Slot::Waiting | Slot::Asked(_) => break,
                // Where the body ends is not known yet, so splices cannot be placed.
                Slot::Answered {
                    answer: Ok(verdict),
                    ..
                } if self.budget.is_none() && verdict.edits_body() => {
                    break;
                }
                // Who is being asked about the whole message answers for every branch of it.
                Slot::Answered {
                    answer: Ok(verdict),
                    ..
                } if verdict.splits() && in_flight => {
                    break;
                }
                Slot::Over => self.head += 1,
                Slot::Answered { .. } => {
                    if let Slot::Answered {
                        answer,
                        asked,
                        settled,
                    } = std::mem::replace(slot, Slot::Over)
                    {
                        let place = self.head;
                        self.head += 1;
                        let asked = asked && !settled;
                        self.take_effect(place, member, answer, asked, now, state);
                    }
                }
            }
        }
        self.done || self.head > before
    }

    /// Somebody behind this place is being asked.
    fn is_asking_behind(&self, place: usize) -> bool {
        let behind = self.slots.iter().skip(place + 1);
        behind
            .into_iter()
            .any(|slot| matches!(slot, Slot::Asked(_)))
    }

    fn take_effect(
        &mut self,
        place: usize,
        member: &Member,
        answer: Result<Verdict, Fault>,
        asked: bool,
        now: Instant,
        state: &mut dyn ChainState,
    ) {
        let applied = answer.and_then(|verdict| {
            let made = state.apply(member, &verdict.effective())?;
            Ok((verdict, made))
        });
        let (verdict, made) = match applied {
            Ok(applied) => applied,
            Err(fault) => return self.fail(place, member, fault, asked, now, state),
        };
        if asked {
            self.settle(place, Settlement::Applied);
        }
        self.delay = self.delay.max(verdict.delay);
        let by = By {
            member: place,
            binding: Arc::clone(&member.binding.name),
            cause: Cause::Verdict,
        };
        let emptied = made.emptied;
        if self.stands_over(member, &verdict.decision, &by, &verdict.reason_code) {
            return;
        }
        self.branch_off(&verdict, made, &by);
        if member.event != self.stage.event && matches!(verdict.decision, Decision::Finish(_)) {
            self.finish_event(member.event, &by.binding);
        } else if verdict.decision.ends_chain() {
            self.end_branch(verdict.decision, Some(by), verdict.reason_code, now, state);
        } else if emptied {
            for place in self.head..self.slots.len() {
                self.give_up(place, &by.binding);
            }
            self.end_branch(Decision::Proceed, None, String::new(), now, state);
        }
    }

    /// Notes a refusal of an event that had waited. True if the chain goes on all the same.
    fn stands_over(&mut self, member: &Member, decision: &Decision, by: &By, code: &str) -> bool {
        if member.event == self.stage.event || !decision.is_refusal() {
            return false;
        }
        self.standing.get_or_insert_with(|| Standing {
            event: member.event,
            decision: decision.clone(),
            by: by.clone(),
            reason_code: code.to_owned(),
        });
        member.speaks_later
    }

    /// An event that had waited is finished: its other members are not asked, those of later events are.
    fn finish_event(&mut self, event: EventKind, because_of: &Arc<str>) {
        let stage = Arc::clone(&self.stage);
        for (place, member) in stage.members.iter().enumerate().skip(self.head) {
            if member.event == event {
                self.give_up(place, because_of);
            }
        }
    }

    pub(super) fn settle(&mut self, member: usize, settlement: Settlement) {
        self.out.push_back(Step::Settle { member, settlement });
    }

    fn fail(
        &mut self,
        place: usize,
        member: &Member,
        fault: Fault,
        asked: bool,
        now: Instant,
        state: &mut dyn ChainState,
    ) {
        if asked {
            self.settle(place, Settlement::Refused(fault.clone()));
        }
        let policy = member.binding.on_failure.at(self.stage.event, fault.kind);
        let binding = Arc::clone(&member.binding.name);
        self.failures.push(Failure {
            member: place,
            binding: Arc::clone(&binding),
            fault: fault.clone(),
            policy,
        });
        match policy::decision(self.stage.event, policy, self.stands, &self.reference) {
            None => state.skipped(member, &fault),
            Some(decision) => {
                let by = By {
                    member: place,
                    binding,
                    cause: Cause::Failure(policy, fault),
                };
                if self.stands_over(member, &decision, &by, "") {
                    return;
                }
                self.end_branch(decision, Some(by), String::new(), now, state);
            }
        }
    }

    /// Nobody waits for what is open or answered in a slot.
    pub(super) fn give_up(&mut self, place: usize, because_of: &Arc<str>) {
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        let was_open = match std::mem::replace(slot, Slot::Over) {
            Slot::Asked(_) => true,
            Slot::Answered {
                asked: true,
                settled: false,
                ..
            } => false,
            Slot::Answered { .. } | Slot::Waiting | Slot::Over => return,
        };
        if was_open {
            self.out.push_back(Step::Cancel {
                member: place,
                why: Cancelled::Decided,
            });
        }
        let because_of = Arc::clone(because_of);
        self.settle(place, Settlement::NotReached { because_of });
    }
}
