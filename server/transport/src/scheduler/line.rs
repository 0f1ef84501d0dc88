//! Who is next: the higher priority first, and within one priority each sender in turn.
//!
//! Priorities are those of RFC 6710, -9 to 9. Of any [`EVERY`] that leave, one belongs to the priorities in turn, so that
//! none of them starves. Senders are told apart by [`BUCKETS`] buckets (stochastic fairness queueing): that bounds the memory,
//! and two senders share a turn only by chance.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::SystemTime;

/// One in so many is taken from the priorities in turn.
const EVERY: u32 = 8;
/// Senders told apart within one priority.
const BUCKETS: u64 = 1024;

/// What decides on a message's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tag {
    /// A hash of its sender.
    pub(crate) sender: u64,
    /// -9 to 9; higher goes first.
    pub(crate) priority: i8,
    /// When it came.
    pub(crate) since: SystemTime,
}

/// What waits, in the order in which it is to go.
#[derive(Debug)]
pub(crate) struct Line<T> {
    levels: BTreeMap<Reverse<i8>, Level<T>>,
    length: usize,
    taken: u32,
    /// The priority that was last served because it was its turn.
    turn: Option<Reverse<i8>>,
}

/// One priority.
#[derive(Debug)]
struct Level<T> {
    senders: HashMap<u64, VecDeque<(Tag, T)>>,
    turns: VecDeque<u64>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            levels: BTreeMap::new(),
            length: 0,
            taken: 0,
            turn: None,
        }
    }
}

impl<T> Default for Level<T> {
    fn default() -> Self {
        Self {
            senders: HashMap::new(),
            turns: VecDeque::new(),
        }
    }
}

impl<T> Line<T> {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds one behind the others of its sender.
    pub(crate) fn push(&mut self, tag: Tag, item: T) {
        let queue = self.queue_of(tag);
        queue.push_back((tag, item));
        self.length += 1;
    }

    /// Adds one behind those of its sender that came before it, so that who left a line and comes again has the place of before.
    /// In a line to which all are added like this.
    pub(crate) fn push_by_age(&mut self, tag: Tag, item: T) {
        let queue = self.queue_of(tag);
        let at = queue.partition_point(|(own, _)| own.since <= tag.since);
        queue.insert(at, (tag, item));
        self.length += 1;
    }

    /// The queue of its sender, which has its turn.
    fn queue_of(&mut self, tag: Tag) -> &mut VecDeque<(Tag, T)> {
        let level = self.levels.entry(Reverse(tag.priority)).or_default();
        let bucket = tag.sender % BUCKETS;
        let queue = level.senders.entry(bucket).or_default();
        if queue.is_empty() {
            level.turns.push_back(bucket);
        }
        queue
    }

    /// Adds one before all others of its priority: it had its turn already.
    pub(crate) fn push_first(&mut self, tag: Tag, item: T) {
        let level = self.levels.entry(Reverse(tag.priority)).or_default();
        let bucket = tag.sender % BUCKETS;
        level
            .senders
            .entry(bucket)
            .or_default()
            .push_front((tag, item));
        level.turns.retain(|turn| *turn != bucket);
        level.turns.push_front(bucket);
        self.length += 1;
    }

    /// Takes the next one.
    pub(crate) fn pop(&mut self) -> Option<(Tag, T)> {
        let priority = self.next_priority()?;
        let level = self.levels.get_mut(&priority)?;
        let next = level.pop()?;
        self.removed_from(priority);
        self.taken = self.taken.wrapping_add(1);
        Some(next)
    }

    /// Takes the one that can wait best: of the lowest priority, the newest of the sender that has most.
    pub(crate) fn pop_last(&mut self) -> Option<(Tag, T)> {
        let (&priority, level) = self.levels.iter_mut().next_back()?;
        let last = level.pop_last()?;
        self.removed_from(priority);
        Some(last)
    }

    /// Takes those that fit; the others keep their places.
    pub(crate) fn extract(&mut self, fits: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for level in self.levels.values_mut() {
            level.extract(&fits, &mut taken);
        }
        self.levels.retain(|_, level| !level.is_empty());
        self.length = self.length.saturating_sub(taken.len());
        taken
    }

    /// Takes all, in order.
    pub(crate) fn take_all(&mut self) -> Vec<(Tag, T)> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    fn next_priority(&mut self) -> Option<Reverse<i8>> {
        let first = *self.levels.keys().next()?;
        if self.taken % EVERY != EVERY - 1 {
            return Some(first);
        }
        let after = |turn: &Reverse<i8>| {
            use std::ops::Bound::{Excluded, Unbounded};
            let mut behind = self.levels.range((Excluded(*turn), Unbounded));
            behind.next().map(|(priority, _)| *priority)
        };
        let turn = self.turn.as_ref().and_then(after).unwrap_or(first);
        self.turn = Some(turn);
        Some(turn)
    }

    fn removed_from(&mut self, priority: Reverse<i8>) {
        self.length = self.length.saturating_sub(1);
        if self.levels.get(&priority).is_some_and(Level::is_empty) {
            self.levels.remove(&priority);
        }
    }
}

impl<T> Level<T> {
    fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    fn pop(&mut self) -> Option<(Tag, T)> {
        let bucket = self.turns.pop_front()?;
        let queue = self.senders.get_mut(&bucket)?;
        let next = queue.pop_front();
        match queue.is_empty() {
            true => drop(self.senders.remove(&bucket)),
            false => self.turns.push_back(bucket),
        }
        next
    }

    fn extract(&mut self, fits: impl Fn(&T) -> bool, taken: &mut Vec<T>) {
        for queue in self.senders.values_mut() {
            if !queue.iter().any(|(_, item)| fits(item)) {
                continue;
            }
            let (out, stay): (VecDeque<_>, VecDeque<_>) = std::mem::take(queue)
                .into_iter()
                .partition(|(_, item)| fits(item));
            *queue = stay;
            taken.extend(out.into_iter().map(|(_, item)| item));
        }
        self.senders.retain(|_, queue| !queue.is_empty());
        let senders = &self.senders;
        self.turns.retain(|bucket| senders.contains_key(bucket));
    }

    fn pop_last(&mut self) -> Option<(Tag, T)> {
        // Of senders with equally many the one whose turn comes last.
        let length = |bucket: &u64| self.senders.get(bucket).map_or(0, VecDeque::len);
        let bucket = *self.turns.iter().max_by_key(|bucket| length(bucket))?;
        let queue = self.senders.get_mut(&bucket)?;
        let last = queue.pop_back();
        if queue.is_empty() {
            self.senders.remove(&bucket);
            self.turns.retain(|turn| *turn != bucket);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tag(sender: u64, priority: i8) -> Tag {
        Tag {
            sender,
            priority,
            since: SystemTime::UNIX_EPOCH,
        }
    }

    fn order(line: &mut Line<u32>) -> Vec<u32> {
        line.take_all().into_iter().map(|(_, item)| item).collect()
    }

    #[test]
    fn one_sender_with_many_does_not_keep_another_one_waiting() {
        let mut line = Line::default();
        for item in 0..1000 {
            line.push(tag(1, 0), item);
        }
        line.push(tag(2, 0), 5000);
        line.push(tag(3, 0), 6000);
        line.push(tag(3, 0), 6001);
        assert_eq!(line.len(), 1003);
        assert_eq!(order(&mut line)[..6], [0, 5000, 6000, 1, 6001, 2]);
        assert!(line.is_empty());
    }

    #[test]
    fn what_is_taken_out_leaves_the_others_in_their_places() {
        let mut line = Line::default();
        for item in 0..6 {
            line.push(tag(u64::from(item % 2), 0), item);
        }
        line.push(tag(7, 3), 70);
        let mut taken = line.extract(|item| item % 3 == 0 || *item == 70);
        taken.sort_unstable();
        assert_eq!(taken, [0, 3, 70]);
        assert_eq!(line.len(), 4);
        assert!(line.extract(|_| false).is_empty());
        assert_eq!(order(&mut line), [2, 1, 4, 5]);
        assert!(line.is_empty());
        line.push(tag(1, 0), 1);
        assert_eq!(line.extract(|_| true), [1]);
        assert!(line.pop().is_none());
    }

    #[test]
    fn higher_priorities_go_first_and_none_starves() {
        let mut line = Line::default();
        for item in 0..100 {
            line.push(tag(1, 4), item);
        }
        line.push(tag(2, 0), 1000);
        line.push(tag(2, 0), 1001);
        line.push(tag(3, -9), 2000);
        let order = order(&mut line);
        assert_eq!(order[..7], [0, 1, 2, 3, 4, 5, 6]);
        let place = |item| order.iter().position(|own| *own == item);
        for item in [1000, 1001, 2000] {
            assert!(place(item) < Some(48), "{item}: {:?}", place(item));
        }
        let mut others = order;
        others.retain(|item| *item < 1000);
        assert!(others.is_sorted(), "those of one sender keep their order");
    }

    #[test]
    fn who_comes_again_has_the_place_of_before() {
        let mut line = Line::default();
        for (sender, since) in [(1, 10), (1, 20), (2, 15), (1, 30), (1, 15), (1, 20), (2, 5)] {
            let since = SystemTime::UNIX_EPOCH + Duration::from_secs(since);
            let tag = Tag {
                since,
                ..tag(sender, 0)
            };
            line.push_by_age(tag, line.len() as u32);
        }
        assert_eq!(order(&mut line), [0, 6, 4, 2, 1, 5, 3]);
    }

    #[test]
    fn what_had_its_turn_is_first_again() {
        let mut line = Line::default();
        line.push(tag(1, 0), 1);
        line.push(tag(2, 0), 2);
        line.push(tag(2, 0), 3);
        let (own, first) = line.pop().unwrap_or((tag(0, 0), 0));
        line.push_first(own, first);
        line.push_first(tag(2, 0), 9);
        assert_eq!(order(&mut line), [9, 1, 2, 3]);
    }

    #[test]
    fn what_can_wait_best_is_the_newest_of_the_lowest_and_greediest() {
        let mut line = Line::default();
        line.push(tag(9, 5), 50);
        for item in 0..3 {
            line.push(tag(1, -1), item);
        }
        line.push(tag(2, -1), 10);
        let mut last = || line.pop_last().map(|(_, item)| item);
        assert_eq!([last(), last()], [Some(2), Some(1)]);
        assert_eq!(
            [last(), last(), last(), last()],
            [Some(10), Some(0), Some(50), None]
        );
    }
}
