//! Depth and end of content.

use bytes::Bytes;
use postern_proto::v1 as pb;

use crate::content::ContentEnd;
use crate::plan::BodyDepth;

/// A depth, as the wire says it.
pub(crate) fn depth_of(depth: BodyDepth) -> pb::BodyDepth {
    use pb::body_depth::Kind;
    let kind = match depth {
        BodyDepth::None => Kind::Nothing(pb::NoContent {}),
        BodyDepth::Headers => Kind::Headers(pb::HeadersOnly {}),
        BodyDepth::Prefix(size_bytes) => Kind::Prefix(pb::BodyPrefix { size_bytes }),
        BodyDepth::Full => Kind::Full(pb::FullBody {}),
        BodyDepth::OnDemand => Kind::OnDemand(pb::BodyOnDemand {}),
    };
    pb::BodyDepth { kind: Some(kind) }
}

/// How content ended. Digests are those of the original: they are left out where the version differs from it.
pub(crate) fn ended(
    end: &ContentEnd,
    body_size_bytes: u64,
    size_bytes: u64,
    edited: bool,
) -> pb::ContentEnd {
    let state = if end.complete {
        pb::ContentState::Complete
    } else {
        pb::ContentState::Cut
    };
    let digest = |digest: &[u8; 32]| {
        if end.complete && !edited {
            Bytes::copy_from_slice(digest)
        } else {
            Bytes::new()
        }
    };
    pb::ContentEnd {
        state: state.into(),
        body_size_bytes,
        size_bytes,
        sha256: digest(&end.sha256),
        body_sha256: digest(&end.body_sha256),
    }
}
