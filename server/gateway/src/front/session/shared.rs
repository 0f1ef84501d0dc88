//! What all parts of one session use.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use postern_dispatch::inbound::InboundScope;
use postern_events::answer::RecipientKind;
use postern_events::context::Tls;
use postern_events::inbound::{Fate, Outcome, RecipientFate};
use postern_message::{Draft, Envelope, MessageId, Recipient, RecipientId, SessionId};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;

use crate::front::VirtualServer;
use crate::front::worker::Tools;
use crate::metrics::labels::{MessageEnd, OfServer};

/// One session's surroundings.
pub(super) struct Shared {
    pub(super) session: SessionId,
    /// The client's address as it stands in the log.
    pub(super) client: String,
    /// The client's address; absent on a Unix socket.
    pub(super) address: Option<IpAddr>,
    pub(super) server: Arc<VirtualServer>,
    pub(super) tools: Arc<Tools>,
    pub(super) scope: InboundScope,
    pub(super) may_relay: bool,
    /// TLS was there before the first octet, and nobody has been asked about it yet.
    pub(super) implicit_tls: Option<Tls>,
}

impl Shared {
    /// The running transaction as sinks have left it.
    pub(super) fn draft(&self) -> Draft {
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
    pub(super) fn recipient_kind(&self, address: &ForwardPath) -> RecipientKind {
        let policy = &self.server.policy;
        match (
            policy.is_ours(address),
            policy.judge(address, self.may_relay),
        ) {
            (true, Ok(())) => RecipientKind::Hosted,
            (true, Err(_)) => RecipientKind::Unknown,
            (false, _) if self.may_relay => RecipientKind::Relayed,
            (false, _) => RecipientKind::Forbidden,
        }
    }

    /// The accepted recipient of the running transaction with the same address.
    pub(super) fn duplicate_of(&self, recipient: &Recipient) -> Option<RecipientId> {
        let is_same = |own: &Recipient| match (&own.address, &recipient.address) {
            (ForwardPath::Postmaster, ForwardPath::Postmaster) => true,
            (ForwardPath::Mailbox(own), ForwardPath::Mailbox(other)) => own.is_same_as(other),
            _ => false,
        };
        let accepted = self.scope.recipients();
        accepted.iter().find(|own| is_same(own)).map(|own| own.id)
    }

    /// Octets of content came.
    pub(super) fn received(&self, octets: usize) {
        let label = OfServer {
            server: (&self.server.name).into(),
        };
        self.tools
            .metrics
            .received_bytes
            .get_or_create(&label)
            .inc_by(octets as u64);
    }

    /// A message was refused: counted, logged, told to sinks.
    pub(super) fn tell_refused(&self, reply: &Reply, by: Option<String>, size: u64) {
        self.scope.tell_outcome(self.refused(reply, by, size));
    }

    /// Counts and logs a refused message.
    pub(super) fn refused(&self, reply: &Reply, by: Option<String>, size: u64) -> Outcome {
        let (fate, end) = if reply.code().is_permanent() {
            (Fate::Rejected, MessageEnd::Rejected)
        } else {
            (Fate::Tempfailed, MessageEnd::Tempfailed)
        };
        self.tools.metrics.count_message(&self.server.name, end);
        tracing::info!(
            id = self.scope.transaction().map(tracing::field::display), session = %self.session,
            server = %self.server.name, client = self.client,
            sender = self.scope.envelope().map(|envelope| self.show_sender(&envelope.sender)),
            binding = by, sink = by.as_deref().and_then(|by| self.sink_of(by)), reply = shown(reply), size,
            "message refused"
        );
        self.outcome(fate, Some(reply.clone()), by, size)
    }

    /// What became of the running transaction, for sinks.
    pub(super) fn outcome(
        &self,
        fate: Fate,
        reply: Option<Reply>,
        decided_by: Option<String>,
        size_bytes: u64,
    ) -> Outcome {
        let recipients = self.scope.recipients().into_iter();
        Outcome {
            message_id: self.scope.transaction().unwrap_or_else(MessageId::new),
            fate,
            decided_by,
            recipients: recipients
                .map(|recipient| RecipientFate {
                    recipient,
                    fate,
                    reply: reply.clone(),
                })
                .collect(),
            reply,
            size_bytes,
        }
    }

    /// Logs a refused recipient. `id` is the transaction's.
    pub(super) fn log_refused_recipient(
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
    pub(super) fn log_dropped_recipient(&self, id: Option<MessageId>, recipient: RecipientId) {
        let recipient = self.scope.recipient(recipient);
        tracing::info!(
            id = id.map(tracing::field::display), session = %self.session, server = %self.server.name,
            client = self.client, to = recipient.map(|recipient| self.show_recipient(&recipient.address)),
            "recipient discarded"
        );
    }

    /// Logs a connection, greeting or sender that was refused.
    pub(super) fn log_refused(&self, what: &str, reply: &Reply, by: Option<&str>) {
        tracing::info!(
            session = %self.session, server = %self.server.name, client = self.client, binding = by,
            sink = by.and_then(|by| self.sink_of(by)), reply = shown(reply), "{what} refused"
        );
    }

    /// The client went away in the middle of a message.
    pub(super) fn tell_gone(&self, size: u64) {
        self.tools
            .metrics
            .count_message(&self.server.name, MessageEnd::ClientGone);
        tracing::info!(
            id = self.scope.transaction().map(tracing::field::display), session = %self.session,
            server = %self.server.name, client = self.client, size, "client went away before the reply"
        );
        let outcome = self.outcome(Fate::ClientGone, None, None, size);
        self.scope.tell_outcome(outcome);
    }

    /// The name of a binding's sink, for the log.
    pub(super) fn sink_of(&self, binding: &str) -> Option<String> {
        let sink = self.tools.dispatcher.sink_of(binding)?;
        Some(sink.to_string())
    }

    /// A sender as it may stand in the log.
    pub(super) fn show_sender(&self, path: &ReversePath) -> String {
        match path {
            ReversePath::Null => "<>".to_owned(),
            ReversePath::Mailbox(mailbox) => self.show(mailbox.as_str()),
        }
    }

    /// A recipient as it may stand in the log.
    pub(super) fn show_recipient(&self, path: &ForwardPath) -> String {
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
fn shown(reply: &Reply) -> String {
    let code = reply.code().value();
    let text = reply.text().first().map_or("", |line| line.as_str());
    match reply.enhanced() {
        Some(enhanced) => format!("{code} {enhanced} {text}"),
        None => format!("{code} {text}"),
    }
}
