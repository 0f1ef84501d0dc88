//! Conditions: CEL over the attributes of an event.
//!
//! A condition is compiled once. Which attributes it names is found then, and only those are built when it is
//! evaluated. What it may cost is bounded when it is compiled: loops go over one list of the event and are not
//! nested.

mod error;
mod expression;
mod inspect;
mod shown;

use std::fmt;

use cel::Value;

use crate::attributes::{Attribute, AttributeSource};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::grant::Reads;

use expression::Expression;

pub use error::{ConditionError, MAX_OCTETS};
pub use shown::{MAX_SHOWN, Shown};

/// A compiled condition.
pub struct Condition(Expression);

impl Condition {
    /// Compiles a condition and checks it against the events that it is to be evaluated at.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn compile(text: &str, events: &[EventKind]) -> Result<Self, ConditionError> {
        let expression = Expression::compile(text, events)?;
        expression.rehearse(|value| match value {
            Value::Bool(_) => Ok(()),
            other => Err(ConditionError::NotBool {
                what: other.type_of().to_string(),
            }),
        })?;
        Ok(Self(expression))
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// It could not be evaluated, or an attribute is missing: the binding's failure.
    pub fn holds(&self, source: &(impl AttributeSource + ?Sized)) -> Result<bool, Fault> {
        match self.0.evaluate("when", source)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(self
                .0
                .fault("when", &format_args!("comes to {}", other.type_of()))),
        }
    }

    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The attributes that it names.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        self.0.attributes()
    }

    /// What it reads of that which other bindings can change.
    #[must_use]
    pub const fn reads(&self) -> &Reads {
        self.0.reads()
    }

    /// It asks for the size of the message, which is known only at its end.
    #[must_use]
    pub fn reads_size(&self) -> bool {
        self.0.reads_size()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text()).finish()
    }
}

#[cfg(test)]
mod tests;
