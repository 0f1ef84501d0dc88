//! What is changed in a content, and the content with the changes.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::encoder::{Encoder, Out, Scheme};

/// What is changed in a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// By their places, none over another.
    changes: Vec<Change>,
    size: u64,
}

/// A range of a content, and what comes in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    at: Range<u64>,
    with: With,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum With {
    Octets(Bytes),
    Encoded { scheme: Scheme, size: u64 },
}

/// Octets that changes may bring in: what is put in is in memory.
const MOST_OCTETS: usize = 2 * 1024 * 1024;

/// The changes as they are found, in whatever order.
#[derive(Debug, Default)]
pub(super) struct Changes {
    found: Vec<Change>,
    octets: usize,
}

impl Changes {
    /// Puts octets in place of a range.
    pub(super) fn put(&mut self, at: Range<u64>, octets: impl Into<Bytes>) {
        let octets = octets.into();
        self.octets += octets.len();
        self.found.push(Change {
            at,
            with: With::Octets(octets),
        });
    }

    /// Encodes a range, which makes `size` octets of it.
    pub(super) fn encode(&mut self, at: Range<u64>, scheme: Scheme, size: u64) {
        self.found.push(Change {
            at,
            with: With::Encoded { scheme, size },
        });
    }

    /// More is brought in than may be.
    pub(super) fn are_too_many(&self) -> bool {
        self.octets > MOST_OCTETS
    }

    /// A plan for a content of `size` octets.
    pub(super) fn into_plan(self, size: u64) -> Plan {
        Plan::new(self.found, size)
    }
}

impl Plan {
    fn new(mut changes: Vec<Change>, size: u64) -> Self {
        changes.sort_by_key(|change| (change.at.start, change.at.end));
        let size = changes.iter().fold(size, |size, change| {
            let gone = change.at.end - change.at.start;
            let come = match &change.with {
                With::Octets(octets) => octets.len() as u64,
                With::Encoded { size, .. } => *size,
            };
            (size + come).saturating_sub(gone)
        });
        Self { changes, size }
    }

    /// The content is sent as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Octets of the converted content.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Converts a content that goes by in pieces.
#[derive(Debug)]
pub struct Converter {
    left: VecDeque<Change>,
    /// The change that is under way: where it ends, and what encodes it. Without that its octets are left out.
    current: Option<(u64, Option<Encoder>)>,
    at: u64,
}

impl Converter {
    /// A converter at the start of the content that the plan was made for.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            left: plan.changes.clone().into(),
            current: None,
            at: 0,
        }
    }

    /// Takes the next octets of the content, and puts what they come to at the end of `out`.
    pub fn feed(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while !octets.is_empty() {
            self.begin(out);
            let next = match (&self.current, self.left.front()) {
                (Some((end, _)), _) => *end,
                (None, Some(change)) => change.at.start,
                (None, None) => u64::MAX,
            };
            let most = usize::try_from(next - self.at).unwrap_or(usize::MAX);
            let (part, rest) = octets.split_at(most.min(octets.len()));
            match &mut self.current {
                None => out.put(part),
                Some((_, Some(encoder))) => encoder.update(part, out),
                Some((_, None)) => {}
            }
            self.at += part.len() as u64;
            octets = rest;
            self.end(out);
        }
    }

    /// The content is over: puts what is left.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.begin(out);
        if let Some((_, Some(encoder))) = self.current.take() {
            encoder.finish(out);
        }
    }

    /// Begins the changes that are due.
    fn begin(&mut self, out: &mut Vec<u8>) {
        while self.current.is_none()
            && self
                .left
                .front()
                .is_some_and(|change| change.at.start <= self.at)
        {
            let Some(change) = self.left.pop_front() else {
                return;
            };
            let encoder = match change.with {
                With::Octets(octets) => {
                    out.put(&octets);
                    None
                }
                With::Encoded { scheme, .. } => Some(Encoder::new(scheme)),
            };
            self.current = Some((change.at.end, encoder));
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some((_, encoder)) = self.current.take_if(|(end, _)| *end <= self.at)
            && let Some(encoder) = encoder
        {
            encoder.finish(out);
        }
    }
}
