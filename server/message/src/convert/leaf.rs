//! What is in a part that holds no other, and what it becomes.

use std::ops::Range;

use memchr::memchr3;

use super::Obstacle;
use super::encoder::{Count, Encoder, Scheme, is_base64};
use super::field::{Encoding, Kind};
use super::header::Header;
use super::lines::Piece;
use super::plan::Changes;
use crate::needs::{LONGEST_LINE, Way};

/// What lines hold that not every way takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    eight_bit: bool,
    long: bool,
    /// A NUL, or a CR or LF alone.
    loose: bool,
    /// Octets of the line that is not at its end.
    line: u64,
}

impl Found {
    pub(super) fn note(&mut self, piece: Piece<'_>) {
        let text = piece.text();
        self.eight_bit |= !text.is_ascii();
        self.loose |= memchr3(0, b'\r', b'\n', text).is_some();
        self.line += text.len() as u64;
        self.long |= self.line > LONGEST_LINE;
        if piece.ends {
            self.line = 0;
        }
    }

    /// Whether a way takes it in lines of text.
    pub(super) fn fits(self, way: Way) -> bool {
        (way.eight_bit || !self.eight_bit)
            && (way.long_lines || !self.long)
            && (way.loose || !self.loose)
    }
}

/// How a part ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// At a delimiter that begins here.
    Delimiter(u64),
    /// With the content, which has so many octets.
    Content(u64),
}

/// A part that holds no other, as it goes by.
#[derive(Debug)]
pub(super) struct Leaf {
    start: u64,
    found: Found,
    /// What it becomes if it has to be changed, what makes it so, and the size of that so far.
    scheme: Option<(Scheme, Encoder)>,
    size: Count,
    /// The line end that came last, which belongs to a delimiter if one follows.
    held: bool,
    /// Where fields are put in.
    empty_line: u64,
    /// Where it says how it is encoded.
    label: Option<Range<u64>>,
    needs_version: bool,
    has_kind: bool,
    utf8: Utf8,
    /// Base64 has octets that are none of it.
    odd: bool,
}

impl Leaf {
    /// A part whose header section is over, and whose body begins at `start`.
    pub(super) fn new(header: &Header, kind: &Kind, empty_line: u64, start: u64) -> Self {
        let scheme = match (header.encoding(), kind) {
            (Encoding::QuotedPrintable, _) => Some(Scheme::QuotedPrintableAgain),
            (Encoding::Base64, _) => Some(Scheme::Base64Again { end: false }),
            (Encoding::Unknown, _) => None,
            (_, Kind::Text) => Some(Scheme::QuotedPrintable),
            _ => Some(Scheme::Base64 { end: false }),
        };
        Self {
            start,
            found: Found::default(),
            scheme: scheme.map(|scheme| (scheme, Encoder::new(scheme))),
            size: Count::default(),
            held: false,
            empty_line,
            label: header.encoding.as_ref().map(|(at, _)| at.clone()),
            needs_version: header.of_message && !header.has_version,
            has_kind: header.has_kind(),
            utf8: Utf8::default(),
            odd: false,
        }
    }

    pub(super) fn take(&mut self, piece: Piece<'_>) {
        self.found.note(piece);
        if !self.has_kind {
            self.utf8.note(piece);
        }
        if std::mem::take(&mut self.held) {
            self.encode(b"\r\n");
        }
        self.encode(piece.text());
        self.held = piece.ends_line();
    }

    fn encode(&mut self, octets: &[u8]) {
        if let Some((scheme, encoder)) = &mut self.scheme {
            if matches!(scheme, Scheme::Base64Again { .. }) {
                let fine =
                    |&octet: &u8| is_base64(octet) || matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
                self.odd |= !octets.iter().all(fine);
            }
            encoder.update(octets, &mut self.size);
        }
    }

    /// It is over. True: it is changed.
    ///
    /// # Errors
    /// The way does not take it, and it cannot be changed.
    pub(super) fn end(
        mut self,
        end: End,
        way: Way,
        changes: &mut Changes,
    ) -> Result<bool, Obstacle> {
        if self.found.fits(way) {
            return Ok(false);
        }
        let end = match end {
            End::Delimiter(at) => at.saturating_sub(if self.held { 2 } else { 0 }),
            End::Content(at) => {
                if std::mem::take(&mut self.held) {
                    self.encode(b"\r\n");
                }
                if let Some((scheme, encoder)) = &mut self.scheme {
                    *scheme = scheme.with_line_end();
                    encoder.end_line();
                }
                at
            }
        };
        let (scheme, encoder) = self
            .scheme
            .take()
            .filter(|_| !self.odd)
            .ok_or(Obstacle::Encoding)?;
        encoder.finish(&mut self.size);
        self.relabel(scheme, changes);
        changes.encode(self.start..end, scheme, self.size.0);
        Ok(true)
    }

    /// Its fields say what it is now.
    fn relabel(&self, scheme: Scheme, changes: &mut Changes) {
        let label = match scheme {
            Scheme::QuotedPrintable => "Content-Transfer-Encoding: quoted-printable\r\n",
            Scheme::Base64 { .. } => "Content-Transfer-Encoding: base64\r\n",
            Scheme::QuotedPrintableAgain | Scheme::Base64Again { .. } => return,
        };
        let mut more = String::new();
        if self.needs_version {
            more.push_str("MIME-Version: 1.0\r\n");
        }
        if !self.has_kind && self.found.eight_bit {
            // Nobody said what it is. The name for that is of RFC 1428.
            let charset = if self.utf8.broken {
                "unknown-8bit"
            } else {
                "utf-8"
            };
            more += &format!("Content-Type: text/plain; charset={charset}\r\n");
        }
        match &self.label {
            Some(at) => changes.put(at.clone(), label),
            None => more.push_str(label),
        }
        if !more.is_empty() {
            changes.put(self.empty_line..self.empty_line, more);
        }
    }
}

/// Whether text that goes by is UTF-8.
#[derive(Debug, Default)]
struct Utf8 {
    /// A character that is not whole yet.
    begun: Vec<u8>,
    broken: bool,
}

impl Utf8 {
    fn note(&mut self, piece: Piece<'_>) {
        let text = piece.text();
        if self.broken || (self.begun.is_empty() && text.is_ascii()) {
            return;
        }
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(text);
        if let Err(error) = std::str::from_utf8(&all) {
            self.broken = error.error_len().is_some() || piece.ends;
            self.begun = all.split_off(error.valid_up_to());
        }
    }
}
