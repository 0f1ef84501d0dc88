//! A version of a content, read as one: ranges of the original and inserted bytes in turn.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use postern_message::{Segment, Version};

use crate::ReadAt;

/// Reads a closed version of a complete content: what is to be delivered. Nothing is copied to
/// put it together; offsets are those of the version.
pub struct Rendered {
    content: Arc<dyn ReadAt>,
    /// Segments, each with the offset where it ends.
    segments: Vec<(u64, Segment)>,
    size: u64,
}

impl Rendered {
    /// A version over its original content; `None` while the version is still open.
    #[must_use]
    pub fn new(version: &Version, content: Arc<dyn ReadAt>) -> Option<Self> {
        let size = version.size()?;
        let mut end = 0_u64;
        let segments = version.segments().into_iter().map(|segment| {
            end = end.saturating_add(segment.size());
            (end, segment)
        });
        Some(Self {
            segments: segments.collect(),
            content,
            size,
        })
    }

    /// Octets of the whole version.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

#[async_trait]
impl ReadAt for Rendered {
    async fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        let index = self.segments.partition_point(|(end, _)| *end <= offset);
        let Some((end, segment)) = self.segments.get(index) else {
            return Ok(Bytes::new());
        };
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX).min(max);
        // How far into the segment the offset is.
        let within = segment.size() - (end - offset);
        match segment {
            Segment::Inserted(bytes) => {
                let from = usize::try_from(within).unwrap_or(bytes.len());
                Ok(bytes.slice(from..from.saturating_add(left).min(bytes.len())))
            }
            Segment::Original(range) => {
                let read = self.content.read_at(range.start + within, left).await?;
                if read.is_empty() && left > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(read)
            }
        }
    }

    fn available(&self) -> u64 {
        self.size
    }

    fn is_complete(&self) -> bool {
        true
    }

    async fn wait_beyond(&self, offset: u64) -> bool {
        offset < self.size
    }
}
