//! What the operator has to hear of, once for each binding and trouble: a line for every message would say no more.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tracing::warn;

use crate::outcome::Outcome;

/// Complaints that are remembered. When there are more, all may be said once again.
const REMEMBERED: usize = 1000;

/// What was said already: binding and explanation.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<HashSet<(String, String)>>);

impl Complaints {
    /// Logs why the binding's messages are left alone, unless that was said.
    pub(super) fn about(&self, binding: &str, outcome: &Outcome) {
        let (reason, explanation) = (&outcome.code, &outcome.explanation);
        // What a gateway refuses is told with figures, which are others for each message.
        let known_by = match reason.as_str() {
            "left-alone.refused" => reason,
            _ => explanation,
        };
        if self.is_news(binding, known_by) {
            warn!(
                binding,
                reason,
                "messages go on without the text: {explanation}; said once, postern_sink_reasons_total counts them"
            );
        }
    }

    fn is_news(&self, binding: &str, explanation: &str) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= REMEMBERED {
            said.clear();
        }
        said.insert((binding.to_owned(), explanation.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_said_once_for_each_binding() {
        let complaints = Complaints::default();
        assert!(complaints.is_news("a", "x"));
        assert!(!complaints.is_news("a", "x"));
        assert!(complaints.is_news("b", "x"));
        assert!(complaints.is_news("a", "y"));
        for number in 0..REMEMBERED {
            complaints.is_news("c", &number.to_string());
        }
        let remembered = complaints.0.lock().map_or(0, |said| said.len());
        assert!(remembered <= REMEMBERED);
    }
}
