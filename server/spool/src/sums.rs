//! Checksum and digests of a content, made as it goes by.

use std::sync::Arc;

use crc32fast::Hasher;
use sha2::{Digest, Sha256};

use crate::facts::Scan;
use crate::{ContentFacts, Digests};

/// Octets that have a checksum of their own: what is read of a large content is checked by itself.
pub(crate) const BLOCK: usize = 64 * 1024;

pub(crate) struct Sums {
    crc: Hasher,
    /// Of the block that is not full yet.
    block: Hasher,
    blocks: Vec<u32>,
    scan: Scan,
    position: u64,
    whole: Option<Sha256>,
    body: Body,
}

enum Body {
    /// Where the body starts is not known.
    Unknown,
    Starts(u64, Sha256),
}

impl Sums {
    pub(crate) fn new() -> Self {
        Self {
            crc: Hasher::new(),
            block: Hasher::new(),
            blocks: Vec::new(),
            scan: Scan::default(),
            position: 0,
            whole: None,
            body: Body::Unknown,
        }
    }

    /// Digests are wanted too; nothing has gone by yet.
    pub(crate) fn want_digests(&mut self) {
        if self.position == 0 {
            self.whole = Some(Sha256::new());
        }
    }

    /// Where the body starts, unless it has gone by.
    pub(crate) fn body_starts_at(&mut self, offset: u64) {
        if self.whole.is_some() && offset >= self.position {
            self.body = Body::Starts(offset, Sha256::new());
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.scan.update(bytes);
        self.update_blocks(bytes);
        if let Some(whole) = &mut self.whole {
            whole.update(bytes);
        }
        if let Body::Starts(start, digest) = &mut self.body {
            let skip = start.saturating_sub(self.position);
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            digest.update(bytes.get(skip..).unwrap_or_default());
        }
        self.position += bytes.len() as u64;
    }

    /// The checksum of the whole is put together from those of its blocks.
    fn update_blocks(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        let mut position = self.position;
        while !rest.is_empty() {
            let filled = usize::try_from(position % BLOCK as u64).unwrap_or(0);
            let (piece, after) = rest.split_at(rest.len().min(BLOCK - filled));
            self.block.update(piece);
            if filled + piece.len() == BLOCK {
                self.end_block();
            }
            position += piece.len() as u64;
            rest = after;
        }
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.crc.combine(&block);
        self.blocks.push(block.finalize());
    }

    pub(crate) fn finish(mut self) -> Found {
        if !self.position.is_multiple_of(BLOCK as u64) {
            self.end_block();
        }
        let body = match self.body {
            Body::Starts(_, digest) => Some(digest.finalize().into()),
            Body::Unknown => None,
        };
        let digests = self.whole.map(|whole| Digests {
            whole: whole.finalize().into(),
            body,
        });
        Found {
            sum: self.crc.finalize(),
            blocks: self.blocks.into(),
            facts: self.scan.finish(),
            digests,
        }
    }
}

/// What was found of a content as it went by.
pub(crate) struct Found {
    pub(crate) sum: u32,
    pub(crate) blocks: Arc<[u32]>,
    pub(crate) facts: ContentFacts,
    pub(crate) digests: Option<Digests>,
}

/// The checksum of bytes that belong to a key.
pub(crate) fn checksum(key: &[u8], bytes: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(key);
    crc.update(bytes);
    crc.finalize()
}

/// Puts the checksum of a record behind it.
pub(crate) fn seal(key: &[u8], mut record: Vec<u8>) -> Vec<u8> {
    let sum = checksum(key, &record);
    record.extend_from_slice(&sum.to_le_bytes());
    record
}

/// The record without its checksum, if that is right.
pub(crate) fn open<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (record, sum) = sealed.split_last_chunk::<4>()?;
    (checksum(key, record) == u32::from_le_bytes(*sum)).then_some(record)
}
