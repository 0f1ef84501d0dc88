//! What identifies a message to somebody who never saw it.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use postern_message::{Message, MessageId, Origin, SessionId};
use postern_proto::v1 as pb;
use postern_smtp::address::ReversePath;

use crate::context::{SessionContext, tenant_of};
use crate::wire::{self, View};

/// What identifies a message.
#[derive(Clone, Debug)]
pub struct MessageSummary {
    /// Its id.
    pub id: MessageId,
    /// The virtual server that accepted it.
    pub server: String,
    /// How it came.
    pub origin: Origin,
    /// Its sender.
    pub sender: ReversePath,
    /// ENVID as xtext.
    pub envid: Option<Bytes>,
    /// Its Message-ID field.
    pub header_message_id: Option<Bytes>,
    /// Octets of its content.
    pub size_bytes: u64,
    /// When it was accepted.
    pub received_at: SystemTime,
    /// The session that brought it.
    pub session: Option<SessionId>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The message that caused it.
    pub parent: Option<MessageId>,
    /// Its tenant; empty where there is none.
    pub tenant: String,
    /// All its recipients.
    pub recipient_count: u32,
    /// Its priority.
    pub priority: i8,
}

impl MessageSummary {
    /// The summary of a message and the session that brought it.
    #[must_use]
    pub fn of(message: &Message, session: Option<&SessionContext>) -> Self {
        let id = message
            .version
            .headers()
            .iter()
            .find(|field| field.is("Message-ID"));
        Self {
            id: message.id,
            server: message.server.clone(),
            origin: message.origin,
            sender: message.envelope.sender.clone(),
            envid: message.envelope.envid.clone(),
            header_message_id: id.map(|field| trimmed(&field.value())),
            size_bytes: message.version.size().unwrap_or(0),
            received_at: message.received_at,
            session: message.session,
            client: session.and_then(|session| session.client.address),
            parent: message.injected.as_ref().and_then(|own| own.parent),
            tenant: tenant_of(session, &message.recipients).to_owned(),
            recipient_count: u32::try_from(message.recipients.len()).unwrap_or(u32::MAX),
            priority: message.envelope.priority,
        }
    }

    /// The summary as a binding with this view may see it.
    pub(crate) fn shown(&self, view: &View<'_>) -> pb::MessageSummary {
        let origin = match self.origin {
            Origin::Smtp => pb::Origin::Smtp,
            Origin::Lmtp => pb::Origin::Lmtp,
            Origin::Dsn => pb::Origin::Dsn,
            Origin::Sink => pb::Origin::Sink,
        };
        let reads = view.reads;
        let sender = match &self.sender {
            ReversePath::Mailbox(mailbox) if reads.sender => Bytes::copy_from_slice(mailbox.raw()),
            _ => Bytes::new(),
        };
        let reads_id = reads.headers.contains(b"Message-ID");
        let client = self.client.filter(|_| reads.session);
        pb::MessageSummary {
            message_id: wire::id(self.id.as_bytes()),
            server: self.server.clone(),
            origin: origin.into(),
            reverse_path: sender,
            envelope_id: self
                .envid
                .as_deref()
                .filter(|_| reads.sender)
                .map(wire::from_xtext)
                .unwrap_or_default(),
            header_message_id: self
                .header_message_id
                .clone()
                .filter(|_| reads_id)
                .unwrap_or_default(),
            size_bytes: self.size_bytes,
            received_at: Some(wire::moment(self.received_at)),
            session_id: self
                .session
                .map(|session| wire::id(session.as_bytes()))
                .unwrap_or_default(),
            client_address: client.map(|client| client.to_string()).unwrap_or_default(),
            parent_message_id: self
                .parent
                .map(|parent| wire::id(parent.as_bytes()))
                .unwrap_or_default(),
            tenant: self.tenant.clone(),
            recipient_count: self.recipient_count,
            priority: i32::from(self.priority),
        }
    }
}

fn trimmed(value: &Bytes) -> Bytes {
    Bytes::copy_from_slice(value.trim_ascii())
}
