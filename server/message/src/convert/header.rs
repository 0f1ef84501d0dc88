//! The header section of a message or a part, field by field.

use std::ops::Range;

use super::Obstacle;
use super::field::{Encoding, Kind};
use super::fold::fold;
use super::lines::Piece;
use super::plan::Changes;
use crate::header::is_ftext;
use crate::needs::{LONGEST_LINE, Way};

/// Octets of a field that is looked at.
const LONGEST_FIELD: usize = 512 * 1024;

/// A header section that goes by.
#[derive(Debug)]
pub(super) struct Header {
    /// It is that of a message, where MIME-Version belongs.
    pub(super) of_message: bool,
    /// What the part is if it does not say.
    default: Kind,
    /// The field that is not at its end.
    field: Vec<u8>,
    field_at: u64,
    kind: Option<Kind>,
    pub(super) encoding: Option<(Range<u64>, Encoding)>,
    pub(super) has_version: bool,
    /// A field that says how the part is made is there twice.
    twice: bool,
}

/// What came of a piece of it.
pub(super) enum Step {
    /// It goes on.
    On,
    /// The empty line was there: the body begins behind it, and fields can be put in before it.
    Over { empty_line: u64 },
    /// Something that is no field.
    Broken,
}

impl Header {
    pub(super) fn new(of_message: bool, default: Kind) -> Self {
        Self {
            of_message,
            default,
            field: Vec::new(),
            field_at: 0,
            kind: None,
            encoding: None,
            has_version: false,
            twice: false,
        }
    }

    /// Takes a piece of a line of it.
    ///
    /// # Errors
    /// What the way does not take and cannot be changed.
    pub(super) fn take(
        &mut self,
        piece: Piece<'_>,
        way: Way,
        changes: &mut Changes,
    ) -> Result<Step, Obstacle> {
        if piece.begins {
            let goes_on =
                matches!(piece.octets.first(), Some(b' ' | b'\t')) && !self.field.is_empty();
            if !goes_on {
                self.end_field(way, changes)?;
                if piece.octets == b"\r\n" {
                    return Ok(Step::Over {
                        empty_line: piece.at,
                    });
                }
                if !begins_field(piece.octets) {
                    return Ok(Step::Broken);
                }
                self.field_at = piece.at;
            }
        }
        if self.field.len() + piece.octets.len() > LONGEST_FIELD {
            return Err(Obstacle::LongHeader);
        }
        self.field.extend_from_slice(piece.octets);
        Ok(Step::On)
    }

    /// The last field is over, with the section or with the content.
    ///
    /// # Errors
    /// As [`Header::take`].
    pub(super) fn end_field(&mut self, way: Way, changes: &mut Changes) -> Result<(), Obstacle> {
        let field = std::mem::take(&mut self.field);
        if field.is_empty() {
            return Ok(());
        }
        let at = self.field_at..self.field_at + field.len() as u64;
        if !way.eight_bit && !field.is_ascii() {
            return Err(Obstacle::EightBitHeader);
        }
        if has_controls(&field) {
            return Err(Obstacle::BinaryHeader);
        }
        let is_long =
            |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len() as u64 > LONGEST_LINE;
        let long = !way.long_lines && field.split(|&octet| octet == b'\n').any(is_long);
        if long {
            let folded = fold(&field).ok_or(Obstacle::LongHeader)?;
            changes.put(at.clone(), folded);
        }
        self.note(&field, at, long);
        Ok(())
    }

    fn note(&mut self, field: &[u8], at: Range<u64>, long: bool) {
        let colon = field.iter().position(|&octet| octet == b':').unwrap_or(0);
        let (name, value) = field.split_at(colon);
        let (name, value) = (name.trim_ascii_end(), value.get(1..).unwrap_or_default());
        if name.eq_ignore_ascii_case(b"content-type") {
            self.twice |= self.kind.replace(Kind::parse(value)).is_some();
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            // One that was folded is not changed a second time.
            let encoding = if long {
                Encoding::Unknown
            } else {
                Encoding::parse(value)
            };
            self.twice |= self.encoding.replace((at, encoding)).is_some();
        } else if name.eq_ignore_ascii_case(b"mime-version") {
            self.has_version = true;
        }
    }

    /// It says what the part is.
    pub(super) fn has_kind(&self) -> bool {
        self.kind.is_some()
    }

    /// What the part is.
    pub(super) fn kind(&self) -> Kind {
        let kind = self.kind.as_ref().unwrap_or(&self.default);
        let identity = self.encoding().is_identity();
        match kind {
            _ if self.twice => Kind::Malformed,
            // What holds parts is not encoded as a whole (RFC 2045 6.4): some would decode it first.
            Kind::Multipart { .. } | Kind::Message if !identity => Kind::Malformed,
            kind => kind.clone(),
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
            .as_ref()
            .map_or(Encoding::SevenBit, |(_, encoding)| *encoding)
    }
}

/// A name, perhaps white space, and a colon.
fn begins_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&octet| octet == b':') else {
        return false;
    };
    let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
    !name.is_empty() && name.iter().all(|&octet| is_ftext(octet))
}

/// A NUL, or a CR or LF that is no line end.
fn has_controls(field: &[u8]) -> bool {
    let mut rest = field;
    while let Some(at) = rest
        .iter()
        .position(|octet| matches!(octet, b'\r' | b'\n' | 0))
    {
        match rest.get(at..) {
            Some(tail) if tail.starts_with(b"\r\n") => rest = tail.get(2..).unwrap_or_default(),
            _ => return true,
        }
    }
    false
}
