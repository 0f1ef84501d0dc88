//! What a content needs of the way that it takes, and what a way takes.

use crate::{Segment, Version};

/// Octets of the longest line of text, without its CRLF (RFC 5321 4.5.3.1.6).
pub const LONGEST_LINE: u64 = 998;

/// What a way takes: a next hop by what it answered to EHLO, or a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// Octets above 127 in lines of text (8BITMIME, RFC 6152).
    pub eight_bit: bool,
    /// Lines longer than [`LONGEST_LINE`].
    pub long_lines: bool,
    /// Octets that are not in lines: a CR or LF alone.
    pub loose: bool,
}

impl Way {
    /// A peer by what it offers: 8BITMIME, and BINARYMIME together with CHUNKING (RFC 3030).
    #[must_use]
    pub const fn offered(eight_bit_mime: bool, binary_mime: bool) -> Self {
        Self {
            // As binary content, where it is not offered for lines.
            eight_bit: eight_bit_mime || binary_mime,
            long_lines: binary_mime,
            loose: binary_mime,
        }
    }
}

/// What a content needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// The header section has octets above 127.
    pub eight_bit_header: bool,
    /// The body has octets above 127.
    pub eight_bit_body: bool,
    /// It has a line longer than [`LONGEST_LINE`].
    pub long_lines: bool,
    /// It has a CR or LF alone.
    pub loose: bool,
}

/// What is known of a content as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original {
    /// Octets of its longest line, without the CRLF.
    pub longest_line: u64,
    /// Where its last octet above 127 is.
    pub last_eight_bit: Option<u64>,
    /// It has a CR or LF alone.
    pub loose: bool,
}

impl Original {
    /// Nothing is known: it may hold anything.
    pub const UNKNOWN: Self = Self {
        longest_line: u64::MAX,
        last_eight_bit: Some(u64::MAX),
        loose: true,
    };
}

impl Needs {
    /// What a version of a content needs at most. The header section is looked at; of the body only what edits brought in, and
    /// the rest goes by what is known of the original. A splice may have made a long line of two short ones, or have taken
    /// away what was special: then this says more than is needed, and [`Analysis`](crate::convert::Analysis) tells exactly.
    #[must_use]
    pub fn at_most(version: &Version, original: &Original) -> Self {
        let mut needs = Self::default();
        for field in version.headers() {
            needs.eight_bit_header |= !field.raw().is_ascii();
            let mut line = LineBound::default();
            line.inserted(field.raw());
            needs.long_lines |= line.longest > LONGEST_LINE;
            needs.loose |= is_loose(field.raw());
        }
        let body_offset = version.body_offset();
        let mut line = LineBound::default();
        for segment in version.body_segments(0..u64::MAX) {
            match segment {
                Segment::Original(range) => {
                    let last = original.last_eight_bit;
                    needs.eight_bit_body |= last.is_some_and(|at| at >= body_offset);
                    needs.loose |= original.loose;
                    line.original(range.end - range.start, original.longest_line);
                }
                Segment::Inserted(octets) => {
                    needs.eight_bit_body |= !octets.is_ascii();
                    needs.loose |= is_loose(&octets);
                    line.inserted(&octets);
                }
            }
        }
        needs.long_lines |= line.longest > LONGEST_LINE;
        needs
    }

    /// Whether a way takes it as it is.
    #[must_use]
    pub fn fits(&self, way: Way) -> bool {
        (way.eight_bit || !self.eight_bit())
            && (way.long_lines || !self.long_lines)
            && (way.loose || !self.loose)
    }

    /// It is not lines of text that are short enough.
    #[must_use]
    pub fn binary(&self) -> bool {
        self.long_lines || self.loose
    }

    /// It has octets above 127.
    #[must_use]
    pub fn eight_bit(&self) -> bool {
        self.eight_bit_header || self.eight_bit_body
    }
}

/// The longest line that pieces can make together, of some of which only the longest line is known.
#[derive(Default)]
struct LineBound {
    /// Of the line that has not ended.
    open: u64,
    longest: u64,
}

impl LineBound {
    fn original(&mut self, size: u64, longest: u64) {
        // A piece without a line end is no longer than the longest line and a CR.
        let most = size.min(longest);
        self.longest = self.longest.max(self.open.saturating_add(most));
        self.open = if size <= longest.saturating_add(1) {
            self.open.saturating_add(size)
        } else {
            longest
        };
    }

    fn inserted(&mut self, octets: &[u8]) {
        let mut lines = octets.split(|&octet| octet == b'\n');
        let length = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len() as u64;
        let first = length(lines.next().unwrap_or_default());
        self.longest = self.longest.max(self.open.saturating_add(first));
        match octets.iter().rposition(|&octet| octet == b'\n') {
            Some(last) => {
                self.longest = lines.map(length).fold(self.longest, u64::max);
                self.open = (octets.len() - last - 1) as u64;
            }
            None => self.open = self.open.saturating_add(octets.len() as u64),
        }
    }
}

/// There is a CR or LF alone. One at the edges may belong to the neighbour's line end.
fn is_loose(octets: &[u8]) -> bool {
    let inner_lf = octets
        .windows(2)
        .any(|pair| pair[1] == b'\n' && pair[0] != b'\r');
    let inner_cr = octets
        .windows(2)
        .any(|pair| pair[0] == b'\r' && pair[1] != b'\n');
    inner_lf || inner_cr
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{Edit, EditLimits, HeaderLimits, HeaderParser};

    /// The facts of a content, found the plain way.
    fn original(content: &[u8]) -> Original {
        Original {
            longest_line: longest(content),
            last_eight_bit: content
                .iter()
                .rposition(|o| !o.is_ascii())
                .map(|at| at as u64),
            loose: is_loose(content) || content.starts_with(b"\n") || content.ends_with(b"\r"),
        }
    }

    fn longest(content: &[u8]) -> u64 {
        let lines = content.split(|&octet| octet == b'\n');
        let length = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len() as u64;
        lines.map(length).max().unwrap_or(0)
    }

    fn version(content: &[u8]) -> Version {
        let mut parser = HeaderParser::new(HeaderLimits::default());
        let section = parser.feed(content).unwrap().unwrap();
        Version::original(&section, Some(content.len() as u64))
    }

    fn needs(content: &[u8]) -> Needs {
        Needs::at_most(&version(content), &original(content))
    }

    #[test]
    fn each_need_is_found_where_it_is() {
        assert_eq!(needs(b"A: b\r\n\r\nc\r\n"), Needs::default());
        assert!(needs(b"A: \xfc\r\n\r\nc\r\n").eight_bit_header);
        assert!(!needs(b"A: \xfc\r\n\r\nc\r\n").eight_bit_body);
        assert!(needs(b"A: b\r\n\r\n\xfc\r\n").eight_bit_body);
        let long = |n: usize| format!("A: b\r\n\r\n{}\r\n", "x".repeat(n)).into_bytes();
        assert!(!needs(&long(998)).binary());
        assert!(needs(&long(999)).long_lines);
        // Passed on as it came.
        assert_eq!(needs(b"A: \0b\r\n\r\na\0\r\n"), Needs::default());
        assert!(needs(b"A: b\r\n\r\na\nb\r\n").loose);
        let unknown = Needs::at_most(&version(b"A: b\r\n\r\nc"), &Original::UNKNOWN);
        assert!(unknown.binary() && unknown.eight_bit_body);
    }

    #[test]
    fn ways_take_what_they_say() {
        let (seven, eight, any) = (
            Way::offered(false, false),
            Way::offered(true, false),
            Way::offered(false, true),
        );
        let of = |eight_bit_body, long_lines, loose| Needs {
            eight_bit_body,
            long_lines,
            loose,
            ..Needs::default()
        };
        assert!(of(false, false, false).fits(seven));
        assert!(!of(true, false, false).fits(seven) && of(true, false, false).fits(eight));
        assert!(!of(false, true, false).fits(eight) && !of(false, false, true).fits(eight));
        assert!(of(true, true, true).fits(any));
    }

    proptest! {
        /// What a splice makes is never more than what was said of it.
        #[test]
        fn edits_never_need_more_than_is_said(
            lines in proptest::collection::vec(0usize..700, 1..6),
            at in 0usize..2000, gone in 0usize..800, put in 0usize..700, breaks in any::<bool>(),
        ) {
            let body: String = lines.iter().map(|n| "x".repeat(*n) + "\r\n").collect();
            let content = format!("A: b\r\n\r\n{body}").into_bytes();
            let before = version(&content);
            let at = at.min(body.len());
            let insert = "y".repeat(put) + if breaks { "\r\n" } else { "" };
            let splice = Edit::SpliceBody {
                offset: at as u64,
                remove: gone.min(body.len() - at) as u64,
                insert: Bytes::from(insert),
            };
            let after = before.apply(&[splice], &EditLimits::default()).unwrap();
            let mut made = Vec::new();
            for segment in after.body_segments(0..u64::MAX) {
                match segment {
                    Segment::Original(range) => made.extend_from_slice(&content[range.start as usize..range.end as usize]),
                    Segment::Inserted(octets) => made.extend_from_slice(&octets),
                }
            }
            let said = Needs::at_most(&after, &original(&content));
            prop_assert!(said.long_lines || longest(&made) <= LONGEST_LINE);
        }
    }
}
