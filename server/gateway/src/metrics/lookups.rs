//! Names that were looked up to find next hops.

use std::time::Duration;

use postern_delivery::{LookedUp, RecordKind};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use super::labels::{Lookup, OfRecord};
use super::register::Register;

/// Look-ups by what was looked up and what came of it.
pub struct Lookups {
    count: Family<Lookup, Counter>,
    time: Family<OfRecord, Histogram, fn() -> Histogram>,
}

impl Lookups {
    /// All at zero.
    pub(super) fn new(latency: fn() -> Histogram) -> Self {
        Self {
            count: Family::default(),
            time: Family::new_with_constructor(latency),
        }
    }

    pub(super) fn register(&self, registry: &mut Register<'_>) {
        registry.add(
            "dns_lookups",
            "Names looked up in DNS by record and result",
            self.count.clone(),
        );
        registry.add_with_unit(
            "dns_lookup_time",
            "From the question to the answer of DNS or of the cache",
            Unit::Seconds,
            self.time.clone(),
        );
    }

    /// A name was looked up.
    pub fn observe(&self, kind: RecordKind, came_to: LookedUp, time: Duration) {
        let record = kind.into();
        let result = came_to.into();
        self.count.get_or_create(&Lookup { record, result }).inc();
        let of_record = OfRecord { record };
        self.time
            .get_or_create(&of_record)
            .observe(time.as_secs_f64());
    }
}
