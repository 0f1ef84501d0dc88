//! Conditions: CEL over the attributes of an event.

use crate::event::EventKind;
use crate::grant::Reads;

/// A compiled condition.
#[derive(Debug)]
pub struct Condition {
    text: String,
    reads: Reads,
}

/// Why a condition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It is not CEL.
    #[error("when: {0}")]
    Syntax(String),
}

impl Condition {
    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Compiles a condition and checks it against the events.
    ///
    /// # Errors
    /// [`ConditionError`]
    pub fn compile(text: &str, _events: &[EventKind]) -> Result<Self, ConditionError> {
        Ok(Self { text: text.to_owned(), reads: Reads::default() })
    }

    /// What it reads of that which other bindings can change.
    #[must_use]
    pub const fn reads(&self) -> &Reads {
        &self.reads
    }

    /// It asks for the size of the message, which is known only at its end.
    #[must_use]
    pub const fn reads_size(&self) -> bool {
        false
    }
}
