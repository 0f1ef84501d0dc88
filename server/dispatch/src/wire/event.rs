//! What happened, and how the wire says it.

use std::sync::Arc;

use bytes::Bytes;
use postern_message::{MessageId, Version};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::message::{address, envelope, headers, recipient};
use super::session::{greeting, handshake};
use super::{View, id, reply, span};
use crate::event::EventKind;
use crate::facts::Facts;
use crate::session::{
    CommandLine, DisconnectReason, Fate, HeloFacts, MailFacts, Outcome, RcptFacts, ResetReason,
    ResponseFacts, SessionEnd, TlsInfo,
};
use crate::transport::{DeliveryResult, DeliveryStatus};

/// Other pending recipients that a RCPT is shown.
const PENDING_SHOWN: usize = 100;

/// One event with what belongs to it alone.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Connect,
    Helo(HeloFacts),
    Tls(TlsInfo),
    Mail(MailFacts),
    Rcpt(RcptFacts),
    Data(CommandLine),
    Headers(MessageId),
    Message(MessageId),
    Command(CommandLine),
    Response(ResponseFacts),
    Outcome(MessageId, Outcome),
    Reset(Option<MessageId>, ResetReason),
    Disconnect(SessionEnd),
    Submit,
    Delivery(MessageId, Arc<DeliveryResult>),
}

impl Happening {
    /// Its name.
    pub(crate) fn event(&self) -> EventKind {
        match self {
            Self::Connect => EventKind::InboundConnect,
            Self::Helo(_) => EventKind::InboundHelo,
            Self::Tls(_) => EventKind::InboundTls,
            Self::Mail(_) => EventKind::InboundMail,
            Self::Rcpt(_) => EventKind::InboundRcpt,
            Self::Data(_) => EventKind::InboundData,
            Self::Headers(_) => EventKind::InboundHeaders,
            Self::Message(_) => EventKind::InboundMessage,
            Self::Command(_) => EventKind::InboundCommand,
            Self::Response(_) => EventKind::InboundResponse,
            Self::Outcome(..) => EventKind::InboundOutcome,
            Self::Reset(..) => EventKind::InboundReset,
            Self::Disconnect(_) => EventKind::InboundDisconnect,
            Self::Submit => EventKind::TransportSubmit,
            Self::Delivery(..) => EventKind::DeliveryResult,
        }
    }

    /// It belongs to the running transaction, and is replayed when an instance opens anew within it.
    pub(crate) fn is_of_transaction(&self) -> bool {
        matches!(
            self,
            Self::Mail(_) | Self::Rcpt(_) | Self::Data(_) | Self::Headers(_)
        )
    }
}

/// The body of an event, as this binding may see it.
pub(crate) fn kind_of(happening: &Happening, facts: &Facts, view: View<'_>) -> Kind {
    match happening {
        Happening::Connect => Kind::InboundConnect(pb::InboundConnect {}),
        Happening::Helo(helo) => Kind::InboundHelo(pb::InboundHelo {
            command: Some(command(&helo.command)),
            helo: Some(greeting(helo)),
        }),
        Happening::Tls(tls) => Kind::InboundTls(pb::InboundTls {
            tls: Some(handshake(tls)),
        }),
        Happening::Mail(mail) => Kind::InboundMail(pb::InboundMail {
            command: Some(command(&mail.command)),
            transaction_id: id(mail.message_id.as_bytes()),
            envelope: Some(envelope(facts.envelope_of(mail), &mail.parameters)),
        }),
        Happening::Rcpt(rcpt) => Kind::InboundRcpt(rcpt_of(rcpt, facts, view)),
        Happening::Data(line) => Kind::InboundData(pb::InboundData {
            command: Some(command(line)),
        }),
        Happening::Headers(message) => Kind::InboundHeaders(pb::InboundHeaders {
            message_id: id(message.as_bytes()),
            headers: shown_headers(facts.version(), EventKind::InboundHeaders, view),
        }),
        Happening::Message(message) => Kind::InboundMessage(pb::InboundMessage {
            message_id: id(message.as_bytes()),
            headers: shown_headers(facts.version(), EventKind::InboundMessage, view),
        }),
        Happening::Command(line) => Kind::InboundCommand(pb::InboundCommand {
            command: Some(command(line)),
            known: line.known,
            dialogue_input: None,
        }),
        Happening::Response(response) => Kind::InboundResponse(response_of(response)),
        Happening::Outcome(message, outcome) => Kind::InboundOutcome(outcome_of(*message, outcome)),
        Happening::Reset(message, reason) => Kind::InboundReset(pb::InboundReset {
            transaction_id: message
                .map(|message| id(message.as_bytes()))
                .unwrap_or_default(),
            reason: reset_reason(*reason).into(),
        }),
        Happening::Disconnect(end) => Kind::InboundDisconnect(pb::InboundDisconnect {
            reason: disconnect_reason(end.reason).into(),
            received_bytes: end.received_bytes,
            sent_bytes: end.sent_bytes,
        }),
        Happening::Submit => Kind::TransportSubmit(pb::TransportSubmit {}),
        Happening::Delivery(message, result) => Kind::DeliveryResult(delivery_of(*message, result)),
    }
}

/// The header section, where the binding's depth at this event shows it.
pub(crate) fn shown_headers(
    version: Option<&Version>,
    event: EventKind,
    view: View<'_>,
) -> Option<pb::Headers> {
    version
        .filter(|_| view.binding.depth(event).shows_headers())
        .map(|version| headers(version, view))
}

fn command(line: &CommandLine) -> pb::Command {
    pb::Command {
        verb: line.verb.clone(),
        line: line.line.clone(),
        pipelined: line.pipelined,
    }
}

fn rcpt_of(rcpt: &RcptFacts, facts: &Facts, view: View<'_>) -> pb::InboundRcpt {
    let pending = pb::RecipientState::Pending;
    let own = facts
        .recipient(rcpt.recipient.id)
        .unwrap_or(&rcpt.recipient);
    pb::InboundRcpt {
        command: Some(command(&rcpt.command)),
        recipient: Some(recipient(own, pending, &rcpt.parameters, view)),
        pending: facts
            .pending()
            .filter(|other| other.id != rcpt.recipient.id)
            .take(PENDING_SHOWN)
            .map(|other| pb::Recipient {
                properties: Vec::new(),
                ..recipient(other, pending, &[], view)
            })
            .collect(),
        local_domain: rcpt.local_domain,
    }
}

fn response_of(response: &ResponseFacts) -> pb::InboundResponse {
    pb::InboundResponse {
        verb: response.verb.clone(),
        reply: Some(reply(&response.reply)),
        origin_binding: response.origin.clone().unwrap_or_default(),
        recipient_id: response
            .recipient
            .map(|one| id(one.as_bytes()))
            .unwrap_or_default(),
    }
}

fn outcome_of(message: MessageId, outcome: &Outcome) -> pb::InboundOutcome {
    let fate = match outcome.fate {
        Fate::Accepted => pb::Outcome::Accepted,
        Fate::Rejected => pb::Outcome::Rejected,
        Fate::Tempfailed => pb::Outcome::Tempfailed,
        Fate::Discarded => pb::Outcome::Discarded,
        Fate::Quarantined => pb::Outcome::Quarantined,
        Fate::Held => pb::Outcome::Held,
        Fate::ClientGone => pb::Outcome::ClientGone,
    };
    pb::InboundOutcome {
        message_id: id(message.as_bytes()),
        outcome: fate.into(),
        reply: outcome.reply.as_ref().map(reply),
        decided_by: outcome.decided_by.clone().unwrap_or_default(),
        recipients: Vec::new(),
        size_bytes: outcome.size_bytes,
    }
}

fn reset_reason(reason: ResetReason) -> pb::ResetReason {
    match reason {
        ResetReason::Command => pb::ResetReason::Command,
        ResetReason::Greeting => pb::ResetReason::Greeting,
        ResetReason::Tls => pb::ResetReason::Tls,
    }
}

fn disconnect_reason(reason: DisconnectReason) -> pb::DisconnectReason {
    match reason {
        DisconnectReason::Quit => pb::DisconnectReason::Quit,
        DisconnectReason::ClientGone => pb::DisconnectReason::ClientGone,
        DisconnectReason::Timeout => pb::DisconnectReason::Timeout,
        DisconnectReason::Limit => pb::DisconnectReason::Limit,
        DisconnectReason::Verdict => pb::DisconnectReason::Verdict,
        DisconnectReason::Shutdown => pb::DisconnectReason::Shutdown,
        DisconnectReason::Tls => pb::DisconnectReason::Tls,
        DisconnectReason::Internal => pb::DisconnectReason::Internal,
    }
}

fn delivery_of(message: MessageId, result: &DeliveryResult) -> pb::DeliveryResult {
    let remote = (!result.host.is_empty()).then(|| pb::Remote {
        destination: result.destination.clone(),
        host: result.host.clone(),
        address: result.address.clone(),
        port: u32::from(result.port),
        ..pb::Remote::default()
    });
    let recipients = result.recipients.iter().map(|one| {
        let status = match one.status {
            DeliveryStatus::Delivered => pb::DeliveryStatus::Delivered,
            DeliveryStatus::Deferred => pb::DeliveryStatus::Deferred,
            DeliveryStatus::Failed => pb::DeliveryStatus::Failed,
            DeliveryStatus::Expired => pb::DeliveryStatus::Expired,
            DeliveryStatus::Relayed => pb::DeliveryStatus::Relayed,
        };
        pb::RecipientResult {
            recipient_id: id(one.id.as_bytes()),
            address: address(&one.address),
            status: status.into(),
            reply: one.reply.as_ref().map(reply),
            attempt_count: one.attempts,
            retry_in: one.retry_in.map(span),
        }
    });
    pb::DeliveryResult {
        message_id: id(message.as_bytes()),
        attempt_id: Bytes::copy_from_slice(result.attempt.as_bytes()),
        remote,
        recipients: recipients.collect(),
        age: Some(span(result.age)),
    }
}

/// The wire's number of an event.
pub(crate) fn wire_kind(event: EventKind) -> pb::EventKind {
    use pb::EventKind as W;
    match event {
        EventKind::InboundConnect => W::InboundConnect,
        EventKind::InboundHelo => W::InboundHelo,
        EventKind::InboundTls => W::InboundTls,
        EventKind::InboundAuth => W::InboundAuth,
        EventKind::InboundMail => W::InboundMail,
        EventKind::InboundRcpt => W::InboundRcpt,
        EventKind::InboundData => W::InboundData,
        EventKind::InboundHeaders => W::InboundHeaders,
        EventKind::InboundMessage => W::InboundMessage,
        EventKind::InboundCommand => W::InboundCommand,
        EventKind::InboundResponse => W::InboundResponse,
        EventKind::InboundOutcome => W::InboundOutcome,
        EventKind::InboundReset => W::InboundReset,
        EventKind::InboundDisconnect => W::InboundDisconnect,
        EventKind::TransportSubmit => W::TransportSubmit,
        EventKind::TransportPreCategorize => W::TransportPreCategorize,
        EventKind::TransportCategorize => W::TransportCategorize,
        EventKind::TransportExpand => W::TransportExpand,
        EventKind::TransportPostCategorize => W::TransportPostCategorize,
        EventKind::TransportRoute => W::TransportRoute,
        EventKind::TransportMaxSize => W::TransportMaxSize,
        EventKind::TransportResolve => W::TransportResolve,
        EventKind::TransportLocalDelivery => W::TransportLocalDelivery,
        EventKind::TransportDsn => W::TransportDsn,
        EventKind::OutboundSessionStart => W::OutboundSessionStart,
        EventKind::OutboundMessageStart => W::OutboundMessageStart,
        EventKind::OutboundRecipient => W::OutboundRecipient,
        EventKind::OutboundBeforeData => W::OutboundBeforeData,
        EventKind::OutboundSessionEnd => W::OutboundSessionEnd,
        EventKind::OutboundCommand => W::OutboundCommand,
        EventKind::OutboundResponse => W::OutboundResponse,
        EventKind::OutboundTls => W::OutboundTls,
        EventKind::DeliveryResult => W::DeliveryResult,
        EventKind::DeliveryLink => W::DeliveryLink,
        EventKind::ServiceStart => W::ServiceStart,
        EventKind::ServiceStop => W::ServiceStop,
        EventKind::ServiceConfig => W::ServiceConfig,
    }
}
