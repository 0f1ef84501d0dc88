//! What an instance is told when it opens: the binding and the limits.

use bytes::Bytes;
use postern_message::EditLimits;
use postern_proto::v1 as pb;

use super::content::depth_of;
use super::event::wire_kind;
use crate::plan::{Binding, BodyDepth};
use crate::settings::FRAME_MAX_BYTES;

/// The binding as the operator configured it.
pub(crate) fn named_binding(binding: &Binding) -> pb::Binding {
    let deepest = binding
        .events
        .iter()
        .map(|(_, depth)| *depth)
        .max_by_key(|depth| rank(*depth));
    pb::Binding {
        name: binding.name.to_string(),
        sink: binding.sink.name.to_string(),
        events: binding
            .events
            .iter()
            .map(|(event, _)| wire_kind(*event).into())
            .collect(),
        rule: binding.rule.text().to_owned(),
        condition: binding
            .condition
            .as_ref()
            .map(|condition| condition.text().to_owned())
            .unwrap_or_default(),
        priority: u32::from(binding.priority),
        mode: pb::BindingMode::Enforce.into(),
        reads: binding.reads.words(),
        grants: binding.grants.words(),
        body: Some(depth_of(deepest.unwrap_or_default())),
        properties_json: Bytes::copy_from_slice(&binding.properties_json),
    }
}

fn rank(depth: BodyDepth) -> u8 {
    match depth {
        BodyDepth::None => 0,
        BodyDepth::Headers => 1,
        BodyDepth::OnDemand => 2,
        BodyDepth::Prefix(_) => 3,
        BodyDepth::Full => 4,
    }
}

/// The bounds that the gateway keeps.
pub(crate) fn limits(edits: &EditLimits) -> pb::Limits {
    pb::Limits {
        frame_bytes: FRAME_MAX_BYTES as u32,
        upload_credit_bytes: 0,
        message_bytes: edits.message,
        header_bytes: edits.header_octets,
        header_count: u32::try_from(edits.header_count).unwrap_or(u32::MAX),
        recipient_count: u32::try_from(edits.recipients).unwrap_or(u32::MAX),
    }
}
