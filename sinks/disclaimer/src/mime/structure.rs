//! The parts of a message by RFC 2046, 5.1: delimiters are whole lines, an outer one ends what is inside.

use std::ops::Range;

use memchr::memmem;

use super::field::{Field, Section};
use super::parameters::Parameters;
use crate::reason::Reason;

/// How deep parts are followed.
const DEPTH_MAX: usize = 16;
/// Parts of a message, in all multiparts together. Each takes memory, ours and that of the second reader.
const PARTS_MAX: usize = 1000;
/// What a message with more of them is.
const TOO_MANY: Reason = Reason::Structure("too many parts");

/// A part, or the message itself. Offsets are those of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) header: Section,
    /// Where its header section begins.
    pub(crate) start: usize,
    pub(crate) body: Range<usize>,
    /// Lower case; `text/plain` where the field is missing.
    pub(crate) kind: String,
    pub(crate) content_type: Option<Parameters>,
    pub(crate) content: Content,
}

/// What is in a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// No parts.
    Leaf,
    /// Parts between delimiters.
    Multipart(Multipart),
    /// It says that it has parts, and they cannot be told for certain.
    Uncertain(Reason),
}

/// What a multipart holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Multipart {
    pub(crate) boundary: Vec<u8>,
    pub(crate) parts: Vec<Part>,
    pub(crate) preamble: Range<usize>,
    pub(crate) epilogue: Range<usize>,
    /// Where the line of the close delimiter begins.
    pub(crate) close: usize,
}

impl Part {
    /// Reads a whole message, header section first.
    ///
    /// # Errors
    /// [`Reason::Structure`] where readers may take it differently.
    pub(crate) fn read(message: &[u8]) -> Result<Self, Reason> {
        if has_bare_line_ends(message) {
            return Err(Reason::Structure("a line ends without CRLF"));
        }
        let mut left = PARTS_MAX;
        Self::at(message, 0..message.len(), "text/plain", 0, &mut left)
    }

    fn at(
        message: &[u8],
        range: Range<usize>,
        default: &str,
        depth: usize,
        left: &mut usize,
    ) -> Result<Self, Reason> {
        let header = Section::read(message, range.clone())?;
        let content_type = match header.only(message, "Content-Type")? {
            None => None,
            Some(field) => {
                let value = message.get(field.value.clone()).unwrap_or_default();
                let read = Parameters::read(value).filter(|read| {
                    let slashes = read.kind.bytes().filter(|octet| *octet == b'/').count();
                    slashes == 1 && !read.kind.starts_with('/') && !read.kind.ends_with('/')
                });
                Some(read.ok_or(Reason::Structure(
                    "a Content-Type that readers take differently",
                ))?)
            }
        };
        let kind = match &content_type {
            Some(read) => read.kind.clone(),
            None => default.to_owned(),
        };
        let body = header.body..range.end;
        let mut part = Self {
            header,
            start: range.start,
            body,
            kind,
            content_type,
            content: Content::Leaf,
        };
        if part.kind.starts_with("multipart/") {
            part.content = match part.parts(message, depth, left) {
                Ok(multipart) => Content::Multipart(multipart),
                Err(reason) if reason == TOO_MANY => return Err(reason),
                Err(reason) => Content::Uncertain(reason),
            };
        }
        Ok(part)
    }

    /// The transfer encoding as the field has it, lower case; empty where it is missing.
    ///
    /// # Errors
    /// [`Reason::Structure`] where the field stands twice.
    pub(crate) fn transfer_encoding(&self, message: &[u8]) -> Result<String, Reason> {
        let field = self.header.only(message, "Content-Transfer-Encoding")?;
        Ok(field.map_or_else(String::new, |field| {
            let value = super::field::unfolded(message, field);
            String::from_utf8_lossy(&value).to_ascii_lowercase()
        }))
    }

    /// The field of this name.
    ///
    /// # Errors
    /// [`Reason::Structure`] where it stands twice.
    pub(crate) fn field(&self, message: &[u8], name: &str) -> Result<Option<&Field>, Reason> {
        self.header.only(message, name)
    }

    fn parts(&self, message: &[u8], depth: usize, left: &mut usize) -> Result<Multipart, Reason> {
        if depth == DEPTH_MAX {
            return Err(Reason::Structure("parts in parts, too deep"));
        }
        let encoding = self.transfer_encoding(message)?;
        if !matches!(encoding.as_str(), "" | "7bit" | "8bit" | "binary") {
            return Err(Reason::Structure("a multipart with a transfer encoding"));
        }
        let declared = self.content_type.as_ref();
        let boundary = declared
            .filter(|declared| !declared.is_extended("boundary"))
            .and_then(|declared| declared.get("boundary"))
            .map(|boundary| boundary.value.clone())
            .filter(|boundary| {
                (1..=200).contains(&boundary.len())
                    && boundary.iter().all(|octet| matches!(octet, b' '..=b'~'))
                    && !boundary.ends_with(b" ")
            })
            .ok_or(Reason::Structure("a multipart without a plain boundary"))?;
        let default = match self.kind.as_str() {
            "multipart/digest" => "message/rfc822",
            _ => "text/plain",
        };
        let lines = Delimiters::find(message, self.body.clone(), &boundary)?;
        let mut parts = Vec::new();
        for (delimiter, next) in lines.between.iter().zip(lines.between.iter().skip(1)) {
            *left = left.checked_sub(1).ok_or(TOO_MANY)?;
            let range = delimiter.end..before_line(delimiter.end, next.start);
            parts.push(Self::at(message, range, default, depth + 1, left)?);
        }
        let (Some(first), Some(close)) = (lines.between.first(), lines.between.last()) else {
            return Err(Reason::Structure("a multipart without delimiters"));
        };
        Ok(Multipart {
            preamble: self.body.start..first.start,
            epilogue: close.end..self.body.end,
            close: close.start,
            boundary,
            parts,
        })
    }
}

/// The lines that delimit parts, the close delimiter last.
struct Delimiters {
    between: Vec<Range<usize>>,
}

impl Delimiters {
    fn find(message: &[u8], body: Range<usize>, boundary: &[u8]) -> Result<Self, Reason> {
        let line = [b"--", boundary].concat();
        let octets = message.get(body.clone()).unwrap_or_default();
        let mut between = Vec::new();
        let mut closed = false;
        for found in memmem::find_iter(octets, &line) {
            if !is_line_start(octets, found) {
                continue;
            }
            let rest = octets.get(found + line.len()..).unwrap_or_default();
            let length = memmem::find(rest, b"\r\n").unwrap_or(rest.len());
            let tail = rest.get(..length).unwrap_or_default();
            let end = (found + line.len() + length + 2).min(octets.len());
            if closed {
                return Err(Reason::Structure("a delimiter behind the close delimiter"));
            }
            let is_blank = |tail: &[u8]| tail.iter().all(|octet| matches!(octet, b' ' | b'\t'));
            match tail.strip_prefix(b"--") {
                _ if is_blank(tail) => {}
                Some(behind) if is_blank(behind) => closed = true,
                // RFC 2046 compares the beginning of the line, most readers the whole.
                _ => return Err(Reason::Structure("a line that begins as a delimiter does")),
            }
            between.push(body.start + found..body.start + end);
        }
        match closed {
            true if between.len() > 1 => Ok(Self { between }),
            true => Err(Reason::Structure("a multipart without parts")),
            false => Err(Reason::Structure("a multipart without its close delimiter")),
        }
    }
}

/// Whether a line begins here.
pub(crate) fn is_line_start(octets: &[u8], at: usize) -> bool {
    at == 0
        || octets
            .get(..at)
            .is_some_and(|before| before.ends_with(b"\r\n"))
}

/// The end of what stands before a line: the CRLF before it is its own.
fn before_line(start: usize, line: usize) -> usize {
    line.saturating_sub(2).max(start)
}

fn has_bare_line_ends(message: &[u8]) -> bool {
    memchr::memchr2_iter(b'\r', b'\n', message).any(|at| match message.get(at) {
        Some(b'\r') => message.get(at + 1) != Some(&b'\n'),
        _ => at == 0 || message.get(at - 1) != Some(&b'\r'),
    }) || memchr::memchr(0, message).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    impl Part {
        fn children(&self) -> &[Self] {
            match &self.content {
                Content::Multipart(multipart) => &multipart.parts,
                Content::Leaf | Content::Uncertain(_) => &[],
            }
        }
    }

    fn mixed(body: &str) -> Result<Part, Reason> {
        let message = format!("Content-Type: multipart/mixed; boundary=B\r\n\r\n{body}");
        Part::read(message.as_bytes()).and_then(|part| match part.content {
            Content::Uncertain(reason) => Err(reason),
            Content::Leaf | Content::Multipart(_) => Ok(part),
        })
    }

    #[test]
    fn a_delimiter_is_a_whole_line() {
        let part = mixed("pre\r\n--B\r\n\r\nsee --B for\r\n--B \t\r\nX: y\r\n\r\n\r\n--B--\r\nepi")
            .unwrap();
        assert_eq!(part.children().len(), 2);
        let [first, second] = part.children() else {
            panic!("{part:?}");
        };
        assert_eq!(first.body.len(), "see --B for".len());
        assert_eq!(second.body.len(), 0);
    }

    #[test]
    fn what_readers_take_differently_is_uncertain() {
        for body in [
            "--B\r\n\r\nno end\r\n",
            "--B\r\n\r\na\r\n--Bx\r\n\r\nb\r\n--B--\r\n",
            "--B\r\n\r\na\r\n--B--\r\n--B\r\n\r\nb\r\n",
            "--B\r\nno header\r\n--B--\r\n",
            "--B--\r\n",
            "nothing\r\n",
            "--B\r\n\r\na\n--B--\r\n",
        ] {
            assert!(matches!(mixed(body), Err(Reason::Structure(_))), "{body}");
        }
    }

    /// However they are nested: in one multipart each of many could hold many more.
    #[test]
    fn a_message_of_very_many_parts_is_uncertain() {
        let inner = |count: usize| {
            let parts = "--C\r\n\r\n\r\n".repeat(count);
            format!("--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n{parts}--C--\r\n")
        };
        let nested = |count| mixed(&format!("{}--B--\r\n", inner(99).repeat(count)));
        assert_eq!(nested(10).unwrap().children().len(), 10);
        assert_eq!(nested(11), Err(TOO_MANY));
    }

    #[test]
    fn an_outer_delimiter_ends_what_is_inside() {
        let inner =
            "--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n--C\r\n\r\na\r\n--B--\r\n";
        let part = mixed(inner).unwrap();
        assert!(matches!(part.children()[0].content, Content::Uncertain(_)));
    }
}
