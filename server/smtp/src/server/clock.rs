//! The deadlines of a session.

use std::time::{Duration, Instant};

use super::action::{BODY_RATE_WINDOW, TimeoutReason};
use super::config::Limits;

/// When the client has to have done what, given what it is doing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Since when a command is awaited.
    command_since: Instant,
    /// When content came last.
    content_at: Instant,
    window_start: Instant,
    window_octets: u64,
}

impl Clock {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            command_since: now,
            content_at: now,
            window_start: now,
            window_octets: 0,
        }
    }

    /// From now on a command is awaited. Parts of one do not move this.
    pub(super) const fn await_command(&mut self, now: Instant) {
        self.command_since = now;
    }

    /// From now on content is awaited.
    pub(super) const fn await_content(&mut self, now: Instant) {
        self.content_at = now;
        self.window_start = now;
        self.window_octets = 0;
    }

    pub(super) const fn note_content(&mut self, octets: u64, now: Instant) {
        self.content_at = now;
        self.window_octets += octets;
    }

    pub(super) fn command_deadline(&self, limits: &Limits) -> (Instant, TimeoutReason) {
        (
            self.command_since + limits.command_timeout,
            TimeoutReason::Command,
        )
    }

    pub(super) fn content_deadline(&self, limits: &Limits) -> (Instant, TimeoutReason) {
        let idle = (self.content_at + limits.data_timeout, TimeoutReason::Data);
        if limits.body_rate_min == 0 {
            return idle;
        }
        let slow = (
            self.window_start + BODY_RATE_WINDOW,
            TimeoutReason::BodyRate,
        );
        if slow.0 < idle.0 { slow } else { idle }
    }

    /// At the end of a window: whether enough came in it. Then the next one begins.
    pub(super) const fn window_passed(&mut self, limits: &Limits, now: Instant) -> bool {
        let wanted = limits
            .body_rate_min
            .saturating_mul(BODY_RATE_WINDOW.as_secs());
        let enough = self.window_octets >= wanted;
        self.window_start = now;
        self.window_octets = 0;
        enough
    }

    /// The caller did not read for that long: no fault of the client's.
    pub(super) fn excuse(&mut self, pause: Duration) {
        self.content_at += pause;
        self.window_start += pause;
    }
}
