//! Conditions: CEL over the attributes of an event.
//!
//! A condition is compiled once. Which attributes it names is found then, and only those are built when it is
//! evaluated. What it may cost is bounded when it is compiled: loops go over one list of the event and are not
//! nested.

mod inspect;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value};

use crate::attributes::{Attribute, AttributeSource, AttributeType, AttributeValue};
use crate::event::EventKind;
use crate::fault::{Fault, FaultKind};
use crate::grant::Reads;

/// Longest condition in octets.
pub const MAX_OCTETS: usize = 4096;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled condition.
pub struct Condition {
    text: String,
    program: Program,
    attributes: Vec<Attribute>,
    reads: Reads,
}

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
        if text.len() > MAX_OCTETS {
            return Err(ConditionError::TooLong { octets: text.len() });
        }
        let program = ENVIRONMENT
            .compile(text)
            .map_err(|errors| syntax(&errors))?;
        let attributes = inspect::attributes(&program.expression().expr)?;
        for attribute in &attributes {
            if let Some(event) = events.iter().find(|event| !attribute.exists_at(**event)) {
                return Err(not_at_event(*attribute, *event));
            }
        }
        let mut reads = Reads::default();
        for attribute in &attributes {
            reads.join(&attribute.reads());
        }
        let condition = Self {
            text: text.to_owned(),
            program,
            attributes,
            reads,
        };
        condition.rehearse()?;
        Ok(condition)
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// It could not be evaluated, or an attribute is missing: the binding's failure.
    pub fn holds(&self, source: &(impl AttributeSource + ?Sized)) -> Result<bool, Fault> {
        let fault = |problem: &dyn fmt::Display| {
            Fault::new(
                FaultKind::Fault,
                format!("when: {problem} in {}", self.text),
            )
        };
        let mut roots: HashMap<&'static str, HashMap<String, Value>> = HashMap::new();
        for attribute in &self.attributes {
            let value = source
                .value(*attribute)
                .ok_or_else(|| fault(&format_args!("{attribute} is not known here")))?;
            roots
                .entry(attribute.root())
                .or_default()
                .insert(attribute.name().to_owned(), to_cel(value));
        }
        match self.evaluate(roots) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(fault(&format_args!("comes to {}", other.type_of()))),
            Err(error) => Err(fault(&error)),
        }
    }

    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The attributes that it names.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// What it reads of that which other bindings can change.
    #[must_use]
    pub const fn reads(&self) -> &Reads {
        &self.reads
    }

    /// It asks for the size of the message, which is known only at its end.
    #[must_use]
    pub fn reads_size(&self) -> bool {
        self.attributes.contains(&Attribute::MessageSize)
    }

    fn evaluate(
        &self,
        roots: HashMap<&'static str, HashMap<String, Value>>,
    ) -> Result<Value, ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        for (root, fields) in roots {
            context.add_variable_from_value(root, fields);
        }
        self.program.execute(&context)
    }

    /// Evaluates with made-up values of the right types, to find what can never work before mail depends on it.
    fn rehearse(&self) -> Result<(), ConditionError> {
        for full in [false, true] {
            let mut roots: HashMap<&'static str, HashMap<String, Value>> = HashMap::new();
            for attribute in &self.attributes {
                let value = to_cel(sample(attribute.kind(), full));
                roots
                    .entry(attribute.root())
                    .or_default()
                    .insert(attribute.name().to_owned(), value);
            }
            match self.evaluate(roots) {
                Ok(Value::Bool(_)) => {}
                Ok(other) => {
                    return Err(ConditionError::NotBool {
                        what: other.type_of().to_string(),
                    });
                }
                // These depend on the values.
                Err(
                    ExecutionError::NoSuchKey(_)
                    | ExecutionError::IndexOutOfBounds(_)
                    | ExecutionError::DivisionByZero(_)
                    | ExecutionError::RemainderByZero(_)
                    | ExecutionError::Overflow(..)
                    | ExecutionError::FunctionError { .. },
                ) => {}
                Err(error) => {
                    return Err(ConditionError::Types {
                        problem: error.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

fn syntax(errors: &cel::ParseErrors) -> ConditionError {
    match errors.errors.first() {
        Some(error) => {
            let column = usize::try_from(error.pos.1).unwrap_or(0).max(1);
            let problem = error.msg.lines().next().unwrap_or_default().to_owned();
            ConditionError::Syntax { column, problem }
        }
        None => ConditionError::Syntax {
            column: 1,
            problem: "not a CEL expression".to_owned(),
        },
    }
}

fn not_at_event(attribute: Attribute, event: EventKind) -> ConditionError {
    let nearest = nearest(attribute.path(), |candidate| candidate.exists_at(event));
    ConditionError::NotAtEvent {
        attribute,
        event,
        nearest,
    }
}

/// The attribute that was probably meant, among those that are allowed.
fn nearest(name: &str, allowed: impl Fn(Attribute) -> bool) -> Option<&'static str> {
    Attribute::ALL
        .iter()
        .filter(|attribute| allowed(**attribute))
        .map(|attribute| {
            (
                strsim::damerau_levenshtein(name, attribute.path()),
                attribute.path(),
            )
        })
        .filter(|(distance, path)| *distance <= 1 + path.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, path)| path)
}

fn to_cel(value: AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::Int(number) => Value::Int(number),
        AttributeValue::Text(text) => Value::String(Arc::new(text)),
        AttributeValue::Octets(octets) => Value::Bytes(Arc::new(octets)),
        AttributeValue::Texts(texts) => Value::List(Arc::new(
            texts
                .into_iter()
                .map(|text| Value::String(Arc::new(text)))
                .collect(),
        )),
        AttributeValue::Map(entries) => {
            let mut map: HashMap<String, Value> = HashMap::with_capacity(entries.len());
            for (name, value) in entries {
                map.entry(name).or_insert_with(|| to_cel(value));
            }
            Value::from(map)
        }
    }
}

fn sample(kind: AttributeType, full: bool) -> AttributeValue {
    let text = || {
        if full {
            "a@example.test".to_owned()
        } else {
            String::new()
        }
    };
    match kind {
        AttributeType::Bool => AttributeValue::Bool(full),
        AttributeType::Int => AttributeValue::Int(i64::from(full)),
        AttributeType::Text => AttributeValue::Text(text()),
        AttributeType::Texts => AttributeValue::Texts(if full { vec![text()] } else { Vec::new() }),
        AttributeType::Headers if full => {
            AttributeValue::Map(vec![("subject".to_owned(), AttributeValue::Text(text()))])
        }
        AttributeType::Headers | AttributeType::Properties => AttributeValue::Map(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
