//! Content on its way to one sink, for one event.
//!
//! Pushed to the depth that the binding asks for while it still arrives, read by range where the sink asks. A pump
//! holds one chunk at a time and reads it only when it may be sent: a sink that lags reads from the store later.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use postern_message::{Segment, Version};
use postern_proto::v1 as pb;
use postern_proto::v1::AttachRequest;
use postern_proto::v1::attach_request::Kind;

use crate::content::{Content, ContentEnd};
use crate::feed::Wish;
use crate::instance::Instance;
use crate::outbox::Ended;
use crate::plan::BodyDepth;
use crate::seat::Showing;
use crate::settings::CHUNK_BYTES;
use crate::wire;

/// Longest read by range, in octets.
const READ_MAX: u64 = 1 << 20;

/// One pump.
pub(crate) struct Pump {
    instance: Arc<Instance>,
    event_id: u64,
    showing: Showing,
    content: Arc<dyn Content>,
    /// Octets of the body that were pushed.
    pushed: u64,
    /// The end was sent.
    closed: bool,
}

/// Why a pump stops.
enum Stop {
    /// Nobody waits for the content any more, or the stream is gone.
    Over,
    /// The store cannot be read.
    Unreadable,
}

impl From<Ended> for Stop {
    fn from(_: Ended) -> Self {
        Self::Over
    }
}

impl Pump {
    pub(crate) fn new(
        instance: Arc<Instance>,
        event_id: u64,
        showing: Showing,
        content: Arc<dyn Content>,
    ) -> Self {
        Self {
            instance,
            event_id,
            showing,
            content,
            pushed: 0,
            closed: false,
        }
    }

    /// Runs until the event is decided or given up, or the stream is lost.
    pub(crate) async fn run(mut self) {
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(Stop::Over) => return,
                // The sink learns that the content is cut; the event's verdict or deadline decides.
                Err(Stop::Unreadable) => {
                    let cut = pb::ContentEnd {
                        state: pb::ContentState::Cut.into(),
                        ..pb::ContentEnd::default()
                    };
                    let _gone = self.send(self.pushed, Bytes::new(), Some(cut), 0).await;
                    return;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<(), Stop> {
        let limit = match self.showing.depth {
            BodyDepth::Full => u64::MAX,
            BodyDepth::Prefix(octets) => octets,
            BodyDepth::None | BodyDepth::Headers | BodyDepth::OnDemand => 0,
        };
        match self.showing.feed.wish() {
            Wish::Ended => Err(Stop::Over),
            Wish::Read(read) => self.answer(&read).await,
            _ if self.closed => self.idle().await,
            Wish::Stopped => self.push(0).await,
            Wish::Push(credit) => {
                self.push(credit.min(limit.saturating_sub(self.pushed)))
                    .await
            }
            Wish::Nothing => self.push(0).await,
        }
    }

    /// Pushes the next chunk of at most `most` octets, or the end, or waits.
    async fn push(&mut self, most: u64) -> Result<(), Stop> {
        let end = self.content.end();
        let there = self.body_there(end.as_ref());
        let next = (there.saturating_sub(self.pushed))
            .min(most)
            .min(CHUNK_BYTES as u64);
        if next > 0 {
            let version = self.version(end.as_ref());
            let segments = version.body_segments(self.pushed..self.pushed + next);
            let data = self.read(&segments).await?;
            if data.is_empty() {
                return Err(Stop::Unreadable);
            }
            self.showing.feed.spend(data.len() as u64);
            let offset = self.pushed;
            self.pushed += data.len() as u64;
            let last = end.filter(|_| self.pushed >= there || self.pushed >= self.limit());
            self.closed = last.is_some();
            let ended = last.map(|end| self.ended(&end));
            return self.send(offset, data, ended, 0).await;
        }
        let owes_more = there > self.pushed && self.pushed < self.limit() && !self.is_stopped();
        match end {
            // Octets that may still be pushed when credit comes are not cut off by the end.
            Some(end) if !owes_more => {
                self.closed = true;
                let ended = self.ended(&end);
                self.send(self.pushed, Bytes::new(), Some(ended), 0).await
            }
            Some(_) => self.idle().await,
            None if most > 0 || !owes_more => {
                let beyond = match most {
                    0 => u64::MAX,
                    _ => self.showing.version.body_offset() + self.pushed,
                };
                tokio::select! {
                    () = self.content.wait_beyond(beyond) => Ok(()),
                    () = self.showing.feed.changed() => Ok(()),
                }
            }
            None => self.idle().await,
        }
    }

    fn limit(&self) -> u64 {
        match self.showing.depth {
            BodyDepth::Full => u64::MAX,
            BodyDepth::Prefix(octets) => octets,
            BodyDepth::None | BodyDepth::Headers | BodyDepth::OnDemand => 0,
        }
    }

    fn is_stopped(&self) -> bool {
        self.showing.feed.is_stopped()
    }

    /// Waits for the sink to say something.
    async fn idle(&self) -> Result<(), Stop> {
        self.showing.feed.changed().await;
        Ok(())
    }

    /// Octets of the body in this version that can be read now.
    fn body_there(&self, end: Option<&ContentEnd>) -> u64 {
        let version = self.version(end);
        match version.body_size() {
            Some(size) => size,
            None => self
                .content
                .available()
                .saturating_sub(version.body_offset()),
        }
    }

    /// The binding's version, closed once the end is known.
    fn version(&self, end: Option<&ContentEnd>) -> Version {
        match end {
            Some(end) if self.showing.version.is_open() => {
                self.showing.version.close(end.size_bytes)
            }
            _ => self.showing.version.clone(),
        }
    }

    fn ended(&self, end: &ContentEnd) -> pb::ContentEnd {
        let version = self.version(Some(end));
        let body = version.body_size().unwrap_or(0);
        wire::ended(end, body, version.header_size() + body, version.is_edited())
    }

    /// Answers a read by range.
    async fn answer(&self, read: &pb::ReadContent) -> Result<(), Stop> {
        let whole = read.part == i32::from(pb::ContentPart::Whole);
        let length = read.length_bytes.min(READ_MAX);
        let wanted = read.offset..read.offset.saturating_add(length);
        let mut offset = wanted.start;
        loop {
            let end = self.content.end();
            let version = self.version(end.as_ref());
            let header = if whole { version.header_size() } else { 0 };
            let there = header + self.body_there(end.as_ref());
            if end.is_none() && there < wanted.end {
                self.wait_until(version.body_offset() + wanted.end.saturating_sub(header))
                    .await?;
                continue;
            }
            let next = wanted.end.min(there).min(offset + CHUNK_BYTES as u64);
            let state = match end {
                Some(end) if !end.complete => pb::ContentState::Cut,
                _ if there <= wanted.start || length == 0 => pb::ContentState::OutOfRange,
                _ => pb::ContentState::Complete,
            };
            let range = offset..next.max(offset);
            let segments = if whole {
                version.segments_in(range)
            } else {
                version.body_segments(range)
            };
            let data = if next > offset {
                self.read(&segments).await?
            } else {
                Bytes::new()
            };
            let start = offset;
            offset += data.len() as u64;
            let last = data.is_empty() || offset >= wanted.end.min(there);
            let ended = last.then(|| match &end {
                Some(end) => pb::ContentEnd {
                    state: state.into(),
                    ..self.ended(end)
                },
                None => pb::ContentEnd {
                    state: state.into(),
                    ..pb::ContentEnd::default()
                },
            });
            self.send(start, data, ended, read.read_id).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Waits until octets up to `octets` of the original have arrived, or the end is known.
    async fn wait_until(&self, octets: u64) -> Result<(), Stop> {
        tokio::select! {
            () = self.content.wait_beyond(octets.saturating_sub(1)) => Ok(()),
            () = self.showing.feed.ended() => Err(Stop::Over),
        }
    }

    async fn read(&self, segments: &[Segment]) -> Result<Bytes, Stop> {
        // The usual case is one range of the original, which is passed on without a copy.
        if let [Segment::Original(range)] = segments {
            return self.read_range(range).await;
        }
        let mut data = BytesMut::new();
        for segment in segments {
            match segment {
                Segment::Inserted(octets) => data.extend_from_slice(octets),
                Segment::Original(range) => {
                    let mut start = range.start;
                    while start < range.end {
                        let part = self.read_range(&(start..range.end)).await?;
                        start += part.len() as u64;
                        data.extend_from_slice(&part);
                    }
                }
            }
        }
        Ok(data.freeze())
    }

    async fn read_range(&self, range: &Range<u64>) -> Result<Bytes, Stop> {
        let length = usize::try_from(range.end - range.start)
            .unwrap_or(CHUNK_BYTES)
            .min(CHUNK_BYTES);
        let data = self
            .content
            .read_at(range.start, length)
            .await
            .map_err(|_| Stop::Unreadable)?;
        if data.is_empty() {
            Err(Stop::Unreadable)
        } else {
            Ok(data)
        }
    }

    /// Sends a frame once the network has taken enough of those before it.
    async fn send(
        &self,
        offset: u64,
        data: Bytes,
        ended: Option<pb::ContentEnd>,
        read_id: u64,
    ) -> Result<(), Stop> {
        let frame = AttachRequest {
            instance_id: self.instance.id(),
            kind: Some(Kind::Content(pb::Content {
                event_id: self.event_id,
                offset,
                data,
                ended,
                read_id,
            })),
        };
        let outbox = self.instance.stream().outbox();
        let sending = async {
            let place = outbox.wait_for_chunk().await?;
            outbox.send_chunk(frame, place).await
        };
        tokio::select! {
            biased;
            sent = sending => Ok(sent?),
            () = self.showing.feed.ended() => Err(Stop::Over),
        }
    }
}
