//! A binding as the wire says it, and the bounds that a sink keeps.

use std::collections::HashMap;

use bytes::Bytes;
use postern_message::EditLimits;
use postern_proto::rules::{Group, bounds};
use postern_proto::v1 as pb;

use super::Binding;
use crate::check::{MAX_EDITS, MAX_VERDICT_OCTETS};
use crate::event::EventGroup;
use crate::fault::FaultKind;
use crate::wire::span;

impl Binding {
    /// The binding as the operator configured it.
    #[must_use]
    pub fn wire(&self) -> pb::Binding {
        let timeouts = [
            (Group::Command, self.timeouts.command),
            (Group::Headers, self.timeouts.headers),
            (Group::Message, self.timeouts.message),
            (Group::Transport, self.timeouts.transport),
            (Group::Outgoing, self.timeouts.outgoing),
        ];
        pb::Binding {
            name: self.name.to_string(),
            sink: self.sink.name.to_string(),
            events: self
                .events
                .iter()
                .map(|own| pb::EventInterest {
                    event: own.event.number(),
                    body: Some(own.depth.wire()),
                    ask: own.ask.wire().into(),
                })
                .collect(),
            properties_json: Bytes::copy_from_slice(&self.properties_json),
            reads: self.reads.words(),
            grants: self.grants.words(),
            priority: u32::from(self.priority),
            mode: pb::BindingMode::Enforce.into(),
            rule: self.rule.text().to_owned(),
            condition: self
                .condition
                .as_ref()
                .map(|condition| condition.text().to_owned())
                .unwrap_or_default(),
            servers: self.servers.clone(),
            summary: self.description.clone(),
            timeouts: timeouts
                .into_iter()
                .map(|(group, time)| (group.name().to_owned(), span(time)))
                .collect::<HashMap<_, _>>(),
            on_failure: self.failure_rules(),
            attributes: self
                .attributes
                .iter()
                .map(|shown| shown.name().to_owned())
                .collect(),
            sample: 1.0,
            expires_at: None,
            max_firings: 0,
        }
    }

    fn failure_rules(&self) -> Vec<pb::FailureRule> {
        let mut rules = Vec::new();
        let groups = [
            EventGroup::Command,
            EventGroup::Message,
            EventGroup::Transport,
            EventGroup::Outgoing,
        ];
        for group in groups {
            let rule = |fault: &str, kind| pb::FailureRule {
                events: group.name().to_owned(),
                fault: fault.to_owned(),
                policy: self.on_failure.of_group(group, kind).name().to_owned(),
            };
            let [first, ..] = FaultKind::ALL;
            let usual = self.on_failure.of_group(group, first);
            rules.push(rule("", first));
            for kind in FaultKind::ALL {
                if self.on_failure.of_group(group, kind) != usual {
                    rules.push(rule(kind.name(), kind));
                }
            }
        }
        rules
    }
}

/// Actions that a sink may begin in a minute.
pub const ACTIONS_PER_MINUTE: u32 = 600;

/// Largest piece of content in one frame, in octets.
pub const CHUNK_BYTES: usize = 256 << 10;

/// The bounds that the gateway enforces. Those of a message are the limits of the virtual server that accepts it.
#[must_use]
pub fn limits(edits: &EditLimits) -> pb::Limits {
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    pb::Limits {
        frame_bytes: narrow(bounds::FRAME_BYTES),
        verdict_bytes: narrow(MAX_VERDICT_OCTETS),
        verdict_edits: narrow(MAX_EDITS),
        literal_bytes: narrow(bounds::LITERAL_BYTES),
        upload_credit_bytes: 0,
        message_bytes: edits.message,
        header_bytes: edits.header_octets,
        header_count: narrow(edits.header_count),
        recipient_count: narrow(edits.recipients),
        property_bytes: narrow(edits.properties.octets),
        actions_per_minute: ACTIONS_PER_MINUTE,
        chunk_bytes: narrow(CHUNK_BYTES),
    }
}
