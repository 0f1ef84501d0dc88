//! How much of a message's content goes with an event.

use postern_proto::v1 as pb;
use postern_proto::v1::body_depth::Kind;

/// A depth at which content is shown. Neither header fields nor body is the absence of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyDepth {
    /// The header fields alone.
    Headers,
    /// The header fields, and the first octets of the body, pushed.
    Prefix(u64),
    /// The header fields, and the whole body, pushed.
    Full,
    /// The header fields; of the body what the sink asks for.
    OnDemand,
}

impl BodyDepth {
    /// Reads a depth from the wire. `Ok(None)` is `nothing`.
    ///
    /// # Errors
    ///
    /// What is wrong with it: no kind, or a prefix of no octets.
    pub fn from_wire(depth: &pb::BodyDepth) -> Result<Option<Self>, &'static str> {
        match &depth.kind {
            Some(Kind::Nothing(_)) => Ok(None),
            Some(Kind::Headers(_)) => Ok(Some(Self::Headers)),
            Some(Kind::Prefix(prefix)) if prefix.size_bytes == 0 => {
                Err("a prefix of 0 octets; to get none, name `headers`")
            }
            Some(Kind::Prefix(prefix)) => Ok(Some(Self::Prefix(prefix.size_bytes))),
            Some(Kind::Full(_)) => Ok(Some(Self::Full)),
            Some(Kind::OnDemand(_)) => Ok(Some(Self::OnDemand)),
            None => Err("a body depth of no known kind"),
        }
    }

    /// Writes the depth for the wire.
    #[must_use]
    pub fn to_wire(self) -> pb::BodyDepth {
        let kind = match self {
            Self::Headers => Kind::Headers(pb::HeadersOnly {}),
            Self::Prefix(size_bytes) => Kind::Prefix(pb::BodyPrefix { size_bytes }),
            Self::Full => Kind::Full(pb::FullBody {}),
            Self::OnDemand => Kind::OnDemand(pb::BodyOnDemand {}),
        };
        pb::BodyDepth { kind: Some(kind) }
    }

    /// Returns whether a sink that is shown `self` may narrow it to `other`.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Full, _) | (_, Self::Headers) | (Self::OnDemand, Self::OnDemand) => true,
            (Self::OnDemand, Self::Prefix(_)) => true,
            (Self::Prefix(own), Self::Prefix(wanted)) => wanted <= own,
            (Self::OnDemand | Self::Prefix(_), Self::Full) => false,
            (Self::Prefix(_), Self::OnDemand) => false,
            (Self::Headers, Self::Full | Self::Prefix(_) | Self::OnDemand) => false,
        }
    }

    /// Returns how many octets of the body are pushed at most.
    #[must_use]
    pub const fn pushed(self) -> u64 {
        match self {
            Self::Full => u64::MAX,
            Self::Prefix(octets) => octets,
            Self::Headers | Self::OnDemand => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_covers_what_shows_no_more_than_it() {
        use BodyDepth::{Full, Headers, OnDemand, Prefix};
        let narrower: [(BodyDepth, &[BodyDepth]); 5] = [
            (
                Full,
                &[Full, OnDemand, Prefix(20), Prefix(10), Prefix(9), Headers],
            ),
            (
                OnDemand,
                &[OnDemand, Prefix(20), Prefix(10), Prefix(9), Headers],
            ),
            (Prefix(20), &[Prefix(20), Prefix(10), Prefix(9), Headers]),
            (Prefix(10), &[Prefix(10), Prefix(9), Headers]),
            (Headers, &[Headers]),
        ];
        for (own, covered) in narrower {
            for other in [Full, OnDemand, Prefix(20), Prefix(10), Prefix(9), Headers] {
                assert_eq!(
                    own.covers(other),
                    covered.contains(&other),
                    "{own:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn depths_round_trip() {
        for depth in [
            BodyDepth::Headers,
            BodyDepth::Prefix(1),
            BodyDepth::Full,
            BodyDepth::OnDemand,
        ] {
            assert_eq!(BodyDepth::from_wire(&depth.to_wire()), Ok(Some(depth)));
        }
        let nothing = pb::BodyDepth {
            kind: Some(Kind::Nothing(pb::NoContent {})),
        };
        assert_eq!(BodyDepth::from_wire(&nothing), Ok(None));
        assert!(BodyDepth::from_wire(&BodyDepth::Prefix(0).to_wire()).is_err());
        assert!(BodyDepth::from_wire(&pb::BodyDepth::default()).is_err());
    }

    #[test]
    fn only_full_and_prefix_are_pushed() {
        assert_eq!(BodyDepth::Full.pushed(), u64::MAX);
        assert_eq!(BodyDepth::Prefix(7).pushed(), 7);
        assert_eq!(BodyDepth::Headers.pushed(), 0);
        assert_eq!(BodyDepth::OnDemand.pushed(), 0);
    }
}
