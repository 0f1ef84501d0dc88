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
    /// A number that need not be whole.
    Number(Number),
    /// Several texts.
    Texts(Vec<String>),
}

/// A floating-point number, compared by its bits so that records of it compare too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(u64);

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self(number.to_bits())
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        Self::from_bits(number.0)
    }
}

/// How long a property lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// As long as what it belongs to.
    #[default]
    Kept,
    /// To the end of the stage: the inbound transaction, one stage of transport, one attempt. Never written to disk.
    Stage,
}

impl Value {
    /// Octets that the value counts for.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Int(_) | Self::Number(_) => 8,
            Self::Bool(_) => 1,
            Self::Texts(texts) => texts.iter().map(String::len).sum(),
        }
    }
}

/// How much one namespace of a bag may hold. No namespace takes another's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyLimits {
    /// Properties of the namespace.
    pub count: usize,
    /// Octets of the namespace's keys and values together.
    pub octets: usize,
    /// Octets of one key.
    pub key_octets: usize,
    /// Octets of one value.
    pub value_octets: usize,
}

impl Default for PropertyLimits {
    fn default() -> Self {
        Self {
            count: 64,
            octets: 16 * 1024,
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

/// A bag of properties: namespace and key to value. The namespace is the sink's name, so that
/// no sink can write another's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    entries: BTreeMap<(String, String), (Value, Lifetime)>,
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
        self.entries
            .get(&(namespace.to_owned(), key.to_owned()))
            .map(|(value, _)| value)
    }

    /// Sets a key for as long as the bag lasts.
    ///
    /// # Errors
    /// When the key is malformed or too long, or the value or the namespace would be over its limits. Nothing changes
    /// then.
    pub fn set(
        &mut self,
        namespace: &str,
        key: &str,
        value: Value,
        limits: &PropertyLimits,
    ) -> Result<(), PropertyError> {
        self.set_for(Lifetime::Kept, namespace, key, value, limits)
    }

    /// Sets a key for this lifetime.
    ///
    /// # Errors
    /// As [`Properties::set`].
    pub fn set_for(
        &mut self,
        lifetime: Lifetime,
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
        let others = || self.of(namespace).filter(|(other, _)| *other != key);
        if others().count() >= limits.count {
            return Err(PropertyError::TooMany {
                limit: limits.count,
            });
        }
        let octets = others()
            .map(|(key, value)| key.len() + value.octets())
            .sum::<usize>()
            + key.len()
            + value.octets();
        if octets > limits.octets {
            return Err(PropertyError::TooLarge {
                octets,
                limit: limits.octets,
            });
        }
        let entry = (namespace.to_owned(), key.to_owned());
        self.entries.insert(entry, (value, lifetime));
        Ok(())
    }

    /// The properties of one namespace.
    pub fn of<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.entries
            .range((namespace.to_owned(), String::new())..)
            .take_while(move |((own, _), _)| own == namespace)
            .map(|((_, key), (value, _))| (key.as_str(), value))
    }

    /// Sets a key whatever the limits are: it comes from our own record.
    pub(crate) fn put(&mut self, namespace: String, key: String, value: Value) {
        self.entries
            .insert((namespace, key), (value, Lifetime::Kept));
    }

    /// Takes a key out of the bag. Nothing happens when it is not there.
    pub fn remove(&mut self, namespace: &str, key: &str) {
        self.entries.remove(&(namespace.to_owned(), key.to_owned()));
    }

    /// The stage is over: what lasts no longer goes.
    pub fn end_stage(&mut self) {
        self.entries
            .retain(|_, (_, lifetime)| *lifetime == Lifetime::Kept);
    }

    /// All properties, by namespace and key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.entries
            .iter()
            .map(|((namespace, key), (value, _))| (namespace.as_str(), key.as_str(), value))
    }

    /// All properties with how long they last.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, &Value, Lifetime)> {
        self.entries
            .iter()
            .map(|((namespace, key), (value, lifetime))| {
                (namespace.as_str(), key.as_str(), value, *lifetime)
            })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIMITS: PropertyLimits = PropertyLimits {
        count: 2,
        octets: 31,
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
    fn no_namespace_takes_the_room_of_another() {
        let mut bag = Properties::new();
        let text = |n: usize| Value::String("x".repeat(n));
        for key in ["k", "l"] {
            bag.set("a", key, text(14), &LIMITS).unwrap();
        }
        assert!(bag.set("a", "m", text(1), &LIMITS).is_err());
        bag.set("b", "k", text(30), &LIMITS).unwrap();
        bag.set("aa", "k", text(30), &LIMITS).unwrap();
        assert_eq!(bag.of("a").count(), 2);
    }

    #[test]
    fn what_lasts_for_the_stage_goes_with_it() {
        let mut bag = Properties::new();
        let stage = Lifetime::Stage;
        bag.set_for(stage, "a", "k", Value::Int(1), &LIMITS)
            .unwrap();
        bag.set("a", "l", Value::Number(0.5.into()), &LIMITS)
            .unwrap();
        bag.end_stage();
        assert_eq!(bag.value("a", "k"), None);
        assert_eq!(bag.len(), 1);
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
