//! Ranges of content that a sink asks for. Those of an instance are answered one after the other.

use std::collections::VecDeque;

use postern_proto::v1 as pb;

/// Reads that may wait in one instance.
const WAITING: usize = 64;

/// Longest range, in octets.
const LENGTH: u64 = 1 << 20;

/// A range that is to be read, or what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The sink's number for it.
    pub read_id: u64,
    /// What `offset` counts in: the body, or the whole.
    pub part: pb::ContentPart,
    /// First octet.
    pub offset: u64,
    /// Octets that are left, at least 1.
    pub length: u64,
    /// The revision of the content. 0: the one that the event shows; 1: as received.
    pub revision: u32,
}

/// A read that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// The event whose content it reads.
    pub(crate) event_id: u64,
    /// What is left of it.
    pub(crate) read: Read,
    /// The event has content. Without it there is nothing to read.
    pub(crate) has_content: bool,
}

/// The reads of one instance.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    waiting: VecDeque<Waiting>,
}

impl Reads {
    /// The sink asks for a range.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn ask(&mut self, read: &pb::ReadContent, has_content: bool) -> Result<(), String> {
        if read.read_id == 0 {
            return Err("ReadContent with read_id 0".to_owned());
        }
        if read.length_bytes == 0 || read.length_bytes > LENGTH {
            return Err(format!(
                "ReadContent of {} octets; 1 to 1 MiB are allowed",
                read.length_bytes
            ));
        }
        if read.offset.checked_add(read.length_bytes).is_none() {
            return Err("ReadContent past the largest offset".to_owned());
        }
        if self.waiting.len() == WAITING {
            return Err(format!("more than {WAITING} reads are waiting"));
        }
        if self
            .waiting
            .iter()
            .any(|one| one.read.read_id == read.read_id)
        {
            return Err(format!("read_id {} is in use", read.read_id));
        }
        let Ok(part) = pb::ContentPart::try_from(read.part) else {
            return Err(format!("ReadContent of an unknown part, {}", read.part));
        };
        self.waiting.push_back(Waiting {
            event_id: read.event_id,
            has_content,
            read: Read {
                read_id: read.read_id,
                part: match part {
                    pb::ContentPart::Whole => pb::ContentPart::Whole,
                    pb::ContentPart::Unspecified | pb::ContentPart::Body => pb::ContentPart::Body,
                },
                offset: read.offset,
                length: read.length_bytes,
                revision: read.revision,
            },
        });
        Ok(())
    }

    /// The read whose turn it is.
    pub(crate) fn front(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// So many octets of the read whose turn it is were sent. Returns whether it is answered with them.
    pub(crate) fn advance(&mut self, octets: u64) -> bool {
        let Some(front) = self.waiting.front_mut() else {
            return false;
        };
        front.read.offset += octets;
        front.read.length = front.read.length.saturating_sub(octets);
        front.read.length == 0
    }

    /// The read whose turn it is has been answered.
    pub(crate) fn pop(&mut self) {
        self.waiting.pop_front();
    }

    /// The event is over, and its reads with it.
    pub(crate) fn end_event(&mut self, event_id: u64) {
        self.waiting.retain(|one| one.event_id != event_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event_id: u64, read_id: u64, length_bytes: u64) -> pb::ReadContent {
        pb::ReadContent {
            event_id,
            read_id,
            length_bytes,
            ..pb::ReadContent::default()
        }
    }

    #[test]
    fn v25_a_read_that_is_out_of_bounds_is_refused() {
        let mut reads = Reads::default();
        assert!(reads.ask(&read(1, 0, 1), true).is_err());
        assert!(reads.ask(&read(1, 1, 0), true).is_err());
        assert!(reads.ask(&read(1, 1, LENGTH + 1), true).is_err());
        let mut far = read(1, 1, 2);
        far.offset = u64::MAX - 1;
        assert!(reads.ask(&far, true).is_err());
        far.length_bytes = 1;
        assert_eq!(reads.ask(&far, true), Ok(()));
        assert!(reads.ask(&read(1, 1, 1), true).is_err());
        assert_eq!(reads.ask(&read(1, 2, LENGTH), true), Ok(()));
        let mut unknown = read(1, 3, 1);
        unknown.part = 7;
        assert!(reads.ask(&unknown, true).is_err());
    }

    #[test]
    fn a_part_that_is_not_named_is_the_body() {
        for (named, meant) in [
            (pb::ContentPart::Unspecified, pb::ContentPart::Body),
            (pb::ContentPart::Body, pb::ContentPart::Body),
            (pb::ContentPart::Whole, pb::ContentPart::Whole),
        ] {
            let mut reads = Reads::default();
            let mut one = read(1, 1, 1);
            one.part = named.into();
            assert_eq!(reads.ask(&one, true), Ok(()));
            assert_eq!(reads.front().map(|one| one.read.part), Some(meant));
        }
    }

    #[test]
    fn reads_wait_in_order_and_are_bounded() {
        let mut reads = Reads::default();
        for id in 1..=WAITING as u64 {
            assert_eq!(reads.ask(&read(id % 2, id, 10), true), Ok(()));
        }
        assert!(reads.ask(&read(1, 1000, 10), true).is_err());
        assert!(!reads.advance(9));
        assert_eq!(
            reads.front().map(|one| (one.read.offset, one.read.length)),
            Some((9, 1))
        );
        assert!(reads.advance(1));
        reads.pop();
        assert_eq!(reads.front().map(|one| one.read.read_id), Some(2));
        reads.end_event(0);
        assert_eq!(reads.front().map(|one| one.read.read_id), Some(3));
        reads.end_event(1);
        assert!(reads.front().is_none());
        assert!(!reads.advance(1));
    }
}
