//! A content that is being received.

use std::sync::Arc;

use bytes::Bytes;

use crate::{ReadAt, SpoolError, StoredBody};

/// A content that is being received. Up to 32 KiB stay in memory; more goes to a file under its
/// final name while it arrives. Dropped before [`Incoming::finish`], it leaves nothing behind.
pub struct Incoming {
    content: Arc<dyn ReadAt>,
}

impl Incoming {
    /// Asks for SHA-256 digests. Call it before the first octet is written.
    pub fn want_digests(&mut self) {}

    /// Tells where the body starts, for the digest of the body alone. Call it before octets beyond
    /// `offset` are written; told later it is ignored.
    pub fn body_starts_at(&mut self, offset: u64) {
        let _ = offset;
    }

    /// Takes the next octets. Waits when the disk is behind by more than the buffer of 256 KiB.
    ///
    /// # Errors
    /// When the file cannot be written. The content is lost then; the client is to hear 452 or 451.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), SpoolError> {
        let _ = bytes;
        Err(SpoolError::Closed)
    }

    /// Reads what has arrived so far, and goes on reading what arrives later, and after the
    /// commit. A slow reader does not slow the writer.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn ReadAt> {
        Arc::clone(&self.content)
    }

    /// The content is complete. A file is on stable storage when this returns.
    ///
    /// # Errors
    /// When the file could not be written or synced.
    pub async fn finish(self) -> Result<StoredBody, SpoolError> {
        Err(SpoolError::Closed)
    }
}
