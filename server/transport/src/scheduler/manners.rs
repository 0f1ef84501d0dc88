//! How a destination wants to be spoken to, as far as it was found out. Time is an argument.

use std::time::{Duration, Instant};

/// Handshakes that have to fail in a row before TLS is not tried for a while, and that while.
const BROKEN: u32 = 3;
const PLAIN: Duration = Duration::from_secs(60);
/// For how long BDAT is not tried after it was refused.
const WITHOUT_BDAT: Duration = Duration::from_secs(600);

/// What was found out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manners {
    /// Handshakes that failed in a row.
    handshakes_failed: u32,
    plain_until: Option<Instant>,
    without_bdat_until: Option<Instant>,
}

impl Manners {
    /// A TLS handshake failed. One says little: the next connection tries again. After several in a row it is not tried for
    /// a while.
    pub(crate) fn handshake_failed(&mut self, now: Instant) {
        self.handshakes_failed = self.handshakes_failed.saturating_add(1);
        if self.handshakes_failed >= BROKEN {
            self.plain_until = Some(now + PLAIN);
        }
    }

    /// A connection is encrypted.
    pub(crate) fn handshake_succeeded(&mut self) {
        self.handshakes_failed = 0;
        self.plain_until = None;
    }

    /// Whether TLS may be tried.
    pub(crate) fn may_encrypt(&self, now: Instant) -> bool {
        self.plain_until.is_none_or(|until| now >= until)
    }

    /// BDAT was refused although it is offered: for a while there is none.
    pub(crate) fn bdat_refused(&mut self, now: Instant) {
        self.without_bdat_until = Some(now + WITHOUT_BDAT);
    }

    /// Whether BDAT may be used.
    pub(crate) fn may_use_bdat(&self, now: Instant) -> bool {
        self.without_bdat_until.is_none_or(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_handshake_is_no_reason_for_clear_text() {
        let (mut manners, start) = (Manners::default(), Instant::now());
        for _ in 1..BROKEN {
            manners.handshake_failed(start);
            assert!(manners.may_encrypt(start));
        }
        manners.handshake_failed(start);
        assert!(!manners.may_encrypt(start), "it is broken for now");
        let later = start + PLAIN;
        assert!(manners.may_encrypt(later));
        // One that fails again says it is as before; one that works is the end of it.
        manners.handshake_failed(later);
        assert!(!manners.may_encrypt(later));
        manners.handshake_succeeded();
        assert!(manners.may_encrypt(later));
        manners.handshake_failed(later);
        assert!(manners.may_encrypt(later));
    }

    #[test]
    fn bdat_is_tried_again_after_a_while() {
        let (mut manners, start) = (Manners::default(), Instant::now());
        assert!(manners.may_use_bdat(start));
        manners.bdat_refused(start);
        assert!(!manners.may_use_bdat(start + WITHOUT_BDAT / 2));
        assert!(manners.may_use_bdat(start + WITHOUT_BDAT));
    }
}
