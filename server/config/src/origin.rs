//! Where a value of the configuration comes from, and how its key is written.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A place in a file. Line and column count from 1, the column in characters.
    File {
        /// The file, as it was named on the command line or found beside it.
        file: Arc<Path>,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// An environment variable.
    Environment(Arc<str>),
    /// Nobody said it.
    Default,
}

impl Origin {
    /// The beginning of a file: for what is wrong with the file as a whole.
    pub(crate) fn start_of(file: &Path) -> Self {
        Self::File {
            file: file.into(),
            line: 1,
            column: 1,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => {
                write!(
                    f,
                    "{}:{line}:{column}",
                    one_line(&file.display().to_string())
                )
            }
            Self::Environment(name) => write!(f, "environment {}", one_line(name)),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A key with its sections, elements by their names: `server.inbound.limits.recipients`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeyPath {
    parts: Vec<String>,
}

impl KeyPath {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    pub(crate) fn of(parts: &[&str]) -> Self {
        Self {
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        }
    }

    pub(crate) fn parts(&self) -> Vec<String> {
        self.parts.clone()
    }

    pub(crate) fn child(&self, key: &str) -> Self {
        let mut parts = self.parts.clone();
        parts.push(key.to_owned());
        Self { parts }
    }

    /// The key without the name of an element: `server.limits.recipients`.
    pub(crate) fn generic(&self) -> String {
        let element =
            crate::tree::ELEMENTS.contains(&self.parts.first().map_or("", String::as_str));
        let parts = self
            .parts
            .iter()
            .enumerate()
            .filter(|(i, _)| !(element && *i == 1));
        parts
            .map(|(_, part)| written(part))
            .collect::<Vec<_>>()
            .join(".")
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(|part| written(part)).collect();
        f.write_str(&parts.join("."))
    }
}

/// A part of a key as TOML writes it: bare where that is allowed, else quoted.
fn written(part: &str) -> String {
    let bare = !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare {
        part.to_owned()
    } else {
        format!("\"{}\"", one_line(part).replace('"', "\\\""))
    }
}

/// Text from outside with control characters escaped, so that an error stays one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}
