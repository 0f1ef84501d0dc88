//! Sets of header field names.

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

    /// Holds every field whose name begins so.
    #[must_use]
    pub fn covers_prefix(&self, prefix: &[u8]) -> bool {
        self.all
            || self
                .patterns
                .iter()
                .any(|pattern| pattern.prefix && pattern.matches(prefix))
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

    /// Holds every name that `other` holds.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let covers = |theirs: &HeaderPattern| {
            self.patterns.iter().any(|own| {
                own.name == theirs.name && (own.prefix || !theirs.prefix)
                    || own.prefix && theirs.name.starts_with(&own.name)
            })
        };
        self.all || !other.all && other.patterns.iter().all(covers)
    }

    /// Takes in all that `other` holds.
    pub fn join(&mut self, other: &Self) {
        self.all |= other.all;
        self.patterns.extend(other.patterns.iter().cloned());
    }

    pub(super) fn words(&self, out: &mut Vec<String>) {
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
