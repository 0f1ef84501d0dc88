//! Frames that were handed to the network and have not left it: which of a stream's instances they belong to, and since
//! when none of them moves.

use std::collections::VecDeque;
use std::time::Instant;

use crate::transmit::PREFIX;

/// What the network has taken of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Octets that have left for the socket, each frame with the 5 octets that gRPC puts in front of it.
    pub octets: u64,
    /// When the last of them left.
    pub at: Instant,
}

/// The frames of one stream that are on their way out.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Where each frame ends, counted in octets from the begin of the stream, and its instance.
    frames: VecDeque<(u64, u64)>,
    given: u64,
    taken: u64,
    moved: Instant,
}

impl Flight {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            frames: VecDeque::new(),
            given: 0,
            taken: 0,
            moved: now,
        }
    }

    /// The network was handed a frame of this length.
    pub(crate) fn give(&mut self, now: Instant, instance: u64, octets: usize) {
        if self.frames.is_empty() {
            self.moved = now;
        }
        self.given += octets as u64 + PREFIX;
        self.frames.push_back((self.given, instance));
    }

    /// The network says how far it has come.
    pub(crate) fn take(&mut self, progress: Progress) {
        if progress.octets <= self.taken {
            return;
        }
        self.taken = progress.octets;
        self.moved = self.moved.max(progress.at);
        while self
            .frames
            .front()
            .is_some_and(|(end, _)| *end <= progress.octets)
        {
            self.frames.pop_front();
        }
    }

    /// Since when something is on its way and nothing has moved.
    pub(crate) fn still_since(&self) -> Option<Instant> {
        (!self.frames.is_empty()).then_some(self.moved)
    }

    /// Something of this instance is on its way.
    pub(crate) fn carries(&self, instance: u64) -> bool {
        self.frames.iter().any(|(_, of)| *of == instance)
    }

    pub(crate) fn clear(&mut self) {
        self.frames.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const fn progress(octets: u64, at: Instant) -> Progress {
        Progress { octets, at }
    }

    #[test]
    fn what_is_on_its_way_is_still_since_it_last_moved() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut flight = Flight::new(start);
        assert_eq!(flight.still_since(), None);
        flight.give(start + second, 1, 95);
        flight.give(start + second * 2, 2, 195);
        assert_eq!(flight.still_since(), Some(start + second));
        flight.take(progress(99, start + second * 3));
        assert!(flight.carries(1) && flight.carries(2));
        assert_eq!(flight.still_since(), Some(start + second * 3));
        flight.take(progress(100, start + second * 4));
        assert!(!flight.carries(1) && flight.carries(2));
        // The same again is no progress.
        flight.take(progress(100, start + second * 5));
        assert_eq!(flight.still_since(), Some(start + second * 4));
        flight.take(progress(300, start + second * 6));
        assert_eq!(flight.still_since(), None);
        flight.give(start + second * 9, 3, 10);
        assert_eq!(flight.still_since(), Some(start + second * 9));
    }
}
