//! A content in the spool, as the dispatcher reads it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use postern_dispatch::content::{BoxFuture, Content, ContentEnd};
use postern_spool::ReadAt;
use sha2::{Digest, Sha256};

/// Octets hashed at a time.
const PIECE: usize = 64 * 1024;

/// A whole content with its digests.
pub(crate) struct Spooled {
    source: Arc<dyn ReadAt>,
    end: ContentEnd,
}

impl Spooled {
    /// Reads the content once to know its digests. `body_offset` is where the body starts.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn read(source: Arc<dyn ReadAt>, body_offset: u64) -> io::Result<Self> {
        let (mut whole, mut body) = (Sha256::new(), Sha256::new());
        let mut at = 0;
        loop {
            let piece = source.read_at(at, PIECE).await?;
            if piece.is_empty() {
                break;
            }
            whole.update(&piece);
            let head = usize::try_from(body_offset.saturating_sub(at)).unwrap_or(usize::MAX);
            body.update(piece.get(head.min(piece.len())..).unwrap_or_default());
            at += piece.len() as u64;
        }
        if at != source.available() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = ContentEnd {
            complete: true,
            size_bytes: at,
            sha256: Some(whole.finalize().into()),
            body_sha256: Some(body.finalize().into()),
        };
        Ok(Self { source, end })
    }
}

impl Spooled {
    /// The content with digests of nothing, where nobody is shown any of it.
    pub(crate) fn undigested(source: Arc<dyn ReadAt>) -> Self {
        let end = ContentEnd {
            complete: true,
            size_bytes: source.available(),
            sha256: None,
            body_sha256: None,
        };
        Self { source, end }
    }
}

impl Content for Spooled {
    fn read_at(&self, offset: u64, max: usize) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(self.source.read_at(offset, max))
    }

    fn available(&self) -> u64 {
        self.source.available()
    }

    fn wait_beyond(&self, _offset: u64) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn end(&self) -> Option<ContentEnd> {
        Some(self.end)
    }
}
