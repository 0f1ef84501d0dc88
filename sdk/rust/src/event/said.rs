//! What the more common events say, as types.

use std::borrow::Cow;

use super::Event;
use crate::address::{Address, Id, ReversePath};
use crate::people::Recipient;
use crate::v1;

/// `inbound.connect`: a client connected. [`Session`](crate::Session) has who it is.
pub type Connect = Event<v1::InboundConnect>;
/// `inbound.helo`: HELO, EHLO or LHLO.
pub type Helo = Event<v1::InboundHelo>;
/// `inbound.tls`: a TLS handshake ended.
pub type Tls = Event<v1::InboundTls>;
/// `inbound.auth`: a step of an AUTH exchange.
pub type Auth = Event<v1::InboundAuth>;
/// `inbound.mail`: MAIL.
pub type Mail = Event<v1::InboundMail>;
/// `inbound.rcpt`: RCPT.
pub type Rcpt = Event<v1::InboundRcpt>;
/// `inbound.data`: DATA, or the first BDAT.
pub type Data = Event<v1::InboundData>;
/// `inbound.headers`: the header section is complete. [`Message`](crate::Message) has the fields.
pub type Headers = Event<v1::InboundHeaders>;
/// `inbound.command`: any verb, before its own event.
pub type Command = Event<v1::InboundCommand>;
/// `inbound.response`: a reply is about to be sent.
pub type Response = Event<v1::InboundResponse>;
/// `inbound.outcome`: what became of a transaction.
pub type Outcome = Event<v1::InboundOutcome>;
/// `inbound.reset`: a transaction was given up.
pub type Reset = Event<v1::InboundReset>;
/// `inbound.disconnect`: the session ended.
pub type Disconnect = Event<v1::InboundDisconnect>;
/// `delivery.result`: what became of recipients in one attempt.
pub type DeliveryResult = Event<v1::DeliveryResult>;

/// The RCPTs of a pipelined group, in their order. Those that nobody waits for any more are not among them.
#[derive(Clone, Debug, PartialEq)]
pub struct RcptGroup(pub(crate) Vec<Rcpt>);

impl RcptGroup {
    /// The RCPTs.
    pub fn iter(&self) -> impl Iterator<Item = &Rcpt> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: a group has one member at least.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Helo {
    /// What the client calls itself.
    pub fn name(&self) -> Cow<'_, str> {
        self.helo
            .as_ref()
            .map_or(Cow::Borrowed(""), |helo| text(&helo.name))
    }
}

impl Mail {
    /// The sender.
    pub fn sender(&self) -> ReversePath {
        let path = self
            .envelope
            .as_ref()
            .map(|envelope| &envelope.reverse_path);
        path.map_or(ReversePath::Null, |path| ReversePath::of_wire(path))
    }

    /// The id that the transaction gets if it is accepted.
    pub fn transaction_id(&self) -> Id {
        Id::from(self.transaction_id.clone())
    }

    /// The line as the client sent it.
    pub fn line(&self) -> Cow<'_, str> {
        line(self.command.as_ref())
    }
}

impl Rcpt {
    /// The address.
    pub fn address(&self) -> Address {
        Address::of_wire(
            self.recipient
                .as_ref()
                .map_or(&[], |recipient| &recipient.address),
        )
    }

    /// The recipient, with the id that it keeps.
    pub fn recipient(&self) -> Recipient {
        Recipient::from(self.recipient.clone().unwrap_or_default())
    }

    /// Whether an accepted or pending recipient of this transaction has the same address.
    pub fn is_duplicate(&self) -> bool {
        !self.duplicate_of_recipient_id.is_empty()
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

    /// In a dialogue that the sink carries on: the line, or the octets, that it has asked for.
    pub fn input(&self) -> Option<&[u8]> {
        self.dialogue_input.as_deref()
    }
}

impl Auth {
    /// The mechanism, upper case.
    pub fn mechanism(&self) -> Cow<'_, str> {
        text(&self.mechanism)
    }

    /// What the client sent in this step, decoded. `None`: nothing, or the sink does not read `credentials`.
    pub fn response(&self) -> Option<&[u8]> {
        self.response.as_deref()
    }
}

fn line(command: Option<&v1::Command>) -> Cow<'_, str> {
    command.map_or(Cow::Borrowed(""), |command| text(&command.line))
}

/// Octets of mail as text: what is no UTF-8 is replaced. The octets themselves are in the fields.
fn text(octets: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(octets)
}
