//! Parts that hold other parts, and are open.

use std::ops::Range;

use super::field::Encoding;
use super::plan::Changes;

/// Parts within parts that are looked at.
const DEEPEST: usize = 100;

/// A part that holds others.
#[derive(Debug)]
pub(super) struct Composite {
    /// Of a multipart; a message has none, and ends with what it is in.
    boundary: Option<Vec<u8>>,
    /// Its parts are messages unless they say otherwise.
    pub(super) digest: bool,
    /// Where it says how it is encoded.
    label: Option<(Range<u64>, Encoding)>,
    /// Its closing delimiter has come.
    closed: bool,
}

/// The parts that are open, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Composites(Vec<Composite>);

/// A line between parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delimiter {
    /// Of which of the open parts.
    level: usize,
    pub(super) closes: bool,
}

impl Composites {
    pub(super) fn open(
        &mut self,
        boundary: Option<Vec<u8>>,
        digest: bool,
        label: Option<(Range<u64>, Encoding)>,
    ) {
        self.0.push(Composite {
            boundary,
            digest,
            label,
            closed: false,
        });
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= DEEPEST
    }

    /// The part that what comes next is directly in.
    pub(super) fn innermost(&self) -> Option<&Composite> {
        self.0.last()
    }

    /// Whether a line is a delimiter of one of them. The innermost one is meant: a boundary may begin with another one.
    pub(super) fn delimiter(&self, line: &[u8]) -> Option<Delimiter> {
        let rest = line.strip_prefix(b"--")?.trim_ascii_end();
        self.0.iter().enumerate().rev().find_map(|(level, one)| {
            let boundary = one.boundary.as_deref().filter(|_| !one.closed)?;
            match rest.strip_prefix(boundary)? {
                b"" => Some(Delimiter {
                    level,
                    closes: false,
                }),
                b"--" => Some(Delimiter {
                    level,
                    closes: true,
                }),
                _ => None,
            }
        })
    }

    /// What is within the part of this delimiter is over.
    pub(super) fn end_inner(&mut self, delimiter: Delimiter) {
        self.0.truncate(delimiter.level + 1);
        if let Some(one) = self.0.last_mut() {
            one.closed |= delimiter.closes;
        }
    }

    /// A part in them is in 7 or 8 bits from now on, in lines: none of them may say that it holds more.
    pub(super) fn relabel(&mut self, eight_bit: bool, changes: &mut Changes) {
        for one in &mut self.0 {
            let too_much = |(_, encoding): &mut (Range<u64>, Encoding)| {
                *encoding == Encoding::Binary || (*encoding == Encoding::EightBit && !eight_bit)
            };
            if let Some((at, _)) = one.label.take_if(too_much) {
                let field: &[u8] = match eight_bit {
                    true => b"Content-Transfer-Encoding: 8bit\r\n",
                    false => b"Content-Transfer-Encoding: 7bit\r\n",
                };
                changes.put(at, field);
            }
        }
    }
}
