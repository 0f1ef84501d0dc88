//! Contents in files, written and read through the [`Disk`].

use std::any::Any;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::coming::OnItsWay;
use super::extents::{Extents, Pin, Place};
use crate::disk::Disk;
use crate::files::{FileGuard, Folder};
use crate::sums::{BLOCK, checksum};
use crate::{Blob, Budget, Spill, Spills};

/// Makes a file of its own for each content that is too large for memory.
pub(super) struct Files {
    pub(super) folder: Arc<Folder>,
    pub(super) budget: Budget,
    /// Held until the content's commit is asked for.
    pub(super) _coming: OnItsWay,
}

impl Spills for Files {
    fn spill(&self) -> io::Result<Box<dyn Spill>> {
        let guard = self.folder.reserve();
        let (file, path) = guard.create()?;
        let file = Arc::new(Growing {
            file,
            path,
            disk: Arc::clone(&self.folder.disk),
        });
        Ok(Box::new(Writing { guard, file }))
    }

    fn budget(&self) -> Budget {
        self.budget.clone()
    }
}

/// A content being written to its file.
struct Writing {
    guard: Arc<FileGuard>,
    file: Arc<Growing>,
}

impl Spill for Writing {
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let Growing { file, path, disk } = &*self.file;
        disk.write(file, path, octets)
    }

    fn blob(&self) -> Arc<dyn Blob> {
        Arc::clone(&self.file) as Arc<dyn Blob>
    }

    fn finish(&mut self) -> io::Result<Arc<dyn Any + Send + Sync>> {
        self.guard.sync(&self.file.file, &self.file.path)?;
        Ok(Arc::clone(&self.guard) as Arc<dyn Any + Send + Sync>)
    }
}

/// A file as this process writes it: what is read back is not checked.
struct Growing {
    file: File,
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Blob for Growing {
    fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        read(&*self.disk, &self.file, &self.path, offset, max)
    }
}

/// A part of a file that a row names. Each block is checked when something of it is read, so a
/// content need not be read as a whole to be trusted.
pub(super) struct Stored {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    /// Where in the file the content begins.
    pub(super) offset: u64,
    pub(super) length: u64,
    /// The checksum of each block; none for contents that were checked as a whole.
    pub(super) blocks: Option<Arc<[u32]>>,
    /// Keeps the place from being lent to another content.
    pub(super) _pin: Option<Pin>,
}

impl Blob for Stored {
    fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        let left = self.length.saturating_sub(offset);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(max);
        let Some(blocks) = &self.blocks else {
            return self.read(offset, most);
        };
        // Never beyond the end of a block, so that who reads on comes to whole blocks.
        let number = offset / BLOCK as u64;
        let start = number * BLOCK as u64;
        let length = usize::try_from(self.length.saturating_sub(start)).unwrap_or(BLOCK);
        let block = self.read(start, length.min(BLOCK))?;
        let expected = usize::try_from(number).ok().and_then(|at| blocks.get(at));
        if expected != Some(&checksum(&[], &block)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the content does not fit its checksum",
            ));
        }
        let from = usize::try_from(offset - start)
            .unwrap_or(BLOCK)
            .min(block.len());
        let to = from.saturating_add(most).min(block.len());
        Ok(block.slice(from..to))
    }
}

impl Stored {
    /// A content in the file of extents.
    pub(super) fn in_extents(
        extents: &Arc<Extents>,
        place: Place,
        blocks: Option<Arc<[u32]>>,
    ) -> Self {
        Self {
            file: Arc::clone(&extents.file),
            path: extents.path.clone(),
            disk: Arc::clone(&extents.disk),
            offset: place.start(),
            length: place.size(),
            blocks,
            _pin: Some(extents.pin(place)),
        }
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let at = self.offset.saturating_add(offset);
        read(&*self.disk, &self.file, &self.path, at, length)
    }

    /// The checksum of the whole. Reads all of it.
    pub(super) fn sum(&self) -> io::Result<u32> {
        let mut crc = crc32fast::Hasher::new();
        let mut offset = 0;
        while offset < self.length {
            let left = usize::try_from(self.length - offset).unwrap_or(BLOCK);
            let piece = self.read(offset, left.min(BLOCK))?;
            crc.update(&piece);
            offset += piece.len() as u64;
        }
        Ok(crc.finalize())
    }
}

fn read(
    disk: &dyn Disk,
    file: &File,
    path: &std::path::Path,
    offset: u64,
    length: usize,
) -> io::Result<Bytes> {
    let mut buffer = vec![0; length];
    disk.read(file, path, &mut buffer, offset)?;
    Ok(buffer.into())
}
