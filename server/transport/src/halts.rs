//! Destinations to which nothing is sent because a sink said so. Known to this process alone, and never for longer than a day.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Destinations that may be halted at the same time.
const MOST: usize = 10_000;

/// Halted destinations.
#[derive(Default)]
pub(crate) struct Halts {
    any: AtomicBool,
    halted: Mutex<HashMap<String, Vec<Halt>>>,
}

/// For whose mail a destination is halted, and until when.
struct Halt {
    /// Virtual servers; none: all.
    servers: Vec<String>,
    until: Instant,
}

impl Halts {
    /// Nothing of these servers (none: of any) is sent to a destination for so long. False: too many are halted.
    pub(crate) fn halt(
        &self,
        destination: &str,
        servers: &[String],
        span: Duration,
        now: Instant,
    ) -> bool {
        let mut halted = self.halted.lock();
        if halted.len() >= MOST && !halted.contains_key(destination) {
            halted.retain(|_, halts| halts.iter().any(|halt| halt.until > now));
            if halted.len() >= MOST {
                return false;
            }
        }
        let halts = halted.entry(destination.to_owned()).or_default();
        halts.retain(|halt| halt.until > now && halt.servers != servers);
        halts.push(Halt {
            servers: servers.to_vec(),
            until: now + span,
        });
        self.any.store(true, Ordering::Release);
        true
    }

    /// A destination is open again for these servers.
    pub(crate) fn open(&self, destination: &str, servers: &[String]) {
        let mut halted = self.halted.lock();
        if let Some(halts) = halted.get_mut(destination) {
            halts.retain(|halt| halt.servers != servers);
            if halts.is_empty() {
                halted.remove(destination);
            }
        }
        self.any.store(!halted.is_empty(), Ordering::Release);
    }

    /// Something may be halted. Costs no lock.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Mail of this server is not sent to a destination now.
    pub(crate) fn is_halted(&self, destination: &str, server: &str, now: Instant) -> bool {
        let halted = self.halted.lock();
        halted.get(destination).is_some_and(|halts| {
            halts.iter().any(|halt| {
                let concerns =
                    halt.servers.is_empty() || halt.servers.iter().any(|own| own == server);
                concerns && halt.until > now
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_halted_for_whom_and_as_long_as_was_said() {
        let (known, now) = (Halts::default(), Instant::now());
        let minute = Duration::from_secs(60);
        assert!(!known.any());
        assert!(known.halt("far.test", &["a".to_owned()], minute, now));
        assert!(known.any());
        assert!(known.is_halted("far.test", "a", now));
        assert!(!known.is_halted("far.test", "b", now));
        assert!(!known.is_halted("near.test", "a", now));
        assert!(!known.is_halted("far.test", "a", now + minute));
        // Another one's halt is left alone.
        assert!(known.halt("far.test", &[], minute, now));
        known.open("far.test", &["a".to_owned()]);
        assert!(known.is_halted("far.test", "a", now));
        known.open("far.test", &[]);
        assert!(!known.is_halted("far.test", "a", now) && !known.any());
    }

    #[test]
    fn they_are_not_without_number() {
        let (known, now) = (Halts::default(), Instant::now());
        let minute = Duration::from_secs(60);
        for number in 0..MOST {
            assert!(known.halt(&number.to_string(), &[], minute, now));
        }
        assert!(!known.halt("one more", &[], minute, now));
        assert!(known.halt("7", &[], minute, now));
        assert!(known.halt("one more", &[], minute, now + minute));
    }
}
