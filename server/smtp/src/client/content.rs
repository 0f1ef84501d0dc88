//! The encoder between a message and the wire: dot-stuffing, and the last guard against a bare CR or LF.
//!
//! It works on slices. Input octets are never copied: what goes out is slices of what came in, with single dots and, at
//! most once, a closing CRLF between them.

use std::collections::VecDeque;

use bytes::Bytes;
use thiserror::Error;

/// How content is framed on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// DATA: dots at the start of a line doubled, ended by a line with a single dot (RFC 5321 4.5.2).
    Dots,
    /// BDAT: octets as they are, exactly as many as announced (RFC 3030).
    Counted {
        /// The octets announced.
        size: u64,
        /// Content is `BODY=BINARYMIME`: a bare CR or LF in it is data and no line end.
        binary: bool,
    },
}

/// Content that must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ContentError {
    /// A CR that no LF follows: some receivers take it for an end of line, and so for a way to smuggle.
    #[error("the content has a bare CR before octet {offset}")]
    BareCr {
        /// Octets of content before the one that follows the CR.
        offset: u64,
    },
    /// An LF that no CR precedes.
    #[error("the content has a bare LF at octet {offset}")]
    BareLf {
        /// Octets of content before the LF.
        offset: u64,
    },
    /// The content is not as long as it was announced to be.
    #[error("the content has {got} octets and was announced with {announced}")]
    Size {
        /// Octets announced by BDAT.
        announced: u64,
        /// Octets given; counting stops at the first one too many.
        got: u64,
    },
}

/// Turns content into what goes over the wire. Give it slices with [`encode`](Self::encode), then
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct ContentEncoder {
    framing: Framing,
    position: Position,
    offset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    LineStart,
    InLine,
    AfterCr,
}

impl ContentEncoder {
    /// An encoder for one message.
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            position: Position::LineStart,
            offset: 0,
        }
    }

    /// Octets of content taken so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Encodes the next slice into `out`. After an error nothing more may be sent on this connection.
    pub fn encode(
        &mut self,
        content: Bytes,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), ContentError> {
        if content.is_empty() {
            return Ok(());
        }
        let stuff = match self.framing {
            Framing::Dots => true,
            Framing::Counted { size, binary } => {
                let got = self.offset.saturating_add(content.len() as u64);
                if got > size {
                    return Err(ContentError::Size {
                        announced: size,
                        got,
                    });
                }
                if binary {
                    self.offset = got;
                    out.push_back(content);
                    return Ok(());
                }
                false
            }
        };
        self.encode_lines(content, stuff, out)
    }

    fn encode_lines(
        &mut self,
        content: Bytes,
        stuff: bool,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), ContentError> {
        let (mut at, mut unsent) = (0, 0);
        let mut position = self.position;
        let offset = |at: usize| self.offset + at as u64;
        while let Some(rest) = content.get(at..).filter(|rest| !rest.is_empty()) {
            match (position, rest.first()) {
                (Position::AfterCr, Some(b'\n')) => {
                    position = Position::LineStart;
                    at += 1;
                }
                (Position::AfterCr, _) => {
                    return Err(ContentError::BareCr { offset: offset(at) });
                }
                (Position::LineStart, Some(b'.')) if stuff => {
                    push(out, content.slice(unsent..at));
                    out.push_back(Bytes::from_static(b"."));
                    unsent = at;
                    position = Position::InLine;
                    at += 1;
                }
                _ => match memchr::memchr2(b'\r', b'\n', rest) {
                    Some(end) if rest.get(end) == Some(&b'\n') => {
                        return Err(ContentError::BareLf {
                            offset: offset(at + end),
                        });
                    }
                    Some(end) => {
                        position = Position::AfterCr;
                        at += end + 1;
                    }
                    None => {
                        position = Position::InLine;
                        at = content.len();
                    }
                },
            }
        }
        self.position = position;
        self.offset += content.len() as u64;
        push(out, content.slice(unsent..));
        Ok(())
    }

    /// Ends the content. With dots a last line without CRLF gets one, since the final dot needs a line of its own.
    pub fn finish(self, out: &mut VecDeque<Bytes>) -> Result<(), ContentError> {
        let bare_cr = Err(ContentError::BareCr {
            offset: self.offset,
        });
        match (self.framing, self.position) {
            (Framing::Counted { size, .. }, _) if size != self.offset => Err(ContentError::Size {
                announced: size,
                got: self.offset,
            }),
            (Framing::Counted { binary: true, .. }, _) => Ok(()),
            (_, Position::AfterCr) => bare_cr,
            (Framing::Counted { .. }, _) => Ok(()),
            (Framing::Dots, Position::LineStart) => {
                out.push_back(Bytes::from_static(b".\r\n"));
                Ok(())
            }
            (Framing::Dots, Position::InLine) => {
                out.push_back(Bytes::from_static(b"\r\n.\r\n"));
                Ok(())
            }
        }
    }
}

fn push(out: &mut VecDeque<Bytes>, slice: Bytes) {
    if !slice.is_empty() {
        out.push_back(slice);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn encode(framing: Framing, parts: &[&[u8]]) -> Result<Vec<u8>, ContentError> {
        let mut out = VecDeque::new();
        let mut encoder = ContentEncoder::new(framing);
        for part in parts {
            encoder.encode(Bytes::copy_from_slice(part), &mut out)?;
        }
        encoder.finish(&mut out)?;
        Ok(out.into_iter().flatten().collect())
    }

    #[test]
    fn dots_at_line_starts_are_doubled_also_across_slices() {
        let wire = encode(
            Framing::Dots,
            &[b".a\r\n..", b"b.c\r", b"\n", b".", b"\r\n"],
        )
        .unwrap();
        assert_eq!(wire, b"..a\r\n...b.c\r\n..\r\n.\r\n");
    }

    #[test]
    fn a_last_line_without_end_gets_one() {
        assert_eq!(encode(Framing::Dots, &[b"a"]).unwrap(), b"a\r\n.\r\n");
        assert_eq!(encode(Framing::Dots, &[]).unwrap(), b".\r\n");
    }

    #[test]
    fn bare_line_ends_never_leave() {
        for smuggled in [
            &b"a\n.\r\n"[..],
            b"a\r.\r\n",
            b"a\r\r\n",
            b"a\r\n\n",
            b"\n",
            b"a\r",
        ] {
            for split in 0..=smuggled.len() {
                let (a, b) = smuggled.split_at(split);
                assert!(encode(Framing::Dots, &[a, b]).is_err(), "{smuggled:?}");
                let counted = Framing::Counted {
                    size: smuggled.len() as u64,
                    binary: false,
                };
                assert!(encode(counted, &[a, b]).is_err(), "{smuggled:?}");
            }
        }
    }

    #[test]
    fn binary_content_is_left_alone_and_counted() {
        let framing = |size| Framing::Counted { size, binary: true };
        assert_eq!(
            encode(framing(5), &[b".\n\r", b"\0."]).unwrap(),
            b".\n\r\0."
        );
        assert_eq!(
            encode(framing(6), &[b".\n\r\0."]),
            Err(ContentError::Size {
                announced: 6,
                got: 5
            })
        );
        assert!(encode(framing(4), &[b".\n\r\0."]).is_err());
    }
}
