//! Which blocks of an extent file are lent, free, or given back to the file system. Does no I/O.

use std::collections::BTreeSet;
use std::ops::Range;

use super::runs::Runs;

/// The blocks of a file. What is neither free nor beyond the end is lent.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Blocks that the file has.
    end: u64,
    free: Runs,
    /// The free runs again, the shortest first, then the one nearest to the start of the file.
    by_length: BTreeSet<(u64, u64)>,
    /// Free blocks that the file system has back.
    holes: Runs,
}

/// What is to be done so that blocks are given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GiveBack {
    /// The file ends here from now on.
    Cut(u64),
    /// These blocks in its middle become a hole.
    Punch(Range<u64>),
}

impl Room {
    /// A file of so many blocks in which all are lent.
    pub(super) fn lent(end: u64) -> Self {
        Self {
            end,
            ..Self::default()
        }
    }

    /// Blocks that the file has.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Free blocks that the file holds on the disk.
    pub(super) fn idle(&self) -> u64 {
        self.free.total() - self.holes.total()
    }

    /// Free blocks in all.
    #[cfg(test)]
    pub(super) fn free(&self) -> u64 {
        self.free.total()
    }

    /// The file has grown; what it gained is free.
    pub(super) fn grow(&mut self, blocks: u64) {
        let grown = self.end..self.end + blocks;
        self.end = grown.end;
        self.set_free(grown);
    }

    /// Lends blocks that lie together: from the shortest run that has as many, so that long runs stay
    /// long, and of those the one nearest to the start, so that the end becomes free. `None`: no run is
    /// long enough.
    pub(super) fn lend(&mut self, blocks: u64) -> Option<Range<u64>> {
        let &(_, start) = self.by_length.range((blocks, 0)..).next()?;
        let lent = start..start + blocks;
        let (touched, left) = self.free.remove(&lent);
        self.note(&touched, &left);
        Some(lent)
    }

    /// Those of the lent blocks that the file system has to provide again before they are written.
    pub(super) fn holes_in(&self, lent: &Range<u64>) -> Vec<Range<u64>> {
        self.holes.within(lent)
    }

    /// The file system has provided them.
    pub(super) fn filled(&mut self, blocks: &Range<u64>) {
        self.holes.remove(blocks);
    }

    /// Takes lent blocks back. False, and nothing is done, if some of them were not lent.
    pub(super) fn release(&mut self, blocks: Range<u64>) -> bool {
        if blocks.end > self.end || self.free.touches(&blocks) {
            return false;
        }
        self.set_free(blocks);
        true
    }

    /// What to give back while more than `keep` blocks are idle: at most `most` blocks, those furthest
    /// from the start. Runs shorter than `least` are left alone unless they are the end of the file. A
    /// hole at the end goes in any case.
    pub(super) fn surplus(&self, keep: u64, most: u64, least: u64) -> Option<GiveBack> {
        if let Some(last) = self.holes.iter().next_back()
            && last.end == self.end
        {
            return Some(GiveBack::Cut(last.start));
        }
        let surplus = self.idle().checked_sub(keep).filter(|over| *over > 0)?;
        let most = most.min(surplus);
        for run in self.free.iter().rev() {
            let Some(backed) = self.last_backed(&run) else {
                continue;
            };
            let start = backed.start.max(backed.end.saturating_sub(most));
            if backed.end == self.end {
                return Some(GiveBack::Cut(start));
            }
            if backed.end - backed.start >= least {
                return Some(GiveBack::Punch(start..backed.end));
            }
        }
        None
    }

    /// The last part of a free run that is no hole.
    fn last_backed(&self, run: &Range<u64>) -> Option<Range<u64>> {
        let holes = self.holes.within(run);
        let starts = std::iter::once(run.start).chain(holes.iter().map(|hole| hole.end));
        let ends = holes.iter().map(|hole| hole.start).chain([run.end]);
        let parts: Vec<_> = starts.zip(ends).collect();
        let last = parts.into_iter().rev().find(|(start, end)| start < end);
        last.map(|(start, end)| start..end)
    }

    /// It was given back.
    pub(super) fn gave_back(&mut self, what: &GiveBack) {
        match what {
            GiveBack::Cut(end) => {
                let gone = *end..self.end;
                let (touched, left) = self.free.remove(&gone);
                self.note(&touched, &left);
                self.holes.remove(&gone);
                self.end = *end;
            }
            GiveBack::Punch(blocks) => {
                self.holes.insert(blocks.clone());
            }
        }
    }

    fn set_free(&mut self, blocks: Range<u64>) {
        let (run, joined) = self.free.insert(blocks);
        self.note(&joined, std::slice::from_ref(&run));
    }

    /// Free runs have become others.
    fn note(&mut self, before: &[Range<u64>], after: &[Range<u64>]) {
        for run in before {
            self.by_length.remove(&(run.end - run.start, run.start));
        }
        for run in after.iter().filter(|run| !run.is_empty()) {
            self.by_length.insert((run.end - run.start, run.start));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Block {
        Free,
        Hole,
        Lent,
    }

    #[derive(Debug, Clone)]
    enum Step {
        Grow(u64),
        Lend(u64),
        Release(Index),
        GiveBack { keep: u64, most: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => (1_u64..40).prop_map(Step::Grow),
            6 => (1_u64..9).prop_map(Step::Lend),
            4 => any::<Index>().prop_map(Step::Release),
            2 => (0_u64..12, 1_u64..9).prop_map(|(keep, most)| Step::GiveBack { keep, most }),
        ]
    }

    fn longest_run(blocks: &[Block]) -> u64 {
        let runs = blocks.split(|block| *block == Block::Lent);
        runs.map(|run| run.len() as u64).max().unwrap_or(0)
    }

    fn count(blocks: &[Block], wanted: Block) -> u64 {
        blocks.iter().filter(|block| **block == wanted).count() as u64
    }

    fn set(blocks: &mut [Block], range: &Range<u64>, to: Block) {
        blocks[range.start as usize..range.end as usize].fill(to);
    }

    proptest! {
        /// Against a list of blocks: nothing is lent twice, nothing is lost, the end is cut where it is free.
        #[test]
        fn room_is_what_a_list_of_blocks_would_be(
            steps in proptest::collection::vec(step(), 1..200)
        ) {
            let (mut room, mut blocks) = (Room::lent(5), vec![Block::Lent; 5]);
            let mut lent = vec![0..2_u64, 2..5];
            for step in steps {
                match step {
                    Step::Grow(by) => {
                        room.grow(by);
                        blocks.resize(blocks.len() + by as usize, Block::Free);
                    }
                    Step::Lend(length) => match room.lend(length) {
                        None => prop_assert!(longest_run(&blocks) < length),
                        Some(range) => {
                            prop_assert_eq!(range.end - range.start, length);
                            let there = &blocks[range.start as usize..range.end as usize];
                            prop_assert!(!there.contains(&Block::Lent), "lent twice");
                            let holes: u64 =
                                room.holes_in(&range).iter().map(|hole| hole.end - hole.start).sum();
                            prop_assert_eq!(holes, count(there, Block::Hole));
                            room.filled(&range);
                            prop_assert!(room.holes_in(&range).is_empty());
                            set(&mut blocks, &range, Block::Lent);
                            lent.push(range);
                        }
                    },
                    Step::Release(which) if !lent.is_empty() => {
                        let range = lent.swap_remove(which.index(lent.len()));
                        prop_assert!(room.release(range.clone()));
                        prop_assert!(!room.release(range.clone()), "it is not lent any more");
                        set(&mut blocks, &range, Block::Free);
                    }
                    Step::Release(_) => {}
                    Step::GiveBack { keep, most } => {
                        let Some(what) = room.surplus(keep, most, 2) else { continue };
                        let before = room.idle();
                        room.gave_back(&what);
                        match &what {
                            GiveBack::Cut(end) => {
                                let gone = blocks.split_off(*end as usize);
                                prop_assert!(!gone.contains(&Block::Lent));
                                prop_assert!(!gone.is_empty());
                            }
                            GiveBack::Punch(range) => {
                                let there = &blocks[range.start as usize..range.end as usize];
                                prop_assert!(there.iter().all(|block| *block == Block::Free));
                                set(&mut blocks, range, Block::Hole);
                            }
                        }
                        prop_assert!(before - room.idle() <= most);
                        prop_assert!(room.idle() >= keep.min(before));
                    }
                }
                prop_assert_eq!(room.end(), blocks.len() as u64);
                prop_assert_eq!(room.idle(), count(&blocks, Block::Free));
                prop_assert_eq!(room.free(), count(&blocks, Block::Free) + count(&blocks, Block::Hole));
            }
            // All comes back, as one run.
            for range in lent {
                prop_assert!(room.release(range));
            }
            while let Some(what) = room.surplus(0, 7, 1) {
                room.gave_back(&what);
            }
            prop_assert_eq!((room.end(), room.idle()), (0, 0));
        }
    }

    #[test]
    fn the_shortest_run_that_is_long_enough_is_lent_and_the_nearest_of_them() {
        let mut room = Room::lent(100);
        for start in [10, 40, 70] {
            assert!(room.release(start..start + 4));
        }
        assert!(room.release(80..90));
        assert_eq!(room.lend(5), Some(80..85));
        assert_eq!(room.lend(4), Some(10..14));
        assert_eq!(room.lend(4), Some(40..44));
        assert_eq!(room.lend(11), None);
    }

    #[test]
    fn what_was_not_lent_is_not_taken_back() {
        let mut room = Room::lent(10);
        assert!(!room.release(8..11), "beyond the end");
        assert!(room.release(2..4));
        for twice in [1..3, 2..4, 3..5, 0..9] {
            assert!(!room.release(twice));
        }
        assert_eq!(room.free(), 2);
    }
}
