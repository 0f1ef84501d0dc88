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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&str]) -> HeaderSet {
        let mut set = HeaderSet::default();
        assert!(
            patterns.iter().all(|pattern| set.add(pattern)),
            "{patterns:?}"
        );
        set
    }

    #[test]
    fn a_pattern_is_a_name_or_its_beginning() {
        for good in ["a", "X-A", "X-*", "*"] {
            assert!(HeaderSet::default().add(good), "{good}");
        }
        for bad in ["", "a*b", "*a", "a**", "a:b", "a b", "\u{e4}", "a\r"] {
            assert!(!HeaderSet::default().add(bad), "{bad:?}");
        }
        assert_eq!(set(&["*"]), HeaderSet::all());
        assert!(HeaderSet::default().is_empty());
        assert!(!set(&["a"]).is_empty() && !set(&["*"]).is_empty());
    }

    #[test]
    fn a_set_holds_what_its_patterns_say() {
        //                         contains  names  covers the prefix
        for (patterns, name, (contains, names, prefix)) in [
            (&[][..], "X-A", (false, false, false)),
            (&["*"], "X-A", (true, false, true)),
            (&["x-a"], "X-A", (true, true, false)),
            (&["X-A"], "X-AB", (false, false, false)),
            (&["X-AB"], "X-A", (false, false, false)),
            (&["X-*"], "x-a", (true, false, true)),
            (&["X-A*"], "X-A", (true, false, true)),
            (&["X-A*"], "X-", (false, false, false)),
            (&["Y", "X-*"], "X-A", (true, false, true)),
            (&["X-*", "X-A"], "X-A", (true, true, true)),
        ] {
            let own = set(patterns);
            let name = name.as_bytes();
            assert_eq!(own.contains(name), contains, "{patterns:?} {name:?}");
            assert_eq!(own.names(name), names, "{patterns:?} {name:?}");
            assert_eq!(own.covers_prefix(name), prefix, "{patterns:?} {name:?}");
        }
    }

    #[test]
    fn one_set_covers_another_if_it_holds_each_name_of_it() {
        for (own, other, covers, meets) in [
            (&[][..], &[][..], true, false),
            (&["a"], &[], true, false),
            (&[], &["a"], false, false),
            (&["*"], &["*"], true, true),
            (&["*"], &["a", "b*"], true, true),
            (&["a", "b*"], &["*"], false, true),
            (&["a"], &["A"], true, true),
            (&["a"], &["b"], false, false),
            (&["a"], &["a*"], false, true),
            (&["a*"], &["a"], true, true),
            (&["a*"], &["a*"], true, true),
            (&["a*"], &["ab"], true, true),
            (&["ab*"], &["a*"], false, true),
            (&["ab*"], &["a"], false, false),
            (&["a"], &["ab"], false, false),
            (&["a", "b"], &["b", "a"], true, true),
            (&["a"], &["a", "b"], false, true),
            (&["a", "x-*"], &["x-1", "x-2*"], true, true),
        ] {
            assert_eq!(set(own).covers(&set(other)), covers, "{own:?} {other:?}");
            assert_eq!(set(own).meets(&set(other)), meets, "{own:?} {other:?}");
            assert_eq!(set(other).meets(&set(own)), meets, "{other:?} {own:?}");
            let mut joined = set(own);
            joined.join(&set(other));
            assert!(joined.covers(&set(own)) && joined.covers(&set(other)));
        }
    }
}
