//! How many contents are on their way to a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Purpose;

/// Counts new mail from the beginning of its content until its commit is asked for.
#[derive(Default)]
pub(super) struct Coming(Arc<AtomicUsize>);

/// A content that is counted, until it is dropped.
pub(super) struct OnItsWay(Option<Arc<AtomicUsize>>);

impl Coming {
    /// Counts another content, if it is of new mail.
    pub(super) fn begin(&self, purpose: Purpose) -> OnItsWay {
        OnItsWay((purpose == Purpose::Mail).then(|| {
            self.0.fetch_add(1, Ordering::Relaxed);
            Arc::clone(&self.0)
        }))
    }

    /// How many there are now. Others come and go meanwhile.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_mail_counts_until_it_is_dropped_and_notifications_do_not() {
        let coming = Coming::default();
        let one = coming.begin(Purpose::Mail);
        let _report = coming.begin(Purpose::Notification);
        let other = coming.begin(Purpose::Mail);
        assert_eq!(coming.count(), 2);
        drop(one);
        assert_eq!(coming.count(), 1);
        drop(other);
        assert_eq!(coming.count(), 0);
    }
}
