//! What any way in does with a session's mail, whatever protocol brings it: puts what the client does to the chains of
//! sinks, takes content, has the message judged, keeps it, and says what became of it. It knows neither the connection nor
//! the machine that reads commands.

pub(in crate::front) mod authentication;
pub(in crate::front) mod chains;
mod content;
pub(in crate::front) mod message;
pub(in crate::front) mod reply;
pub(in crate::front) mod ruling;
pub(in crate::front) mod transaction;
pub(in crate::front) mod upload;
pub(in crate::front) mod vouching;

use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use postern_auth::UserName;
use postern_dispatch::inbound::InboundScope;
use postern_events::context::Tls;
use postern_events::event::EventKind;
use postern_events::recipient_kind::RecipientKind;
use postern_message::{Draft, Envelope, MessageId, Recipient, RecipientId, SessionId};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;

use crate::front::VirtualServer;
use crate::front::admission::ClientConnections;
use crate::front::client::Client;
use crate::front::worker::Tools;
use crate::metrics::labels::OfServer;

/// One client's session, without the protocol that it speaks.
pub(in crate::front) struct Reception {
    pub(in crate::front) session: SessionId,
    /// The client's address as it stands in the log.
    pub(in crate::front) client: String,
    /// Who the client counts as.
    pub(in crate::front) who: Client,
    pub(in crate::front) server: Arc<VirtualServer>,
    pub(in crate::front) tools: Arc<Tools>,
    pub(in crate::front) scope: InboundScope,
    /// The user that the client has proved to be, or that a sink says it is.
    pub(in crate::front) user: OnceLock<UserName>,
    /// A sink answers for who the client is.
    pub(in crate::front) vouched: OnceLock<String>,
    /// TLS was there before the first octet, and nobody has been asked about it yet.
    pub(in crate::front) implicit_tls: Option<Tls>,
    /// Those that the client has open.
    pub(in crate::front) connections: ClientConnections,
}

impl Reception {
    /// The running transaction as sinks have left it.
    pub(in crate::front) fn draft(&self) -> Draft {
        Draft {
            envelope: self
                .scope
                .envelope()
                .unwrap_or_else(|| Envelope::new(ReversePath::Null)),
            recipients: self.scope.recipients(),
            properties: self.scope.message_properties(),
            session_properties: self.scope.properties(),
            version: None,
        }
    }

    /// What the service itself says of a recipient.
    pub(in crate::front) fn recipient_kind(&self, address: &ForwardPath) -> RecipientKind {
        let policy = &self.server.policy;
        let may_relay = self.scope.may_relay();
        match (policy.is_ours(address), policy.judge(address, may_relay)) {
            (true, Ok(())) => RecipientKind::Hosted,
            (true, Err(_)) => RecipientKind::Unknown,
            (false, _) if may_relay => RecipientKind::Relayed,
            (false, _) => RecipientKind::Forbidden,
        }
    }

    /// The accepted recipient of the running transaction with the same address.
    pub(in crate::front) fn duplicate_of(&self, recipient: &Recipient) -> Option<RecipientId> {
        // Only who is asked or told about recipients hears of it.
        if !self.scope.wants(EventKind::InboundRcpt) {
            return None;
        }
        let key = |one: &Recipient| one.address.key(self.server.policy.is_ours(&one.address));
        let wanted = key(recipient);
        self.scope.find_recipient(|own| key(own) == wanted)
    }

    /// Octets of content came.
    pub(in crate::front) fn received(&self, octets: usize) {
        let label = OfServer {
            server: (&self.server.name).into(),
        };
        self.tools
            .metrics
            .received_bytes
            .get_or_create(&label)
            .inc_by(octets as u64);
    }

    /// Logs a refused recipient. `id` is the transaction's.
    pub(in crate::front) fn log_refused_recipient(
        &self,
        id: Option<MessageId>,
        recipient: RecipientId,
        reply: &Reply,
        by: Option<&str>,
    ) {
        let sender = self.scope.envelope();
        let recipient = self.scope.recipient(recipient);
        tracing::info!(
            id = id.map(tracing::field::display), session = %self.session, server = %self.server.name,
            client = self.client, sender = sender.map(|envelope| self.show_sender(&envelope.sender)),
            to = recipient.map(|recipient| self.show_recipient(&recipient.address)),
            binding = by, sink = by.and_then(|by| self.sink_of(by)), reply = shown(reply), "recipient refused"
        );
    }

    /// Logs a recipient that a sink drops: the record of it.
    pub(in crate::front) fn log_dropped_recipient(
        &self,
        id: Option<MessageId>,
        recipient: RecipientId,
    ) {
        let recipient = self.scope.recipient(recipient);
        tracing::info!(
            id = id.map(tracing::field::display), session = %self.session, server = %self.server.name,
            client = self.client, to = recipient.map(|recipient| self.show_recipient(&recipient.address)),
            "recipient discarded"
        );
    }

    /// Logs a connection, greeting or sender that was refused.
    pub(in crate::front) fn log_refused(&self, what: &str, reply: &Reply, by: Option<&str>) {
        tracing::info!(
            session = %self.session, server = %self.server.name, client = self.client, binding = by,
            sink = by.and_then(|by| self.sink_of(by)), reply = shown(reply), "{what} refused"
        );
    }

    /// The name of a binding's sink, for the log.
    pub(in crate::front) fn sink_of(&self, binding: &str) -> Option<String> {
        let sink = self.tools.dispatcher.sink_of(binding)?;
        Some(sink.to_string())
    }

    /// A sender as it may stand in the log.
    pub(in crate::front) fn show_sender(&self, path: &ReversePath) -> String {
        match path {
            ReversePath::Null => "<>".to_owned(),
            ReversePath::Mailbox(mailbox) => self.show(mailbox.as_str()),
        }
    }

    /// A recipient as it may stand in the log.
    pub(in crate::front) fn show_recipient(&self, path: &ForwardPath) -> String {
        match path {
            ForwardPath::Postmaster => "postmaster".to_owned(),
            ForwardPath::Mailbox(mailbox) => self.show(mailbox.as_str()),
        }
    }

    fn show(&self, address: &(impl Display + ?Sized)) -> String {
        self.tools.addresses.show(&address.to_string())
    }
}

/// A reply's code and first line.
pub(in crate::front) fn shown(reply: &Reply) -> String {
    let code = reply.code().value();
    let text = reply.text().first().map_or("", |line| line.as_str());
    match reply.enhanced() {
        Some(enhanced) => format!("{code} {enhanced} {text}"),
        None => format!("{code} {text}"),
    }
}
