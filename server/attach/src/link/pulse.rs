//! Signs of life on a stream where nothing is asked.

use std::time::{Duration, Instant};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Ask for a sign of life, with this number.
    Ask(u64),
    /// The sink owes one for too long.
    Missed,
}

/// A frame of the sink that answers nothing that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It answers the open heartbeat.
    Alive,
    /// It answers one that has been answered.
    Old,
    /// It has a number that was never sent.
    Unknown,
}

/// The heartbeat of one stream.
#[derive(Debug)]
pub(crate) struct Pulse {
    interval: Duration,
    timeout: Duration,
    sequence: u64,
    /// When the open heartbeat must be answered.
    due: Option<Instant>,
    last_sign: Instant,
}

impl Pulse {
    pub(crate) const fn new(now: Instant, interval: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            timeout,
            sequence: 0,
            due: None,
            last_sign: now,
        }
    }

    /// A frame came, or an event was open until now.
    pub(crate) const fn sign(&mut self, now: Instant) {
        self.last_sign = now;
    }

    /// The sink returned a heartbeat.
    pub(crate) fn returned(&mut self, sequence: u64) -> Reply {
        if sequence == 0 || sequence > self.sequence {
            return Reply::Unknown;
        }
        if sequence == self.sequence && self.due.take().is_some() {
            return Reply::Alive;
        }
        Reply::Old
    }

    /// When something is due. `quiet`: no event is open on the stream.
    pub(crate) fn timeout(&self, quiet: bool) -> Option<Instant> {
        match self.due {
            Some(due) => Some(due),
            None if quiet => Some(self.last_sign + self.interval),
            None => None,
        }
    }

    /// What is due now.
    pub(crate) fn poll(&mut self, now: Instant, quiet: bool) -> Option<Beat> {
        if self.timeout(quiet).is_none_or(|at| now < at) {
            return None;
        }
        if self.due.is_some() {
            return Some(Beat::Missed);
        }
        self.sequence += 1;
        self.due = Some(now + self.timeout);
        Some(Beat::Ask(self.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);
    const TIMEOUT: Duration = Duration::from_secs(10);
    const TICK: Duration = Duration::from_nanos(1);

    #[test]
    fn a_heartbeat_is_asked_after_a_time_of_silence_and_must_come_back() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start, INTERVAL, TIMEOUT);
        assert_eq!(pulse.timeout(false), None);
        assert_eq!(pulse.timeout(true), Some(start + INTERVAL));
        assert_eq!(pulse.poll(start + INTERVAL - TICK, true), None);
        assert_eq!(pulse.poll(start + INTERVAL, false), None);
        assert_eq!(pulse.poll(start + INTERVAL, true), Some(Beat::Ask(1)));
        let due = start + INTERVAL + TIMEOUT;
        assert_eq!(pulse.timeout(false), Some(due));
        assert_eq!(pulse.poll(due - TICK, true), None);
        assert_eq!(pulse.poll(due, false), Some(Beat::Missed));
    }

    #[test]
    fn only_the_open_heartbeat_can_be_answered() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start, INTERVAL, TIMEOUT);
        assert_eq!(pulse.returned(0), Reply::Unknown);
        assert_eq!(pulse.returned(1), Reply::Unknown);
        assert_eq!(pulse.poll(start + INTERVAL, true), Some(Beat::Ask(1)));
        assert_eq!(pulse.returned(2), Reply::Unknown);
        assert_eq!(pulse.returned(1), Reply::Alive);
        assert_eq!(pulse.returned(1), Reply::Old);
        pulse.sign(start + INTERVAL);
        assert_eq!(pulse.timeout(true), Some(start + INTERVAL * 2));
        assert_eq!(pulse.poll(start + INTERVAL * 2, true), Some(Beat::Ask(2)));
        assert_eq!(pulse.returned(1), Reply::Old);
        assert_eq!(pulse.timeout(true), Some(start + INTERVAL * 2 + TIMEOUT));
    }
}
