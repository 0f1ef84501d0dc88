//! Typed properties that sinks leave on sessions, messages and recipients, each in its own
//! namespace.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A property's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    String(String),
    /// Octets.
    Bytes(Bytes),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
}

impl Value {
    /// Octets that the value counts for.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Int(_) => 8,
            Self::Bool(_) => 1,
        }
    }
}

/// How much one bag of properties may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyLimits {
    /// Properties in the bag, all namespaces together.
    pub count: usize,
    /// Octets of all keys and values together.
    pub octets: usize,
    /// Octets of one key.
    pub key_octets: usize,
    /// Octets of one value.
    pub value_octets: usize,
}

impl Default for PropertyLimits {
    fn default() -> Self {
        Self {
            count: 256,
            octets: 64 * 1024,
            key_octets: 63,
            value_octets: 4096,
        }
    }
}

/// Why a property was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// The key is not `[a-z0-9][a-z0-9._-]*`.
    #[error("a property key is made of a-z, 0-9, '.', '_' and '-', a letter or digit first")]
    Key,
    /// The key is longer than the limit.
    #[error("a property key of {octets} octets, the limit is {limit}")]
    KeyTooLong {
        /// Its length.
        octets: usize,
        /// The limit.
        limit: usize,
    },
    /// The value is longer than the limit.
    #[error("a property of {octets} octets, the limit is {limit}")]
    ValueTooLong {
        /// Its length.
        octets: usize,
        /// The limit.
        limit: usize,
    },
    /// One more than the limit.
    #[error("more than {limit} properties")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Keys and values together would be larger than the limit.
    #[error("properties of {octets} octets, the limit is {limit}")]
    TooLarge {
        /// What they would be.
        octets: usize,
        /// The limit.
        limit: usize,
    },
}

/// A bag of properties: namespace and key to value. The namespace is the binding's name, so that
/// no sink can write another's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    entries: BTreeMap<(String, String), Value>,
    octets: usize,
}

impl Properties {
    /// An empty bag.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key, if it is set.
    #[must_use]
    pub fn value(&self, namespace: &str, key: &str) -> Option<&Value> {
        self.entries.get(&(namespace.to_owned(), key.to_owned()))
    }

    /// Sets a key.
    ///
    /// # Errors
    /// When the key is malformed or too long, or the value or the bag would be over its limits. Nothing changes then.
    pub fn set(
        &mut self,
        namespace: &str,
        key: &str,
        value: Value,
        limits: &PropertyLimits,
    ) -> Result<(), PropertyError> {
        if !is_key(key) {
            return Err(PropertyError::Key);
        }
        if key.len() > limits.key_octets {
            return Err(PropertyError::KeyTooLong {
                octets: key.len(),
                limit: limits.key_octets,
            });
        }
        if value.octets() > limits.value_octets {
            return Err(PropertyError::ValueTooLong {
                octets: value.octets(),
                limit: limits.value_octets,
            });
        }
        let entry = (namespace.to_owned(), key.to_owned());
        let before = self.entries.get(&entry);
        if before.is_none() && self.entries.len() >= limits.count {
            return Err(PropertyError::TooMany {
                limit: limits.count,
            });
        }
        let freed = before.map_or(0, |old| weight(&entry, old));
        let octets = self.octets - freed + weight(&entry, &value);
        if octets > limits.octets {
            return Err(PropertyError::TooLarge {
                octets,
                limit: limits.octets,
            });
        }
        self.octets = octets;
        self.entries.insert(entry, value);
        Ok(())
    }

    /// Sets a key whatever the limits are: it comes from our own record.
    pub(crate) fn put(&mut self, namespace: String, key: String, value: Value) {
        let entry = (namespace, key);
        self.octets += weight(&entry, &value);
        if let Some(old) = self.entries.insert(entry.clone(), value) {
            self.octets -= weight(&entry, &old);
        }
    }

    /// Takes a key out of the bag. Nothing happens when it is not there.
    pub fn remove(&mut self, namespace: &str, key: &str) {
        let entry = (namespace.to_owned(), key.to_owned());
        if let Some(old) = self.entries.remove(&entry) {
            self.octets -= weight(&entry, &old);
        }
    }

    /// All properties, by namespace and key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.entries
            .iter()
            .map(|((namespace, key), value)| (namespace.as_str(), key.as_str(), value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn is_key(key: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    let mut octets = key.bytes();
    octets.next().is_some_and(plain)
        && octets.all(|octet| plain(octet) || matches!(octet, b'.' | b'_' | b'-'))
}

fn weight((namespace, key): &(String, String), value: &Value) -> usize {
    namespace.len() + key.len() + value.octets()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIMITS: PropertyLimits = PropertyLimits {
        count: 2,
        octets: 32,
        key_octets: 4,
        value_octets: 40,
    };

    #[test]
    fn namespaces_do_not_meet() {
        let mut bag = Properties::new();
        bag.set("a", "k", Value::Int(1), &LIMITS).unwrap();
        bag.set("b", "k", Value::Bool(true), &LIMITS).unwrap();
        assert_eq!(bag.value("a", "k"), Some(&Value::Int(1)));
        bag.remove("a", "k");
        assert_eq!(bag.value("a", "k"), None);
        assert_eq!(bag.value("b", "k"), Some(&Value::Bool(true)));
    }

    #[test]
    fn limits_hold_and_leave_the_bag_as_it_was() {
        let mut bag = Properties::new();
        let text = |n: usize| Value::String("x".repeat(n));
        for key in ["", "A", ".x", "a b", "é"] {
            assert_eq!(
                bag.set("a", key, text(1), &LIMITS),
                Err(PropertyError::Key),
                "{key}"
            );
        }
        assert!(matches!(
            bag.set("a", "k", text(41), &LIMITS),
            Err(PropertyError::ValueTooLong { .. })
        ));
        assert!(matches!(
            bag.set("a", "12345", text(1), &LIMITS),
            Err(PropertyError::KeyTooLong { .. })
        ));
        bag.set("a", "k", text(30), &LIMITS).unwrap();
        assert!(matches!(
            bag.set("a", "l", text(1), &LIMITS),
            Err(PropertyError::TooLarge { .. })
        ));
        // Replacing counts the difference only.
        bag.set("a", "k", text(29), &LIMITS).unwrap();
        bag.set("a", "k", text(1), &LIMITS).unwrap();
        bag.set("a", "l", text(1), &LIMITS).unwrap();
        assert!(matches!(
            bag.set("a", "m", text(1), &LIMITS),
            Err(PropertyError::TooMany { .. })
        ));
        assert_eq!(bag.len(), 2);
    }
}
