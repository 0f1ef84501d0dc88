//! Replies as a client reads them: bounded, strict in form, and nothing in them trusted.

use std::fmt;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::reply::EnhancedCode;

/// A whole reply of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The three digits, 200 to 599. A bare number, since peers use codes that RFC 5321 has no place for.
    pub code: u16,
    /// The enhanced status code of the first line (RFC 2034), if its class agrees with the first digit.
    pub enhanced: Option<EnhancedCode>,
    /// The text of each line after the code and its separator, without line ends. May hold any octet but CR and LF.
    pub lines: Vec<Bytes>,
}

impl Response {
    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3xx: the peer waits for more of the same command.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4xx: worth another try.
    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx: the same again would have the same answer.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Whether the peer announces with this reply that it closes the connection.
    pub fn announces_close(&self) -> bool {
        self.code == 421
    }
}

/// The reply on one line, fit for a log or a report: printable ASCII, everything else escaped, lines joined by blanks.
impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        for line in &self.lines {
            write!(f, " ")?;
            for &octet in line {
                match octet {
                    b' '..=b'~' => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\x{octet:02x}")?,
                }
            }
        }
        Ok(())
    }
}

/// How large a reply may be.
#[derive(Debug, Clone, Copy)]
pub struct ReplyLimits {
    /// Octets of one line with its CRLF. RFC 5321 4.5.3.1.5 allows 512; real peers write longer ones.
    pub line: usize,
    /// Lines of one reply.
    pub lines: usize,
    /// Octets of all lines of one reply.
    pub total: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            line: 2048,
            lines: 128,
            total: 32 * 1024,
        }
    }
}

/// What is wrong with a peer's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Not three digits from 200 to 599 and then a blank, a hyphen or the end of the line.
    #[error("the peer sent something that is not an SMTP reply")]
    NotAReply,
    /// A CR or LF that is not part of a CRLF.
    #[error("the peer sent a bare CR or LF in a reply")]
    BareLineEnd,
    /// The lines of one reply have different codes.
    #[error("the lines of the peer's reply have different codes")]
    CodesDiffer,
    /// A line longer than allowed.
    #[error("the peer's reply has a line of more than {0} octets")]
    LineTooLong(usize),
    /// More lines or octets than allowed.
    #[error("the peer's reply is larger than {0} lines or the allowed octets")]
    TooLarge(usize),
}

/// Reads replies from a stream of octets. After an error the stream is out of step: close the connection.
#[derive(Debug)]
pub struct ResponseParser {
    limits: ReplyLimits,
    /// Code of the reply being read, once its first line is there.
    code: Option<u16>,
    lines: Vec<Bytes>,
    total: usize,
    /// Octets at the start of the input that hold no line end: not looked at again.
    scanned: usize,
}

impl ResponseParser {
    /// A parser between two replies.
    pub fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            code: None,
            lines: Vec::new(),
            total: 0,
            scanned: 0,
        }
    }

    /// Takes the next whole reply from `input`; `None` if more octets are needed. What belongs to an unfinished line
    /// stays in `input`, never more than the limit of a line.
    pub fn parse(&mut self, input: &mut BytesMut) -> Result<Option<Response>, ResponseError> {
        while let Some(mut line) = self.take_line(input)? {
            let (code, last) = first_word(&line)?;
            if *self.code.get_or_insert(code) != code {
                return Err(ResponseError::CodesDiffer);
            }
            self.total += line.len();
            self.lines.push(line.split_off(line.len().min(4)));
            if self.lines.len() > self.limits.lines || self.total > self.limits.total {
                return Err(ResponseError::TooLarge(self.limits.lines));
            }
            if last {
                self.code = None;
                self.total = 0;
                let lines = std::mem::take(&mut self.lines);
                let enhanced = lines.first().and_then(|text| enhanced_code(text, code));
                return Ok(Some(Response {
                    code,
                    enhanced,
                    lines,
                }));
            }
        }
        Ok(None)
    }

    /// A line without its CRLF.
    fn take_line(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, ResponseError> {
        let unseen = input.get(self.scanned..).unwrap_or_default();
        let Some(found) = unseen.iter().position(|&octet| octet == b'\n') else {
            self.scanned = input.len();
            return if input.len() >= self.limits.line {
                Err(ResponseError::LineTooLong(self.limits.line))
            } else {
                Ok(None)
            };
        };
        let end = self.scanned + found;
        self.scanned = 0;
        if end >= self.limits.line {
            return Err(ResponseError::LineTooLong(self.limits.line));
        }
        let line = input.split_to(end + 1).freeze();
        match line.strip_suffix(b"\r\n") {
            Some(text) if !text.contains(&b'\r') => Ok(Some(line.slice(..text.len()))),
            _ => Err(ResponseError::BareLineEnd),
        }
    }
}

/// Code of a line, and whether it is the last line of its reply.
fn first_word(line: &[u8]) -> Result<(u16, bool), ResponseError> {
    let &[
        hundreds @ b'2'..=b'5',
        tens @ b'0'..=b'9',
        ones @ b'0'..=b'9',
        ref rest @ ..,
    ] = line
    else {
        return Err(ResponseError::NotAReply);
    };
    let digit = |octet: u8| u16::from(octet - b'0');
    let code = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
    match rest.first() {
        None | Some(b' ') => Ok((code, true)),
        Some(b'-') => Ok((code, false)),
        Some(_) => Err(ResponseError::NotAReply),
    }
}

/// `class "." subject "." detail` at the start of a text (RFC 2034 4), of the same class as the code.
fn enhanced_code(text: &[u8], code: u16) -> Option<EnhancedCode> {
    let word = text.split(|&octet| octet == b' ').next()?;
    let mut parts = word.split(|&octet| octet == b'.');
    let mut part = |longest: usize| -> Option<u16> {
        let digits = parts.next()?;
        let fits = (1..=longest).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        fits.then(|| {
            digits
                .iter()
                .fold(0, |n, &octet| n * 10 + u16::from(octet - b'0'))
        })
    };
    let (class, subject, detail) = (part(1)?, part(3)?, part(3)?);
    if parts.next().is_some() || class != code / 100 {
        return None;
    }
    EnhancedCode::new(u8::try_from(class).ok()?, subject, detail).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(input: &[u8]) -> Result<Vec<Response>, ResponseError> {
        let mut input = BytesMut::from(input);
        let mut parser = ResponseParser::new(ReplyLimits::default());
        let mut found = Vec::new();
        while let Some(response) = parser.parse(&mut input)? {
            found.push(response);
        }
        Ok(found)
    }

    #[test]
    fn single_and_multi_line_replies() {
        let found = all(b"250-a\r\n250-\r\n250 b\r\n354\r\n550 5.1.1 no such user\r\n45").unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].lines, ["a", "", "b"]);
        assert_eq!((found[1].code, found[1].lines.len()), (354, 1));
        assert_eq!(found[2].enhanced, EnhancedCode::new(5, 1, 1).ok());
    }

    #[test]
    fn enhanced_codes_of_another_class_or_form_do_not_count() {
        for text in [
            "2.1.1 x", "5.1", "5.1.1.1", "5.1.1234", "5.a.1", "", "55.1.1",
        ] {
            let found = all(format!("550 {text}\r\n").as_bytes()).unwrap();
            assert_eq!(found[0].enhanced, None, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (nonsense, error) in [
            (&b"hello\r\n"[..], ResponseError::NotAReply),
            (b"2500 x\r\n", ResponseError::NotAReply),
            (b"150 x\r\n", ResponseError::NotAReply),
            (b"600 x\r\n", ResponseError::NotAReply),
            (b"\r\n", ResponseError::NotAReply),
            (b"250 x\n", ResponseError::BareLineEnd),
            (b"250 x\ry\r\n", ResponseError::BareLineEnd),
            (b"250-x\r\n251 y\r\n", ResponseError::CodesDiffer),
        ] {
            assert_eq!(all(nonsense).unwrap_err(), error, "{nonsense:?}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let long = [b"250 ".as_slice(), &[b'x'; 3000]].concat();
        assert_eq!(all(&long).unwrap_err(), ResponseError::LineTooLong(2048));
        let many = b"250-x\r\n".repeat(1000);
        assert_eq!(all(&many).unwrap_err(), ResponseError::TooLarge(128));
    }

    #[test]
    fn text_is_escaped_when_shown() {
        let found = all(b"550 a\x1b\xff\r\n").unwrap();
        assert_eq!(found[0].to_string(), "550 a\\x1b\\xff");
    }
}
