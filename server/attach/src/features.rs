//! Optional parts of the protocol, and which of them are in force on a stream.

/// A set of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Long events, snapshots and verdicts travel in several frames.
    pub parts: bool,
    /// The sink hears what became of each verdict.
    pub settled: bool,
    /// The sink sends octets ahead of a verdict or an action.
    pub uploads: bool,
    /// The sink acts of its own accord.
    pub actions: bool,
    /// Verdicts may be used again without asking.
    pub cache: bool,
}

impl Features {
    /// The features named by `words`. Words that this version does not know are ignored.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut features = Self::default();
        for word in words {
            match word {
                "parts" => features.parts = true,
                "settled" => features.settled = true,
                "uploads" => features.uploads = true,
                "actions" => features.actions = true,
                "cache" => features.cache = true,
                _ => {}
            }
        }
        features
    }

    /// Returns the words for the set, as `Open` and `DescribeRequest` list them.
    pub fn words(self) -> Vec<String> {
        [
            (self.parts, "parts"),
            (self.settled, "settled"),
            (self.uploads, "uploads"),
            (self.actions, "actions"),
            (self.cache, "cache"),
        ]
        .into_iter()
        .filter(|(has, _)| *has)
        .map(|(_, word)| word.to_owned())
        .collect()
    }

    /// Returns the features that both sides have.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self {
            parts: self.parts && other.parts,
            settled: self.settled && other.settled,
            uploads: self.uploads && other.uploads,
            actions: self.actions && other.actions,
            cache: self.cache && other.cache,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_unknown_ones_are_ignored() {
        let all = ["parts", "settled", "uploads", "actions", "cache"];
        for word in all {
            let one = Features::from_words([word, "telepathy"]);
            assert_eq!(one.words(), [word]);
            for other in all {
                let both = one.common(Features::from_words([other]));
                assert_eq!(both == one, word == other);
                assert_eq!(both == Features::default(), word != other);
            }
        }
        assert_eq!(Features::from_words(all).words(), all);
    }
}
