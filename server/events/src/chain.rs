//! The order of a chain, without I/O and without a clock.
//!
//! The outcome is always that of asking one binding after the other. But a binding waits only for those
//! predecessors whose verdicts could change what it reads; the others are asked at the same time, and all verdicts
//! are applied in order. A verdict that comes early lies until its turn, with one exception: while the content is still
//! arriving, a refusal is applied at once if no earlier binding can let the message be accepted in spite of it. The
//! client is refused in any order then.
//!
//! A verdict that forks the message, or decides otherwise for some recipients, makes branches. The chain goes on with
//! the rest of the message to its end, then with each branch from the next member on. What was answered before the fork
//! took effect counts for all branches.
//!
//! The driver calls [`Chain::poll`] until it gives [`Step::Wait`] or [`Step::Done`], then waits for an answer, for
//! `Progress`, for the end of the content or for the time that `Wait` names, tells the chain, and polls again.

mod branches;
mod early;
mod effect;
mod policy;
mod slot;
mod step;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::context::TRUNK;
use crate::fault::{Fault, FaultKind};
use crate::plan::{Stage, longest};
use crate::ruling::{Failure, Standing, Verdict};

use slot::{Deadline, Decided, Later, Slot};

pub use step::{Cancelled, ChainOptions, ChainState, Extension, Start, Step};

/// One run of a stage.
#[derive(Debug)]
pub struct Chain {
    stage: Arc<Stage>,
    slots: Vec<Slot>,
    /// All members before it have taken effect.
    head: usize,
    start: Start,
    budget: Option<Budget>,
    reference: String,
    stands: bool,
    strict: bool,
    earlier_may_spare: bool,
    out: VecDeque<Step>,
    delay: Duration,
    failures: Vec<Failure>,
    done: bool,
    /// The branch that is judged.
    branch: u32,
    /// Branches that are judged later.
    later: VecDeque<Later>,
    /// What was decided about each branch.
    decided: Vec<Decided>,
    /// The binding whose verdict made the branch that is judged.
    made_by: Option<Arc<str>>,
    /// The first refusal of an event that had waited.
    standing: Option<Standing>,
}

impl Stage {
    /// The place of a binding, by its name.
    #[must_use]
    pub fn position(&self, binding: &str) -> Option<usize> {
        self.members
            .iter()
            .position(|member| &*member.binding.name == binding)
    }

    /// The names of the bindings before this place: where a message is put off by the member there, they have had
    /// their say.
    #[must_use]
    pub fn names_before(&self, member: usize) -> Vec<String> {
        let before = self.members.iter().take(member);
        before.map(|own| own.binding.name.to_string()).collect()
    }
}

impl Chain {
    /// A chain that has asked nobody yet.
    #[must_use]
    pub fn new(stage: Arc<Stage>, options: ChainOptions) -> Self {
        let members = stage.members.iter().enumerate();
        let slots = members
            .map(
                |(place, member)| match options.start.skips(&stage, place, member) {
                    true => Slot::Over,
                    false => Slot::Waiting,
                },
            )
            .collect();
        Self {
            head: 0,
            stage,
            slots,
            start: options.start,
            budget: options.budget,
            reference: options.reference,
            stands: options.stands,
            strict: options.strict,
            earlier_may_spare: options.earlier_may_spare,
            out: VecDeque::new(),
            delay: Duration::ZERO,
            failures: Vec::new(),
            done: false,
            branch: TRUNK,
            later: VecDeque::new(),
            decided: Vec::new(),
            made_by: None,
            standing: None,
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
            while !self.done
                && (self.apply_ready(now, state)
                    || self.refuse_early(now, state)
                    || self.ask_ready(now, state))
            {}
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
                    settled: false,
                };
                true
            }
            _ => false,
        }
    }

    /// A member is still at work: its time starts anew, or is what it `wanted`, but not into what the bindings still to
    /// come and the later chains of the reply need. `None` if nobody waits for it any more.
    pub fn progress(
        &mut self,
        member: usize,
        wanted: Option<Duration>,
        now: Instant,
    ) -> Option<Extension> {
        self.expire(now);
        let reserve = self.still_to_come(member);
        let timeout = self.stage.members.get(member)?.timeout;
        let Some(Slot::Asked(deadline)) = self.slots.get_mut(member) else {
            return None;
        };
        let (Some(deadline), Some(budget)) = (deadline, self.budget) else {
            return Some(Extension { remaining: None });
        };
        let latest = budget.latest_extension(reserve).unwrap_or(now);
        let wanted = wanted.unwrap_or(timeout);
        let (at, by_budget) = match now.checked_add(wanted) {
            Some(at) if at <= latest => (at, false),
            _ => (latest, true),
        };
        // What was given before is not taken back.
        if at > deadline.at {
            *deadline = Deadline { at, by_budget };
        }
        Some(Extension {
            remaining: Some(deadline.at.saturating_duration_since(now)),
        })
    }

    /// The content has ended: the time of who is being asked starts now.
    pub fn content_ended(&mut self, budget: Budget, now: Instant) {
        self.budget = Some(budget);
        for (slot, member) in self.slots.iter_mut().zip(&self.stage.members) {
            if let Slot::Asked(deadline) = slot {
                let (at, by_budget) = budget.deadline_for(now, member.timeout);
                *deadline = Some(Deadline { at, by_budget });
            }
        }
    }

    /// The branch that is judged now: who is asked is asked about this one.
    #[must_use]
    pub const fn branch(&self) -> u32 {
        self.branch
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
                    settled: false,
                };
                self.out.push_back(Step::Cancel {
                    member,
                    why: Cancelled::Deadline,
                });
            }
        }
    }

    /// Asks whoever may be asked. True if some member turned out not to be asked after all, so that its turn may
    /// have come.
    fn ask_ready(&mut self, now: Instant, state: &mut dyn ChainState) -> bool {
        let mut settled = false;
        // A fork is about to take effect: who is not asked yet is asked about each branch.
        if self.is_about_to_split() {
            return false;
        }
        for place in self.head..self.slots.len() {
            let (Some(slot), Some(member)) =
                (self.slots.get_mut(place), self.stage.members.get(place))
            else {
                break;
            };
            let ready = matches!(slot, Slot::Waiting)
                && member.after.is_none_or(|after| after < self.head)
                && (place == self.head || !state.in_turn(member))
                && !(member.needs_end && self.budget.is_none());
            if !ready {
                continue;
            }
            let fires = if self.start.has_fired(member) {
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
                        settled: false,
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
                        settled: false,
                    };
                    settled = true;
                }
            }
        }
        settled
    }

    /// The time that the members need which have not been asked yet and are behind this one.
    fn still_to_come(&self, member: usize) -> Duration {
        let slots = self.slots.iter().enumerate();
        longest(
            slots
                .zip(&self.stage.members)
                .map(|((place, slot), own)| (own, place > member && matches!(slot, Slot::Waiting))),
        )
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
