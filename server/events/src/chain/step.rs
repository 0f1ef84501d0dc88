//! What passes between a chain and its driver.

use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::context::Made;
use crate::fault::Fault;
use crate::plan::{Member, Stage};
use crate::ruling::{Ruling, Settlement, Verdict};

/// What the chain asks of the state that its verdicts change: the session, or the message in the making.
pub trait ChainState {
    /// Whether the binding's rule and condition hold, as its predecessors left the state.
    ///
    /// # Errors
    /// The condition could not be evaluated: the binding's failure, never "did not fire".
    fn fires(&mut self, member: &Member) -> Result<bool, Fault>;

    /// Applies a verdict, whole or not at all. Returns the branches that it made.
    ///
    /// # Errors
    /// The edits cannot be applied, or the result is over a limit: the binding's failure. Nothing has changed then.
    fn apply(&mut self, member: &Member, verdict: &Verdict) -> Result<Made, Fault>;

    /// The binding failed and is passed over.
    fn skipped(&mut self, member: &Member, fault: &Fault);

    /// Turns to another branch of the message.
    fn enter(&mut self, branch: u32);

    /// The member must be asked in its turn, though the plan did not know: its sink says now that asking has effects.
    fn in_turn(&self, _member: &Member) -> bool {
        false
    }

    /// Fills in what the ruling says of answer and branches.
    fn complete(&mut self, _ruling: &mut Ruling) {}
}

/// Why an open question is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// Its deadline passed.
    Deadline,
    /// Another binding ended the chain.
    Decided,
}

/// What the driver has to do next.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "each is taken out and looked at once; the ruling is the last"
)]
pub enum Step {
    /// Ask this member. Without a deadline the content is still arriving; it is set when the content ends, see
    /// [`super::Chain::deadline`].
    Ask {
        /// Its place in the stage.
        member: usize,
        /// When its answer is too late.
        deadline: Option<Instant>,
    },
    /// The member's rule or condition does not hold. Nothing is to be done.
    Passed {
        /// Its place in the stage.
        member: usize,
    },
    /// Nobody waits for this member's answer any more.
    Cancel {
        /// Its place in the stage.
        member: usize,
        /// Why.
        why: Cancelled,
    },
    /// What became of an answer. Follows for each time that a member was asked, once.
    Settle {
        /// Its place in the stage.
        member: usize,
        /// What became of it.
        settlement: Settlement,
    },
    /// Nothing to do before something arrives, or this time.
    Wait {
        /// The next deadline.
        until: Option<Instant>,
    },
    /// The chain has ended. Nothing follows.
    Done(Ruling),
}

/// How a chain is run.
#[derive(Clone, Debug, Default)]
pub struct ChainOptions {
    /// Where it begins.
    pub start: Start,
    /// The time that is left for the reply. `None` while the content is still arriving: nothing expires until
    /// [`super::Chain::content_ended`] brings it.
    pub budget: Option<Budget>,
    /// The id by which the operator finds what happened; part of the replies that failures make.
    pub reference: String,
    /// What is reported has been done (a message that was accepted), so that a failing sink must not turn it into a
    /// refusal.
    pub stands: bool,
    /// Refusals are applied in strict order only, never ahead of their turn.
    pub strict: bool,
    /// A chain of earlier bindings is still open that may let the message be accepted in spite of a refusal here; see
    /// [`super::Chain::earlier_decided`].
    pub earlier_may_spare: bool,
}

/// Where a chain begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At its first member.
    #[default]
    First,
    /// Where the message was held or put off. The binding that did it has fired: its rule and condition are not asked
    /// again.
    At {
        /// The binding.
        binding: String,
        /// Those that have had their say: they are not asked, wherever they stand now. The binding is among them where an
        /// operator lets the message go without it.
        passed: Vec<String>,
    },
}

impl Start {
    /// The members that are not asked.
    pub(super) fn skips(&self, stage: &Stage, place: usize, member: &Member) -> bool {
        match self {
            Self::First => false,
            Self::At { binding, passed } => {
                let before = stage.position(binding).is_some_and(|at| place < at);
                before || passed.iter().any(|name| **name == *member.binding.name)
            }
        }
    }

    /// The member that has fired already.
    pub(super) fn has_fired(&self, member: &Member) -> bool {
        matches!(self, Self::At { binding, .. } if **binding == *member.binding.name)
    }
}

/// How much time a member was given by [`super::Chain::progress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// What is left from now on. `None`: its time does not run yet.
    pub remaining: Option<Duration>,
}
