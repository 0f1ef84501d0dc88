//! A compiled CEL expression over the attributes of events.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value};

use super::{ConditionError, MAX_OCTETS, inspect};
use crate::attributes::{Attribute, AttributeSource, AttributeType, AttributeValue};
use crate::event::EventKind;
use crate::fault::{Fault, FaultKind};
use crate::grant::Reads;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression.
pub(super) struct Expression {
    text: String,
    program: Program,
    attributes: Vec<Attribute>,
    reads: Reads,
}

impl Expression {
    /// Compiles an expression and checks it against the events that it is to be evaluated at.
    pub(super) fn compile(text: &str, events: &[EventKind]) -> Result<Self, ConditionError> {
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
        Ok(Self {
            text: text.to_owned(),
            program,
            attributes,
            reads,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    pub(super) const fn reads(&self) -> &Reads {
        &self.reads
    }

    pub(super) fn reads_size(&self) -> bool {
        self.attributes.contains(&Attribute::MessageSize)
    }

    /// What it comes to. `key` is where it is written.
    pub(super) fn evaluate(
        &self,
        key: &str,
        source: &(impl AttributeSource + ?Sized),
    ) -> Result<Value, Fault> {
        let mut roots: HashMap<&'static str, HashMap<String, Value>> = HashMap::new();
        for attribute in &self.attributes {
            let value = source
                .value(*attribute)
                .ok_or_else(|| self.fault(key, &format_args!("{attribute} is not known here")))?;
            roots
                .entry(attribute.root())
                .or_default()
                .insert(attribute.name().to_owned(), to_cel(value));
        }
        self.execute(roots).map_err(|error| self.fault(key, &error))
    }

    pub(super) fn fault(&self, key: &str, problem: &dyn fmt::Display) -> Fault {
        let detail = format!("{key}: {problem} in {}", self.text);
        Fault::new(FaultKind::Fault, detail)
    }

    fn execute(
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
    pub(super) fn rehearse(
        &self,
        fits: impl Fn(Value) -> Result<(), ConditionError>,
    ) -> Result<(), ConditionError> {
        for full in [false, true] {
            let mut roots: HashMap<&'static str, HashMap<String, Value>> = HashMap::new();
            for attribute in &self.attributes {
                let value = to_cel(sample(attribute.kind(), full));
                roots
                    .entry(attribute.root())
                    .or_default()
                    .insert(attribute.name().to_owned(), value);
            }
            match self.execute(roots) {
                Ok(value) => fits(value)?,
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
    let nearest = inspect::nearest(attribute.path(), |candidate| candidate.exists_at(event));
    ConditionError::NotAtEvent {
        attribute,
        event,
        nearest,
    }
}
fn to_cel(value: AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::Int(number) => Value::Int(number),
        AttributeValue::Number(number) => Value::Float(number),
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
