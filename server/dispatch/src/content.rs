//! The narrow view that dispatch has of a message's stored octets.
//!
//! Live push while the client still sends, pull by range, and reading back what was stored long ago are one
//! thing here: offsets into what arrived, and a way to wait for more of it. The octets are those that were
//! received, header section first; edits are no part of it (`postern_message::Version` maps them).

use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::Bytes;

/// A boxed future, as the traits here hand them out.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is known of a message's octets once no more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentEnd {
    /// False where the client was cut off or refused before the end; the digests then cover what arrived.
    pub complete: bool,
    /// Octets received, header section and body.
    pub size_bytes: u64,
    /// SHA-256 of all octets received; absent where nobody reads digests.
    pub sha256: Option<[u8; 32]>,
    /// SHA-256 of the octets after the header section and its empty line; absent where nobody reads digests.
    pub body_sha256: Option<[u8; 32]>,
}

/// Octets of one message, readable while they arrive.
///
/// Many readers may use one content at a time. Reads of what has arrived must not wait for more to arrive.
pub trait Content: Send + Sync {
    /// Reads up to `max` octets at `offset`. Empty if `offset` is at or beyond [`Content::available`].
    ///
    /// # Errors
    /// What the store reports; the reader treats it as the end of its work, never as an end of content.
    fn read_at(&self, offset: u64, max: usize) -> BoxFuture<'_, io::Result<Bytes>>;

    /// Octets that can be read now.
    fn available(&self) -> u64;

    /// Resolves once more than `offset` octets are readable, or [`Content::end`] is known. Must be woken also
    /// when the content is given up.
    fn wait_beyond(&self, offset: u64) -> BoxFuture<'_, ()>;

    /// Known once no more octets will come.
    fn end(&self) -> Option<ContentEnd>;
}

/// A content that is whole and in memory: DSNs, small messages read back, tests.
#[derive(Clone, Debug)]
pub struct WholeContent {
    octets: Bytes,
    end: ContentEnd,
}

impl WholeContent {
    /// Content of `octets`, with digests that the caller knows (the store keeps them).
    #[must_use]
    pub fn new(octets: Bytes, end: ContentEnd) -> Self {
        Self { octets, end }
    }
}

impl Content for WholeContent {
    fn read_at(&self, offset: u64, max: usize) -> BoxFuture<'_, io::Result<Bytes>> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.octets.len());
        let stop = start.saturating_add(max).min(self.octets.len());
        let part = self.octets.slice(start..stop);
        Box::pin(std::future::ready(Ok(part)))
    }

    fn available(&self) -> u64 {
        self.octets.len() as u64
    }

    fn wait_beyond(&self, _offset: u64) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn end(&self) -> Option<ContentEnd> {
        Some(self.end)
    }
}
