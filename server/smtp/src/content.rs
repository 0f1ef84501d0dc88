//! What the content of a message is held to, whether it comes by DATA or by BDAT.

use memchr::memchr2_iter;

/// Why content cannot become a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ContentFault {
    /// CR without LF.
    #[error("bare CR in the message")]
    BareCr,
    /// LF without CR.
    #[error("bare LF in the message")]
    BareLf,
    /// A line longer than allowed.
    #[error("line too long in the message")]
    LineTooLong,
    /// More octets than allowed.
    #[error("message too large")]
    TooLarge,
}

/// Limits of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLimits {
    /// Longest line in octets, CRLF included.
    pub line_length: usize,
    /// Largest message in octets.
    pub size: u64,
}

/// Checks decoded content as it streams, in pieces of any size.
///
/// Text is lines that end in CRLF and have no other CR or LF. Binary content (BINARYMIME) is held to its size only.
#[derive(Debug, Clone)]
pub struct ContentCheck {
    limits: ContentLimits,
    binary: bool,
    size: u64,
    /// Octets of the line that is not ended yet.
    line: usize,
    /// The last octet was a CR whose LF is still to come.
    after_cr: bool,
    eight_bit: bool,
}

impl ContentCheck {
    /// A check of nothing yet.
    #[must_use]
    pub const fn new(limits: ContentLimits, binary: bool) -> Self {
        Self {
            limits,
            binary,
            size: 0,
            line: 0,
            after_cr: false,
            eight_bit: false,
        }
    }

    /// Checks the next piece. After a fault the check is of no more use.
    ///
    /// # Errors
    /// The first [`ContentFault`].
    pub fn check(&mut self, piece: &[u8]) -> Result<(), ContentFault> {
        self.size = self.size.saturating_add(piece.len() as u64);
        if self.size > self.limits.size {
            return Err(ContentFault::TooLarge);
        }
        self.eight_bit |= !piece.is_ascii();
        if self.binary {
            Ok(())
        } else {
            self.check_lines(piece)
        }
    }

    /// Checks the end.
    ///
    /// # Errors
    /// [`ContentFault::BareCr`] if a CR still waits for its LF.
    pub const fn finish(&self) -> Result<(), ContentFault> {
        if self.after_cr {
            Err(ContentFault::BareCr)
        } else {
            Ok(())
        }
    }

    /// Octets so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Whether an octet above 127 was seen.
    #[must_use]
    pub const fn eight_bit(&self) -> bool {
        self.eight_bit
    }

    fn check_lines(&mut self, piece: &[u8]) -> Result<(), ContentFault> {
        let Some(&first) = piece.first() else {
            return Ok(());
        };
        if self.after_cr && first != b'\n' {
            return Err(ContentFault::BareCr);
        }
        let mut line_start = 0;
        let mut cr_before = self.after_cr;
        // Where the last CR was, so that an LF knows whether it follows directly.
        let mut cr_at = None;
        for at in memchr2_iter(b'\r', b'\n', piece) {
            if piece.get(at) == Some(&b'\r') {
                if piece.get(at + 1).is_some_and(|&next| next != b'\n') {
                    return Err(ContentFault::BareCr);
                }
                cr_at = Some(at);
                continue;
            }
            let paired = if at == 0 {
                cr_before
            } else {
                cr_at == Some(at - 1)
            };
            if !paired {
                return Err(ContentFault::BareLf);
            }
            self.line += at + 1 - line_start;
            if self.line > self.limits.line_length {
                return Err(ContentFault::LineTooLong);
            }
            self.line = 0;
            line_start = at + 1;
            cr_before = false;
        }
        self.after_cr = piece.last() == Some(&b'\r');
        self.line += piece.len() - line_start;
        if self.line > self.limits.line_length {
            Err(ContentFault::LineTooLong)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const LIMITS: ContentLimits = ContentLimits {
        line_length: 10,
        size: 40,
    };

    fn checked(content: &[u8], cuts: &[usize]) -> Result<u64, ContentFault> {
        let mut check = ContentCheck::new(LIMITS, false);
        let mut rest = content;
        for &cut in cuts {
            let (piece, tail) = rest.split_at(cut.min(rest.len()));
            check.check(piece)?;
            rest = tail;
        }
        check.check(rest)?;
        check.finish()?;
        Ok(check.size())
    }

    #[test]
    fn faults_are_named() {
        let cases: &[(&[u8], Result<u64, ContentFault>)] = &[
            (b"", Ok(0)),
            (b"a\r\nb\r\n", Ok(6)),
            (b"no end", Ok(6)),
            (b"a\nb", Err(ContentFault::BareLf)),
            (b"\n", Err(ContentFault::BareLf)),
            (b"a\r\n\n", Err(ContentFault::BareLf)),
            (b"a\rb", Err(ContentFault::BareCr)),
            (b"a\r\r\n", Err(ContentFault::BareCr)),
            (b"a\r", Err(ContentFault::BareCr)),
            (b"12345678\r\n", Ok(10)),
            (b"123456789\r\n", Err(ContentFault::LineTooLong)),
            (b"12345678901", Err(ContentFault::LineTooLong)),
            (&[b'\0'; 9], Ok(9)),
        ];
        for (content, expected) in cases {
            assert_eq!(
                checked(content, &[]),
                *expected,
                "{:?}",
                content.escape_ascii().to_string()
            );
        }
        assert_eq!(
            checked(&b"12345678\r\n".repeat(5), &[]),
            Err(ContentFault::TooLarge)
        );
    }

    #[test]
    fn binary_content_is_held_to_its_size_only() {
        let mut check = ContentCheck::new(LIMITS, true);
        check.check(b"\r\r\n\n\xff0123456789012345").unwrap();
        check.finish().unwrap();
        assert!(check.eight_bit());
        assert_eq!(check.check(&[0; 40]), Err(ContentFault::TooLarge));
    }

    proptest! {
        /// A verdict does not depend on how the content was cut; which of two faults is named first may.
        #[test]
        fn pieces_do_not_matter(
            content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..30),
            cuts in proptest::collection::vec(0usize..6, 0..8),
        ) {
            let (whole, cut) = (checked(&content, &[]), checked(&content, &cuts));
            prop_assert_eq!(whole.is_ok(), cut.is_ok());
        }

        /// The model: text without its CRLFs has neither CR nor LF.
        #[test]
        fn agrees_with_the_model(
            content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..9),
        ) {
            let text = String::from_utf8(content.clone()).unwrap().replace("\r\n", "");
            prop_assert_eq!(checked(&content, &[]).is_ok(), !text.contains(['\r', '\n']));
        }
    }
}
