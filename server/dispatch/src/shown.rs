//! The content of one question, as the binding sees it: pieces of it while it arrives, ranges of it, its end.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use postern_attach::{Read, Wish};
use postern_events::plan::CHUNK_BYTES;
use postern_message::{Segment, Version};
use postern_proto::v1 as pb;

use crate::content::{Content, ContentEnd};

/// What a question shows.
pub(crate) struct Shown {
    /// The octets as received.
    pub(crate) content: Arc<dyn Content>,
    /// What the bindings before have made of them.
    pub(crate) version: Version,
    /// The binding reads `digest`.
    pub(crate) digest: bool,
    /// The binding reads `history`: the content as received may be read too.
    pub(crate) history: bool,
}

/// What a wish came to.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The next octets of the body.
    Push(Bytes),
    /// Octets of a range.
    Read {
        read_id: u64,
        octets: Bytes,
        /// The content ends with them.
        ends: bool,
    },
    /// The range lies past the end, or is of a revision that cannot be read.
    OutOfRange { read_id: u64 },
    /// The octets are gone: the message was cut, or the store fails.
    Unreadable(io::Error),
    /// The body ends before the first octet that was wished for.
    Nothing,
}

/// Fetches what a link wishes to send, waiting for octets that have not arrived.
pub(crate) async fn fetch(shown: Arc<Shown>, wish: Wish) -> Piece {
    let piece = match wish {
        Wish::Push { offset, most } => shown.body_from(offset, most).await,
        Wish::Read(read) => shown.range(&read).await,
        Wish::Nothing | Wish::Over => Ok(Piece::Nothing),
    };
    piece.unwrap_or_else(Piece::Unreadable)
}

/// Waits for the end of the content. Never resolves for one that is cut off: its question is cancelled.
pub(crate) async fn end(shown: Arc<Shown>) -> pb::ContentEnd {
    loop {
        match shown.content.end() {
            Some(end) if end.complete => return shown.ended(&end),
            Some(_) => return std::future::pending().await,
            None => shown.content.wait_beyond(u64::MAX).await,
        }
    }
}

impl Shown {
    async fn body_from(&self, offset: u64, most: usize) -> io::Result<Piece> {
        loop {
            let end = self.content.end();
            let version = self.version(end.as_ref());
            let there = self.body_there(&version);
            let next = there.saturating_sub(offset).min(most as u64);
            if next > 0 {
                let segments = version.body_segments(offset..offset + next);
                return self.gather(&segments).await.map(Piece::Push);
            }
            match end {
                Some(end) if end.complete => return Ok(Piece::Nothing),
                Some(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {
                    self.content
                        .wait_beyond(version.body_offset() + offset)
                        .await;
                }
            }
        }
    }

    async fn range(&self, read: &Read) -> io::Result<Piece> {
        let read_id = read.read_id;
        let original = match read.revision {
            0 => false,
            1 if self.history => true,
            _ => return Ok(Piece::OutOfRange { read_id }),
        };
        let whole = read.part == pb::ContentPart::Whole;
        let stop = read.offset.saturating_add(read.length);
        loop {
            let end = self.content.end();
            let version = self.version(end.as_ref());
            let (head, body) = if original {
                let head = version.body_offset();
                (head, self.content.available().saturating_sub(head))
            } else {
                (version.header_size(), self.body_there(&version))
            };
            let there = if whole { head + body } else { body };
            if there < stop {
                match end {
                    None => {
                        let beyond = if whole {
                            stop.saturating_sub(head)
                        } else {
                            stop
                        };
                        // One octet before the last that is wanted.
                        let beyond = version.body_offset() + beyond.saturating_sub(1);
                        self.content.wait_beyond(beyond).await;
                        continue;
                    }
                    Some(end) if !end.complete => {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    Some(_) => {}
                }
            }
            if read.offset >= there {
                return Ok(Piece::OutOfRange { read_id });
            }
            let range = read.offset..stop.min(there);
            let ends = range.end == there && end.is_some();
            let segments = match (original, whole) {
                (true, true) => vec![Segment::Original(range)],
                (true, false) => vec![Segment::Original(range.start + head..range.end + head)],
                (false, true) => version.segments_in(range),
                (false, false) => version.body_segments(range),
            };
            let octets = self.gather(&segments).await?;
            return Ok(Piece::Read {
                read_id,
                octets,
                ends,
            });
        }
    }

    fn ended(&self, end: &ContentEnd) -> pb::ContentEnd {
        let version = self.version(Some(end));
        let body = version.body_size().unwrap_or(0);
        let digest = |octets: Option<[u8; 32]>| {
            octets
                .filter(|_| self.digest && !version.is_edited())
                .map_or_else(Bytes::new, |octets| Bytes::copy_from_slice(&octets))
        };
        pb::ContentEnd {
            state: pb::ContentState::Complete.into(),
            body_size_bytes: body,
            size_bytes: version.header_size() + body,
            sha256: digest(end.sha256),
            body_sha256: digest(end.body_sha256),
        }
    }

    /// The version, closed once the end is known.
    fn version(&self, end: Option<&ContentEnd>) -> Version {
        match end {
            Some(end) if self.version.is_open() => self.version.close(end.size_bytes),
            _ => self.version.clone(),
        }
    }

    /// Octets of the body in this version that can be read now.
    fn body_there(&self, version: &Version) -> u64 {
        match version.body_size() {
            Some(size) => size,
            None => self
                .content
                .available()
                .saturating_sub(version.body_offset()),
        }
    }

    async fn gather(&self, segments: &[Segment]) -> io::Result<Bytes> {
        // The usual case is one range of the original, which is passed on without a copy.
        if let [Segment::Original(range)] = segments {
            let part = self.part(range).await?;
            if part.len() as u64 == range.end - range.start {
                return Ok(part);
            }
        }
        let mut octets = BytesMut::new();
        for segment in segments {
            match segment {
                Segment::Inserted(inserted) => octets.extend_from_slice(inserted),
                Segment::Original(range) => {
                    let mut start = range.start;
                    while start < range.end {
                        let part = self.part(&(start..range.end)).await?;
                        start += part.len() as u64;
                        octets.extend_from_slice(&part);
                    }
                }
            }
        }
        Ok(octets.freeze())
    }

    async fn part(&self, range: &Range<u64>) -> io::Result<Bytes> {
        let length = usize::try_from(range.end - range.start).unwrap_or(CHUNK_BYTES);
        let octets = self.content.read_at(range.start, length).await?;
        if octets.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(octets)
    }
}
