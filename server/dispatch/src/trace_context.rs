//! W3C trace context: which trace an event belongs to, and which span of the gateway it comes from.
//!
//! The trace is named by the id of the session, in transport by that of the message: who has an id from a log, a
//! header or a DSN has the trace. Every event that is sent is a span of its own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where this process begins to count, so that two gateways do not give the same span ids.
static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

static SPANS: AtomicU64 = AtomicU64::new(0);

/// A `traceparent` (version 00, sampled) for a new span of the trace of this id.
pub(crate) fn trace_parent(trace: &[u8; 16]) -> String {
    format!("00-{:032x}-{:016x}-01", u128::from_be_bytes(*trace), span())
}

/// A span id: never 0, which the standard forbids, and never twice in a process.
fn span() -> u64 {
    let count = SPANS.fetch_add(1, Ordering::Relaxed);
    // An odd factor and shifts that can be undone: different counts stay different.
    let mut id = START
        .wrapping_add(count)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    id = (id ^ (id >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    match id ^ (id >> 27) {
        0 => span(),
        id => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_the_standard_has_it_and_spans_differ() {
        let id = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        let (one, other) = (trace_parent(&id), trace_parent(&id));
        assert_ne!(one, other);
        assert!(
            one.starts_with("00-000102030405060708090a0b0c0d0eff-"),
            "{one}"
        );
        let span = one.get(36..52).unwrap_or_default();
        assert!(
            span.bytes().all(|octet| octet.is_ascii_hexdigit()) && span != "0000000000000000",
            "{one}"
        );
        assert_eq!((one.len(), one.get(52..)), (55, Some("-01")));
    }
}
