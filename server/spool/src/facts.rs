//! What a content is made of, found while it goes by: what a next hop must be able to take.

use memchr::{memchr, memchr_iter};

/// What a content is made of. Found once, while it arrives, and kept with it, so that no delivery
/// has to scan for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentFacts {
    /// Octets of the longest line, without its CRLF.
    pub longest_line: u64,
    /// Where the last octet above 127 is. The header section has one, or the body, or both: the
    /// body has one exactly when this is not before its start.
    pub last_eight_bit: Option<u64>,
    /// There is a NUL.
    pub nul: bool,
    /// There is a CR without LF or a LF without CR.
    pub bare_line_end: bool,
    /// A line begins with a dot.
    pub dot_line: bool,
    /// It ends with CRLF, or is empty.
    pub ends_with_line: bool,
}

impl ContentFacts {
    const NUL: u8 = 1;
    const BARE: u8 = 2;
    const DOT: u8 = 4;
    const ENDS: u8 = 8;

    /// Finds the facts of a content that is all there.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mut scan = Scan::default();
        scan.update(content);
        scan.finish()
    }

    /// The facts that are true or false, as bits. They are part of the format.
    pub(crate) fn flags(&self) -> u8 {
        let bit = |set: bool, bit| if set { bit } else { 0 };
        bit(self.nul, Self::NUL)
            | bit(self.bare_line_end, Self::BARE)
            | bit(self.dot_line, Self::DOT)
            | bit(self.ends_with_line, Self::ENDS)
    }

    /// The facts as a store keeps them.
    pub(crate) fn from_parts(longest_line: u64, last_eight_bit: Option<u64>, flags: u8) -> Self {
        Self {
            longest_line,
            last_eight_bit,
            nul: flags & Self::NUL != 0,
            bare_line_end: flags & Self::BARE != 0,
            dot_line: flags & Self::DOT != 0,
            ends_with_line: flags & Self::ENDS != 0,
        }
    }
}

/// Finds the facts of a content that goes by in pieces.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    position: u64,
    /// Where the line that is not at its end yet began.
    line: u64,
    /// The last octet was a CR.
    after_cr: bool,
    /// The last line end was a LF alone.
    after_lone_lf: bool,
    facts: ContentFacts,
}

impl Scan {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        let Some((&first, &last)) = piece.first().zip(piece.last()) else {
            return;
        };
        if self.position == self.line && first == b'.' {
            self.facts.dot_line = true;
        }
        if self.after_cr && first != b'\n' {
            self.facts.bare_line_end = true;
        }
        for at in memchr_iter(b'\n', piece) {
            let before = match at.checked_sub(1) {
                Some(before) => piece.get(before) == Some(&b'\r'),
                None => self.after_cr,
            };
            self.facts.bare_line_end |= !before;
            self.after_lone_lf = !before;
            let end = self.position + at as u64;
            let length = (end - self.line).saturating_sub(u64::from(before));
            self.facts.longest_line = self.facts.longest_line.max(length);
            self.line = end + 1;
            self.facts.dot_line |= piece.get(at + 1) == Some(&b'.');
        }
        for at in memchr_iter(b'\r', piece) {
            // One at the end is looked at with the next piece.
            self.facts.bare_line_end |= piece.get(at + 1).is_some_and(|&next| next != b'\n');
        }
        if !piece.is_ascii()
            && let Some(at) = piece.iter().rposition(|octet| !octet.is_ascii())
        {
            self.facts.last_eight_bit = Some(self.position + at as u64);
        }
        self.facts.nul = self.facts.nul || memchr(0, piece).is_some();
        self.after_cr = last == b'\r';
        self.position += piece.len() as u64;
    }

    pub(crate) fn finish(mut self) -> ContentFacts {
        self.facts.bare_line_end |= self.after_cr;
        self.facts.longest_line = self.facts.longest_line.max(self.position - self.line);
        self.facts.ends_with_line = self.position == self.line && !self.after_lone_lf;
        self.facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(content: &[u8]) -> ContentFacts {
        let whole = ContentFacts::of(content);
        // However it is cut, it is the same content.
        for size in 1..content.len().min(8) {
            let mut scan = Scan::default();
            content.chunks(size).for_each(|piece| scan.update(piece));
            assert_eq!(scan.finish(), whole, "{content:?} in pieces of {size}");
        }
        let again =
            ContentFacts::from_parts(whole.longest_line, whole.last_eight_bit, whole.flags());
        assert_eq!(again, whole);
        whole
    }

    #[test]
    fn plain_lines_need_nothing() {
        let found = facts(b"Subject: x\r\n\r\nbody\r\n");
        let expected = ContentFacts {
            longest_line: 10,
            ends_with_line: true,
            ..ContentFacts::default()
        };
        assert_eq!(found, expected);
        assert!(facts(b"").ends_with_line);
    }

    #[test]
    fn each_fact_is_found_alone() {
        assert!(facts(b"a\r\nb\0\r\n").nul);
        for bare in [&b"a\nb\r\n"[..], b"a\rb\r\n", b"\nx", b"a\r", b"a\r\r\n"] {
            assert!(facts(bare).bare_line_end, "{bare:?}");
        }
        for dot in [&b".x\r\n"[..], b"a\r\n.\r\n", b"a\r\n.b"] {
            assert!(facts(dot).dot_line, "{dot:?}");
        }
        assert!(!facts(b"a.b\r\n c.\r\n").dot_line);
        assert!(!facts(b"a\r\nb").ends_with_line);
        assert_eq!(facts(b"a\xC3\xA4\r\nb\r\n").last_eight_bit, Some(2));
        assert_eq!(facts(b"ab\r\ncdefg").longest_line, 5);
    }
}
