//! Checksum and digests of a content, made as it goes by.

use crc32fast::Hasher;
use sha2::{Digest, Sha256};

use crate::Digests;

pub(crate) struct Sums {
    crc: Hasher,
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
        self.crc.update(bytes);
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

    pub(crate) fn finish(self) -> (u32, Option<Digests>) {
        let body = match self.body {
            Body::Starts(_, digest) => Some(digest.finalize().into()),
            Body::Unknown => None,
        };
        let digests = self.whole.map(|whole| Digests {
            whole: whole.finalize().into(),
            body,
        });
        (self.crc.finalize(), digests)
    }
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
