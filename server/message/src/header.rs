//! The header section of a message as it streams in (RFC 5322, section 2.2).
//!
//! Bytes are never repaired: a field keeps its name, its folding and its odd octets as they came.
//! The section ends at an empty line, or before the first line that is not a header field. Only
//! CRLF ends a line; a lone CR or LF is an octet of the line like others.

use bytes::Bytes;

/// Names one header field of one message. Original fields are numbered from 1 in their order; the
/// ids of inserted fields follow, and no id is used twice. 0 names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderId(pub u32);

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    id: HeaderId,
    /// Where the field starts in the original content; `None` for an inserted one.
    origin: Option<u64>,
    raw: Bytes,
    colon: usize,
}

impl HeaderField {
    /// A field over raw bytes, if they have a name and a colon.
    pub(crate) fn new(id: HeaderId, origin: Option<u64>, raw: Bytes) -> Option<Self> {
        let colon = raw.iter().position(|&octet| octet == b':')?;
        let field = Self {
            id,
            origin,
            raw,
            colon,
        };
        let name = field.name();
        (!name.is_empty() && name.iter().all(|&octet| is_ftext(octet))).then_some(field)
    }

    /// The field's id.
    #[must_use]
    pub fn id(&self) -> HeaderId {
        self.id
    }

    /// Where the field starts in the original content; `None` when it was inserted.
    #[must_use]
    pub fn origin(&self) -> Option<u64> {
        self.origin
    }

    /// The name as it is written, without white space before the colon.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.raw
            .get(..self.colon)
            .unwrap_or_default()
            .trim_ascii_end()
    }

    /// The name is this one; case does not matter.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// What stands between the colon and the end of the field: folds as they are, without the
    /// line end that closes the field.
    #[must_use]
    pub fn value(&self) -> Bytes {
        let end = self.raw.len() - if self.is_terminated() { 2 } else { 0 };
        self.raw.slice((self.colon + 1).min(end)..end)
    }

    /// The whole field with its line ends.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The field ends with CRLF. Only the last field of a content that was cut short does not.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.raw.ends_with(b"\r\n")
    }
}

/// How large a header section may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLimits {
    /// Octets of the whole section.
    pub octets: usize,
    /// Number of fields.
    pub count: usize,
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self {
            octets: 256 * 1024,
            count: 1000,
        }
    }
}

/// Why a header section was not taken. The client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The section does not end within the limit.
    #[error("header section larger than {limit} octets")]
    TooLarge {
        /// The limit in octets.
        limit: usize,
    },
    /// The section has more fields than the limit.
    #[error("more than {limit} header fields")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// A complete header section, with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderSection {
    raw: Bytes,
    fields: Vec<HeaderField>,
    fields_end: usize,
}

impl HeaderSection {
    /// The fields in their order.
    #[must_use]
    pub fn fields(&self) -> &[HeaderField] {
        &self.fields
    }

    /// Where the body starts in the content: after the empty line, if there is one.
    #[must_use]
    pub fn body_offset(&self) -> u64 {
        self.raw.len() as u64
    }

    /// Octets of the empty line between header and body: 2, or 0 when there is none.
    #[must_use]
    pub fn separator_octets(&self) -> u64 {
        (self.raw.len() - self.fields_end) as u64
    }

    /// The section's bytes, the empty line included.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }
}

/// Finds the header section in content that arrives piece by piece. How the content is cut into
/// pieces makes no difference to what is found.
#[derive(Debug)]
pub struct HeaderParser {
    limits: HeaderLimits,
    buffer: Vec<u8>,
    /// Octets of the buffer that were looked at.
    scanned: usize,
    line_start: usize,
    /// Where each field found so far starts.
    starts: Vec<usize>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    /// CR as the first octet of a line.
    EmptyLine,
    Name,
    /// White space between name and colon.
    AfterName,
    Value,
    ValueCr,
    Done,
}

/// How a section ended, and where its fields and the section end.
struct End {
    fields: usize,
    section: usize,
}

impl HeaderParser {
    /// A parser at the start of a content.
    #[must_use]
    pub fn new(limits: HeaderLimits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            scanned: 0,
            line_start: 0,
            starts: Vec::new(),
            state: State::LineStart,
        }
    }

    /// Takes the next bytes of the content. Returns the section as soon as its end is known;
    /// bytes fed after that are passed over.
    ///
    /// # Errors
    /// When the section is over a limit. The parser is of no more use then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<HeaderSection>, HeaderError> {
        if self.state == State::Done {
            return Ok(None);
        }
        // Room for the empty line and for the octet that shows that a line is none of ours.
        let most = self.limits.octets.saturating_add(2);
        let room = most.saturating_sub(self.buffer.len());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        // By a quarter: doubled, the room of a large section would be half empty.
        if self.buffer.capacity() - self.buffer.len() < taken.len() {
            let more = taken.len().max(self.buffer.len() / 4);
            self.buffer.reserve_exact(more);
        }
        self.buffer.extend_from_slice(taken);
        match self.scan()? {
            Some(end) => Ok(Some(self.take(&end))),
            None if self.buffer.len() >= most => Err(HeaderError::TooLarge {
                limit: self.limits.octets,
            }),
            None => Ok(None),
        }
    }

    /// The content is over: what was fed is all there is.
    ///
    /// # Errors
    /// When the section is over a limit.
    pub fn finish(mut self) -> Result<HeaderSection, HeaderError> {
        let fields = match self.state {
            // The last line is a field without its line end.
            State::Value | State::ValueCr => self.scanned,
            _ => self.line_start,
        };
        if fields > self.limits.octets {
            return Err(HeaderError::TooLarge {
                limit: self.limits.octets,
            });
        }
        Ok(self.take(&End {
            fields,
            section: fields,
        }))
    }

    fn scan(&mut self) -> Result<Option<End>, HeaderError> {
        while let Some(&octet) = self.buffer.get(self.scanned) {
            self.state = match (self.state, octet) {
                (State::LineStart, b'\r') => State::EmptyLine,
                (State::LineStart, b' ' | b'\t') if !self.starts.is_empty() => State::Value,
                (State::LineStart | State::Name, octet) if is_ftext(octet) => State::Name,
                (State::EmptyLine, b'\n') => {
                    return Ok(Some(End {
                        fields: self.line_start,
                        section: self.scanned + 1,
                    }));
                }
                (State::Name, b' ' | b'\t') | (State::AfterName, b' ' | b'\t') => State::AfterName,
                (State::Name | State::AfterName, b':') => {
                    if self.starts.len() >= self.limits.count {
                        return Err(HeaderError::TooMany {
                            limit: self.limits.count,
                        });
                    }
                    self.starts.push(self.line_start);
                    State::Value
                }
                (State::Value | State::ValueCr, b'\r') => State::ValueCr,
                (State::ValueCr, b'\n') => {
                    self.line_start = self.scanned + 1;
                    State::LineStart
                }
                (State::Value | State::ValueCr, _) => State::Value,
                // Not a header field: the body starts with this line.
                _ => {
                    return Ok(Some(End {
                        fields: self.line_start,
                        section: self.line_start,
                    }));
                }
            };
            self.scanned += 1;
            if self.state == State::Value {
                self.skip_value();
            }
        }
        Ok(None)
    }

    /// Goes on to the next CR: nothing else in a value has a meaning here.
    fn skip_value(&mut self) {
        let rest = self.buffer.get(self.scanned..).unwrap_or_default();
        self.scanned += rest
            .iter()
            .position(|&octet| octet == b'\r')
            .unwrap_or(rest.len());
    }

    fn take(&mut self, end: &End) -> HeaderSection {
        self.state = State::Done;
        let mut raw = std::mem::take(&mut self.buffer);
        raw.truncate(end.section);
        let raw = Bytes::from(raw);
        let starts = std::mem::take(&mut self.starts);
        let ends = starts.iter().skip(1).copied().chain([end.fields]);
        let fields = starts
            .iter()
            .zip(ends)
            .zip(1..)
            .filter_map(|((&from, to), id)| {
                HeaderField::new(HeaderId(id), Some(from as u64), raw.slice(from..to))
            })
            .collect();
        HeaderSection {
            raw,
            fields,
            fields_end: end.fields,
        }
    }
}

/// RFC 5322, section 3.6.8: printable US-ASCII without the colon.
pub(crate) fn is_ftext(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b':'
}

#[cfg(test)]
pub(crate) mod tests;
