//! Messages of this process that certainly nobody has been asked about: they found no room in memory when they came.

use std::collections::HashSet;

use parking_lot::Mutex;
use postern_message::MessageId;

/// So many are known. Of any more it is taken that they may have been asked about.
const MOST: usize = 65_536;

/// Those messages.
#[derive(Default)]
pub(crate) struct Unasked(Mutex<HashSet<MessageId>>);

impl Unasked {
    pub(crate) fn insert(&self, id: MessageId) {
        let mut known = self.0.lock();
        if known.len() < MOST {
            known.insert(id);
        }
    }

    /// Whether it is one of them; it is not any more.
    pub(crate) fn take(&self, id: MessageId) -> bool {
        self.0.lock().remove(&id)
    }
}
