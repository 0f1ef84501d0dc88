//! What a scripted session opens its instances with.

use super::Player;
use crate::v1::{self, EventKind, body_depth};

impl Player {
    pub(super) fn open(&self, binding_revision: u64, snapshot: v1::Snapshot) -> v1::Open {
        let binding = v1::Binding {
            name: "test".to_owned(),
            sink: self.description.name.clone(),
            events: self
                .description
                .events
                .iter()
                .map(|interest| interest.event)
                .collect(),
            priority: 24_575,
            mode: v1::BindingMode::Enforce.into(),
            reads: self.description.reads.clone(),
            grants: self.description.grants.clone(),
            body: Some(v1::BodyDepth {
                kind: Some(self.depth()),
            }),
            properties_json: self.setup.properties.clone(),
            ..Default::default()
        };
        let limits = v1::Limits {
            frame_bytes: 1 << 20,
            upload_credit_bytes: 256 * 1024,
            message_bytes: 25 << 20,
            header_bytes: 256 * 1024,
            header_count: 1000,
            recipient_count: 1000,
        };
        v1::Open {
            protocol_version: 1,
            scope: v1::Scope::InboundSession.into(),
            binding_revision,
            binding: Some(Box::new(binding)),
            limits: Some(limits),
            snapshot: Some(Box::new(snapshot)),
            ..Default::default()
        }
    }

    pub(super) fn wants(&self, kind: EventKind) -> bool {
        self.description
            .events
            .iter()
            .any(|interest| interest.event() == kind)
    }

    /// The greatest depth that any event asks for, as a binding that does not say gets it.
    /// How much content goes with an event.
    pub(super) fn depth_at(&self, kind: EventKind) -> body_depth::Kind {
        self.description
            .events
            .iter()
            .find(|interest| interest.event() == kind)
            .and_then(|interest| interest.body.as_ref()?.kind)
            .unwrap_or(body_depth::Kind::Nothing(v1::NoContent {}))
    }

    pub(super) fn shown(&self, kind: EventKind) -> v1::BodyDepth {
        v1::BodyDepth {
            kind: Some(self.depth_at(kind)),
        }
    }

    fn depth(&self) -> body_depth::Kind {
        let depths = self
            .description
            .events
            .iter()
            .filter_map(|interest| interest.body.as_ref()?.kind);
        depths
            .max_by_key(rank)
            .unwrap_or(body_depth::Kind::Nothing(v1::NoContent {}))
    }
}

fn rank(depth: &body_depth::Kind) -> (u8, u64) {
    match depth {
        body_depth::Kind::Nothing(_) => (0, 0),
        body_depth::Kind::Headers(_) => (1, 0),
        body_depth::Kind::OnDemand(_) => (2, 0),
        body_depth::Kind::Prefix(prefix) => (3, prefix.size_bytes),
        body_depth::Kind::Full(_) => (4, 0),
    }
}
