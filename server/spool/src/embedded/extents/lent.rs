//! The places that the contents of one group of commits are written to.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::super::content::Stored;
use super::super::prepare::{Insert, Lump};
use super::{Extents, Place};
use crate::Blob;

/// Places that were lent for a group. They go back when it is dropped, unless they are kept.
pub(in super::super) struct Lent {
    extents: Arc<Extents>,
    /// By content, since messages that were forked share one.
    places: HashMap<usize, Place>,
    is_kept: bool,
}

impl Lent {
    /// Writes the contents of these messages that belong into extents, and brings them to stable storage.
    ///
    /// # Errors
    /// When there is no room, or the disk fails. All places are free again then.
    pub(in super::super) fn write<'a>(
        extents: &Arc<Extents>,
        inserts: impl Iterator<Item = &'a Insert>,
    ) -> io::Result<Self> {
        let mut lent = Self {
            extents: Arc::clone(extents),
            places: HashMap::new(),
            is_kept: false,
        };
        for lump in inserts.filter_map(Insert::lump) {
            if lent.place_of(lump).is_some() {
                continue;
            }
            let place = extents.lend(lump.octets.len() as u64)?;
            // From here on it goes back if writing fails.
            lent.places.insert(key(lump), place);
            extents.write(place, &lump.octets)?;
        }
        if !lent.places.is_empty() {
            extents.sync()?;
        }
        Ok(lent)
    }

    /// Where a content of the group was written.
    pub(in super::super) fn place_of(&self, lump: &Lump) -> Option<Place> {
        self.places.get(&key(lump)).copied()
    }

    /// Rows name the places now, or may do so.
    pub(in super::super) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// The group is committed: its contents need not stay in memory any more.
    pub(in super::super) fn committed<'a>(&self, inserts: impl Iterator<Item = &'a Insert>) {
        for insert in inserts {
            let Some((lump, place)) = insert
                .lump()
                .and_then(|lump| Some((lump, self.place_of(lump)?)))
            else {
                continue;
            };
            lump.content.stored(|| {
                let blocks = Some(Arc::clone(&insert.blocks));
                Arc::new(Stored::in_extents(&self.extents, place, blocks)) as Arc<dyn Blob>
            });
        }
    }
}

fn key(lump: &Lump) -> usize {
    Arc::as_ptr(&lump.content).addr()
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_kept {
            for place in self.places.values() {
                self.extents.give_up(*place);
            }
        }
    }
}
