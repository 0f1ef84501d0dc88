//! Names of users: prepared as RFC 4013 has it, compared without the case of ASCII letters.

use std::fmt;

use stringprep::saslprep;

/// Longest name in octets.
const MAX_NAME: usize = 255;

/// What is no name of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or more than 255 octets.
    #[error("a name has 1 to {MAX_NAME} octets")]
    Length,
    /// Characters that a name cannot have (RFC 4013).
    #[error("a name has no control characters, and no others that SASLprep forbids")]
    Characters,
}

/// The name of a user, often a mail address. Two that differ in the case of ASCII letters are one.
#[derive(Debug, Clone)]
pub struct UserName {
    text: String,
    key: String,
}

impl UserName {
    /// Prepares and checks a name.
    ///
    /// # Errors
    /// [`NameError`]
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_NAME {
            return Err(NameError::Length);
        }
        let text = saslprep(text)
            .map_err(|_| NameError::Characters)?
            .into_owned();
        if text.is_empty() || text.len() > MAX_NAME {
            return Err(NameError::Length);
        }
        let key = text.to_ascii_lowercase();
        Ok(Self { text, key })
    }

    /// The name as it was given, prepared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is compared by.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl PartialEq for UserName {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for UserName {}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_user_in_any_spelling() {
        let name = |text| UserName::parse(text).unwrap();
        assert_eq!(name("Anna@Example.test"), name("anna@example.TEST"));
        // A ligature, and a soft hyphen that nobody sees.
        assert_eq!(name("\u{fb01}nn"), name("finn"));
        assert_eq!(name("an\u{ad}na"), name("anna"));
        assert_ne!(name("anna"), name("anna@example.test"));
        assert_eq!(name("Anna").as_str(), "Anna");
    }

    #[test]
    fn what_is_no_name() {
        for text in ["", "\u{ad}", "a\0b", "a\r\n", "a\u{7f}", "\u{202e}a"] {
            assert!(UserName::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            UserName::parse(&"a".repeat(256)).unwrap_err(),
            NameError::Length
        );
        assert!(UserName::parse(&"a".repeat(255)).is_ok());
    }
}
