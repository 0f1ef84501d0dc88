//! Values of properties: what sinks hand on to each other.

use bytes::Bytes;

use crate::v1::{self, value::Kind};

/// The value of a property: text, octets, a number, yes or no, several texts. At most 4 KiB.
#[derive(Clone, Debug, PartialEq)]
pub struct Value(Kind);

impl Value {
    pub(crate) fn into_proto(self) -> v1::Value {
        v1::Value { kind: Some(self.0) }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(Kind::Text(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(Kind::Text(text))
    }
}

impl From<Bytes> for Value {
    fn from(octets: Bytes) -> Self {
        Self(Kind::Octets(octets))
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self(Kind::Integer(integer))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self(Kind::Number(number))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self(Kind::Flag(flag))
    }
}

impl From<Vec<String>> for Value {
    fn from(items: Vec<String>) -> Self {
        Self(Kind::Texts(v1::TextList { items }))
    }
}

/// The property of this namespace and key.
pub(crate) fn find<'a>(
    properties: &'a [v1::Property],
    namespace: &str,
    key: &str,
) -> Option<&'a Kind> {
    properties
        .iter()
        .find(|property| property.namespace_name == namespace && property.key == key)
        .and_then(|property| property.value.as_ref()?.kind.as_ref())
}
