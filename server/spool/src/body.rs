//! Content that can be read at any offset, and content that is ready to be committed.

use std::any::Any;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::arrival::Arrival;
use crate::budget::Budget;
use crate::{ContentFacts, Purpose};

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

    /// What the content is made of; `None` where that is not known (yet).
    fn facts(&self) -> Option<ContentFacts> {
        None
    }

    /// Octets that are in memory as long as the reader is there.
    fn in_memory(&self) -> u64 {
        0
    }
}

/// Octets that a store keeps outside of memory, read by whoever can block.
pub trait Blob: Send + Sync {
    /// Up to `max` octets from `offset` on, at least one where there are any.
    ///
    /// # Errors
    /// When they cannot be read, or are not those that were written.
    fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes>;
}

/// Where a store puts the octets of one content that is too large for memory. Its methods block and
/// are called one after the other.
pub trait Spill: Send {
    /// Appends octets.
    ///
    /// # Errors
    /// When they cannot be written; the content is lost then.
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;

    /// Reads back what was written, also while more is being written.
    fn blob(&self) -> Arc<dyn Blob>;

    /// Brings all of it to stable storage, and says where it is: the driver's own words, which come
    /// back to it with the commit. Dropped without having been committed, the content goes away.
    ///
    /// # Errors
    /// When it cannot be brought there; the content is lost then.
    fn finish(&mut self) -> io::Result<Arc<dyn Any + Send + Sync>>;
}

/// Makes room for contents that are too large for memory. A content holds it from its beginning until its
/// commit is asked for, so a driver knows what is on its way.
pub trait Spills: Send + Sync {
    /// A place for another one. Blocks.
    ///
    /// # Errors
    /// When there is none.
    fn spill(&self) -> io::Result<Box<dyn Spill>>;

    /// What may stay in memory of contents that are written. Nothing, if a driver says nothing.
    fn budget(&self) -> Budget {
        Budget::default()
    }
}

/// SHA-256 digests of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Of the whole content.
    pub whole: [u8; 32],
    /// Of the body alone; there when the header section's end was told in time.
    pub body: Option<[u8; 32]>,
}

/// A content that is complete: in memory, or on stable storage. Dropped without having
/// been committed it goes away. Clones may be committed by several messages, in one batch.
#[derive(Clone)]
pub struct StoredBody {
    pub(crate) content: Arc<Arrival>,
    pub(crate) place: Place,
    pub(crate) size: u64,
    pub(crate) sum: u32,
    pub(crate) blocks: Arc<[u32]>,
    pub(crate) facts: ContentFacts,
    pub(crate) digests: Option<Digests>,
    pub(crate) purpose: Purpose,
    /// What made room for it: kept while it is on its way to a commit.
    pub(crate) _spills: Arc<dyn Spills>,
}

/// Where a complete content is.
#[derive(Clone)]
pub enum Place {
    /// In memory, to be committed with its message.
    Memory(Bytes),
    /// Where its [`Spill`] has put it, in the words of the driver.
    Spilled(Arc<dyn Any + Send + Sync>),
}

impl StoredBody {
    /// Its size in octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it is, for a driver that commits it.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its CRC-32.
    #[must_use]
    pub fn sum(&self) -> u32 {
        self.sum
    }

    /// The CRC-32 of each block of 64 KiB of it.
    #[must_use]
    pub fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    /// What it is made of.
    #[must_use]
    pub fn facts(&self) -> &ContentFacts {
        &self.facts
    }

    /// What it was received for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
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
