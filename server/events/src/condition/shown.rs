//! Attributes that the operator chooses to show to a sink: `[binding.attributes] name = 'CEL'`.

use std::fmt;

use cel::Value;
use postern_proto::v1 as pb;

use super::expression::Expression;
use super::{Attribute, AttributeSource, ConditionError, EventKind, Fault, Reads};

/// Attributes that one binding may have.
pub const MAX_SHOWN: usize = 64;

/// Octets of one value.
const MAX_VALUE: usize = 4 << 10;

/// One attribute that is shown: its name, and the expression that it comes from.
pub struct Shown {
    name: String,
    expression: Expression,
}

impl Shown {
    /// Compiles the expression and checks it against the events that it is to be shown at.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn compile(name: &str, text: &str, events: &[EventKind]) -> Result<Self, ConditionError> {
        let expression = Expression::compile(text, events)?;
        expression.rehearse(|value| {
            let what = value.type_of().to_string();
            match kind_of(value) {
                Some(_) => Ok(()),
                None => Err(ConditionError::NotShown { what }),
            }
        })?;
        Ok(Self {
            name: name.to_owned(),
            expression,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The attributes that its expression names.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        self.expression.attributes()
    }

    /// What it reads of that which other bindings can change.
    #[must_use]
    pub const fn reads(&self) -> &Reads {
        self.expression.reads()
    }

    /// It asks for the size of the message, which is known only at its end.
    #[must_use]
    pub fn reads_size(&self) -> bool {
        self.expression.reads_size()
    }

    /// The name with what the expression comes to.
    ///
    /// # Errors
    /// It could not be evaluated, or the value is over 4 KiB: the binding's failure.
    pub fn value(&self, source: &(impl AttributeSource + ?Sized)) -> Result<pb::NamedValue, Fault> {
        let key = format!("attributes.{}", self.name);
        let value = self.expression.evaluate(&key, source)?;
        let what = value.type_of().to_string();
        let fault = |problem: &dyn fmt::Display| self.expression.fault(&key, problem);
        let kind = kind_of(value)
            .ok_or_else(|| fault(&format_args!("comes to {what}, which cannot be shown")))?;
        let size = match &kind {
            pb::value::Kind::Text(text) => text.len(),
            pb::value::Kind::Octets(octets) => octets.len(),
            pb::value::Kind::Texts(list) => list.items.iter().map(String::len).sum(),
            _ => 0,
        };
        if size > MAX_VALUE {
            return Err(fault(&format_args!("comes to {size} octets, over 4 KiB")));
        }
        Ok(pb::NamedValue {
            name: self.name.clone(),
            value: Some(pb::Value { kind: Some(kind) }),
        })
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("name", &self.name)
            .field("text", &self.expression.text())
            .finish()
    }
}

fn kind_of(value: Value) -> Option<pb::value::Kind> {
    use pb::value::Kind;
    Some(match value {
        Value::Bool(flag) => Kind::Flag(flag),
        Value::Int(number) => Kind::Integer(number),
        Value::UInt(number) => Kind::Integer(i64::try_from(number).ok()?),
        Value::Float(number) => Kind::Number(number),
        Value::String(text) => Kind::Text(text.to_string()),
        Value::Bytes(octets) => Kind::Octets(octets.to_vec().into()),
        Value::List(list) => {
            let items = list.iter().map(|item| match item {
                Value::String(text) => Some(text.to_string()),
                _ => None,
            });
            Kind::Texts(pb::TextList {
                items: items.collect::<Option<_>>()?,
            })
        }
        _ => return None,
    })
}
