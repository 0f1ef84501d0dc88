//! Lines of a content that goes by in pieces. Only CRLF ends a line.

use memchr::memchr_iter;

/// The beginning of a line is given in one piece up to so many octets: no boundary is longer.
const HEAD: usize = 1024;

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) octets: &'a [u8],
    /// Where it stands in the content.
    pub(super) at: u64,
    /// The line begins with it.
    pub(super) begins: bool,
    /// The line ends with it, by CRLF or with the content. The CRLF is part of it.
    pub(super) ends: bool,
}

impl Piece<'_> {
    /// The whole line, without its CRLF.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (self.begins && self.ends).then(|| self.text())
    }

    /// It without the CRLF.
    pub(super) fn text(&self) -> &[u8] {
        match self.ends_line() {
            true => self.octets.strip_suffix(b"\r\n").unwrap_or(self.octets),
            false => self.octets,
        }
    }

    /// The line ends with it by CRLF.
    pub(super) fn ends_line(&self) -> bool {
        self.ends && self.octets.ends_with(b"\r\n")
    }
}

/// Cuts pieces of any size into lines, or pieces of lines that are long. No CRLF is cut in two.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line, too little yet to be given.
    held: Vec<u8>,
    /// The line that is not at its end was begun.
    begun: bool,
    /// A CR came last, and is not given yet.
    cr: bool,
    /// Octets given.
    at: u64,
}

impl Lines {
    pub(super) fn feed(&mut self, mut octets: &[u8], mut take: impl FnMut(Piece<'_>)) {
        if let Some(&first) = octets.first()
            && std::mem::take(&mut self.cr)
        {
            if first == b'\n' {
                octets = octets.get(1..).unwrap_or_default();
                self.part(b"\r\n", true, &mut take);
            } else {
                self.part(b"\r", false, &mut take);
            }
        }
        while !octets.is_empty() {
            let end = line_end(octets);
            let (mut part, rest) = octets.split_at(end.unwrap_or(octets.len()));
            octets = rest;
            if end.is_none()
                && let Some(before) = part.strip_suffix(b"\r")
            {
                self.cr = true;
                part = before;
            }
            self.part(part, end.is_some(), &mut take);
        }
    }

    /// The content is over.
    pub(super) fn finish(mut self, mut take: impl FnMut(Piece<'_>)) {
        if self.cr {
            self.part(b"\r", false, &mut take);
        }
        let held = std::mem::take(&mut self.held);
        if self.begun || !held.is_empty() {
            self.give(&held, true, &mut take);
        }
    }

    fn part(&mut self, part: &[u8], ends: bool, take: &mut impl FnMut(Piece<'_>)) {
        if self.begun || (self.held.is_empty() && (ends || part.len() >= HEAD)) {
            return self.give(part, ends, take);
        }
        self.held.extend_from_slice(part);
        if ends || self.held.len() >= HEAD {
            let mut held = std::mem::take(&mut self.held);
            self.give(&held, ends, take);
            held.clear();
            self.held = held;
        }
    }

    fn give(&mut self, octets: &[u8], ends: bool, take: &mut impl FnMut(Piece<'_>)) {
        take(Piece {
            octets,
            at: self.at,
            begins: !self.begun,
            ends,
        });
        self.at += octets.len() as u64;
        self.begun = !ends;
    }
}

/// Where the line ends, behind its CRLF.
fn line_end(octets: &[u8]) -> Option<usize> {
    let after_cr =
        |at: &usize| at.checked_sub(1).and_then(|before| octets.get(before)) == Some(&b'\r');
    memchr_iter(b'\n', octets).find(after_cr).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(content: &[u8], size: usize) -> Vec<(u64, Vec<u8>)> {
        let (mut found, mut cutter) = (Vec::<(u64, Vec<u8>)>::new(), Lines::default());
        let mut open = false;
        let mut take = |piece: Piece<'_>| {
            assert_eq!(piece.begins, !open);
            open = !piece.ends;
            if piece.begins {
                found.push((piece.at, Vec::new()));
            }
            if let Some((at, line)) = found.last_mut() {
                assert_eq!(*at + line.len() as u64, piece.at);
                line.extend_from_slice(piece.octets);
            }
        };
        for piece in content.chunks(size) {
            cutter.feed(piece, &mut take);
        }
        cutter.finish(&mut take);
        assert!(!open);
        found
    }

    #[test]
    fn only_crlf_ends_a_line() {
        let found = lines(b"a\r\nb\nc\rd\r\n\r\r\ne", 3);
        let text: Vec<_> = found.iter().map(|(_, line)| line.as_slice()).collect();
        assert_eq!(text, [&b"a\r\n"[..], b"b\nc\rd\r\n", b"\r\r\n", b"e"]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..40),
            size in 1usize..9,
        ) {
            prop_assert_eq!(lines(&content, size), lines(&content, content.len().max(1)));
        }
    }
}
