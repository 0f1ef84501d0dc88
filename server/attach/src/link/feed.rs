//! The content of one event on its way to the sink: how much may be pushed, and where it ends.

use postern_proto::v1 as pb;

use crate::depth::BodyDepth;

/// Credit that a sink may be ahead by, in octets.
pub(crate) const CREDIT_BYTES: u64 = 16 << 20;

/// The pushing of one event's content.
#[derive(Debug)]
pub(crate) struct Feed {
    depth: BodyDepth,
    /// Octets that may be pushed beyond those that were. `None`: as many as the network takes.
    credit: Option<u64>,
    pushed: u64,
    stopped: bool,
    end: End,
}

/// What is known of the end of the content.
#[derive(Clone, Debug, PartialEq)]
enum End {
    /// It is still arriving.
    Unknown,
    /// It is all there; the sink has not been told.
    Known(pb::ContentEnd),
    /// The sink has been told.
    Sent(pb::ContentEnd),
}

impl Feed {
    /// A feed with this much credit at first; `None`: HTTP/2's flow control is enough.
    pub(crate) const fn new(depth: BodyDepth, credit: Option<u64>) -> Self {
        Self {
            depth,
            credit,
            pushed: 0,
            stopped: false,
            end: End::Unknown,
        }
    }

    /// Where the next octets of the body begin.
    pub(crate) const fn offset(&self) -> u64 {
        self.pushed
    }

    /// Octets that may be pushed now.
    pub(crate) fn most(&self) -> u64 {
        self.owed().min(self.credit.unwrap_or(u64::MAX))
    }

    /// So many octets are pushed.
    pub(crate) fn push(&mut self, octets: u64) {
        self.pushed += octets;
        if let Some(credit) = &mut self.credit {
            *credit = credit.saturating_sub(octets);
        }
    }

    /// The content is all there.
    pub(crate) fn complete(&mut self, end: pb::ContentEnd) {
        if self.end == End::Unknown {
            self.end = End::Known(end);
        }
    }

    /// The end, where it is known.
    pub(crate) const fn end(&self) -> Option<&pb::ContentEnd> {
        match &self.end {
            End::Unknown => None,
            End::Known(end) | End::Sent(end) => Some(end),
        }
    }

    /// The end, if the sink is to be told of it with the frame that leaves next. It is told once.
    pub(crate) fn take_end(&mut self) -> Option<pb::ContentEnd> {
        let End::Known(end) = &self.end else {
            return None;
        };
        if self.owed() > 0 {
            return None;
        }
        let end = end.clone();
        self.end = End::Sent(end.clone());
        Some(end)
    }

    /// The sink wants nothing more pushed.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// The sink takes more.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn grant(&mut self, octets: u64) -> Result<(), &'static str> {
        if octets == 0 {
            return Err("WantContent of 0 octets");
        }
        let Some(credit) = &mut self.credit else {
            return Ok(());
        };
        let sum = credit.saturating_add(octets);
        if sum > CREDIT_BYTES {
            return Err("WantContent of more than 16 MiB ahead of what was received");
        }
        *credit = sum;
        Ok(())
    }

    /// Octets that the sink is still to have, with credit or without.
    fn owed(&self) -> u64 {
        if self.stopped {
            return 0;
        }
        let there = self.end().map_or(u64::MAX, |end| end.body_size_bytes);
        self.depth.pushed().min(there).saturating_sub(self.pushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(octets: u64) -> pb::ContentEnd {
        pb::ContentEnd {
            state: pb::ContentState::Complete.into(),
            body_size_bytes: octets,
            ..pb::ContentEnd::default()
        }
    }

    #[test]
    fn a_full_body_ends_with_its_last_octet() {
        let mut feed = Feed::new(BodyDepth::Full, None);
        assert_eq!(feed.most(), u64::MAX);
        feed.push(10);
        assert_eq!(feed.offset(), 10);
        assert_eq!(feed.take_end(), None);
        feed.complete(end(15));
        assert_eq!(feed.most(), 5);
        assert_eq!(feed.take_end(), None);
        feed.push(5);
        assert_eq!(feed.most(), 0);
        assert_eq!(feed.take_end(), Some(end(15)));
        assert_eq!(feed.take_end(), None);
        assert_eq!(feed.end(), Some(&end(15)));
    }

    #[test]
    fn the_first_end_stands() {
        let mut feed = Feed::new(BodyDepth::Headers, None);
        feed.complete(end(15));
        feed.complete(end(16));
        assert_eq!(feed.take_end(), Some(end(15)));
        feed.complete(end(17));
        assert_eq!(feed.take_end(), None);
    }

    #[test]
    fn a_prefix_stops_at_its_length_and_hears_the_end() {
        let mut feed = Feed::new(BodyDepth::Prefix(4), None);
        feed.push(3);
        assert_eq!(feed.most(), 1);
        feed.push(1);
        assert_eq!(feed.most(), 0);
        assert_eq!(feed.take_end(), None);
        feed.complete(end(100));
        assert_eq!(feed.take_end(), Some(end(100)));
    }

    #[test]
    fn what_is_owed_without_credit_comes_before_the_end() {
        let mut feed = Feed::new(BodyDepth::Full, Some(8));
        feed.complete(end(10));
        assert_eq!(feed.most(), 8);
        feed.push(8);
        assert_eq!(feed.most(), 0);
        assert_eq!(feed.take_end(), None);
        assert_eq!(feed.grant(1), Ok(()));
        assert_eq!(feed.most(), 1);
        feed.push(1);
        assert_eq!(feed.grant(100), Ok(()));
        assert_eq!(feed.most(), 1);
        feed.push(1);
        assert_eq!(feed.take_end(), Some(end(10)));
    }

    #[test]
    fn a_stopped_feed_pushes_nothing_and_hears_the_end() {
        let mut feed = Feed::new(BodyDepth::Full, Some(8));
        feed.stop();
        assert_eq!(feed.most(), 0);
        assert_eq!(feed.take_end(), None);
        feed.complete(end(10));
        assert_eq!(feed.take_end(), Some(end(10)));
    }

    #[test]
    fn credit_is_bounded() {
        let mut feed = Feed::new(BodyDepth::Full, Some(1));
        assert!(feed.grant(0).is_err());
        assert!(feed.grant(CREDIT_BYTES).is_err());
        assert!(feed.grant(u64::MAX).is_err());
        assert_eq!(feed.most(), 1);
        assert_eq!(feed.grant(CREDIT_BYTES - 1), Ok(()));
        assert_eq!(feed.most(), CREDIT_BYTES);
        let mut unbounded = Feed::new(BodyDepth::Full, None);
        assert_eq!(unbounded.grant(u64::MAX), Ok(()));
        assert!(unbounded.grant(0).is_err());
    }
}
