//! The settings of a binding, or what is wrong with them: no message waits for an operator to mend them.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Settings;
use super::written::Written;

/// What an operator wrote: the settings, or why they cannot be used.
#[derive(Clone, Debug)]
pub struct Configured(Result<Settings, String>);

impl Configured {
    /// The settings.
    ///
    /// # Errors
    /// Which setting, what is wrong with it, and what to do.
    pub fn settings(&self) -> Result<&Settings, &str> {
        self.0.as_ref().map_err(String::as_str)
    }
}

impl Settings {
    /// Reads what an operator wrote.
    ///
    /// # Errors
    /// Which setting, what is wrong with it, and what to do.
    pub fn read(value: &Value) -> Result<Self, String> {
        let written = Written::deserialize(value).map_err(|error| located(value, &error))?;
        Self::try_from(written).map_err(|error| error.to_string())
    }
}

/// Any JSON can be read, so that whoever opens an instance by it hears what is wrong by way of the verdicts.
impl<'de> Deserialize<'de> for Configured {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self(Settings::read(&value)))
    }
}

/// The error with the setting that it is about: the one without which there is another error, or none.
fn located(value: &Value, error: &serde_json::Error) -> String {
    let said = error.to_string();
    let Value::Object(settings) = value else {
        return said;
    };
    let is_it = |key: &&String| {
        let mut others = settings.clone();
        others.remove(*key);
        let read = Written::deserialize(&Value::Object(others));
        read.err().is_none_or(|other| other.to_string() != said)
    };
    match settings.keys().find(is_it) {
        Some(key) => format!("\"{key}\": {said}"),
        None => said,
    }
}
