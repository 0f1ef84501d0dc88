//! What a binding reads (`reads`) and what its verdicts may do (`may`).
//!
//! Both are lists of words, and `rules.json` has them. Where a predecessor's grants touch what a binding reads, the binding waits for it;
//! where they do not, both are asked at the same time.

mod header_set;

use std::collections::BTreeSet;
use std::fmt;

use postern_proto::rules;

pub use header_set::HeaderSet;
pub use postern_proto::rules::LATER_GRANTS;

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

/// What a binding reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The session: client, greeting, TLS, authentication, conduct.
    pub session: bool,
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
    /// Headers and body as received, before any binding's edits.
    pub original: bool,
    /// SHA-256 of the content.
    pub digest: bool,
    /// The revisions of the content.
    pub history: bool,
    /// What AUTH carries.
    pub credentials: bool,
}

impl Reads {
    /// What a binding reads that does not say: everything but properties of other sinks, `original`, `digest`,
    /// `history` and `credentials`.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            session: true,
            headers: HeaderSet::all(),
            body: true,
            sender: true,
            recipients: true,
            ..Self::default()
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
        if !rules::is_read_word(word) {
            return Err(unknown());
        }
        match word {
            "session" => self.session = true,
            "body" => self.body = true,
            "headers" => self.headers = HeaderSet::all(),
            "sender" => self.sender = true,
            "recipients" => self.recipients = true,
            "properties" => self.properties = Namespaces::All,
            "original" => self.original = true,
            "digest" => self.digest = true,
            "history" => self.history = true,
            "credentials" => self.credentials = true,
            _ => match word.split_once(':') {
                Some(("headers", pattern)) if self.headers.add(pattern) => {}
                Some(("properties", name)) => self.properties.add(name),
                _ => return Err(unknown()),
            },
        }
        Ok(())
    }

    /// Takes in all that `other` holds.
    pub fn join(&mut self, other: &Self) {
        self.headers.join(&other.headers);
        self.session |= other.session;
        self.body |= other.body;
        self.sender |= other.sender;
        self.recipients |= other.recipients;
        self.original |= other.original;
        self.digest |= other.digest;
        self.history |= other.history;
        self.credentials |= other.credentials;
        match &other.properties {
            Namespaces::Own => {}
            Namespaces::Of(names) => names.iter().for_each(|name| self.properties.add(name)),
            Namespaces::All => self.properties = Namespaces::All,
        }
    }

    /// Shows everything that `wanted` asks for.
    #[must_use]
    pub fn cover(&self, wanted: &Self) -> bool {
        let flags = [
            (self.session, wanted.session),
            (self.body, wanted.body),
            (self.sender, wanted.sender),
            (self.recipients, wanted.recipients),
            (self.original, wanted.original),
            (self.digest, wanted.digest),
            (self.history, wanted.history),
            (self.credentials, wanted.credentials),
        ];
        let properties = match (&self.properties, &wanted.properties) {
            (Namespaces::All, _) | (_, Namespaces::Own) => true,
            (_, Namespaces::All) => false,
            (own, Namespaces::Of(names)) => names.iter().all(|name| own.contains(name)),
        };
        properties
            && flags.into_iter().all(|(own, wanted)| own || !wanted)
            && self.headers.covers(&wanted.headers)
    }

    /// The words again, for display and for the wire.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        push_if(&mut words, self.session, "session");
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
        push_if(&mut words, self.original, "original");
        push_if(&mut words, self.digest, "digest");
        push_if(&mut words, self.history, "history");
        push_if(&mut words, self.credentials, "credentials");
        words
    }
}

/// What a binding's verdicts may do beside `proceed`, `reject`, `tempfail` and `disconnect`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Header fields that it may insert, set, replace and remove.
    pub headers: HeaderSet,
    /// All other words.
    words: BTreeSet<&'static str>,
}

impl Grants {
    /// Parses the words of `may`.
    ///
    /// # Errors
    /// The first word that is none, or that this version has nothing to apply to.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, WordError> {
        let mut grants = Self::default();
        for word in words {
            let word = word.as_ref();
            if LATER_GRANTS.contains(&word) {
                return Err(WordError {
                    word: word.to_owned(),
                    later: true,
                });
            }
            grants.add(word)?;
        }
        Ok(grants)
    }

    /// Parses the words of the whole protocol, those that this version has nothing to apply to included.
    ///
    /// # Errors
    /// The first word that is none.
    pub fn parse_all<S: AsRef<str>>(words: &[S]) -> Result<Self, WordError> {
        let mut grants = Self::default();
        for word in words {
            grants.add(word.as_ref())?;
        }
        Ok(grants)
    }

    fn add(&mut self, word: &str) -> Result<(), WordError> {
        let unknown = || WordError {
            word: word.to_owned(),
            later: false,
        };
        if !rules::is_grant_word(word) {
            return Err(unknown());
        }
        if word == "headers" {
            self.headers = HeaderSet::all();
            return Ok(());
        }
        // The table has such words with a placeholder, which may be a field's name as well.
        if let Some(("headers", pattern)) = word.split_once(':') {
            return if self.headers.add(pattern) {
                Ok(())
            } else {
                Err(unknown())
            };
        }
        let known = rules::GRANTS.iter().find(|known| **known == word);
        self.words.insert(known.ok_or_else(unknown)?);
        Ok(())
    }

    /// Allows everything that `wanted` asks for.
    #[must_use]
    pub fn cover(&self, wanted: &Self) -> bool {
        self.headers.covers(&wanted.headers) && wanted.words.is_subset(&self.words)
    }

    /// Holds this word. For header fields ask [`Grants::headers`].
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// The words again, for display and for the wire.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        self.headers.words(&mut words);
        let known = rules::GRANTS.iter().filter(|word| self.has(word));
        words.extend(known.map(|word| (*word).to_owned()));
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
    fn a_field_may_be_called_like_a_placeholder_of_the_table() {
        let grants = Grants::parse(&["headers:NAME", "headers:PREFIX*"]).unwrap();
        assert!(grants.headers.contains(b"name") && grants.headers.contains(b"Prefix-A"));
        assert!(!grants.has("headers:NAME"));
        assert_eq!(grants.words(), ["headers:name", "headers:prefix*"]);
    }

    #[test]
    fn words_lead_back() {
        let words = ["headers:x-*", "finish", "hold", "body", "relay", "admit"];
        assert_eq!(Grants::parse_all(&words).unwrap().words(), words);
        let words = [
            "session",
            "headers:subject",
            "sender",
            "properties:spam",
            "original",
        ];
        assert_eq!(Reads::parse(&words).unwrap().words(), words);
        for word in rules::GRANTS
            .iter()
            .filter(|word| !word.contains(char::is_uppercase))
        {
            let grants = Grants::parse_all(&[word]).unwrap();
            assert_eq!(grants.words(), [*word]);
        }
    }

    /// Each word of `reads` by itself, beside one that it does not cover.
    const READS: [&str; 10] = [
        "session",
        "sender",
        "recipients",
        "headers",
        "body",
        "properties",
        "original",
        "digest",
        "history",
        "credentials",
    ];

    #[test]
    fn to_read_one_thing_is_to_read_no_other() {
        let of = |words: &[&str]| Reads::parse(words).unwrap();
        for word in READS {
            assert_eq!(of(&[word]).words(), [word]);
            for other in READS {
                assert_eq!(
                    of(&[word]).cover(&of(&[other])),
                    word == other,
                    "{word} {other}"
                );
                let mut joined = of(&[word]);
                joined.join(&of(&[other]));
                assert!(joined.cover(&of(&[word])) && joined.cover(&of(&[other])));
                let both = if word == other { 1 } else { 2 };
                assert_eq!(joined.words().len(), both, "{word} {other}");
            }
            assert!(of(&[word]).cover(&of(&[])) && !of(&[]).cover(&of(&[word])));
        }
        let mut all = of(&[]);
        for word in READS {
            all.join(&of(&[word]));
        }
        assert_eq!(all, of(&READS));
        let usual: Vec<String> = Reads::everything().words();
        assert_eq!(
            usual,
            ["session", "headers", "body", "sender", "recipients"]
        );
    }

    #[test]
    fn properties_of_some_sinks_are_not_those_of_all() {
        let of = |words: &[&str]| Reads::parse(words).unwrap();
        let (own, a, both, all) = (
            of(&[]),
            of(&["properties:a"]),
            of(&["properties:a", "properties:b"]),
            of(&["properties"]),
        );
        let order = [&own, &a, &both, &all];
        for (place, one) in order.iter().enumerate() {
            for (other, wanted) in order.iter().enumerate() {
                assert_eq!(one.cover(wanted), place >= other, "{one:?} {wanted:?}");
            }
        }
        for (reads, a, b) in [
            (own, false, false),
            (a, true, false),
            (both, true, true),
            (all, true, true),
        ] {
            let names = (
                reads.properties.contains("a"),
                reads.properties.contains("b"),
            );
            assert_eq!(names, (a, b));
        }
        let mut joined = of(&["properties:a"]);
        joined.join(&of(&["properties:b", "properties:c"]));
        assert_eq!(
            joined.words(),
            ["properties:a", "properties:b", "properties:c"]
        );
        let mut whole = Namespaces::All;
        whole.add("a");
        assert_eq!(whole, Namespaces::All);
    }

    #[test]
    fn a_name_has_at_most_76_octets_and_no_colon_or_star() {
        let [most, over] = [76, 77].map(|octets| "x".repeat(octets));
        for kind in ["headers", "properties"] {
            assert!(Reads::parse(&[format!("{kind}:{most}")]).is_ok(), "{kind}");
            assert!(Reads::parse(&[format!("{kind}:{over}")]).is_err(), "{kind}");
        }
        for (name, known) in [
            (most.as_str(), true),
            (over.as_str(), false),
            (&format!("{most}*"), true),
            (&format!("{over}*"), false),
            ("", false),
            ("a b", false),
            ("a:b", false),
            ("a*b", false),
            ("a**", false),
        ] {
            let word = format!("headers:{name}");
            assert_eq!(Grants::parse_all(&[&word]).is_ok(), known, "{word}");
            assert_eq!(Reads::parse(&[&word]).is_ok(), known, "{word}");
        }
        for unknown in ["act", "act:", "act:x", "finish:x", "body:x", "HEADERS", ""] {
            assert!(Grants::parse_all(&[unknown]).is_err(), "{unknown}");
        }
    }

    #[test]
    fn one_grant_is_no_other() {
        let words: Vec<&str> = rules::GRANTS
            .iter()
            .filter(|word| !word.contains(char::is_uppercase))
            .copied()
            .collect();
        for one in &words {
            let own = Grants::parse_all(&[one]).unwrap();
            for other in &words {
                let wanted = Grants::parse_all(&[other]).unwrap();
                assert_eq!(own.cover(&wanted), one == other, "{one} {other}");
            }
        }
    }

    #[test]
    fn words_of_later_versions_and_unknown_ones_are_told_apart() {
        assert!(Grants::parse(&["act:routes"]).unwrap_err().later);
        assert!(!Grants::parse(&["injekt"]).unwrap_err().later);
        assert!(Grants::parse(&["quarantine"]).is_ok());
        assert!(
            !Grants::parse(&["reject"]).unwrap_err().later,
            "always allowed"
        );
        assert!(Reads::parse(&["finish"]).is_err());
        for word in LATER_GRANTS {
            assert!(rules::is_grant_word(word), "{word}");
        }
    }
}
