//! Which bindings a stream has been told about.
//!
//! `Open` names its binding in full where the sink does not know it yet. That is decided when the frame leaves: of two
//! instances of a new binding, the one whose Open leaves first brings it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use postern_proto::v1 as pb;
use prost::Message;

use crate::binding::WireBinding;
use crate::transmit::Transmit;

/// What the tags and lengths of an Open take at most, in octets.
const OVERHEAD: usize = 128;

/// An `Open` that waits to leave.
#[derive(Debug)]
pub(crate) struct OpenFrame {
    /// All of it that is the same whether the binding is named or not.
    pub(crate) open: pb::Open,
    /// The binding.
    pub(crate) binding: Arc<WireBinding>,
    /// The bounds that hold for the instance.
    pub(crate) limits: Arc<pb::Limits>,
    /// The features in force.
    pub(crate) features: Vec<String>,
    /// The snapshot, encoded, or what of it Open holds.
    pub(crate) snapshot: Bytes,
}

impl OpenFrame {
    /// Octets that the frame takes at most.
    pub(crate) fn bound(&self) -> usize {
        let features: usize = self.features.iter().map(|word| word.len() + 2).sum();
        self.open.encoded_len()
            + self.binding.encoded().len()
            + self.limits.encoded_len()
            + features
            + self.snapshot.len()
            + OVERHEAD
    }
}

/// The bindings that were named on a stream, by revision, with the limits that it brought last for each.
#[derive(Debug)]
pub(crate) struct Named {
    always: bool,
    revisions: HashMap<u64, Arc<pb::Limits>>,
}

impl Named {
    /// Nothing was named. `always`: every Open names its binding, as on streams for one instance at a time.
    pub(crate) fn new(always: bool) -> Self {
        Self {
            always,
            revisions: HashMap::new(),
        }
    }

    /// Encodes an Open that leaves now.
    pub(crate) fn open(&mut self, instance: u64, frame: OpenFrame) -> Transmit {
        let mut open = frame.open;
        let known = self
            .revisions
            .insert(frame.binding.revision(), Arc::clone(&frame.limits));
        let unknown = self.always || known.is_none();
        if unknown || known.is_some_and(|known| known != frame.limits) {
            open.limits = Some(Box::new(*frame.limits));
        }
        if unknown {
            open.features = frame.features;
        }
        let binding = unknown.then(|| frame.binding.encoded());
        Transmit::open(instance, &open, binding, frame.snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(revision: u64, message_bytes: u64) -> OpenFrame {
        let binding = pb::Binding {
            name: "scan".into(),
            ..pb::Binding::default()
        };
        OpenFrame {
            open: pb::Open {
                scope: pb::Scope::Transport.into(),
                binding_revision: revision,
                ..pb::Open::default()
            },
            binding: Arc::new(WireBinding::new(revision, &binding)),
            limits: Arc::new(pb::Limits {
                message_bytes,
                ..pb::Limits::default()
            }),
            features: vec!["parts".into()],
            snapshot: pb::Snapshot {
                message: Some(pb::Message::default()),
                ..pb::Snapshot::default()
            }
            .encode_to_vec()
            .into(),
        }
    }

    fn open(named: &mut Named, frame: OpenFrame) -> pb::Open {
        let bound = frame.bound();
        let transmit = named.open(7, frame);
        assert!(transmit.len() <= bound);
        let octets = [transmit.head, transmit.shared].concat();
        let request = pb::AttachRequest::decode(octets.as_slice());
        let request = request.unwrap_or_default();
        assert_eq!(request.instance_id, 7);
        match request.kind {
            Some(pb::attach_request::Kind::OpenInstance(open)) => *open,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_binding_is_named_once_a_revision_and_limits_when_they_differ() {
        let mut named = Named::new(false);
        let first = open(&mut named, frame(1, 100));
        assert_eq!(
            first.binding.map(|binding| binding.name),
            Some("scan".into())
        );
        assert_eq!(first.limits.map(|limits| limits.message_bytes), Some(100));
        assert_eq!(first.features, ["parts"]);
        assert!(
            first
                .snapshot
                .is_some_and(|snapshot| snapshot.message.is_some())
        );
        let again = open(&mut named, frame(1, 100));
        assert_eq!((again.binding, again.limits), (None, None));
        assert!(again.features.is_empty());
        let other_limits = open(&mut named, frame(1, 50));
        assert_eq!(other_limits.binding, None);
        assert_eq!(
            other_limits.limits.map(|limits| limits.message_bytes),
            Some(50)
        );
        assert_eq!(open(&mut named, frame(1, 50)).limits, None);
        assert!(open(&mut named, frame(2, 50)).binding.is_some());
    }

    #[test]
    fn a_stream_for_one_at_a_time_names_it_always() {
        let mut named = Named::new(true);
        for _ in 0..2 {
            let open = open(&mut named, frame(1, 100));
            assert!(open.binding.is_some() && open.limits.is_some());
            assert_eq!(open.features, ["parts"]);
        }
    }
}
