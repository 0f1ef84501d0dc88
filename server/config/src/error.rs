//! One line for each thing that is wrong.

use std::fmt;

use crate::origin::{Origin, one_line};

/// One thing that is wrong with the configuration. Its display is one line:
/// `FILE:LINE:COL: key: what is wrong; what to do`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it stands.
    pub origin: Origin,
    /// The full key; empty where a file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", one_line(&self.what), one_line(&self.advice))
    }
}

impl std::error::Error for ConfigError {}
