//! Content that can be read at any offset, and content that is ready to be committed.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::arrival::Arrival;
use crate::files::FileGuard;

/// Content that can be read from any offset, also while it is still arriving.
#[async_trait]
pub trait ReadAt: Send + Sync {
    /// Up to `max` octets from `offset` on. Nothing (an empty `Bytes`) when no octet is there
    /// (yet). May return less than `max`; call again.
    ///
    /// # Errors
    /// When the file cannot be read, or the content was given up before it was complete.
    async fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes>;

    /// Octets that can be read now.
    fn available(&self) -> u64;

    /// The content is complete: [`ReadAt::available`] is its size. Never true after an abort.
    fn is_complete(&self) -> bool;

    /// Waits until octets beyond `offset` can be read, or the content is complete, or it was
    /// aborted; true when there are octets beyond `offset`. The caller sets the deadline.
    async fn wait_beyond(&self, offset: u64) -> bool;
}

/// SHA-256 digests of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Of the whole content.
    pub whole: [u8; 32],
    /// Of the body alone; there when the header section's end was told in time.
    pub body: Option<[u8; 32]>,
}

/// A content that is complete and, when it is in a file, on stable storage. Dropped without having
/// been committed it goes away. Clones may be committed by several messages, in one batch.
#[derive(Clone)]
pub struct StoredBody {
    pub(crate) content: Arc<Arrival>,
    pub(crate) place: Place,
    pub(crate) size: u64,
    pub(crate) sum: u32,
    pub(crate) digests: Option<Digests>,
}

/// Where a complete content is.
#[derive(Clone)]
pub(crate) enum Place {
    /// In memory, to be kept in the database.
    Inline(Bytes),
    /// In a file of its own.
    File(Arc<FileGuard>),
}

impl StoredBody {
    /// Its size in octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its digests, if they were asked for.
    #[must_use]
    pub fn digests(&self) -> Option<&Digests> {
        self.digests.as_ref()
    }

    /// Its bytes. They can be read as long as the reader is kept, also after the message was
    /// removed.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn ReadAt> {
        Arc::clone(&self.content) as Arc<dyn ReadAt>
    }
}
