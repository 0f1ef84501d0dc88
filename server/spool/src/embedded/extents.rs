//! The file of extents: contents that are too large for a row and too small for a file of their own.
//!
//! `content/extents` is one file of blocks that are written over and over again. A content takes blocks
//! that lie together. The writer writes the contents of a group, syncs the file once, and only then
//! makes them known by rows; so whatever is in the blocks of an extent that no row names is of no
//! concern, and a power cut may leave there what it likes.
//!
//! Blocks are lent anew once the row that named them is durably gone, nobody holds a [`Pin`] on them,
//! and nobody is [`Looking`] who may still see the row. Who uses what is kept in memory alone, and
//! found anew from the rows at each start.

mod lent;
mod room;
mod runs;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::Health;
use crate::disk::Disk;

pub(super) use lent::Lent;
use room::{GiveBack, Room};
use runs::Runs;

/// The file's name, in the folder of contents and in rows.
pub(super) const NAME: &str = "extents";

/// A place begins and ends at the edge of a page, so that writing it never has to read one.
const BLOCK: u64 = 4096;
static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
/// Blocks that the file grows by: 8 MiB.
const STEP: u64 = 2048;
/// Idle blocks that the file keeps: 32 MiB.
const KEPT: u64 = 8192;
/// Blocks that are given back in one go: 4 MiB.
const GIVEN_BACK: u64 = 1024;
/// Blocks that are worth a hole: 64 KiB.
const WORTH_A_HOLE: u64 = 16;

/// Where a content is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Its first block.
    block: u64,
    /// Its octets.
    size: u64,
}

impl Place {
    /// The place that a row names; `None` if there can be no such place.
    pub(super) fn of_row(start: i64, size: i64) -> Option<Self> {
        let (start, size) = (u64::try_from(start).ok()?, u64::try_from(size).ok()?);
        let fits = start.is_multiple_of(BLOCK) && size > 0 && start.checked_add(size).is_some();
        fits.then_some(Self {
            block: start / BLOCK,
            size,
        })
    }

    /// Its first octet.
    pub(super) fn start(&self) -> u64 {
        self.block * BLOCK
    }

    /// Its octets.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    fn blocks(&self) -> Range<u64> {
        self.block..self.block + self.size.div_ceil(BLOCK)
    }
}

/// The file, and who uses which of its blocks. Blocks are lent and given back by the writer alone.
pub(super) struct Extents {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    /// A sync that fails here fails the store.
    health: Health,
    state: Mutex<State>,
    /// The file system can make holes.
    can_punch: AtomicBool,
}

#[derive(Default)]
struct State {
    room: Room,
    /// Blocks that rows claim who cannot both be right: they are not lent before the next start.
    doubtful: Runs,
    /// Places that rows name and the file does not have, or not to their ends. Whatever is lent where they would be is
    /// not theirs.
    beyond: BTreeSet<Place>,
    /// Places that are being read, by their first block.
    pins: HashMap<u64, Pinned>,
    /// Who looks at rows, by tickets in the order of their coming.
    looking: BTreeSet<u64>,
    next_ticket: u64,
    /// Places whose rows are gone, each with the first ticket of those who cannot see the row any more.
    leaving: VecDeque<(u64, Place)>,
}

struct Pinned {
    place: Place,
    holders: usize,
    /// No row names it any more.
    is_gone: bool,
}

impl Extents {
    /// Opens the file, and makes it if there is none. `known` are the places that rows name; `None` when some of
    /// them cannot be told: what is in the file then is left alone.
    pub(super) fn open(
        folder: &Path,
        disk: Arc<dyn Disk>,
        health: Health,
        known: Option<Vec<Place>>,
    ) -> io::Result<Self> {
        let path = folder.join(NAME);
        let file = disk.open_or_create(&path)?;
        let there = file.metadata()?;
        if !there.is_file() {
            let what = format!("{} is no file", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        disk.sync_folder(folder)?;
        let blocks = there.len().div_ceil(BLOCK);
        let has_holes = there.blocks() * 512 < there.len();
        let mut state = State::default();
        let gaps = match known {
            Some(known) => state.take_stock(known, blocks),
            None => {
                state.room = Room::lent(blocks);
                Vec::new()
            }
        };
        if !state.beyond.is_empty() {
            tracing::error!(
                path = %path.display(),
                places = state.beyond.len(),
                "the file of extents is shorter than what messages have in it"
            );
        }
        let extents = Self {
            file: Arc::new(file),
            path,
            disk,
            health,
            state: Mutex::new(state),
            can_punch: AtomicBool::new(true),
        };
        // Which of the free blocks are holes is not known any more, so all of them become some.
        for gap in gaps.into_iter().filter(|_| has_holes) {
            if !extents.punch(&gap) {
                break;
            }
            extents.state.lock().room.gave_back(&GiveBack::Punch(gap));
        }
        Ok(extents)
    }

    /// Lends a place for so many octets; the file grows if it has none.
    fn lend(&self, size: u64) -> io::Result<Place> {
        let blocks = size.div_ceil(BLOCK);
        let mut lent = self.state.lock().room.lend(blocks);
        if lent.is_none() {
            self.grow(blocks)?;
            lent = self.state.lock().room.lend(blocks);
        }
        let lent = lent.ok_or(io::ErrorKind::StorageFull)?;
        let place = Place {
            block: lent.start,
            size,
        };
        let holes = self.state.lock().room.holes_in(&lent);
        for hole in holes {
            let octets = (hole.end - hole.start) * BLOCK;
            let filled = self
                .disk
                .allocate(&self.file, &self.path, hole.start * BLOCK, octets);
            if let Err(error) = filled {
                self.give_up(place);
                return Err(error);
            }
            self.state.lock().room.filled(&hole);
        }
        Ok(place)
    }

    /// A whole step, or what is needed where there is no room for one.
    fn grow(&self, needed: u64) -> io::Result<()> {
        let end = self.state.lock().room.end();
        let mut grown = Err(io::ErrorKind::StorageFull.into());
        for blocks in [needed.max(STEP), needed] {
            grown = self
                .disk
                .allocate(&self.file, &self.path, end * BLOCK, blocks * BLOCK);
            match &grown {
                Ok(()) => {
                    self.state.lock().room.grow(blocks);
                    break;
                }
                // Some of it may be there.
                Err(_) => drop(self.disk.cut(&self.file, &self.path, end * BLOCK)),
            }
        }
        grown
    }

    /// Writes a content to its place.
    fn write(&self, place: Place, octets: &[u8]) -> io::Result<()> {
        let padding = place.size.next_multiple_of(BLOCK) - place.size;
        let padding = usize::try_from(padding).unwrap_or(0);
        let mut pieces = [
            IoSlice::new(octets),
            IoSlice::new(ZEROS.get(..padding).unwrap_or_default()),
        ];
        self.disk
            .write_at(&self.file, &self.path, &mut pieces, place.start())
    }

    /// Brings what was written to stable storage. When that fails the store has failed.
    fn sync(&self) -> io::Result<()> {
        let synced = self.disk.sync(&self.file, &self.path);
        if let Err(error) = &synced {
            self.health.fail(&format!("syncing content: {error}"));
        }
        synced
    }

    /// Takes a place back that no row has ever named.
    fn give_up(&self, place: Place) {
        self.state.lock().release(place);
    }

    /// The rows that named a place are durably gone.
    pub(super) fn removed(&self, place: Place) {
        self.state.lock().leave(place);
    }

    /// Whoever reads rows holds this from before the first to the pin on what they name.
    pub(super) fn look(&self) -> Looking<'_> {
        let mut state = self.state.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.looking.insert(ticket);
        Looking {
            extents: self,
            ticket,
        }
    }

    /// Holds a place that a row names, or that has just been written.
    pub(super) fn pin(self: &Arc<Self>, place: Place) -> Pin {
        let mut state = self.state.lock();
        let pinned = state.pins.entry(place.block).or_insert(Pinned {
            place,
            holders: 0,
            is_gone: false,
        });
        pinned.holders += 1;
        Pin {
            extents: Arc::clone(self),
            block: place.block,
        }
    }

    /// Octets that the file has on the disk and nobody uses.
    pub(super) fn unused(&self) -> u64 {
        self.state.lock().room.idle() * BLOCK
    }

    /// Gives some blocks back to the file system that are not needed. False: there are none.
    pub(super) fn give_back(&self) -> bool {
        let least = match self.can_punch.load(Ordering::Relaxed) {
            true => WORTH_A_HOLE,
            false => u64::MAX,
        };
        let mut state = self.state.lock();
        let Some(what) = state.room.surplus(KEPT, GIVEN_BACK, least) else {
            return false;
        };
        match &what {
            GiveBack::Cut(end) => {
                state.room.gave_back(&what);
                drop(state);
                self.cut(*end);
            }
            GiveBack::Punch(blocks) => {
                // They are free, and only the writer lends them.
                drop(state);
                if self.punch(blocks) {
                    self.state.lock().room.gave_back(&what);
                }
            }
        }
        true
    }

    /// Leaves the file no longer than its contents need.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        while let Some(what @ GiveBack::Cut(end)) = state.room.surplus(0, u64::MAX, u64::MAX) {
            state.room.gave_back(&what);
            self.cut(end);
        }
    }

    fn cut(&self, end: u64) {
        if let Err(error) = self.disk.cut(&self.file, &self.path, end * BLOCK) {
            tracing::debug!(%error, "the file of extents could not be cut");
        }
    }

    fn punch(&self, blocks: &Range<u64>) -> bool {
        let octets = (blocks.end - blocks.start) * BLOCK;
        let done = self
            .disk
            .punch(&self.file, &self.path, blocks.start * BLOCK, octets);
        if let Err(error) = &done {
            tracing::debug!(%error, "no hole could be made in the file of extents");
            self.can_punch.store(false, Ordering::Relaxed);
        }
        done.is_ok()
    }
}

impl State {
    /// Finds what is lent and what is free; the latter is returned.
    fn take_stock(&mut self, mut known: Vec<Place>, blocks: u64) -> Vec<Range<u64>> {
        // Messages that were forked name the same place.
        known.sort_unstable();
        known.dedup();
        self.room = Room::lent(blocks);
        let mut gaps = Vec::new();
        let mut end = 0;
        for place in &known {
            let claimed = place.blocks();
            // What is not in the file is no room, whatever a row says that was damaged.
            let start = claimed.start.min(blocks);
            if start > end {
                gaps.push(end..start);
            }
            end = end.max(claimed.end.min(blocks));
        }
        if end < blocks {
            gaps.push(end..blocks);
        }
        for gap in &gaps {
            self.room.release(gap.clone());
        }
        let is_there = |place: &Place| place.blocks().end <= blocks;
        let (whole, beyond): (Vec<_>, Vec<_>) = known.into_iter().partition(is_there);
        self.beyond = beyond.into_iter().collect();
        self.doubt(&whole);
        gaps
    }

    /// Of places, in their order, finds those that have blocks in common.
    fn doubt(&mut self, places: &[Place]) {
        let mut last = 0..0;
        for place in places {
            let next = place.blocks();
            if next.start < last.end {
                tracing::error!(
                    block = next.start,
                    "messages have their contents in the same blocks"
                );
                self.doubtful.insert(last.start..last.end.max(next.end));
            }
            last = match next.end > last.end {
                true => next,
                false => last,
            };
        }
    }

    /// Those who look now may still come to see the row of this place.
    fn leave(&mut self, place: Place) {
        if self.looking.is_empty() {
            return self.vacate(place);
        }
        self.leaving.push_back((self.next_ticket, place));
    }

    /// Nobody sees its row any more.
    fn vacate(&mut self, place: Place) {
        match self.pins.get_mut(&place.block) {
            Some(pinned) => pinned.is_gone = true,
            None => self.release(place),
        }
    }

    fn release(&mut self, place: Place) {
        let blocks = place.blocks();
        if self.doubtful.touches(&blocks) || self.beyond.contains(&place) {
            return;
        }
        if !self.room.release(blocks) {
            tracing::error!(
                block = place.block,
                "blocks were to be freed that were not in use; they are left as they are"
            );
        }
    }

    fn stop_looking(&mut self, ticket: u64) {
        self.looking.remove(&ticket);
        let first = self.looking.first().copied().unwrap_or(u64::MAX);
        while let Some(&(needed, place)) = self.leaving.front()
            && needed <= first
        {
            self.leaving.pop_front();
            self.vacate(place);
        }
    }

    fn unpin(&mut self, block: u64) {
        let Some(pinned) = self.pins.get_mut(&block) else {
            return;
        };
        pinned.holders -= 1;
        if pinned.holders == 0 {
            let (place, is_gone) = (pinned.place, pinned.is_gone);
            self.pins.remove(&block);
            if is_gone {
                self.release(place);
            }
        }
    }
}

/// Somebody reads rows: no place that one of them names is lent to another content.
pub(super) struct Looking<'a> {
    extents: &'a Extents,
    ticket: u64,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.extents.state.lock().stop_looking(self.ticket);
    }
}

/// Somebody reads a content: its place is not lent to another one.
pub(super) struct Pin {
    extents: Arc<Extents>,
    block: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.extents.state.lock().unpin(self.block);
    }
}

#[cfg(test)]
mod tests;
