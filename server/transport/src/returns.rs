//! Sinks that came back, and what waited for them.
//!
//! Each runtime thread has connections of its own and hears by itself that a sink is back. The first one lets go what
//! waited, so that all of it is asked about where the sink is known to be back; what others hear meanwhile makes it go over
//! it once more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use postern_message::MessageId;

/// A message that fails so often right after its sink came back is left to the retry schedule: it may be what brings the
/// sink down, and the others are to have their turn.
const TRIES: u8 = 3;
/// So many of those are remembered.
const MOST: usize = 4096;

/// What is known of sinks that came back.
#[derive(Default)]
pub(crate) struct Returns {
    sinks: Mutex<HashMap<Arc<str>, Return>>,
    failed: Mutex<HashMap<MessageId, u8>>,
}

struct Return {
    at: Instant,
    /// A thread lets go what waited.
    busy: bool,
    /// It came back once more meanwhile, or something was added.
    again: bool,
}

impl Returns {
    /// The sink is back. True: the caller is to let go what waited for it. False: another thread is at it.
    pub(crate) fn back(&self, sink: &Arc<str>, now: Instant) -> bool {
        let mut sinks = self.sinks.lock();
        let one = sinks.entry(Arc::clone(sink)).or_insert(Return {
            at: now,
            busy: false,
            again: false,
        });
        one.at = now;
        one.begin()
    }

    /// Something waits for the sink since then. True: it has come back meanwhile, and the caller is to let it go.
    pub(crate) fn came_back(&self, sink: &str, since: Instant) -> bool {
        let mut sinks = self.sinks.lock();
        let one = sinks.get_mut(sink).filter(|one| one.at >= since);
        one.is_some_and(Return::begin)
    }

    /// Whoever lets go what waited has come to the end. True: it is to go over it once more.
    pub(crate) fn goes_on(&self, sink: &str) -> bool {
        let mut sinks = self.sinks.lock();
        sinks.get_mut(sink).is_some_and(|one| {
            one.busy = std::mem::take(&mut one.again);
            one.busy
        })
    }

    /// A message that was let go waits again.
    pub(crate) fn waits_again(&self, id: MessageId) {
        let mut failed = self.failed.lock();
        if failed.len() >= MOST && !failed.contains_key(&id) {
            failed.clear();
        }
        let times = failed.entry(id).or_default();
        *times = times.saturating_add(1);
    }

    /// A message that was let go waits no more.
    pub(crate) fn went(&self, id: MessageId) {
        self.failed.lock().remove(&id);
    }

    /// Whether the message may be let go.
    pub(crate) fn may_go(&self, id: MessageId) -> bool {
        self.failed
            .lock()
            .get(&id)
            .is_none_or(|times| *times < TRIES)
    }
}

impl Return {
    fn begin(&mut self) -> bool {
        self.again = self.busy;
        !std::mem::replace(&mut self.busy, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_thread_lets_go_and_goes_over_it_again_for_the_others() {
        let (returns, start) = (Returns::default(), Instant::now());
        let sink: Arc<str> = "scanner".into();
        assert!(!returns.came_back(&sink, start), "it was never away");
        assert!(returns.back(&sink, start));
        assert!(!returns.back(&sink, start), "another thread is at it");
        assert!(returns.goes_on(&sink));
        assert!(!returns.goes_on(&sink));
        let later = start + Duration::from_secs(1);
        assert!(!returns.came_back(&sink, later), "not since then");
        assert!(returns.came_back(&sink, start));
        assert!(!returns.back(&sink, later));
        assert!(returns.goes_on(&sink) && !returns.goes_on(&sink));
    }

    #[test]
    fn a_message_that_brings_its_sink_down_is_let_go_three_times() {
        let (returns, id) = (Returns::default(), MessageId::new());
        for _ in 0..TRIES {
            assert!(returns.may_go(id));
            returns.waits_again(id);
        }
        assert!(!returns.may_go(id));
        returns.went(id);
        assert!(returns.may_go(id));
    }
}
