//! What a sink says of itself.

use postern_events::fault::Fault;
use postern_proto::v1 as pb;

use crate::features::Features;

/// Credit for content where the sink names none, in octets.
const CREDIT_DEFAULT: u64 = 256 << 10;

/// Largest first credit, in octets.
const CREDIT_MAX: u64 = 1 << 20;

/// Longest name of a sink's program.
const NAME: usize = 63;

/// A description, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Grows with each answer of the replica that differs from the one before.
    pub revision: u64,
    /// The features that the sink has.
    pub features: Features,
    /// Instances that one stream may carry.
    pub capacity: usize,
    /// Octets of content that may be pushed for an event before the first credit.
    pub initial_credit: u64,
    /// The answer as a whole.
    pub response: pb::DescribeResponse,
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    ///
    /// A fault of kind `protocol`: something required is missing, or the name breaks its pattern.
    pub fn new(revision: u64, response: pb::DescribeResponse) -> Result<Self, Fault> {
        if !is_name(&response.name) {
            return Err(Fault::protocol(
                "Describe names the sink with something else than [a-z0-9][a-z0-9.-]{0,62}",
            ));
        }
        if response.version.is_empty() {
            return Err(Fault::protocol("Describe names no version"));
        }
        if response.protocol_version == 0 {
            return Err(Fault::protocol("Describe names no protocol version"));
        }
        let words = response.features.iter().map(String::as_str);
        Ok(Self {
            revision,
            features: Features::from_words(words),
            capacity: usize::try_from(response.instances_per_stream)
                .unwrap_or(usize::MAX)
                .max(1),
            initial_credit: match u64::from(response.initial_credit_bytes) {
                0 => CREDIT_DEFAULT,
                octets => octets.min(CREDIT_MAX),
            },
            response,
        })
    }

    /// Returns whether asking the sink twice does no harm: it has no side effects, or says that they may be repeated.
    /// `careful`: the configuration or what was accepted says that it has side effects; the more careful counts.
    #[must_use]
    pub const fn is_harmless(&self, careful: bool) -> bool {
        self.response.repeatable || !(self.response.side_effects || careful)
    }
}

fn is_name(name: &str) -> bool {
    let inner = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    name.len() <= NAME
        && name
            .bytes()
            .next()
            .is_some_and(|c| inner(c) && c.is_ascii_alphanumeric())
        && name.bytes().all(inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn response() -> pb::DescribeResponse {
        pb::DescribeResponse {
            name: "scan".into(),
            version: "1.0".into(),
            protocol_version: 1,
            features: vec!["parts".into()],
            instances_per_stream: 100,
            ..pb::DescribeResponse::default()
        }
    }

    #[test]
    fn what_is_required_is_checked() {
        let wrong: [fn(&mut pb::DescribeResponse); 8] = [
            |it| it.name = String::new(),
            |it| it.name = "Scan".into(),
            |it| it.name = ".scan".into(),
            |it| it.name = "-scan".into(),
            |it| it.name = "sc an".into(),
            |it| it.name = "a".repeat(64),
            |it| it.version = String::new(),
            |it| it.protocol_version = 0,
        ];
        for change in wrong {
            let mut one = response();
            change(&mut one);
            assert!(Description::new(1, one.clone()).is_err(), "{one:?}");
        }
        let mut longest = response();
        longest.name = "0".repeat(63);
        assert!(Description::new(1, longest).is_ok());
    }

    #[test]
    fn what_is_left_out_has_a_value() {
        let mut one = response();
        one.instances_per_stream = 0;
        let description = Description::new(3, one.clone()).ok();
        let values = description.map(|it| (it.revision, it.capacity, it.initial_credit));
        assert_eq!(values, Some((3, 1, CREDIT_DEFAULT)));
        one.initial_credit_bytes = u32::MAX;
        let most = Description::new(3, one.clone()).map(|it| it.initial_credit);
        assert_eq!(most, Ok(CREDIT_MAX));
        one.initial_credit_bytes = 5;
        assert_eq!(Description::new(3, one).map(|it| it.initial_credit), Ok(5));
        assert_eq!(
            Description::new(1, response()).map(|it| (it.capacity, it.features.parts)),
            Ok((100, true))
        );
    }

    #[test]
    fn v20_the_more_careful_one_counts() {
        for (side_effects, repeatable, careful, harmless) in [
            (false, false, false, true),
            (true, false, false, false),
            (false, false, true, false),
            (true, true, true, true),
        ] {
            let mut one = response();
            one.side_effects = side_effects;
            one.repeatable = repeatable;
            let found = Description::new(1, one).map(|it| it.is_harmless(careful));
            assert_eq!(found, Ok(harmless));
        }
    }
}
