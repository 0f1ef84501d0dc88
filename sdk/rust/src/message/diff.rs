//! What differs between two bodies, as few and small splices.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

/// A difference in so few octets is not looked into further.
const SMALL: usize = 256;

/// More splices than this are one: the protocol takes 1000 edits in a verdict, and others may be there.
const MANY: usize = 500;

/// Octets removed at an offset of the old body, and octets put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) offset: usize,
    pub(super) removed: usize,
    pub(super) inserted: Bytes,
}

/// The differences, ascending and apart from each other. None: the bodies are the same.
pub(super) fn differences(old: &Bytes, new: &Bytes) -> Vec<Difference> {
    let Some((old_part, new_part)) = trimmed(old, new, 0..old.len(), 0..new.len()) else {
        return Vec::new();
    };
    let whole = vec![difference(new, &old_part, &new_part)];
    if old_part.len() < SMALL || new_part.len() < SMALL {
        return whole;
    }
    let parts: Vec<_> = gaps(old, new, old_part, new_part)
        .into_iter()
        .filter_map(|(old_gap, new_gap)| trimmed(old, new, old_gap, new_gap))
        .map(|(old_gap, new_gap)| difference(new, &old_gap, &new_gap))
        .collect();
    if parts.len() > MANY { whole } else { parts }
}

fn difference(new: &Bytes, old_part: &Range<usize>, new_part: &Range<usize>) -> Difference {
    Difference {
        offset: old_part.start,
        removed: old_part.len(),
        inserted: new.slice(new_part.clone()),
    }
}

/// Both ranges without what they have in common at their ends. None: they are the same.
fn trimmed(
    old: &[u8],
    new: &[u8],
    old_part: Range<usize>,
    new_part: Range<usize>,
) -> Option<(Range<usize>, Range<usize>)> {
    let (a, b) = (&old[old_part.clone()], &new[new_part.clone()]);
    let prefix = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    // The common end must not reach into the common beginning of either.
    let rest = a.len().min(b.len()) - prefix;
    let suffix = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let old_part = old_part.start + prefix..old_part.end - suffix;
    let new_part = new_part.start + prefix..new_part.end - suffix;
    (!old_part.is_empty() || !new_part.is_empty()).then_some((old_part, new_part))
}

/// What lies between the lines that stand once in both and in the same order (the anchors of a patience diff).
fn gaps(
    old: &[u8],
    new: &[u8],
    old_part: Range<usize>,
    new_part: Range<usize>,
) -> Vec<(Range<usize>, Range<usize>)> {
    let (mut old_at, mut new_at) = (old_part.start, new_part.start);
    let mut gaps = Vec::new();
    for (old_line, new_line) in anchors(old, new, &old_part, &new_part) {
        gaps.push((old_at..old_line.start, new_at..new_line.start));
        (old_at, new_at) = (old_line.end, new_line.end);
    }
    gaps.push((old_at..old_part.end, new_at..new_part.end));
    gaps
}

fn anchors(
    old: &[u8],
    new: &[u8],
    old_part: &Range<usize>,
    new_part: &Range<usize>,
) -> Vec<(Range<usize>, Range<usize>)> {
    // For each line: where it stands in old and new; none once it stands twice.
    let mut places: HashMap<&[u8], (Place, Place)> = HashMap::new();
    for line in lines(old, old_part) {
        places.entry(&old[line.clone()]).or_default().0.put(line);
    }
    for line in lines(new, new_part) {
        places.entry(&new[line.clone()]).or_default().1.put(line);
    }
    let mut pairs: Vec<_> = places
        .into_values()
        .filter_map(|places| match places {
            (Place::Once(old_line), Place::Once(new_line)) => Some((old_line, new_line)),
            _ => None,
        })
        .collect();
    pairs.sort_by_key(|(old_line, _)| old_line.start);
    longest_in_order(&pairs)
}

#[derive(Default)]
enum Place {
    #[default]
    Nowhere,
    Once(Range<usize>),
    Often,
}

impl Place {
    fn put(&mut self, line: Range<usize>) {
        *self = match self {
            Self::Nowhere => Self::Once(line),
            Self::Once(_) | Self::Often => Self::Often,
        };
    }
}

fn lines<'a>(text: &'a [u8], part: &Range<usize>) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut at = part.start;
    text[part.clone()]
        .split_inclusive(|octet| *octet == b'\n')
        .map(move |line| {
            let start = at;
            at += line.len();
            start..at
        })
}

/// The most pairs whose places in the new body ascend too.
fn longest_in_order(pairs: &[(Range<usize>, Range<usize>)]) -> Vec<(Range<usize>, Range<usize>)> {
    // For each length: the pair that ends a sequence of it at the lowest place. For each pair: the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (index, (_, new_line)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1.start < new_line.start);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut sequence = Vec::new();
    let mut next = ends.last().copied();
    while let Some(index) = next {
        sequence.push(pairs[index].clone());
        next = before[index];
    }
    sequence.reverse();
    sequence
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn applied(old: &Bytes, differences: &[Difference]) -> Vec<u8> {
        let mut body = Vec::new();
        let mut copied = 0;
        for difference in differences {
            body.extend_from_slice(&old[copied..difference.offset]);
            body.extend_from_slice(&difference.inserted);
            copied = difference.offset + difference.removed;
        }
        body.extend_from_slice(&old[copied..]);
        body
    }

    #[test]
    fn what_is_the_same_is_not_sent() {
        let old = Bytes::from_static(b"one\r\ntwo\r\nthree\r\n");
        assert_eq!(differences(&old, &old), []);
        // "two" and "three" both begin with a t.
        let new = Bytes::from_static(b"one\r\nthree\r\n");
        assert_eq!(
            differences(&old, &new),
            [Difference {
                offset: 6,
                removed: 5,
                inserted: Bytes::new()
            }]
        );
        let new = Bytes::from_static(b"one\r\ntwo\r\nthree\r\nfooter\r\n");
        let inserted = Bytes::from_static(b"footer\r\n");
        assert_eq!(
            differences(&old, &new),
            [Difference {
                offset: 17,
                removed: 0,
                inserted
            }]
        );
    }

    #[test]
    fn two_changes_far_apart_are_two_small_splices() {
        let middle: String = (0..100_000).map(|n| format!("line {n}\r\n")).collect();
        let old = Bytes::from(format!("text one\r\n{middle}html one\r\n"));
        let new = Bytes::from(format!("text two, longer\r\n{middle}html two\r\n"));
        let differences = differences(&old, &new);
        assert_eq!(differences.len(), 2);
        assert!(
            differences
                .iter()
                .all(|difference| difference.inserted.len() < 20)
        );
        assert_eq!(applied(&old, &differences), new);
    }

    proptest! {
        #[test]
        fn the_differences_make_the_new_body(old in "[ab]{0,12}", new in "[ab]{0,12}") {
            let (old, new) = (Bytes::from(old), Bytes::from(new));
            prop_assert_eq!(applied(&old, &differences(&old, &new)), new.to_vec());
        }

        #[test]
        fn lines_moved_changed_and_repeated_come_out_right(
            old in prop::collection::vec(0..40_u8, 40..80),
            new in prop::collection::vec(0..40_u8, 40..80),
        ) {
            let text = |lines: Vec<u8>| Bytes::from(
                lines.into_iter().map(|n| format!("this is line {n}\r\n")).collect::<String>(),
            );
            let (old, new) = (text(old), text(new));
            let differences = differences(&old, &new);
            prop_assert_eq!(applied(&old, &differences), new.to_vec());
            let apart = differences.windows(2).all(|pair| pair[0].offset + pair[0].removed <= pair[1].offset);
            prop_assert!(apart);
        }
    }
}
