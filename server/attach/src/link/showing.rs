//! Content of events: what may be sent of it, and what is sent.

use std::time::Instant;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;

use crate::transmit::Transmit;

use super::events::{Asked, InstanceId};
use super::ledger::OpenEvent;
use super::outbox::{Frame, Urgency};
use super::reads::Read;
use super::state::Link;

/// What of an event's content is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The body from `offset` on, at most so many octets: [`Link::push`]. Octets that have not arrived are waited for.
    Push {
        /// First octet of the body.
        offset: u64,
        /// Octets at most.
        most: usize,
    },
    /// A range that the sink asked for: [`Link::answer_read`] or [`Link::refuse_read`].
    Read(Read),
    /// Nothing now. [`LinkEvent::ContentWanted`](super::LinkEvent::ContentWanted) follows if that changes.
    Nothing,
    /// Nobody waits for the content any more.
    Over,
}

impl Link {
    /// Returns what of an event's content is to be sent next.
    pub fn content_wish(&mut self, asked: Asked) -> Wish {
        let Some(one) = self.instances.get(&asked.instance.0) else {
            return Wish::Over;
        };
        let Some(event) = one.ledger.get(asked.event_id) else {
            return Wish::Over;
        };
        let chunk = self.settings.chunk_bytes;
        let read = one
            .reads
            .front()
            .filter(|read| read.event_id == asked.event_id)
            .map(|waiting| Read {
                length: waiting.read.length.min(chunk as u64),
                ..waiting.read
            });
        let most = event
            .feed
            .as_ref()
            .map_or(0, |feed| feed.most().min(chunk as u64));
        let offset = event.feed.as_ref().map_or(0, |feed| feed.offset());
        let wish = match (read, usize::try_from(most).unwrap_or(chunk)) {
            (Some(read), _) => Wish::Read(read),
            (None, 0) => return Wish::Nothing,
            (None, most) => Wish::Push { offset, most },
        };
        if self.outbox.content() >= self.settings.content_bytes {
            if !self.hungry.contains(&asked) {
                self.hungry.push_back(asked);
            }
            return Wish::Nothing;
        }
        wish
    }

    /// Sends the next octets of an event's body. What is beyond the last [`Wish::Push`] is not sent.
    pub fn push(&mut self, now: Instant, asked: Asked, mut octets: Bytes) {
        let chunk = self.settings.chunk_bytes as u64;
        let Some(feed) = self.feed(asked) else {
            return;
        };
        let most = feed.most().min(chunk);
        octets.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        if octets.is_empty() {
            return;
        }
        let offset = feed.offset();
        feed.push(octets.len() as u64);
        let ended = feed.take_end();
        self.send_content(now, asked, offset, 0, ended, octets);
    }

    /// Says that the content of an event is all there. The sink hears of it behind what it is still to have.
    pub fn content_complete(&mut self, now: Instant, asked: Asked, end: pb::ContentEnd) {
        if let Some(feed) = self.feed(asked) {
            feed.complete(end);
            self.send_end(now, asked);
        }
    }

    /// Sends octets of the range that the last [`Wish::Read`] named. `ends`: the content ends with them.
    pub fn answer_read(
        &mut self,
        now: Instant,
        asked: Asked,
        read_id: u64,
        mut octets: Bytes,
        ends: bool,
    ) {
        let chunk = self.settings.chunk_bytes as u64;
        let Some(one) = self.instances.get_mut(&asked.instance.0) else {
            return;
        };
        let known_end = one
            .ledger
            .get(asked.event_id)
            .and_then(|event| event.feed.as_ref())
            .and_then(|feed| feed.end().cloned());
        let Some(read) = one
            .reads
            .front()
            .filter(|front| front.event_id == asked.event_id && front.read.read_id == read_id)
            .map(|front| front.read)
        else {
            return;
        };
        let most = read.length.min(chunk);
        octets.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        let last = one.reads.advance(octets.len() as u64) || ends;
        let ended = last.then(|| pb::ContentEnd {
            state: pb::ContentState::Complete.into(),
            ..known_end.unwrap_or_default()
        });
        if last {
            one.reads.pop();
        }
        if last || !octets.is_empty() {
            self.send_content(now, asked, read.offset, read_id, ended, octets);
        }
        if last {
            self.serve_reads(now, asked.instance);
        }
    }

    /// Answers a read whose range lies past the end, or whose revision cannot be read.
    pub fn refuse_read(&mut self, now: Instant, asked: Asked, read_id: u64) {
        let Some(one) = self.instances.get_mut(&asked.instance.0) else {
            return;
        };
        let is_front = one
            .reads
            .front()
            .is_some_and(|front| front.event_id == asked.event_id && front.read.read_id == read_id);
        if is_front {
            one.reads.pop();
            self.send_out_of_range(now, asked, read_id);
            self.serve_reads(now, asked.instance);
        }
    }

    /// The sink changed what may be pushed: the end, or a wish, may follow.
    pub(super) fn steered(&mut self, now: Instant, asked: Asked) {
        if !self.send_end(now, asked) && self.feed(asked).is_some_and(|feed| feed.most() > 0) {
            self.want_content(asked.instance, asked.event_id);
        }
    }

    /// Answers reads for which there is nothing to be read, until one needs the caller.
    pub(super) fn serve_reads(&mut self, now: Instant, instance: InstanceId) {
        while let Some(one) = self.instances.get_mut(&instance.0) {
            let Some(front) = one.reads.front() else {
                return;
            };
            let (event_id, read_id) = (front.event_id, front.read.read_id);
            if front.has_content {
                return self.want_content(instance, event_id);
            }
            one.reads.pop();
            self.send_out_of_range(now, Asked { instance, event_id }, read_id);
        }
    }

    /// Content has left: those that waited for it may go on.
    pub(super) fn feed_hungry(&mut self) {
        while self.outbox.content() < self.settings.content_bytes {
            let Some(asked) = self.hungry.pop_front() else {
                return;
            };
            self.want_content(asked.instance, asked.event_id);
        }
    }

    /// An event that was taken off the ledger is over: its content, reads, uploads and parts of a verdict with it.
    pub(super) fn event_over(&mut self, now: Instant, instance: InstanceId, event: &OpenEvent) {
        self.unfinished -= event.parts.len();
        self.question_ended(now);
        self.outbox.drop_content(instance.0, event.id);
        let event_id = event.id;
        self.hungry
            .retain(|asked| *asked != Asked { instance, event_id });
        self.feed_hungry();
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        one.reads.end_event(event.id);
        for upload_id in one.uploads.end_event(event.id) {
            self.send_stop_upload(now, instance, upload_id, "its event is over");
        }
        self.serve_reads(now, instance);
    }

    pub(super) fn send_stop_upload(
        &mut self,
        now: Instant,
        instance: InstanceId,
        upload_id: u64,
        detail: &str,
    ) {
        let stop = pb::StopUpload {
            upload_id,
            detail: detail.to_owned(),
        };
        self.send(now, instance.0, Kind::StopUpload(stop), Urgency::Now);
    }

    /// Sends the end if it is due. Returns whether it was sent.
    fn send_end(&mut self, now: Instant, asked: Asked) -> bool {
        let Some(feed) = self.feed(asked) else {
            return false;
        };
        let offset = feed.offset();
        let Some(end) = feed.take_end() else {
            return false;
        };
        self.send_content(now, asked, offset, 0, Some(end), Bytes::new());
        true
    }

    fn send_out_of_range(&mut self, now: Instant, asked: Asked, read_id: u64) {
        let end = pb::ContentEnd {
            state: pb::ContentState::OutOfRange.into(),
            ..pb::ContentEnd::default()
        };
        self.send_content(now, asked, 0, read_id, Some(end), Bytes::new());
    }

    fn send_content(
        &mut self,
        now: Instant,
        asked: Asked,
        offset: u64,
        read_id: u64,
        ended: Option<pb::ContentEnd>,
        octets: Bytes,
    ) {
        let event_id = asked.event_id;
        let content = pb::Content {
            event_id,
            offset,
            octets: Bytes::new(),
            ended: ended.map(Box::new),
            read_id,
        };
        let frame = Frame::Content {
            event_id,
            has_octets: !octets.is_empty(),
            transmit: Transmit::content(asked.instance.0, &content, octets),
        };
        self.push_frame(now, asked.instance.0, frame, Urgency::Now);
    }

    fn feed(&mut self, asked: Asked) -> Option<&mut super::feed::Feed> {
        self.instances
            .get_mut(&asked.instance.0)?
            .ledger
            .get_mut(asked.event_id)?
            .feed
            .as_mut()
    }
}
