//! Messages that wait for room at a destination: claimed, due, and not in memory but for their names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postern_spool::{Lease, Store};

/// A message without a slot that waits at one or more destinations. The first that has room takes it; if none does, its
/// claim is given back.
pub(crate) struct Parked {
    lease: Lease,
    octets: u64,
    store: Arc<dyn Store>,
    taken: AtomicBool,
}

impl Parked {
    pub(crate) fn new(lease: Lease, octets: u64, store: Arc<dyn Store>) -> Self {
        Self {
            lease,
            octets,
            store,
            taken: AtomicBool::new(false),
        }
    }

    /// The claim and the size in memory, for who takes it first.
    pub(crate) fn take(&self) -> Option<(Lease, u64)> {
        let first = !self.taken.swap(true, Ordering::AcqRel);
        first.then_some((self.lease, self.octets))
    }

    /// Another destination has taken it.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if !*self.taken.get_mut() {
            self.store.release(self.lease, None);
        }
    }
}
