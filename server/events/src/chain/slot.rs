//! Where the members of a chain and the branches of its message stand.

use std::sync::Arc;
use std::time::Instant;

use crate::fault::Fault;
use crate::ruling::{By, Decision, Verdict};

/// Where a member stands.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each member of a chain, and most of them are answered"
)]
pub(super) enum Slot {
    Waiting,
    Asked(Option<Deadline>),
    Answered {
        answer: Result<Verdict, Fault>,
        asked: bool,
        /// It was settled for another branch.
        settled: bool,
    },
    /// Did not fire, or took effect.
    Over,
}

/// When an answer is too late, and whether the budget says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) by_budget: bool,
}

/// A branch that is judged later, from where its verdict stood.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) number: u32,
    pub(super) head: usize,
    pub(super) slots: Vec<Slot>,
    pub(super) made_by: Arc<str>,
}

/// What was decided about a branch.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub(super) number: u32,
    pub(super) decision: Decision,
    pub(super) by: Option<By>,
    pub(super) made_by: Option<Arc<str>>,
    pub(super) reason_code: String,
}
