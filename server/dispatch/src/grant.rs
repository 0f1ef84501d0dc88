//! What a binding reads (`reads`) and what its verdicts may touch (`may`).
//!
//! Both are lists of words. Where a predecessor's grants touch what a binding reads, the binding waits for it;
//! where they do not, both are asked at the same time.

use std::fmt;

/// A set of header field names, compared without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderSet {
    all: bool,
    patterns: Vec<HeaderPattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct HeaderPattern {
    /// Lower case, without the star.
    name: String,
    prefix: bool,
}

impl HeaderPattern {
    fn matches(&self, name: &[u8]) -> bool {
        let own = self.name.as_bytes();
        match name.get(..own.len()) {
            Some(start) => {
                start.eq_ignore_ascii_case(own) && (self.prefix || name.len() == own.len())
            }
            None => false,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        match (self.prefix, other.prefix) {
            (false, false) => self.name == other.name,
            (true, false) => other.name.starts_with(&self.name),
            (false, true) => self.name.starts_with(&other.name),
            (true, true) => {
                self.name.starts_with(&other.name) || other.name.starts_with(&self.name)
            }
        }
    }
}

impl HeaderSet {
    /// Every field.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            all: true,
            patterns: Vec::new(),
        }
    }

    /// Adds a name, or a prefix with a star behind it. False if it is neither.
    pub fn add(&mut self, pattern: &str) -> bool {
        let (name, prefix) = match pattern.strip_suffix('*') {
            Some(name) => (name, true),
            None => (pattern, false),
        };
        if !name
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b':' && b != b'*')
        {
            return false;
        }
        match (name.is_empty(), prefix) {
            (true, true) => self.all = true,
            (true, false) => return false,
            (false, _) => self.patterns.push(HeaderPattern {
                name: name.to_ascii_lowercase(),
                prefix,
            }),
        }
        true
    }

    /// Holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.patterns.is_empty()
    }

    /// Holds the field of this name.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.all || self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// Holds the field by its full name, not only by a prefix or because it holds every field.
    #[must_use]
    pub fn names(&self, name: &[u8]) -> bool {
        self.patterns
            .iter()
            .any(|pattern| !pattern.prefix && pattern.matches(name))
    }

    /// Some name may be in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        if self.is_empty() || other.is_empty() {
            return false;
        }
        self.all
            || other.all
            || self
                .patterns
                .iter()
                .any(|own| other.patterns.iter().any(|theirs| own.meets(theirs)))
    }

    /// Takes in all that `other` holds.
    pub fn join(&mut self, other: &Self) {
        self.all |= other.all;
        self.patterns.extend(other.patterns.iter().cloned());
    }

    fn words(&self, out: &mut Vec<String>) {
        if self.all {
            out.push("headers".to_owned());
            return;
        }
        for pattern in &self.patterns {
            out.push(format!(
                "headers:{}{}",
                pattern.name,
                if pattern.prefix { "*" } else { "" }
            ));
        }
    }
}

/// Whose properties a binding reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// Its own only; those are always shown.
    #[default]
    Own,
    /// Those of these sinks too.
    Of(Vec<String>),
    /// Everybody's.
    All,
}

impl Namespaces {
    /// What sink `name` writes is read.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Own => false,
            Self::Of(names) => names.iter().any(|own| own == name),
            Self::All => true,
        }
    }

    /// Adds one namespace.
    pub fn add(&mut self, name: &str) {
        match self {
            Self::Own => *self = Self::Of(vec![name.to_owned()]),
            Self::Of(names) => names.push(name.to_owned()),
            Self::All => {}
        }
    }
}

/// What a binding reads of that which other bindings can change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Header fields.
    pub headers: HeaderSet,
    /// The body.
    pub body: bool,
    /// The sender.
    pub sender: bool,
    /// The recipients.
    pub recipients: bool,
    /// Properties of other sinks.
    pub properties: Namespaces,
}

impl Reads {
    /// What a binding reads that does not say: everything but the properties of other sinks.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            headers: HeaderSet::all(),
            body: true,
            sender: true,
            recipients: true,
            properties: Namespaces::Own,
        }
    }

    /// Parses the words of `reads`.
    ///
    /// # Errors
    /// The first word that is none.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, WordError> {
        let mut reads = Self::default();
        for word in words {
            reads.add(word.as_ref())?;
        }
        Ok(reads)
    }

    fn add(&mut self, word: &str) -> Result<(), WordError> {
        let unknown = || WordError {
            word: word.to_owned(),
            later: false,
        };
        match word {
            "body" => self.body = true,
            "headers" => self.headers = HeaderSet::all(),
            "sender" => self.sender = true,
            "recipients" => self.recipients = true,
            "properties" => self.properties = Namespaces::All,
            _ => match word.split_once(':') {
                Some(("headers", pattern)) if self.headers.add(pattern) => {}
                Some(("properties", name)) if !name.is_empty() => self.properties.add(name),
                _ => return Err(unknown()),
            },
        }
        Ok(())
    }

    /// Takes in all that `other` holds.
    pub fn join(&mut self, other: &Self) {
        self.headers.join(&other.headers);
        self.body |= other.body;
        self.sender |= other.sender;
        self.recipients |= other.recipients;
        match &other.properties {
            Namespaces::Own => {}
            Namespaces::Of(names) => names.iter().for_each(|name| self.properties.add(name)),
            Namespaces::All => self.properties = Namespaces::All,
        }
    }

    /// The words again, for display and for the wire.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        self.headers.words(&mut words);
        push_if(&mut words, self.body, "body");
        push_if(&mut words, self.sender, "sender");
        push_if(&mut words, self.recipients, "recipients");
        match &self.properties {
            Namespaces::Own => {}
            Namespaces::Of(names) => {
                words.extend(names.iter().map(|name| format!("properties:{name}")))
            }
            Namespaces::All => words.push("properties".to_owned()),
        }
        words
    }
}

/// What a binding's verdicts may do beyond refusing and putting off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Header fields that it may insert, replace and remove.
    pub headers: HeaderSet,
    /// Splices on the body.
    pub body: bool,
    /// Another sender.
    pub sender: bool,
    /// Recipients added, removed, rewritten, the list replaced.
    pub recipients: bool,
    /// The decision `finish`.
    pub finish: bool,
    /// The decision `respond` at `inbound.command`.
    pub respond: bool,
    /// The decision `discard`.
    pub discard: bool,
    /// The decision `quarantine`.
    pub quarantine: bool,
    /// The decision `hold`.
    pub hold: bool,
    /// The decision `defer`.
    pub defer: bool,
}

/// Grants of the design that this version has nothing to apply to.
const LATER_GRANTS: [&str; 7] = [
    "redirect",
    "inject",
    "credentials",
    "authenticated",
    "relay",
    "parameters",
    "expiry",
];

impl Grants {
    /// Parses the words of `may`. The decisions that are always allowed are accepted and change nothing.
    ///
    /// # Errors
    /// The first word that is none, or that this version has nothing to apply to.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, WordError> {
        let mut grants = Self::default();
        for word in words {
            grants.add(word.as_ref())?;
        }
        Ok(grants)
    }

    fn add(&mut self, word: &str) -> Result<(), WordError> {
        let error = |later| WordError {
            word: word.to_owned(),
            later,
        };
        match word {
            "headers" => self.headers = HeaderSet::all(),
            "body" => self.body = true,
            "sender" => self.sender = true,
            "recipients" => self.recipients = true,
            "finish" => self.finish = true,
            "respond" => self.respond = true,
            "discard" => self.discard = true,
            "quarantine" => self.quarantine = true,
            "hold" => self.hold = true,
            "defer" => self.defer = true,
            "reject" | "tempfail" => {}
            _ if LATER_GRANTS.contains(&word) => return Err(error(true)),
            _ => match word.split_once(':') {
                Some(("headers", pattern)) if self.headers.add(pattern) => {}
                _ => return Err(error(false)),
            },
        }
        Ok(())
    }

    /// The words again, for display and for the wire.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        self.headers.words(&mut words);
        push_if(&mut words, self.body, "body");
        push_if(&mut words, self.sender, "sender");
        push_if(&mut words, self.recipients, "recipients");
        push_if(&mut words, self.finish, "finish");
        push_if(&mut words, self.respond, "respond");
        push_if(&mut words, self.discard, "discard");
        push_if(&mut words, self.quarantine, "quarantine");
        push_if(&mut words, self.hold, "hold");
        push_if(&mut words, self.defer, "defer");
        words
    }
}

fn push_if(words: &mut Vec<String>, set: bool, word: &str) {
    if set {
        words.push(word.to_owned());
    }
}

/// A word of `reads` or `may` that this version does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct WordError {
    /// The word.
    pub word: String,
    /// It is known, but not in this version.
    pub later: bool,
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.later {
            write!(f, "{:?} is not in this version", self.word)
        } else {
            write!(f, "{:?} is not known", self.word)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn header_patterns_meet_where_a_name_is_in_both() {
        let set = |patterns: &[&str]| {
            let mut set = HeaderSet::default();
            assert!(patterns.iter().all(|pattern| set.add(pattern)));
            set
        };
        assert!(set(&["X-*"]).meets(&set(&["x-spam"])));
        assert!(set(&["X-Spam-*"]).meets(&set(&["x-*"])));
        assert!(!set(&["X-*"]).meets(&set(&["Subject"])));
        assert!(!set(&["X-Spam"]).meets(&set(&["X-Spam-Score"])));
        assert!(set(&["*"]).meets(&set(&["Subject"])));
        assert!(!HeaderSet::all().meets(&HeaderSet::default()));
        assert!(set(&["X-*"]).contains(b"x-Foo"));
        assert!(!set(&["X-A"]).contains(b"X-AB"));
        assert!(!HeaderSet::default().add("Sub:ject"));
        assert!(!HeaderSet::default().add(""));
    }

    #[test]
    fn words_lead_back() {
        let words = ["headers:x-*", "body", "finish"];
        assert_eq!(Grants::parse(&words).unwrap().words(), words);
        let words = ["respond", "discard", "quarantine", "hold", "defer"];
        assert_eq!(Grants::parse(&words).unwrap().words(), words);
        let words = ["headers:subject", "sender", "properties:spam"];
        assert_eq!(Reads::parse(&words).unwrap().words(), words);
    }

    #[test]
    fn words_of_later_versions_and_unknown_ones_are_told_apart() {
        assert!(Grants::parse(&["inject"]).unwrap_err().later);
        assert!(!Grants::parse(&["injekt"]).unwrap_err().later);
        assert!(Grants::parse(&["reject", "tempfail"]).is_ok());
        assert!(Reads::parse(&["finish"]).is_err());
    }
}
