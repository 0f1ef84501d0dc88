//! Conditions: CEL over the attributes of an event.
//!
//! A condition is compiled once. Which attributes it names is found then, and only those are built when it is
//! evaluated. What it may cost is bounded when it is compiled: loops go over one list of the event and are not
//! nested.

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

pub use shown::{MAX_SHOWN, Shown};

/// Longest condition in octets.
pub const MAX_OCTETS: usize = 4096;

/// A compiled condition.
pub struct Condition(Expression);

/// Why a condition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Too long.
    #[error("{octets} octets, at most {MAX_OCTETS} are taken")]
    TooLong {
        /// How long it is.
        octets: usize,
    },
    /// It is not CEL.
    #[error("column {column}: {problem}")]
    Syntax {
        /// Where, from 1.
        column: usize,
        /// What.
        problem: String,
    },
    /// No attribute has this name.
    #[error("there is no attribute {name}{}", .nearest.map_or_else(String::new, |near| format!("; did you mean {near}?")))]
    UnknownAttribute {
        /// What was written.
        name: String,
        /// The nearest attribute.
        nearest: Option<&'static str>,
    },
    /// The attribute exists, but not at an event of the binding.
    #[error("{attribute} does not exist at {event}{}", .nearest.map_or_else(String::new, |near| format!("; {near} does")))]
    NotAtEvent {
        /// The attribute.
        attribute: Attribute,
        /// The event.
        event: EventKind,
        /// The nearest attribute that exists there.
        nearest: Option<&'static str>,
    },
    /// No function has this name.
    #[error("there is no function {name}")]
    UnknownFunction {
        /// What was written.
        name: String,
    },
    /// A loop in a loop, or a list of the event within one.
    #[error("{what} within a loop; what a condition costs could not be bounded")]
    Unbounded {
        /// What stands there.
        what: String,
    },
    /// It does not come to true or false.
    #[error("it comes to {what}, not to true or false")]
    NotBool {
        /// What it comes to.
        what: String,
    },
    /// It comes to what cannot be shown to a sink.
    #[error(
        "it comes to {what}; a sink can be shown text, octets, numbers, true or false, or a list of texts"
    )]
    NotShown {
        /// What it comes to.
        what: String,
    },
    /// Types that do not go together.
    #[error("{problem}")]
    Types {
        /// What CEL says.
        problem: String,
    },
}

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
