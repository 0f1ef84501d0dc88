//! A version of the content: header list and body as one point in the chain of edits sees them.
//!
//! A version holds no copy of the content. Its body is a rope over ranges of the original and
//! inserted bytes, its header fields are the original's or inserted ones.
//!
//! What is delivered is what came in plus the edits, octet for octet. One thing is added by the
//! gateway itself: where the original has no empty line between header and body and anything was
//! edited, an empty line is rendered, so that every reader divides the message where the sinks
//! did. Without it an inserted field could swallow the first line of the body, or the reverse.

mod apply;
mod codec;
mod headers;
mod rope;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::{HeaderField, HeaderId, HeaderSection};

const LINE_END: &[u8] = b"\r\n";

/// A part of the content as it is to be read out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// These octets of the original content.
    Original(Range<u64>),
    /// Bytes that are not in the original.
    Inserted(Bytes),
}

impl Segment {
    /// Its length in octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Original(range) => range.end.saturating_sub(range.start),
            Self::Inserted(bytes) => bytes.len() as u64,
        }
    }
}

/// The content at one point in the chain of edits. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    headers: Arc<Vec<HeaderField>>,
    /// Fields that were removed, each with the one that stood behind it (which may be gone too), so that a place
    /// named after them can still be found.
    gone: Arc<Vec<(HeaderId, Option<HeaderId>)>>,
    /// The id that the next inserted field gets.
    next_id: u32,
    body_offset: u64,
    /// Octets of the empty line of the original: 2 or 0.
    separator: u64,
    body: Arc<Vec<Segment>>,
    open: bool,
    edited: bool,
}

impl Version {
    /// The content as it came. `size` is its size in octets; `None` while it is still arriving.
    #[must_use]
    pub fn original(section: &HeaderSection, size: Option<u64>) -> Self {
        let start = section.body_offset();
        let end = size.unwrap_or(u64::MAX);
        Self {
            headers: Arc::new(section.fields().to_vec()),
            gone: Arc::default(),
            next_id: section.fields().len() as u32 + 1,
            body_offset: start,
            separator: section.separator_octets(),
            body: Arc::new(rope::whole(start..end)),
            open: size.is_none(),
            edited: false,
        }
    }

    /// The whole content has arrived: the original has `size` octets. Changes nothing when that
    /// was known before.
    #[must_use]
    pub fn close(&self, size: u64) -> Self {
        let mut next = self.clone();
        if self.open {
            next.open = false;
            next.body = Arc::new(rope::whole(self.body_offset..size));
        }
        next
    }

    /// The header fields in their order.
    #[must_use]
    pub fn headers(&self) -> &[HeaderField] {
        &self.headers
    }

    /// The field with this id.
    #[must_use]
    pub fn header(&self, id: HeaderId) -> Option<&HeaderField> {
        self.headers.iter().find(|field| field.id() == id)
    }

    /// The content is still arriving: its size is not known, its body cannot be spliced.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The content differs from what came in.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.edited
    }

    /// Where the body starts in the original content.
    #[must_use]
    pub fn body_offset(&self) -> u64 {
        self.body_offset
    }

    /// Octets of the whole message as it would be sent; `None` while it is still arriving.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        Some(self.header_size().saturating_add(self.body_size()?))
    }

    /// Octets of the header section as it would be sent, the empty line included.
    #[must_use]
    pub fn header_size(&self) -> u64 {
        self.header_parts().iter().map(Segment::size).sum()
    }

    /// Octets of the body; `None` while it is still arriving.
    #[must_use]
    pub fn body_size(&self) -> Option<u64> {
        (!self.open).then(|| rope::size(&self.body))
    }

    /// The whole message in order. Neighbouring ranges of the original are joined. While the
    /// content is still arriving the last range has no end of its own (`u64::MAX`).
    #[must_use]
    pub fn segments(&self) -> Vec<Segment> {
        let mut parts = self.header_parts();
        for part in self.body.iter() {
            rope::push(&mut parts, part.clone());
        }
        parts
    }

    /// The octets `range` of the whole message; what lies beyond its end is left out.
    #[must_use]
    pub fn segments_in(&self, range: Range<u64>) -> Vec<Segment> {
        rope::slice(&self.segments(), range)
    }

    /// The octets `range` of the body alone; what lies beyond its end is left out.
    #[must_use]
    pub fn body_segments(&self, range: Range<u64>) -> Vec<Segment> {
        rope::slice(&self.body, range)
    }

    fn header_parts(&self) -> Vec<Segment> {
        let mut parts = Vec::new();
        let mut last_is_open = false;
        for field in self.headers.iter() {
            if last_is_open {
                rope::push(&mut parts, line_end());
            }
            let size = field.raw().len() as u64;
            rope::push(
                &mut parts,
                match field.origin() {
                    Some(start) => Segment::Original(start..start + size),
                    None => Segment::Inserted(field.raw().clone()),
                },
            );
            last_is_open = !field.is_terminated();
        }
        let body_follows = self.open || !self.body.is_empty();
        if last_is_open && body_follows {
            rope::push(&mut parts, line_end());
        }
        if self.separator > 0 {
            rope::push(
                &mut parts,
                Segment::Original(self.body_offset - self.separator..self.body_offset),
            );
        } else if self.edited && body_follows {
            rope::push(&mut parts, line_end());
        }
        parts
    }
}

fn line_end() -> Segment {
    Segment::Inserted(Bytes::from_static(LINE_END))
}

#[cfg(test)]
mod tests;
