//! Frames to the sink, encoded.
//!
//! What many instances share is encoded once, by others; here the few fields that differ are put in front of it.
//! Fields of protobuf may come in any order, so nothing is decoded or copied for that.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;
use prost::Message;
use prost::encoding::{self, WireType, encode_key, encode_varint};

use crate::depth::BodyDepth;

/// Field numbers of `postern.v1` that are written by hand. A test compares them with the generated code.
mod field {
    pub(super) const REQUEST_INSTANCE_ID: u32 = 1;
    pub(super) const REQUEST_EVENT: u32 = 2;
    pub(super) const REQUEST_CONTENT: u32 = 3;
    pub(super) const REQUEST_OPEN_INSTANCE: u32 = 4;
    pub(super) const REQUEST_EVENT_PART: u32 = 7;
    pub(super) const REQUEST_SNAPSHOT_PART: u32 = 8;
    pub(super) const EVENT_EVENT_ID: u32 = 1;
    pub(super) const EVENT_DEADLINE: u32 = 2;
    pub(super) const EVENT_ATTEMPT: u32 = 3;
    pub(super) const EVENT_ASK_REASON: u32 = 4;
    pub(super) const EVENT_REPLAYED: u32 = 5;
    pub(super) const EVENT_CONTENT: u32 = 13;
    pub(super) const EVENT_TRACE_PARENT: u32 = 15;
    pub(super) const CONTENT_OCTETS: u32 = 3;
    pub(super) const OPEN_BINDING: u32 = 3;
    pub(super) const OPEN_SNAPSHOT: u32 = 5;
}

/// Octets that gRPC puts in front of each frame.
pub(crate) const PREFIX: u64 = 5;

/// What an event takes beside its attributes, its trace and what is shared, at most, in octets.
const HEADER: usize = 128;

/// One encoded `AttachRequest`, in two segments: write `head`, then `shared`. Together at most 1 MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// What was encoded for this frame.
    pub head: Bytes,
    /// What other streams may be sent as well.
    pub shared: Bytes,
}

impl Transmit {
    /// Octets of the frame.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.shared.len()
    }

    /// Returns whether it has no octets. No frame that leaves a link is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A frame encoded as a whole.
    pub(crate) fn control(instance: u64, kind: Kind) -> Self {
        let request = pb::AttachRequest {
            instance_id: instance,
            kind: Some(kind),
        };
        Self {
            head: request.encode_to_vec().into(),
            shared: Bytes::new(),
        }
    }

    /// `Open`: `open` without binding and snapshot, which come encoded.
    pub(crate) fn open(
        instance: u64,
        open: &pb::Open,
        binding: Option<&Bytes>,
        snapshot: Bytes,
    ) -> Self {
        let mut inner = BytesMut::with_capacity(open.encoded_len() + 16);
        open.encode_raw(&mut inner);
        if let Some(binding) = binding {
            put_length(field::OPEN_BINDING, binding.len(), &mut inner);
            inner.put_slice(binding);
        }
        put_length(field::OPEN_SNAPSHOT, snapshot.len(), &mut inner);
        wrap(instance, field::REQUEST_OPEN_INSTANCE, &inner, snapshot)
    }

    /// More of the snapshot.
    pub(crate) fn snapshot_part(instance: u64, part: Bytes) -> Self {
        wrap(instance, field::REQUEST_SNAPSHOT_PART, &[], part)
    }

    /// Part of an event.
    pub(crate) fn event_part(instance: u64, event_id: u64, part: Bytes) -> Self {
        let mut inner = BytesMut::with_capacity(12);
        encoding::uint64::encode(field::EVENT_EVENT_ID, &event_id, &mut inner);
        wrap(instance, field::REQUEST_EVENT_PART, &inner, part)
    }

    /// An event, or the last frame of one that came in parts.
    pub(crate) fn event(
        instance: u64,
        varying: &Varying,
        deadline: Option<Duration>,
        last: Bytes,
    ) -> Self {
        let mut inner = BytesMut::with_capacity(varying.bound());
        encoding::uint64::encode(field::EVENT_EVENT_ID, &varying.event_id, &mut inner);
        if let Some(deadline) = deadline {
            encoding::message::encode(field::EVENT_DEADLINE, &to_wire(deadline), &mut inner);
        }
        if varying.attempt > 0 {
            encoding::uint32::encode(field::EVENT_ATTEMPT, &varying.attempt, &mut inner);
        }
        if varying.ask_reason != 0 {
            encoding::int32::encode(field::EVENT_ASK_REASON, &varying.ask_reason, &mut inner);
        }
        if varying.replayed {
            encoding::bool::encode(field::EVENT_REPLAYED, &true, &mut inner);
        }
        if let Some(depth) = varying.content {
            encoding::message::encode(field::EVENT_CONTENT, &depth.to_wire(), &mut inner);
        }
        if !varying.trace_parent.is_empty() {
            encoding::string::encode(field::EVENT_TRACE_PARENT, &varying.trace_parent, &mut inner);
        }
        inner.put_slice(&varying.attributes);
        wrap(instance, field::REQUEST_EVENT, &inner, last)
    }

    /// A piece of content: `content` without its octets, which come behind.
    pub(crate) fn content(instance: u64, content: &pb::Content, octets: Bytes) -> Self {
        let mut inner = BytesMut::with_capacity(content.encoded_len() + 8);
        content.encode_raw(&mut inner);
        if !octets.is_empty() {
            put_length(field::CONTENT_OCTETS, octets.len(), &mut inner);
        }
        wrap(instance, field::REQUEST_CONTENT, &inner, octets)
    }
}

/// The fields of an event that differ from one instance to the next.
#[derive(Clone, Debug)]
pub(crate) struct Varying {
    pub(crate) event_id: u64,
    pub(crate) attempt: u32,
    pub(crate) ask_reason: i32,
    pub(crate) replayed: bool,
    /// The depth of the content that goes with it.
    pub(crate) content: Option<BodyDepth>,
    /// `Event.attributes`, encoded.
    pub(crate) attributes: Bytes,
    pub(crate) trace_parent: String,
}

impl Varying {
    /// Octets that they take at most, with the deadline.
    pub(crate) fn bound(&self) -> usize {
        HEADER + self.attributes.len() + self.trace_parent.len()
    }
}

/// A span of time for the wire.
pub(crate) fn to_wire(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        // Below a thousand million, so that it fits.
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or_default(),
    }
}

/// A span of time from the wire. `None` if it is negative or out of range.
pub(crate) fn from_wire(span: &prost_types::Duration) -> Option<Duration> {
    let seconds = u64::try_from(span.seconds).ok()?;
    let nanos = u32::try_from(span.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

fn put_length(tag: u32, length: usize, buf: &mut BytesMut) {
    encode_key(tag, WireType::LengthDelimited, buf);
    encode_varint(length as u64, buf);
}

fn wrap(instance: u64, arm: u32, inner: &[u8], shared: Bytes) -> Transmit {
    let mut head = BytesMut::with_capacity(inner.len() + 24);
    encoding::uint64::encode(field::REQUEST_INSTANCE_ID, &instance, &mut head);
    put_length(arm, inner.len() + shared.len(), &mut head);
    head.put_slice(inner);
    Transmit {
        head: head.freeze(),
        shared,
    }
}
