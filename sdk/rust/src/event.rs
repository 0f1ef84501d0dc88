//! The events as handlers see them: the body that the protocol gives them, with what goes with every event.

use std::borrow::Cow;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::v1;

/// One event. It gives access to the fields of its body, `B`, as the protocol has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<B> {
    body: B,
    about: About,
}

/// What goes with every event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct About {
    pub(crate) attempt: u32,
    pub(crate) replayed: bool,
    pub(crate) deadline: Option<Duration>,
    pub(crate) conduct: v1::Conduct,
}

impl<B> Event<B> {
    pub(crate) fn new(body: B, about: About) -> Self {
        Self { body, about }
    }

    /// How often this event was asked before, here or elsewhere. A sink with side effects can tell a
    /// repetition by it.
    pub fn attempt(&self) -> u32 {
        self.about.attempt
    }

    /// It was answered already and is told again because the instance was opened anew. The verdict is dropped.
    pub fn is_replayed(&self) -> bool {
        self.about.replayed
    }

    /// How long the gateway waited for a verdict when it sent the event. None: nobody waits.
    pub fn deadline(&self) -> Option<Duration> {
        self.about.deadline
    }

    /// How the client behaved so far: counts, early talk, idle time.
    pub fn conduct(&self) -> &v1::Conduct {
        &self.about.conduct
    }

    /// The body, as the protocol has it.
    pub fn into_body(self) -> B {
        self.body
    }
}

impl<B> Deref for Event<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.body
    }
}

/// `inbound.connect`: a client connected. Who it is says [`Instance::session`](crate::Instance::session).
pub type Connect = Event<v1::InboundConnect>;
/// `inbound.helo`: HELO, EHLO or LHLO.
pub type Helo = Event<v1::InboundHelo>;
/// `inbound.tls`: a TLS handshake ended.
pub type Tls = Event<v1::InboundTls>;
/// `inbound.mail`: MAIL.
pub type Mail = Event<v1::InboundMail>;
/// `inbound.rcpt`: RCPT.
pub type Rcpt = Event<v1::InboundRcpt>;
/// `inbound.data`: DATA, or the first BDAT.
pub type Data = Event<v1::InboundData>;
/// `inbound.headers`: the header section is complete. The fields are in the message.
pub type Headers = Event<v1::InboundHeaders>;
/// `inbound.command`: any verb, before its own event.
pub type Command = Event<v1::InboundCommand>;
/// `inbound.response`: a reply is about to be sent.
pub type Response = Event<v1::InboundResponse>;
/// `inbound.outcome`: one-way; what became of a transaction.
pub type Outcome = Event<v1::InboundOutcome>;
/// `inbound.reset`: one-way; a transaction was given up.
pub type Reset = Event<v1::InboundReset>;
/// `inbound.disconnect`: one-way; the session ended.
pub type Disconnect = Event<v1::InboundDisconnect>;
/// `delivery.result`: one-way; what became of recipients in one attempt.
pub type DeliveryResult = Event<v1::DeliveryResult>;

impl Helo {
    /// What the client calls itself.
    pub fn name(&self) -> Cow<'_, str> {
        self.helo
            .as_ref()
            .map_or(Cow::Borrowed(""), |helo| text(&helo.name))
    }
}

impl Mail {
    /// The sender without angle brackets; empty for the null reverse-path.
    pub fn sender(&self) -> Cow<'_, str> {
        self.envelope
            .as_ref()
            .map_or(Cow::Borrowed(""), |envelope| text(&envelope.reverse_path))
    }

    /// The line as the client sent it.
    pub fn line(&self) -> Cow<'_, str> {
        line(self.command.as_ref())
    }
}

impl Rcpt {
    /// The address without angle brackets.
    pub fn address(&self) -> Cow<'_, str> {
        self.recipient
            .as_ref()
            .map_or(Cow::Borrowed(""), |recipient| text(&recipient.address))
    }

    /// The id that the recipient keeps: 16 octets, UUIDv7.
    pub fn recipient_id(&self) -> Bytes {
        self.recipient
            .as_ref()
            .map(|recipient| recipient.recipient_id.clone())
            .unwrap_or_default()
    }

    /// The line as the client sent it.
    pub fn line(&self) -> Cow<'_, str> {
        line(self.command.as_ref())
    }
}

impl Command {
    /// The verb, upper case.
    pub fn verb(&self) -> Cow<'_, str> {
        self.command
            .as_ref()
            .map_or(Cow::Borrowed(""), |command| text(&command.verb))
    }

    /// The line as the client sent it.
    pub fn line(&self) -> Cow<'_, str> {
        line(self.command.as_ref())
    }
}

fn line(command: Option<&v1::Command>) -> Cow<'_, str> {
    command.map_or(Cow::Borrowed(""), |command| text(&command.line))
}

/// Octets of mail as text: what is no UTF-8 is replaced. The octets themselves are in the fields.
pub(crate) fn text(octets: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(octets)
}

/// The event that a body belongs to.
pub fn kind_of(body: &v1::event::Kind) -> v1::EventKind {
    use v1::EventKind as E;
    use v1::event::Kind as K;
    match body {
        K::InboundConnect(_) => E::InboundConnect,
        K::InboundHelo(_) => E::InboundHelo,
        K::InboundTls(_) => E::InboundTls,
        K::InboundAuth(_) => E::InboundAuth,
        K::InboundMail(_) => E::InboundMail,
        K::InboundRcpt(_) => E::InboundRcpt,
        K::InboundData(_) => E::InboundData,
        K::InboundHeaders(_) => E::InboundHeaders,
        K::InboundMessage(_) => E::InboundMessage,
        K::InboundCommand(_) => E::InboundCommand,
        K::InboundResponse(_) => E::InboundResponse,
        K::InboundOutcome(_) => E::InboundOutcome,
        K::InboundReset(_) => E::InboundReset,
        K::InboundDisconnect(_) => E::InboundDisconnect,
        K::TransportSubmit(_) => E::TransportSubmit,
        K::TransportPreCategorize(_) => E::TransportPreCategorize,
        K::TransportCategorize(_) => E::TransportCategorize,
        K::TransportExpand(_) => E::TransportExpand,
        K::TransportPostCategorize(_) => E::TransportPostCategorize,
        K::TransportRoute(_) => E::TransportRoute,
        K::TransportMaxSize(_) => E::TransportMaxSize,
        K::TransportResolve(_) => E::TransportResolve,
        K::TransportLocalDelivery(_) => E::TransportLocalDelivery,
        K::TransportDsn(_) => E::TransportDsn,
        K::OutboundSessionStart(_) => E::OutboundSessionStart,
        K::OutboundMessageStart(_) => E::OutboundMessageStart,
        K::OutboundRecipient(_) => E::OutboundRecipient,
        K::OutboundBeforeData(_) => E::OutboundBeforeData,
        K::OutboundSessionEnd(_) => E::OutboundSessionEnd,
        K::OutboundCommand(_) => E::OutboundCommand,
        K::OutboundResponse(_) => E::OutboundResponse,
        K::OutboundTls(_) => E::OutboundTls,
        K::DeliveryResult(_) => E::DeliveryResult,
        K::DeliveryLink(_) => E::DeliveryLink,
        K::ServiceStart(_) => E::ServiceStart,
        K::ServiceStop(_) => E::ServiceStop,
        K::ServiceConfig(_) => E::ServiceConfig,
    }
}

/// The dotted name of an event, as configuration, logs and metrics have it: `inbound.mail`.
pub fn dotted_name(kind: v1::EventKind) -> String {
    let name = kind
        .as_str_name()
        .trim_start_matches("EVENT_KIND_")
        .to_ascii_lowercase();
    name.replacen('_', ".", 1)
}

/// An id as logs, headers and notifications write it. Empty for none.
pub fn id_text(id: &[u8]) -> String {
    Uuid::from_slice(id)
        .map(|id| id.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_configuration() {
        assert_eq!(dotted_name(v1::EventKind::InboundMail), "inbound.mail");
        assert_eq!(
            dotted_name(v1::EventKind::TransportPreCategorize),
            "transport.pre_categorize"
        );
    }
}
