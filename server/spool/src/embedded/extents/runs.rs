//! Sets of blocks, kept as runs.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of blocks. Runs never touch each other.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Where each run ends, by where it starts.
    ends: BTreeMap<u64, u64>,
    total: u64,
}

impl Runs {
    /// Blocks in the set.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The runs, in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.ends.iter().map(|(&start, &end)| start..end)
    }

    /// The parts of `range` that are in the set.
    pub(super) fn within(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let before = self.ends.range(..range.start).next_back();
        let inside = self.ends.range(range.start..range.end);
        before
            .into_iter()
            .chain(inside)
            .map(|(&start, &end)| start.max(range.start)..end.min(range.end))
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// Some of `range` is in the set.
    pub(super) fn touches(&self, range: &Range<u64>) -> bool {
        !self.within(range).is_empty()
    }

    /// Adds a range. Returns the run that it is part of now, and the runs that it has joined.
    pub(super) fn insert(&mut self, range: Range<u64>) -> (Range<u64>, Vec<Range<u64>>) {
        if range.is_empty() {
            return (range, Vec::new());
        }
        let mut run = range;
        let joined: Vec<_> = self
            .ends
            .range(..=run.end)
            .rev()
            .take_while(|(_, end)| **end >= run.start)
            .map(|(&start, &end)| start..end)
            .collect();
        for old in &joined {
            self.ends.remove(&old.start);
            self.total -= old.end - old.start;
            run = run.start.min(old.start)..run.end.max(old.end);
        }
        self.ends.insert(run.start, run.end);
        self.total += run.end - run.start;
        (run, joined)
    }

    /// Takes a range away. Returns the runs that had some of it, and what is left of them.
    pub(super) fn remove(&mut self, range: &Range<u64>) -> (Vec<Range<u64>>, Vec<Range<u64>>) {
        let touched: Vec<_> = self
            .ends
            .range(..range.end)
            .rev()
            .take_while(|(_, end)| **end > range.start)
            .map(|(&start, &end)| start..end)
            .collect();
        let mut left = Vec::new();
        for run in &touched {
            self.ends.remove(&run.start);
            self.total -= run.end - run.start;
            for part in [run.start..range.start, range.end..run.end] {
                if part.start < part.end {
                    self.ends.insert(part.start, part.end);
                    self.total += part.end - part.start;
                    left.push(part);
                }
            }
        }
        (touched, left)
    }
}
