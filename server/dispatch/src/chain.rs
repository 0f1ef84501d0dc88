//! The order of a chain, without I/O and without a clock.
//!
//! The outcome is always that of asking one binding after the other. But a binding waits only for those
//! predecessors whose verdicts could change what it reads; the others are asked at the same time, and all verdicts
//! are applied in order. A verdict that comes early lies until its turn.
//!
//! The driver calls [`Chain::poll`] until it gives [`Step::Wait`] or [`Step::Done`], then waits for an answer, for
//! `Progress`, for the end of the content or for the time that `Wait` names, tells the chain, and polls again.

mod policy;
mod step;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::fault::{Fault, FaultKind, Policy};
use crate::plan::{Member, Stage};
use crate::verdict::{By, Cause, Decision, Failure, Ruling, Settlement, Verdict};

pub use step::{Cancelled, ChainOptions, ChainState, Step};

/// One run of a stage.
#[derive(Debug)]
pub struct Chain {
    stage: Arc<Stage>,
    slots: Vec<Slot>,
    /// All members before it have taken effect.
    head: usize,
    /// The member that has fired before, if there is one: whether it fires is no question any more.
    fired: Option<usize>,
    budget: Option<Budget>,
    reference: String,
    reply_stands: bool,
    out: VecDeque<Step>,
    delay: Duration,
    failures: Vec<Failure>,
    done: bool,
}

#[derive(Debug)]
enum Slot {
    Waiting,
    Asked(Option<Deadline>),
    Answered {
        answer: Result<Verdict, Fault>,
        asked: bool,
    },
    /// Did not fire, or took effect.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    by_budget: bool,
}

impl Stage {
    /// The place of a binding, by its name.
    #[must_use]
    pub fn position(&self, binding: &str) -> Option<usize> {
        self.members
            .iter()
            .position(|member| &*member.binding.name == binding)
    }
}

impl Chain {
    /// A chain that has asked nobody yet.
    #[must_use]
    pub fn new(stage: Arc<Stage>, options: ChainOptions) -> Self {
        let slots = stage.members.iter().map(|_| Slot::Waiting).collect();
        Self {
            head: options.start.min(stage.members.len()),
            fired: options.fired.then_some(options.start),
            stage,
            slots,
            budget: options.budget,
            reference: options.reference,
            reply_stands: options.reply_stands,
            out: VecDeque::new(),
            delay: Duration::ZERO,
            failures: Vec::new(),
            done: false,
        }
    }

    /// The stage that it runs.
    #[must_use]
    pub const fn stage(&self) -> &Arc<Stage> {
        &self.stage
    }

    /// What to do next. After [`Step::Done`] it only waits.
    pub fn poll(&mut self, now: Instant, state: &mut dyn ChainState) -> Step {
        if self.out.is_empty() && !self.done {
            self.expire(now);
            while !self.done && (self.apply_ready(state) || self.ask_ready(now, state)) {}
        }
        match self.out.pop_front() {
            Some(step) => step,
            None => Step::Wait {
                until: self.next_deadline(),
            },
        }
    }

    /// A member answered, or failed. False if nobody waits for it any more: a late answer, to be dropped and counted.
    pub fn answer(&mut self, member: usize, answer: Result<Verdict, Fault>, now: Instant) -> bool {
        self.expire(now);
        match self.slots.get_mut(member) {
            Some(slot @ Slot::Asked(_)) if !self.done => {
                *slot = Slot::Answered {
                    answer,
                    asked: true,
                };
                true
            }
            _ => false,
        }
    }

    /// A member is still at work: its time starts anew, but not into what the bindings still to come need.
    pub fn progress(&mut self, member: usize, now: Instant) {
        self.expire(now);
        let reserve = self.still_to_come(member);
        let (Some(budget), Some(timeout)) = (
            self.budget,
            self.stage.members.get(member).map(|member| member.timeout),
        ) else {
            return;
        };
        let Some(latest) = budget.latest_extension(reserve) else {
            return;
        };
        if let Some(Slot::Asked(Some(deadline))) = self.slots.get_mut(member) {
            let wanted = now + timeout;
            let at = wanted.min(latest);
            if at > deadline.at {
                *deadline = Deadline {
                    at,
                    by_budget: at < wanted,
                };
            }
        }
    }

    /// The content has ended: the members' time starts, and sizes are known.
    pub fn content_ended(&mut self, budget: Budget, now: Instant) {
        if self.budget.is_some() {
            return;
        }
        self.budget = Some(budget);
        for (slot, member) in self.slots.iter_mut().zip(&self.stage.members) {
            if let Slot::Asked(deadline) = slot {
                let (at, by_budget) = budget.deadline_for(now, member.timeout);
                *deadline = Some(Deadline { at, by_budget });
            }
        }
    }

    /// When the answer of a member is too late; `None` if it is not being asked, or the content is still arriving.
    #[must_use]
    pub fn deadline(&self, member: usize) -> Option<Instant> {
        match self.slots.get(member) {
            Some(Slot::Asked(Some(deadline))) => Some(deadline.at),
            _ => None,
        }
    }

    /// The members that are being asked now. Who gives a chain up cancels them.
    pub fn open(&self) -> impl Iterator<Item = usize> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| matches!(slot, Slot::Asked(_)))
            .map(|(member, _)| member)
    }

    fn expire(&mut self, now: Instant) {
        if self.done {
            return;
        }
        for (member, slot) in self.slots.iter_mut().enumerate() {
            if let Slot::Asked(Some(deadline)) = slot
                && now >= deadline.at
            {
                let fault = if deadline.by_budget {
                    Fault::new(
                        FaultKind::Budget,
                        "no verdict before the time for the reply was used up",
                    )
                } else {
                    Fault::new(
                        FaultKind::Timeout,
                        "no verdict within the binding's time-out",
                    )
                };
                *slot = Slot::Answered {
                    answer: Err(fault),
                    asked: true,
                };
                self.out.push_back(Step::Cancel {
                    member,
                    why: Cancelled::Deadline,
                });
            }
        }
    }

    /// Lets answers take effect whose turn it is. True if some did.
    fn apply_ready(&mut self, state: &mut dyn ChainState) -> bool {
        let before = self.head;
        while !self.done {
            let stage = Arc::clone(&self.stage);
            let (Some(slot), Some(member)) =
                (self.slots.get_mut(self.head), stage.members.get(self.head))
            else {
                self.finish(Decision::Proceed, None, String::new());
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
                Slot::Over => self.head += 1,
                Slot::Answered { .. } => {
                    if let Slot::Answered { answer, asked } = std::mem::replace(slot, Slot::Over) {
                        let place = self.head;
                        self.head += 1;
                        self.take_effect(place, member, answer, asked, state);
                    }
                }
            }
        }
        self.done || self.head > before
    }

    fn take_effect(
        &mut self,
        place: usize,
        member: &Member,
        answer: Result<Verdict, Fault>,
        asked: bool,
        state: &mut dyn ChainState,
    ) {
        let applied = answer.and_then(|verdict| state.apply(member, &verdict).map(|()| verdict));
        let verdict = match applied {
            Ok(verdict) => verdict,
            Err(fault) => return self.fail(place, member, fault, asked, state),
        };
        self.out.push_back(Step::Settle {
            member: place,
            settlement: Settlement::Applied,
        });
        self.delay = self.delay.max(verdict.delay);
        if verdict.decision.ends_chain() {
            let by = By {
                member: place,
                binding: Arc::clone(&member.binding.name),
                cause: Cause::Verdict,
            };
            self.finish(verdict.decision, Some(by), verdict.reason_code);
        }
    }

    fn fail(
        &mut self,
        place: usize,
        member: &Member,
        fault: Fault,
        asked: bool,
        state: &mut dyn ChainState,
    ) {
        if asked {
            self.out.push_back(Step::Settle {
                member: place,
                settlement: Settlement::Refused(fault.clone()),
            });
        }
        let mut policy = member.binding.on_failure.at(self.stage.event, fault.kind);
        if self.reply_stands && matches!(policy, Policy::Tempfail | Policy::Reject) {
            policy = Policy::Continue;
        }
        let binding = Arc::clone(&member.binding.name);
        self.failures.push(Failure {
            member: place,
            binding: Arc::clone(&binding),
            fault: fault.clone(),
            policy,
        });
        match policy::decision(self.stage.event, policy, &self.reference) {
            None => state.skipped(member, &fault),
            Some(decision) => {
                let by = By {
                    member: place,
                    binding,
                    cause: Cause::Failure(policy, fault),
                };
                self.finish(decision, Some(by), String::new());
            }
        }
    }

    /// Asks whoever may be asked. True if some member turned out not to be asked after all, so that its turn may
    /// have come.
    fn ask_ready(&mut self, now: Instant, state: &mut dyn ChainState) -> bool {
        let mut settled = false;
        for place in self.head..self.slots.len() {
            let (Some(slot), Some(member)) =
                (self.slots.get_mut(place), self.stage.members.get(place))
            else {
                break;
            };
            let ready = matches!(slot, Slot::Waiting)
                && member.after.is_none_or(|after| after < self.head)
                && !(member.needs_end && self.budget.is_none());
            if !ready {
                continue;
            }
            let fires = if self.fired == Some(place) {
                Ok(true)
            } else {
                state.fires(member)
            };
            match fires {
                Ok(true) if self.budget.is_some_and(|budget| budget.is_spent(now)) => {
                    let fault = Fault::new(
                        FaultKind::Budget,
                        "the time for the reply was used up before its turn",
                    );
                    *slot = Slot::Answered {
                        answer: Err(fault),
                        asked: false,
                    };
                    settled = true;
                }
                Ok(true) => {
                    let deadline = self.budget.map(|budget| {
                        let (at, by_budget) = budget.deadline_for(now, member.timeout);
                        Deadline { at, by_budget }
                    });
                    *slot = Slot::Asked(deadline);
                    let deadline = deadline.map(|deadline| deadline.at);
                    self.out.push_back(Step::Ask {
                        member: place,
                        deadline,
                    });
                }
                Ok(false) => {
                    *slot = Slot::Over;
                    self.out.push_back(Step::Passed { member: place });
                    settled = true;
                }
                Err(fault) => {
                    *slot = Slot::Answered {
                        answer: Err(fault),
                        asked: false,
                    };
                    settled = true;
                }
            }
        }
        settled
    }

    fn finish(&mut self, decision: Decision, by: Option<By>, reason_code: String) {
        self.done = true;
        let because_of = by.as_ref().map(|by| Arc::clone(&by.binding));
        for (member, slot) in self.slots.iter_mut().enumerate().skip(self.head) {
            let was_open = match std::mem::replace(slot, Slot::Over) {
                Slot::Asked(_) => true,
                Slot::Answered { asked: true, .. } => false,
                Slot::Answered { asked: false, .. } | Slot::Waiting | Slot::Over => continue,
            };
            if was_open {
                self.out.push_back(Step::Cancel {
                    member,
                    why: Cancelled::Decided,
                });
            }
            if let Some(because_of) = &because_of {
                let settlement = Settlement::NotReached {
                    because_of: Arc::clone(because_of),
                };
                self.out.push_back(Step::Settle { member, settlement });
            }
        }
        self.out.push_back(Step::Done(Ruling {
            event: self.stage.event,
            decision,
            by,
            delay: self.delay,
            reason_code,
            failures: std::mem::take(&mut self.failures),
        }));
    }

    /// The time that the members need which have not been asked yet and are behind this one.
    fn still_to_come(&self, member: usize) -> Duration {
        let mut ends: Vec<Duration> = Vec::with_capacity(self.slots.len());
        for (place, (slot, own)) in self.slots.iter().zip(&self.stage.members).enumerate() {
            let before = own
                .after
                .and_then(|after| ends.get(..=after))
                .and_then(|ends| ends.iter().max())
                .copied()
                .unwrap_or_default();
            let waits = place > member && matches!(slot, Slot::Waiting);
            ends.push(if waits {
                before.saturating_add(own.timeout)
            } else {
                before
            });
        }
        ends.into_iter().max().unwrap_or_default()
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.done {
            return None;
        }
        self.slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Asked(Some(deadline)) => Some(deadline.at),
                _ => None,
            })
            .min()
    }
}

#[cfg(test)]
mod tests;
