//! Bounds of what one verdict may bring.

use std::time::Duration;

use postern_proto::rules::bounds;

/// Edits in one verdict, those of its forks together with its own.
pub const MAX_EDITS: usize = 10_000;
/// Octets of a verdict, all its parts together.
pub const MAX_VERDICT_OCTETS: usize = 16 << 20;
/// Property edits in one verdict.
pub const MAX_PROPERTY_EDITS: usize = bounds::PROPERTIES;
/// Octets of literal data in one verdict, all edits together.
pub const MAX_LITERAL_OCTETS: usize = bounds::LITERAL_BYTES;
/// Octets of one property's text or octets.
pub const MAX_PROPERTY_OCTETS: usize = 4 << 10;
/// Octets of the explanation.
pub const MAX_EXPLANATION_OCTETS: usize = 4 << 10;
/// Warnings in one verdict.
pub const MAX_WARNINGS: usize = 10;
/// Octets of one warning, and of the reason of `hold` and `quarantine`.
pub const MAX_WARNING_OCTETS: usize = 1 << 10;
/// Longest delay that a verdict may ask for.
pub const MAX_DELAY: Duration = Duration::from_secs(bounds::DELAY_SECONDS as u64);
/// Longest time of `postpone`, `hold` and `expiry`.
pub const MAX_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Branches that one verdict may make.
pub const MAX_BRANCHES: usize = 1000;
/// Elements of the lists of an answer.
pub(crate) const MAX_ITEMS: usize = 10_000;
