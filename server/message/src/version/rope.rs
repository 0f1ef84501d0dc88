//! Ropes: lists of segments in which none is empty and neighbouring ranges are joined.

use std::ops::Range;

use super::Segment;

/// A rope over one range of the original.
pub(super) fn whole(range: Range<u64>) -> Vec<Segment> {
    let mut rope = Vec::with_capacity(1);
    push(&mut rope, Segment::Original(range));
    rope
}

/// Adds a segment at the end.
pub(super) fn push(rope: &mut Vec<Segment>, segment: Segment) {
    if segment.size() == 0 {
        return;
    }
    if let (Some(Segment::Original(last)), Segment::Original(next)) = (rope.last_mut(), &segment)
        && last.end == next.start
    {
        last.end = next.end;
        return;
    }
    rope.push(segment);
}

/// Octets of all segments.
pub(super) fn size(rope: &[Segment]) -> u64 {
    rope.iter()
        .fold(0, |sum: u64, part| sum.saturating_add(part.size()))
}

/// The octets `range` of a rope; what lies beyond its end is left out.
pub(super) fn slice(rope: &[Segment], range: Range<u64>) -> Vec<Segment> {
    let mut cursor = Cursor::new(rope);
    cursor.skip(range.start);
    let mut out = Vec::new();
    cursor.take(range.end.saturating_sub(range.start), &mut out);
    out
}

/// Goes through a rope once, from its start to its end.
pub(super) struct Cursor<'a> {
    rest: std::slice::Iter<'a, Segment>,
    current: Option<Segment>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rope: &'a [Segment]) -> Self {
        Self {
            rest: rope.iter(),
            current: None,
        }
    }

    /// Leaves out the next `octets`.
    pub(super) fn skip(&mut self, octets: u64) {
        self.advance(octets, |_| ());
    }

    /// Moves the next `octets`, or what there is, to the end of `out`.
    pub(super) fn take(&mut self, octets: u64, out: &mut Vec<Segment>) {
        self.advance(octets, |segment| push(out, segment));
    }

    fn advance(&mut self, mut octets: u64, mut with: impl FnMut(Segment)) {
        while octets > 0 {
            let Some(segment) = self.current.take().or_else(|| self.rest.next().cloned()) else {
                return;
            };
            let size = segment.size();
            if size > octets {
                let (head, tail) = split(segment, octets);
                with(head);
                self.current = Some(tail);
                return;
            }
            octets -= size;
            with(segment);
        }
    }
}

/// Cuts a segment in two; `at` is less than its size.
fn split(segment: Segment, at: u64) -> (Segment, Segment) {
    match segment {
        Segment::Original(range) => {
            let middle = range.start + at;
            (
                Segment::Original(range.start..middle),
                Segment::Original(middle..range.end),
            )
        }
        Segment::Inserted(mut bytes) => {
            // Less than the length of bytes in memory, so it fits.
            let head = bytes.split_to(usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len()));
            (Segment::Inserted(head), Segment::Inserted(bytes))
        }
    }
}
