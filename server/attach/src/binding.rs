//! A binding as `Open` tells it to a sink.

use std::sync::Arc;

use bytes::Bytes;
use postern_proto::v1 as pb;
use prost::Message;

use crate::depth::BodyDepth;

/// A binding, encoded once for every stream that names it.
#[derive(Debug)]
pub struct WireBinding {
    revision: u64,
    name: Arc<str>,
    encoded: Bytes,
    interests: Vec<Interest>,
}

/// An event of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    /// The event's number.
    pub(crate) event: i32,
    /// The depth of content there.
    pub(crate) depth: Option<BodyDepth>,
    /// When it is asked: the number of an `AskMode`.
    pub(crate) ask: i32,
}

impl WireBinding {
    /// A binding with its revision, which no other binding and no earlier configuration of this one has.
    #[must_use]
    pub fn new(revision: u64, binding: &pb::Binding) -> Self {
        let interest = |one: &pb::EventInterest| Interest {
            event: one.event,
            depth: one
                .body
                .as_ref()
                .and_then(|depth| BodyDepth::from_wire(depth).ok().flatten()),
            ask: one.ask,
        };
        Self {
            revision,
            name: Arc::from(binding.name.as_str()),
            encoded: binding.encode_to_vec().into(),
            interests: binding.events.iter().map(interest).collect(),
        }
    }

    /// Its revision.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) const fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    pub(crate) fn interest(&self, event: i32) -> Option<Interest> {
        self.interests
            .iter()
            .find(|one| one.event == event)
            .copied()
    }
}
