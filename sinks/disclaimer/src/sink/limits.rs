//! The bounds that a gateway tells, as the edit counts.

use postern_sdk::v1;

use crate::edit::Limits;

/// Octets of literal data where a gateway does not say: what the protocol allows.
const LITERAL_BYTES: u32 = 512 << 10;

/// The bounds for a message of which `shown` octets were shown out of `size`. A bound of 0 is none.
pub(super) fn of(told: &v1::Limits, shown: usize, size: u64) -> Limits {
    let bound = |limit: u64| match limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let literal = match told.literal_bytes {
        0 => LITERAL_BYTES,
        told => told,
    };
    // Header fields that were not shown count too.
    let hidden = usize::try_from(size)
        .unwrap_or(usize::MAX)
        .saturating_sub(shown);
    let verdict = bound(told.verdict_bytes.into());
    Limits {
        edits: bound(told.verdict_edits.into()),
        insert: bound(literal.into()),
        verdict: verdict.min(bound(told.frame_bytes.into())),
        message: bound(told.message_bytes).saturating_sub(hidden),
        header: bound(told.header_bytes).saturating_sub(hidden),
        fields: bound(told.header_count.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_that_of_the_gateway() {
        let told = v1::Limits {
            frame_bytes: 1000,
            verdict_bytes: 900,
            verdict_edits: 7,
            literal_bytes: 300,
            message_bytes: 5000,
            header_bytes: 600,
            header_count: 8,
            ..v1::Limits::default()
        };
        let limits = Limits {
            edits: 7,
            insert: 300,
            verdict: 900,
            message: 4990,
            header: 590,
            fields: 8,
        };
        assert_eq!(of(&told, 100, 110), limits);
        let unset = of(&v1::Limits::default(), 100, 100);
        assert_eq!(unset.insert, 512 << 10);
        assert_eq!((unset.edits, unset.message), (usize::MAX, usize::MAX));
    }
}
