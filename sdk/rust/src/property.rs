//! Values of properties.

use bytes::Bytes;

use crate::v1::{self, value::Kind};

/// A value that sinks hand on to each other: text, octets, a whole number, yes or no.
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

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self(Kind::Flag(flag))
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

/// Puts updates into a list: one of a known namespace and key replaces it.
pub(crate) fn merge(known: &mut Vec<v1::Property>, updates: Vec<v1::Property>) {
    for update in updates {
        match known
            .iter_mut()
            .find(|p| p.namespace_name == update.namespace_name && p.key == update.key)
        {
            Some(property) => property.value = update.value,
            None => known.push(update),
        }
    }
}
