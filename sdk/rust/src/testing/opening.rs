//! How things stand in a script, what an instance is opened with, and what an event changes of it.

use std::collections::HashSet;

use bytes::Bytes;

use super::Setup;
use crate::v1::{self, EventKind, body_depth};

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct World {
    pub(super) session: Option<v1::Session>,
    pub(super) conduct: Option<v1::Conduct>,
    pub(super) transaction: Option<v1::Transaction>,
    pub(super) message: Option<v1::Message>,
    pub(super) headers: Option<v1::Headers>,
    pub(super) recipients: Vec<v1::Recipient>,
}

impl World {
    fn subject(&self) -> Bytes {
        match (&self.message, &self.transaction) {
            (Some(message), _) => message.message_id.clone(),
            (None, Some(transaction)) => transaction.transaction_id.clone(),
            (None, None) => Bytes::new(),
        }
    }

    pub(super) fn snapshot(&self) -> v1::Snapshot {
        v1::Snapshot {
            session: self.session.clone(),
            conduct: self.conduct,
            transaction: self.transaction.clone(),
            message: self.message.clone(),
            recipients: self.recipients.clone(),
        }
    }

    /// An event that brings what an instance that was told `told` does not know yet.
    pub(super) fn update(&self, told: &Self, shows_headers: bool) -> v1::Event {
        let subject = told.subject();
        let message_ended = !subject.is_empty() && subject != self.subject();
        let forgotten = Self {
            session: told.session.clone(),
            conduct: told.conduct,
            ..Self::default()
        };
        let told = if message_ended { &forgotten } else { told };
        v1::Event {
            message_ended,
            session: self
                .session
                .clone()
                .filter(|_| self.session != told.session)
                .map(Box::new),
            conduct: self.conduct.filter(|_| self.session.is_some()),
            transaction: self
                .transaction
                .clone()
                .filter(|_| self.transaction != told.transaction)
                .map(Box::new),
            message: self
                .message
                .clone()
                .filter(|_| self.message != told.message)
                .map(Box::new),
            headers: self
                .headers
                .clone()
                .filter(|_| shows_headers && self.headers != told.headers),
            recipients: self.recipients_since(told),
            ..Default::default()
        }
    }

    fn recipients_since(&self, told: &Self) -> Option<v1::RecipientsUpdate> {
        if self.recipients == told.recipients {
            return None;
        }
        let now: HashSet<&Bytes> = self.recipients.iter().map(|r| &r.recipient_id).collect();
        let removed = told
            .recipients
            .iter()
            .filter(|r| !now.contains(&r.recipient_id));
        let changed = self
            .recipients
            .iter()
            .filter(|r| !told.recipients.contains(r));
        Some(v1::RecipientsUpdate {
            replaces_all: false,
            removed_ids: removed.map(|r| r.recipient_id.clone()).collect(),
            changed: changed.cloned().collect(),
        })
    }
}

/// The bounds that the kit enforces unless told otherwise: those of a gateway that is not configured.
pub(super) fn limits() -> v1::Limits {
    v1::Limits {
        frame_bytes: 1 << 20,
        verdict_bytes: 16 << 20,
        verdict_edits: 10_000,
        literal_bytes: 512 << 10,
        upload_credit_bytes: 256 << 10,
        message_bytes: 25 << 20,
        header_bytes: 256 << 10,
        header_count: 1000,
        recipient_count: 1000,
        property_bytes: 16 << 10,
        actions_per_minute: 600,
        chunk_bytes: 256 << 10,
    }
}

pub(super) fn binding(description: &v1::DescribeResponse, setup: &Setup) -> v1::Binding {
    v1::Binding {
        name: "test".to_owned(),
        sink: description.name.clone(),
        events: description.events.clone(),
        priority: 24_575,
        mode: v1::BindingMode::Enforce.into(),
        reads: setup
            .reads
            .clone()
            .unwrap_or_else(|| description.reads.clone()),
        grants: setup
            .grants
            .clone()
            .unwrap_or_else(|| description.grants.clone()),
        properties_json: setup.properties.clone(),
        sample: 1.0,
        ..Default::default()
    }
}

/// How a sink wants an event. None: not at all.
pub(super) fn interest(
    description: &v1::DescribeResponse,
    kind: EventKind,
) -> Option<&v1::EventInterest> {
    description
        .events
        .iter()
        .find(|interest| interest.event() == kind)
}

/// How much content goes with an event.
pub(super) fn depth(
    description: &v1::DescribeResponse,
    kind: EventKind,
) -> Option<body_depth::Kind> {
    interest(description, kind)?.body.as_ref()?.kind
}
