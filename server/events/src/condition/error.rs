//! What can be wrong with a condition.

use crate::attributes::Attribute;
use crate::event::EventKind;

/// Longest condition in octets.
pub const MAX_OCTETS: usize = 4096;

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
