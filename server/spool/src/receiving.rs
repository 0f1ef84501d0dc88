//! A content that is being received.

use std::any::Any;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::arrival::Arrival;
use crate::body::Place;
use crate::sums::Sums;
use crate::{Blob, Purpose, ReadAt, Spill, Spills, SpoolError, StoredBody};

/// Octets that may wait in memory before they are written. A content that is complete before there
/// are as many is committed from memory.
const BUFFER: u64 = 256 * 1024;

/// A content that is being received. Less than 256 KiB stay in memory; more goes to where the store
/// puts it while it arrives. Dropped before [`Receiving::finish`], it leaves nothing behind.
///
/// It uses the blocking pool of the runtime that it is written on.
pub struct Receiving {
    content: Arc<Arrival>,
    spills: Arc<dyn Spills>,
    purpose: Purpose,
    /// Octets in memory that no write has taken yet.
    waiting: u64,
    /// Octets in memory that a write has taken and is not over with.
    leaving: u64,
    size: u64,
    /// `None` while a write has it.
    writer: Option<Writing>,
    writing: Option<JoinHandle<io::Result<Writing>>>,
    complete: bool,
}

/// What writing needs; it goes to the blocking pool and comes back.
struct Writing {
    sums: Sums,
    spill: Option<(Box<dyn Spill>, Arc<dyn Blob>)>,
}

impl Receiving {
    /// A content of which nothing has come yet. For drivers: others ask a store for one.
    #[must_use]
    pub fn new(spills: Arc<dyn Spills>, purpose: Purpose) -> Self {
        Self {
            content: Arc::new(Arrival::new(&spills.budget())),
            spills,
            purpose,
            waiting: 0,
            leaving: 0,
            size: 0,
            writer: Some(Writing {
                sums: Sums::new(),
                spill: None,
            }),
            writing: None,
            complete: false,
        }
    }

    /// Asks for SHA-256 digests. Call it before the first octet is written; later it is ignored.
    pub fn want_digests(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.sums.want_digests();
        }
    }

    /// Tells where the body starts, for the digest of the body alone. Call it before more than
    /// 256 KiB are written; told later it is ignored.
    pub fn body_starts_at(&mut self, offset: u64) {
        if let Some(writer) = &mut self.writer {
            writer.sums.body_starts_at(offset);
        }
    }

    /// Octets written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next octets. Waits when the disk is behind by more than the buffer of 256 KiB.
    ///
    /// # Errors
    /// When the octets cannot be written. The content is lost then; the client is to hear 452 or 451.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), SpoolError> {
        // In pieces, so that one large slice does not fill the memory either.
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = usize::try_from(BUFFER.saturating_sub(self.waiting)).unwrap_or(usize::MAX);
            let piece = rest.split_to(room.min(rest.len()));
            self.content.append(&piece);
            self.size += piece.len() as u64;
            self.waiting += piece.len() as u64;
            if self.waiting >= BUFFER {
                let writing = self.written().await?;
                self.start_write(writing);
            }
        }
        Ok(())
    }

    /// Octets that are in memory now: those that came and are not where the store puts them.
    #[must_use]
    pub fn in_memory(&self) -> u64 {
        let written = self.writing.as_ref().is_some_and(JoinHandle::is_finished);
        self.waiting + if written { 0 } else { self.leaving }
    }

    /// Lets what is in memory go to where the store puts it, however little it is, for a caller that has no memory for
    /// it. Waits for the write before this one.
    ///
    /// # Errors
    /// As [`Receiving::write`].
    pub async fn spill(&mut self) -> Result<(), SpoolError> {
        if self.waiting > 0 {
            let writing = self.written().await?;
            self.start_write(writing);
        }
        Ok(())
    }

    /// Reads what has arrived so far, and goes on reading what arrives later, and after the
    /// commit. A slow reader does not slow the writer.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn ReadAt> {
        Arc::clone(&self.content) as Arc<dyn ReadAt>
    }

    /// The content is complete. What of it is not in memory is on stable storage when this returns.
    ///
    /// # Errors
    /// When it could not be written or synced.
    pub async fn finish(mut self) -> Result<StoredBody, SpoolError> {
        let mut writing = self.written().await?;
        let place = if writing.spill.is_none() {
            let content = self.content.join();
            writing.sums.update(&content);
            Place::Memory(content)
        } else {
            let (synced, place) = self.sync(writing).await?;
            writing = synced;
            Place::Spilled(place)
        };
        let found = writing.sums.finish();
        self.content.complete(found.facts);
        self.complete = true;
        Ok(StoredBody {
            content: Arc::clone(&self.content),
            place,
            size: self.size,
            sum: found.sum,
            blocks: found.blocks,
            facts: found.facts,
            digests: found.digests,
            purpose: self.purpose,
            _spills: Arc::clone(&self.spills),
        })
    }

    /// Waits for the write that is going on.
    async fn written(&mut self) -> Result<Writing, SpoolError> {
        if let Some(writing) = &mut self.writing {
            let result = writing.await;
            self.writing = None;
            return result
                .map_err(io::Error::other)
                .flatten()
                .map_err(|error| SpoolError::io("writing content", error));
        }
        // A write that failed before has taken it: the content is lost.
        self.writer.take().ok_or(SpoolError::Closed)
    }

    fn start_write(&mut self, mut writing: Writing) {
        let spills = Arc::clone(&self.spills);
        let content = Arc::clone(&self.content);
        self.leaving = std::mem::take(&mut self.waiting);
        self.writing = Some(tokio::task::spawn_blocking(move || {
            writing.write(&*spills, &content)?;
            Ok(writing)
        }));
    }

    async fn sync(
        &mut self,
        mut writing: Writing,
    ) -> Result<(Writing, Arc<dyn Any + Send + Sync>), SpoolError> {
        let spills = Arc::clone(&self.spills);
        let content = Arc::clone(&self.content);
        let job = tokio::task::spawn_blocking(move || {
            let place = writing.write(&*spills, &content)?.finish()?;
            Ok((writing, place))
        });
        job.await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| SpoolError::io("syncing content", error))
    }
}

impl Writing {
    /// Writes what is in memory to the end of what was spilled.
    fn write(&mut self, spills: &dyn Spills, content: &Arrival) -> io::Result<&mut Box<dyn Spill>> {
        let (spill, blob) = match &mut self.spill {
            Some(spill) => spill,
            none => {
                let spill = spills.spill()?;
                let blob = spill.blob();
                none.insert((spill, blob))
            }
        };
        let mut octets = 0;
        for chunk in content.window() {
            self.sums.update(&chunk);
            spill.write(&chunk)?;
            octets += chunk.len() as u64;
        }
        content.filed(blob, octets);
        Ok(spill)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if !self.complete {
            self.content.abort();
        }
    }
}

#[cfg(test)]
mod tests;
