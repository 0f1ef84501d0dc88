//! Secrets.

use std::fmt;

use super::Kind;
use crate::reader::{Field, Reader};
use crate::registry::Shape;

/// A secret: a password. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

impl Kind for Secret {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Secret
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(text) = field.node.as_text() else {
            // What is written there must not stand in an error.
            let what = format!("is {}", field.node.type_name());
            reader.refuse(field, what, "write it as text in quotes");
            return None;
        };
        if text.is_empty() || text.contains(['\0', '\r', '\n']) {
            reader.refuse(
                field,
                "is empty, or has a line break in it",
                "write the secret, or name a file that has it",
            );
            return None;
        }
        Some(Self(text.to_owned()))
    }
}
