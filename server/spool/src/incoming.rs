//! A content that is being received.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::arrival::Arrival;
use crate::body::Place;
use crate::files::{FileGuard, Folder};
use crate::sums::Sums;
use crate::{ReadAt, SpoolError, StoredBody};

/// Contents up to this size are kept in the database.
pub(crate) const INLINE: u64 = 32 * 1024;
/// Octets that may wait in memory before they are written to the file.
const BUFFER: u64 = 256 * 1024;

/// A content that is being received. Up to 32 KiB stay in memory; more goes to a file under its
/// final name while it arrives. Dropped before [`Incoming::finish`], it leaves nothing behind.
///
/// It uses the blocking pool of the runtime that it is written on.
pub struct Incoming {
    content: Arc<Arrival>,
    folder: Arc<Folder>,
    /// Octets in memory that no write has taken yet.
    waiting: u64,
    size: u64,
    /// `None` while a write has it.
    spill: Option<Spill>,
    writing: Option<JoinHandle<io::Result<Spill>>>,
    complete: bool,
}

/// What writing needs; it goes to the blocking pool and comes back.
struct Spill {
    sums: Sums,
    file: Option<(Arc<FileGuard>, Arc<File>)>,
}

impl Incoming {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        Self {
            content: Arc::new(Arrival::new()),
            folder,
            waiting: 0,
            size: 0,
            spill: Some(Spill {
                sums: Sums::new(),
                file: None,
            }),
            writing: None,
            complete: false,
        }
    }

    /// Asks for SHA-256 digests. Call it before the first octet is written; later it is ignored.
    pub fn want_digests(&mut self) {
        if let Some(spill) = &mut self.spill {
            spill.sums.want_digests();
        }
    }

    /// Tells where the body starts, for the digest of the body alone. Call it before more than
    /// 256 KiB are written; told later it is ignored.
    pub fn body_starts_at(&mut self, offset: u64) {
        if let Some(spill) = &mut self.spill {
            spill.sums.body_starts_at(offset);
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
    /// When the file cannot be written. The content is lost then; the client is to hear 452 or 451.
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
                let spill = self.written().await?;
                self.start_write(spill);
            }
        }
        Ok(())
    }

    /// Reads what has arrived so far, and goes on reading what arrives later, and after the
    /// commit. A slow reader does not slow the writer.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn ReadAt> {
        Arc::clone(&self.content) as Arc<dyn ReadAt>
    }

    /// The content is complete. A file is on stable storage when this returns.
    ///
    /// # Errors
    /// When the file could not be written or synced.
    pub async fn finish(mut self) -> Result<StoredBody, SpoolError> {
        let mut spill = self.written().await?;
        let place = if spill.file.is_none() && self.size <= INLINE {
            let content = self.content.join();
            spill.sums.update(&content);
            Place::Inline(content)
        } else {
            spill = self.sync(spill).await?;
            match spill.file {
                Some((guard, _)) => Place::File(guard),
                None => return Err(SpoolError::Closed),
            }
        };
        self.content.complete();
        self.complete = true;
        let (sum, digests) = spill.sums.finish();
        Ok(StoredBody {
            content: Arc::clone(&self.content),
            place,
            size: self.size,
            sum,
            digests,
        })
    }

    /// Waits for the write that is going on.
    async fn written(&mut self) -> Result<Spill, SpoolError> {
        if let Some(writing) = &mut self.writing {
            let result = writing.await;
            self.writing = None;
            let spill = result
                .map_err(io::Error::other)
                .flatten()
                .map_err(|error| SpoolError::io("writing content", error))?;
            return Ok(spill);
        }
        // A write that failed before has taken it: the content is lost.
        self.spill.take().ok_or(SpoolError::Closed)
    }

    fn start_write(&mut self, mut spill: Spill) {
        let folder = Arc::clone(&self.folder);
        let content = Arc::clone(&self.content);
        self.waiting = 0;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            spill.write(&folder, &content)?;
            Ok(spill)
        }));
    }

    async fn sync(&mut self, mut spill: Spill) -> Result<Spill, SpoolError> {
        let folder = Arc::clone(&self.folder);
        let content = Arc::clone(&self.content);
        let job = tokio::task::spawn_blocking(move || {
            spill.write(&folder, &content)?;
            if let Some((guard, file)) = &spill.file {
                file.sync_data()?;
                guard.sync_folder()?;
            }
            Ok(spill)
        });
        job.await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| SpoolError::io("syncing content", error))
    }
}

impl Spill {
    /// Writes what is in memory to the end of the file.
    fn write(&mut self, folder: &Arc<Folder>, content: &Arrival) -> io::Result<()> {
        let (_, file) = match &mut self.file {
            Some(file) => file,
            none => {
                let guard = folder.reserve();
                let file = Arc::new(guard.create()?);
                none.insert((guard, file))
            }
        };
        let mut octets = 0;
        for chunk in content.window() {
            self.sums.update(&chunk);
            (&**file).write_all(&chunk)?;
            octets += chunk.len() as u64;
        }
        content.filed(file, octets);
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.complete {
            self.content.abort();
        }
    }
}

#[cfg(test)]
mod tests;
