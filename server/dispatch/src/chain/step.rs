//! What passes between a chain and its driver.

use std::time::Instant;

use crate::budget::Budget;
use crate::fault::Fault;
use crate::plan::Member;
use crate::verdict::{Ruling, Settlement, Verdict};

/// What the chain asks of the state that its verdicts change: the session, or the message in the making.
pub trait ChainState {
    /// Whether the binding's rule and condition hold, as its predecessors left the state.
    ///
    /// # Errors
    /// The condition could not be evaluated: the binding's failure, never "did not fire".
    fn fires(&mut self, member: &Member) -> Result<bool, Fault>;

    /// Applies the edits of a verdict, whole or not at all.
    ///
    /// # Errors
    /// The edits cannot be applied, or the result is over a limit: the binding's failure. Nothing has changed then.
    fn apply(&mut self, member: &Member, verdict: &Verdict) -> Result<(), Fault>;

    /// The binding failed and is passed over: to be recorded as the property `postern.skipped`.
    fn skipped(&mut self, member: &Member, fault: &Fault);
}

/// Why an open question is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// Its deadline passed.
    Deadline,
    /// An earlier binding ended the chain.
    Decided,
}

/// What the driver has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What became of an answer. Follows for each member that was asked, once.
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
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// The first member that is asked: 0, or where a held message goes on (see [`crate::plan::Stage::position`]).
    pub start: usize,
    /// The first member has fired before: it is asked whatever its rule and condition say now.
    pub fired: bool,
    /// The time that is left for the reply. `None` while the content is still arriving: nothing expires until
    /// [`super::Chain::content_ended`] brings it.
    pub budget: Option<Budget>,
    /// The id by which the operator finds what happened; part of the replies that failures make.
    pub reference: String,
    /// At `inbound.response`: the reply reports something that has been done (a message that was accepted), so
    /// that a failing sink must not turn it into a refusal.
    pub reply_stands: bool,
}
