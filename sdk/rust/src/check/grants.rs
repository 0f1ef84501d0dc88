//! What a binding's verdicts may do, from the words of its `may`.

use std::collections::HashSet;

use postern_proto::rules;

use super::Refusal;

/// The grants of a binding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    words: HashSet<String>,
    /// Lower case; with a star at the end: a prefix.
    headers: Vec<String>,
}

impl Grants {
    /// The grants that these words give.
    pub fn of<T: AsRef<str>>(words: &[T]) -> Self {
        let mut grants = Self::default();
        for word in words {
            let word = word.as_ref();
            match word.strip_prefix("headers:") {
                Some(name) => grants.headers.push(name.to_ascii_lowercase()),
                None if word == "headers" => grants.headers.push("*".to_owned()),
                None => _ = grants.words.insert(word.to_owned()),
            }
        }
        grants
    }

    /// Whether a word other than one of header fields is granted.
    pub fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether edits of this field are granted, or of all fields with this prefix if a star follows it. Trace fields
    /// must be granted by their full name.
    pub fn has_header(&self, name: &[u8]) -> bool {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let by_prefix = !rules::NEVER_BY_PREFIX
            .iter()
            .any(|trace| trace.eq_ignore_ascii_case(&name));
        self.headers
            .iter()
            .any(|granted| match granted.strip_suffix('*') {
                Some(prefix) => by_prefix && name.starts_with(prefix),
                None => *granted == name,
            })
    }

    pub(crate) fn expect(&self, word: &str) -> Result<(), Refusal> {
        match self.has(word) {
            true => Ok(()),
            false => Err(Refusal::not_granted(word)),
        }
    }

    pub(crate) fn expect_header(&self, name: &[u8]) -> Result<(), Refusal> {
        match self.has_header(name) {
            true => Ok(()),
            false => {
                let name = String::from_utf8_lossy(name);
                Err(Refusal::not_granted(&format!("headers:{name}")))
            }
        }
    }
}
