//! What a chain does to the facts: whether a binding fires, its edits, and that it was passed over.

use crate::chain::ChainState;
use crate::fault::Fault;
use crate::plan::Member;
use crate::scope::Scope;
use crate::verdict::Verdict;
use crate::wire::Happening;

/// The state of one chain: the facts of its scope.
pub(crate) struct Judge<'a> {
    /// The scope.
    pub(crate) scope: &'a Scope,
    /// What is asked about.
    pub(crate) happening: &'a Happening,
    /// How often the stage was begun for the message, from 1.
    pub(crate) attempt: u32,
}

impl ChainState for Judge<'_> {
    fn fires(&mut self, member: &Member) -> Result<bool, Fault> {
        self.scope
            .fires(&member.binding, self.happening, self.attempt)
    }

    fn apply(&mut self, member: &Member, verdict: &Verdict) -> Result<(), Fault> {
        if verdict.edits.is_empty() {
            return Ok(());
        }
        let limits = &self.scope.shared.tuning.edit_limits;
        self.scope
            .facts
            .lock()
            .edit(&member.binding.sink.name, &verdict.edits, limits)
            .map_err(|error| Fault::protocol(format!("its edits cannot be applied: {error}")))
    }

    fn skipped(&mut self, member: &Member, _fault: &Fault) {
        self.scope.facts.lock().skipped(&member.binding.name);
    }
}
