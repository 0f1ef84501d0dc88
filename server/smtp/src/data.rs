//! DATA content: finds its end and takes away the dots that the client stuffed (RFC 5321 4.5.2).
//!
//! Only CRLF ends a line and only CRLF.CRLF ends the content. Whether the lines in between are well formed is for
//! [`ContentCheck`](crate::content::ContentCheck) to say.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// A piece of decoded content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The content, perhaps empty.
    pub content: Bytes,
    /// Whether the end of the content was reached. What is left in the input comes after it.
    pub end: bool,
}

/// Decodes DATA content as it streams.
///
/// Content is given out as slices of the input buffer. Only where a dot was taken away are the octets behind it
/// moved, within that buffer.
#[derive(Debug, Clone)]
pub struct DotDecoder {
    /// CRLF came last, or nothing yet.
    line_start: bool,
}

impl Default for DotDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl DotDecoder {
    /// A decoder at the beginning of the content.
    #[must_use]
    pub const fn new() -> Self {
        Self { line_start: true }
    }

    /// Decodes as much of `input` as can be decided. At most two octets stay: a CR, or a dot at the start of a line and
    /// a CR after it.
    pub fn decode(&mut self, input: &mut BytesMut) -> Decoded {
        let (mut read, mut write, mut end) = (0, 0, false);
        loop {
            let rest = input.get(read..).unwrap_or_default();
            let mut dot = 0;
            if self.line_start {
                match rest {
                    [b'.', b'\r', b'\n', ..] => {
                        read += 3;
                        end = true;
                        break;
                    }
                    [b'.'] | [b'.', b'\r'] => break,
                    [b'.', ..] => dot = 1,
                    _ => {}
                }
            }
            let rest = rest.get(dot..).unwrap_or_default();
            let (length, line_start) = content_length(rest);
            if length == 0 {
                // Nothing can be decided before more comes. A dot is taken only with what follows it.
                break;
            }
            let from = read + dot;
            if from != write {
                input.copy_within(from..from + length, write);
            }
            write += length;
            read = from + length;
            self.line_start = line_start;
        }
        let mut taken = input.split_to(read);
        taken.truncate(write);
        Decoded {
            content: taken.freeze(),
            end,
        }
    }
}

/// How much of `rest` is content up to the next dot at the start of a line, and whether a line starts there.
fn content_length(rest: &[u8]) -> (usize, bool) {
    if let Some(at) = memmem::find(rest, b"\r\n.") {
        return (at + 2, true);
    }
    // A CR at the end may begin a CRLF.
    match rest {
        [content @ .., b'\r'] => (content.len(), content.ends_with(b"\r\n")),
        content => (content.len(), content.ends_with(b"\r\n")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Feeds `wire` in pieces of the given lengths, then the rest; gives content and what came after the end.
    fn decode(wire: &[u8], cuts: &[usize]) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut decoder = DotDecoder::new();
        let (mut content, mut input, mut rest) = (Vec::new(), BytesMut::new(), wire);
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            let (piece, tail) = rest.split_at(cut.min(rest.len()));
            rest = tail;
            input.extend_from_slice(piece);
            let decoded = decoder.decode(&mut input);
            content.extend_from_slice(&decoded.content);
            if decoded.end {
                input.extend_from_slice(rest);
                return Some((content, input.to_vec()));
            }
            assert!(input.len() <= 2, "undecided: {input:?}");
        }
        None
    }

    fn stuff(content: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut line_start = true;
        for (at, &byte) in content.iter().enumerate() {
            if line_start && byte == b'.' {
                wire.push(b'.');
            }
            wire.push(byte);
            line_start = content
                .get(..=at)
                .is_some_and(|seen| seen.ends_with(b"\r\n"));
        }
        wire.extend_from_slice(b".\r\n");
        wire
    }

    #[test]
    fn known_answers() {
        type Case<'a> = (&'a [u8], Option<(&'a [u8], &'a [u8])>);
        let cases: &[Case<'_>] = &[
            (b".\r\n", Some((b"", b""))),
            (b".\r\nQUIT\r\n", Some((b"", b"QUIT\r\n"))),
            (b"a\r\n.\r\n", Some((b"a\r\n", b""))),
            (b"..\r\n.\r\n", Some((b".\r\n", b""))),
            (b".a\r\n..b\r\n.\r\n", Some((b"a\r\n.b\r\n", b""))),
            (b"a.\r\n.\r\nx", Some((b"a.\r\n", b"x"))),
            (b"a\r\n.", None),
            (b"a\r\n.\r", None),
            (b"a\r\n.\rb\r\n.\r\n", Some((b"a\r\n\rb\r\n", b""))),
            (b"\r\n.\r\n", Some((b"\r\n", b""))),
        ];
        for (wire, expected) in cases {
            let expected = expected.map(|(content, rest)| (content.to_vec(), rest.to_vec()));
            assert_eq!(decode(wire, &[]), expected, "{}", wire.escape_ascii());
        }
    }

    /// Attack B1: nothing but CRLF.CRLF is an end, however the dot is framed.
    #[test]
    fn nothing_else_ends_the_content() {
        let frames: &[(&[u8], &[u8])] = &[
            (b"\n", b"\n"),
            (b"\n", b"\r\n"),
            (b"\r\n", b"\n"),
            (b"\r", b"\r"),
            (b"\r", b"\r\n"),
            (b"\r\n", b"\r"),
            (b"\n", b"\r"),
            (b"\r", b"\n"),
            (b"\n\r", b"\r\n"),
            (b"\r\n", b"\r\r\n"),
            (b"\r\n", b"\n\r\n"),
            (b"\r\n\0", b"\r\n"),
            (b"\r\0\n", b"\r\n"),
            (b"\r\n", b"\0\r\n"),
            (b"\r\n", b" \r\n"),
            (b"\r\n", b"\t\r\n"),
            (b"\r\n", b"\x0b\r\n"),
            (b"\r\n", b"\xc2\x85"),
            (b"\xc2\x85", b"\r\n"),
            (b"\xe2\x80\xa8", b"\xe2\x80\xa8"),
        ];
        for (before, after) in frames {
            let fake = [
                b"text".as_slice(),
                before,
                b".",
                after,
                b"MAIL FROM:<evil@example.test>\r\n",
            ]
            .concat();
            assert_eq!(decode(&fake, &[]), None, "{}", fake.escape_ascii());
            let ended = [fake.as_slice(), b".\r\nRSET\r\n"].concat();
            let (_, rest) = decode(&ended, &[]).unwrap();
            assert_eq!(rest, b"RSET\r\n", "{}", ended.escape_ascii());
        }
        let full_width = "text\r\n\u{ff0e}\r\nMAIL\r\n".as_bytes();
        assert_eq!(decode(full_width, &[]), None);
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![4 => Just(b'\r'), 4 => Just(b'\n'), 4 => Just(b'.'), 2 => Just(b'x'), 1 => any::<u8>()];
        proptest::collection::vec(octet, 0..60)
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(wire in octets(), cuts in proptest::collection::vec(0usize..7, 0..20)) {
            prop_assert_eq!(decode(&wire, &cuts), decode(&wire, &[]));
        }

        #[test]
        fn stuffed_content_comes_back(lines in proptest::collection::vec(octets(), 0..6), after in octets()) {
            let mut content = lines.join(b"\r\n".as_slice());
            if !content.is_empty() {
                content.extend_from_slice(b"\r\n");
            }
            let wire = [stuff(&content), after.clone()].concat();
            prop_assert_eq!(decode(&wire, &[3, 1, 1, 9, 2]), Some((content, after)));
        }
    }
}
