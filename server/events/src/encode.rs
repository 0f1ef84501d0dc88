//! Encoded events and snapshots, in pieces that fit into frames.
//!
//! An event is encoded once for all bindings that see the same of it. What differs from instance to instance is put in
//! front by whoever sends it: fields of protobuf may come in any order, and encodings put one behind the other merge.
//!
//! A part holds only elements of repeated fields, at any depth, reached through singular messages. Which fields are
//! repeated is read from the descriptors, so that a list added to the protocol is split without a word here.

mod schema;

use bytes::{BufMut, Bytes, BytesMut};
use postern_proto::v1 as pb;
use prost::Message;

use crate::event::EventKind;
use crate::fault::Fault;

use schema::Schema;

/// Octets of one part, and of one element of a list.
pub const PART_BYTES: usize = postern_proto::rules::bounds::ELEMENT_BYTES;

/// An event without what is particular to one instance: `event_id`, `deadline`, `attempt`, `ask_reason`, `replayed`,
/// `content`, `attributes` and `trace_parent` are not in it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedEvent {
    /// Which event.
    pub kind: EventKind,
    /// Parts that go before it, each at most [`PART_BYTES`]. Mostly none.
    pub parts: Vec<Bytes>,
    /// The event itself, at most [`PART_BYTES`].
    pub last: Bytes,
}

impl EncodedEvent {
    /// Encodes an event, in parts where it is long.
    ///
    /// # Errors
    /// A fault of kind `size`: one element, or what is no list, is too large.
    pub fn new(kind: EventKind, event: &pb::Event) -> Result<Self, Fault> {
        let (parts, last) = split("postern.v1.Event", event.encode_to_vec().into())?;
        Ok(Self { kind, parts, last })
    }

    /// Octets of all of it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum::<usize>() + self.last.len()
    }

    /// The event as one encoding, for a sink that takes no parts.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        joined(&self.parts, &self.last)
    }
}

/// A snapshot: what goes into `Open`, and what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedSnapshot {
    /// The snapshot in `Open`, at most [`PART_BYTES`].
    pub first: Bytes,
    /// Each a `snapshot_part`, at most [`PART_BYTES`].
    pub parts: Vec<Bytes>,
}

impl EncodedSnapshot {
    /// Encodes a snapshot, in parts where it is long.
    ///
    /// # Errors
    /// A fault of kind `size`: one element, or what is no list, is too large.
    pub fn new(snapshot: &pb::Snapshot) -> Result<Self, Fault> {
        let encoded = snapshot.encode_to_vec().into();
        let (parts, first) = split("postern.v1.Snapshot", encoded)?;
        Ok(Self { first, parts })
    }

    /// Octets of all of it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum::<usize>() + self.first.len()
    }

    /// The snapshot as one encoding, for a sink that takes no parts.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        joined(&self.parts, &self.first)
    }
}

fn joined(parts: &[Bytes], last: &Bytes) -> Bytes {
    if parts.is_empty() {
        return last.clone();
    }
    let size = parts.iter().map(Bytes::len).sum::<usize>() + last.len();
    let mut whole = BytesMut::with_capacity(size);
    for part in parts.iter().chain([last]) {
        whole.put_slice(part);
    }
    whole.freeze()
}

/// Splits an encoded message: parts of at most [`PART_BYTES`] that hold elements of its lists, and the rest, which is
/// at most as large. What fits is not touched.
///
/// # Errors
/// A fault of kind `size`: one element, or what is no list, is too large.
pub fn split(message: &'static str, encoded: Bytes) -> Result<(Vec<Bytes>, Bytes), Fault> {
    if encoded.len() <= PART_BYTES {
        return Ok((Vec::new(), encoded));
    }
    let mut splitter = Splitter::default();
    let mut last = BytesMut::new();
    splitter.message(Schema::get(), message, &encoded, &mut Vec::new(), &mut last)?;
    if last.len() > PART_BYTES {
        return Err(Fault::size(format!(
            "{} octets of the event are in no list, a frame takes {PART_BYTES}",
            last.len()
        )));
    }
    splitter.flush();
    Ok((splitter.parts, last.freeze()))
}

/// Collects elements of lists into parts.
#[derive(Default)]
struct Splitter {
    parts: Vec<Bytes>,
    part: BytesMut,
    /// The message that the elements in hand belong to: field numbers from the outermost inwards.
    path: Vec<u32>,
    /// Elements in hand, of the message at `path`.
    elements: BytesMut,
}

impl Splitter {
    /// Goes through a message: elements of lists into parts, everything else to `rest`.
    fn message(
        &mut self,
        schema: &Schema,
        message: &str,
        encoded: &[u8],
        path: &mut Vec<u32>,
        rest: &mut BytesMut,
    ) -> Result<(), Fault> {
        let mut fields = Fields { rest: encoded };
        while let Some(field) = fields.next_field()? {
            match schema.field(message, field.number) {
                Some(known) if known.repeated => self.element(path, field.raw)?,
                Some(known) if let Some(inner) = &known.message => {
                    path.push(field.number);
                    let mut own = BytesMut::new();
                    self.message(schema, inner, field.value, path, &mut own)?;
                    path.pop();
                    put_message(rest, field.number, &own);
                }
                _ => rest.put_slice(field.raw),
            }
        }
        Ok(())
    }

    fn element(&mut self, path: &[u32], raw: &[u8]) -> Result<(), Fault> {
        // Tags and lengths of the messages around it.
        let around = 16 * path.len();
        if raw.len() + around > PART_BYTES {
            return Err(Fault::size(format!(
                "one element of a list has {} octets, a frame takes {PART_BYTES}",
                raw.len()
            )));
        }
        if self.path != path {
            self.close_path();
            self.path = path.to_vec();
        }
        if self.part.len() + self.elements.len() + raw.len() + around > PART_BYTES {
            self.flush();
            self.path = path.to_vec();
        }
        self.elements.put_slice(raw);
        Ok(())
    }

    /// Puts what is in hand into the part, within the messages that it belongs to.
    fn close_path(&mut self) {
        let path = std::mem::take(&mut self.path);
        if self.elements.is_empty() {
            return;
        }
        let mut inner = std::mem::take(&mut self.elements);
        for number in path.iter().rev() {
            let mut outer = BytesMut::with_capacity(inner.len() + 16);
            put_message(&mut outer, *number, &inner);
            inner = outer;
        }
        self.part.put_slice(&inner);
    }

    fn flush(&mut self) {
        self.close_path();
        if !self.part.is_empty() {
            self.parts.push(std::mem::take(&mut self.part).freeze());
        }
    }
}

fn put_message(out: &mut BytesMut, number: u32, message: &[u8]) {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(message.len() as u64, out);
    out.put_slice(message);
}

/// The fields of an encoded message.
struct Fields<'a> {
    rest: &'a [u8],
}

struct Field<'a> {
    number: u32,
    /// With its tag.
    raw: &'a [u8],
    /// Of a length-delimited field; else empty.
    value: &'a [u8],
}

impl<'a> Fields<'a> {
    fn next_field(&mut self) -> Result<Option<Field<'a>>, Fault> {
        use prost::encoding::WireType;
        let all = self.rest;
        if all.is_empty() {
            return Ok(None);
        }
        let broken = |_| Fault::size("an encoding of our own cannot be read");
        let mut rest = all;
        let (number, wire_type) = prost::encoding::decode_key(&mut rest).map_err(broken)?;
        let length = match wire_type {
            WireType::Varint => {
                prost::encoding::decode_varint(&mut rest).map_err(broken)?;
                0
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let length = prost::encoding::decode_varint(&mut rest).map_err(broken)?;
                usize::try_from(length).unwrap_or(usize::MAX)
            }
            WireType::StartGroup | WireType::EndGroup => usize::MAX,
        };
        let Some((value, rest)) = rest.split_at_checked(length) else {
            return Err(Fault::size("an encoding of our own is cut short"));
        };
        self.rest = rest;
        let raw = all.get(..all.len() - rest.len()).unwrap_or_default();
        Ok(Some(Field { number, raw, value }))
    }
}

#[cfg(test)]
mod tests;
