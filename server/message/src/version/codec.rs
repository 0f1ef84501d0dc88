//! A version in the spool's binary form.
//!
//! Fields of the original are kept as places in it, so their bytes are not stored twice; whoever
//! decodes has the head of the content at hand ([`Version::head_octets`] of it).

use std::sync::Arc;

use bytes::Bytes;

use super::{Segment, Version};
use crate::encoding::{Reader, Writer};
use crate::{DecodeError, HeaderField, HeaderId};

const ORIGINAL: u8 = 0;
const INSERTED: u8 = 1;

impl Version {
    /// Octets of the original content that [`Version::decode`] needs: up to the end of its last
    /// field that is still there.
    #[must_use]
    pub fn head_octets(&self) -> u64 {
        let ends = self.headers.iter().filter_map(|field| {
            let start = field.origin()?;
            Some(start + field.raw().len() as u64)
        });
        ends.max().unwrap_or(0)
    }

    /// Writes the version.
    pub fn encode(&self, out: &mut Writer) {
        out.flag(self.open);
        out.flag(self.edited);
        out.number(u64::from(self.next_id));
        out.number(self.body_offset);
        out.number(self.separator);
        out.number(self.headers.len() as u64);
        // Original fields mostly follow each other: what is stored is the distance from the last.
        let (mut id, mut end) = (0, 0);
        for field in self.headers.iter() {
            out.signed(i64::from(field.id().0) - id);
            id = i64::from(field.id().0);
            match field.origin() {
                Some(start) => {
                    out.octet(ORIGINAL);
                    out.signed(start as i64 - end);
                    out.number(field.raw().len() as u64);
                    end = start as i64 + field.raw().len() as i64;
                }
                None => {
                    out.octet(INSERTED);
                    out.octets(field.raw());
                }
            }
        }
        out.number(self.gone.len() as u64);
        for (id, behind) in self.gone.iter() {
            out.number(u64::from(id.0));
            out.number(behind.map_or(0, |id| u64::from(id.0)));
        }
        out.number(self.body.len() as u64);
        for segment in self.body.iter() {
            match segment {
                Segment::Original(range) => {
                    out.octet(ORIGINAL);
                    out.number(range.start);
                    out.number(range.end);
                }
                Segment::Inserted(bytes) => {
                    out.octet(INSERTED);
                    out.octets(bytes);
                }
            }
        }
    }

    /// Reads a version. `head` is the start of the original content.
    ///
    /// # Errors
    /// When the record is not that of a version, or does not fit the head.
    pub fn decode(reader: &mut Reader, head: &Bytes) -> Result<Self, DecodeError> {
        let open = reader.flag()?;
        let edited = reader.flag()?;
        let next_id = reader.narrow("header id")?;
        let body_offset = reader.number()?;
        let separator = reader.number()?;
        if !matches!(separator, 0 | 2) || separator > body_offset {
            return Err(DecodeError::Value("header end"));
        }
        Ok(Self {
            headers: Arc::new(decode_headers(reader, head, next_id)?),
            gone: Arc::new(decode_gone(reader)?),
            next_id,
            body_offset,
            separator,
            body: Arc::new(decode_body(reader, body_offset)?),
            open,
            edited,
        })
    }
}

fn decode_headers(
    reader: &mut Reader,
    head: &Bytes,
    next_id: u32,
) -> Result<Vec<HeaderField>, DecodeError> {
    let count = reader.count()?;
    let mut fields = Vec::new();
    let (mut id, mut end) = (0_i64, 0_i64);
    for _ in 0..count {
        id = id.checked_add(reader.signed()?).ok_or(BAD_FIELD)?;
        let number = u32::try_from(id).map_err(|_| BAD_FIELD)?;
        if number == 0 || number >= next_id {
            return Err(BAD_FIELD);
        }
        let (origin, raw) = match reader.octet()? {
            ORIGINAL => {
                let start = end.checked_add(reader.signed()?).ok_or(BAD_FIELD)?;
                let start = usize::try_from(start).map_err(|_| BAD_FIELD)?;
                let stop = start
                    .checked_add(reader.narrow("length")?)
                    .filter(|stop| *stop <= head.len())
                    .ok_or(BAD_FIELD)?;
                end = i64::try_from(stop).map_err(|_| BAD_FIELD)?;
                (Some(start as u64), head.slice(start..stop))
            }
            INSERTED => (None, reader.octets()?),
            _ => return Err(BAD_FIELD),
        };
        fields.push(HeaderField::new(HeaderId(number), origin, raw).ok_or(BAD_FIELD)?);
    }
    Ok(fields)
}

fn decode_gone(reader: &mut Reader) -> Result<Vec<(HeaderId, Option<HeaderId>)>, DecodeError> {
    let count = reader.count()?;
    let mut gone = Vec::new();
    for _ in 0..count {
        let id = HeaderId(reader.narrow("header id")?);
        let behind = match reader.narrow("header id")? {
            0 => None,
            id => Some(HeaderId(id)),
        };
        gone.push((id, behind));
    }
    Ok(gone)
}

fn decode_body(reader: &mut Reader, body_offset: u64) -> Result<Vec<Segment>, DecodeError> {
    let count = reader.count()?;
    let mut body = Vec::new();
    for _ in 0..count {
        let segment = match reader.octet()? {
            ORIGINAL => Segment::Original(reader.number()?..reader.number()?),
            INSERTED => Segment::Inserted(reader.octets()?),
            _ => return Err(BAD_BODY),
        };
        if segment.size() == 0
            || matches!(&segment, Segment::Original(range) if range.start < body_offset)
        {
            return Err(BAD_BODY);
        }
        body.push(segment);
    }
    Ok(body)
}

const BAD_FIELD: DecodeError = DecodeError::Value("header field");
const BAD_BODY: DecodeError = DecodeError::Value("body");
