//! Reads a message out of the spool, piece by piece, as its version has it.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use postern_message::{Segment, Version};
use postern_spool::ReadAt;

/// Octets read at a time. No more than this of a message is in memory for a delivery.
const PIECE: usize = 64 * 1024;

/// The content of a message from its first octet to its last.
pub struct ContentReader {
    source: Arc<dyn ReadAt>,
    left: VecDeque<Segment>,
}

impl ContentReader {
    /// The content that `version` makes of the original in `source`.
    pub fn new(version: &Version, source: Arc<dyn ReadAt>) -> Self {
        Self {
            source,
            left: version.segments().into(),
        }
    }

    /// The octets `range` of that content.
    pub fn range(version: &Version, range: Range<u64>, source: Arc<dyn ReadAt>) -> Self {
        Self {
            source,
            left: version.segments_in(range).into(),
        }
    }

    /// All that is left, in one piece. For content whose size is known to be small.
    ///
    /// # Errors
    /// As [`ContentReader::next`].
    pub async fn read_to_end(mut self) -> io::Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The next piece, at most 64 KiB of the original or one inserted piece; `None` at the end.
    ///
    /// # Errors
    /// The store's; [`io::ErrorKind::UnexpectedEof`] when it has fewer octets than the version needs.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(segment) = self.left.pop_front() {
            let piece = match segment {
                Segment::Inserted(bytes) => bytes,
                Segment::Original(range) => self.read(range).await?,
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    async fn read(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let most = usize::try_from(wanted).unwrap_or(PIECE).min(PIECE);
        let piece = self.source.read_at(range.start, most).await?;
        if piece.is_empty() || piece.len() > most {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let next = range.start + piece.len() as u64;
        if next < range.end {
            self.left.push_front(Segment::Original(next..range.end));
        }
        Ok(piece)
    }
}

/// Whether an error says that this content cannot be read, now or later, and not that nothing can be.
pub fn is_damage(error: &io::Error) -> bool {
    let kind = matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    );
    kind || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
