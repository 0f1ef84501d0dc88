//! The events as types and constants.

use super::interest::{Asked, Interest, Told};
use crate::v1::{self, EventKind, body_depth, event};

/// The body of an event.
pub trait EventBody: Sized + Send + 'static {
    /// The event.
    const KIND: EventKind;

    /// The body, if the event is of this kind.
    fn of(kind: event::Kind) -> Option<Self>;
}

/// An event that can be asked together with the first RCPT.
pub trait MayWait {}

/// An event that can be told instead of asked.
pub trait OnlyTold {}

/// An event that brings header fields and body.
pub trait ShowsBody {}

/// An event that has a message to be looked at and edited.
pub trait ShowsMessage {}

/// An event of a running transaction or of a message.
pub trait InTransaction {}

macro_rules! events {
    ($($body:ident)*; boxed $($boxed:ident)*) => {
        $(impl EventBody for v1::$body {
            const KIND: EventKind = EventKind::$body;

            fn of(kind: event::Kind) -> Option<Self> {
                match kind {
                    event::Kind::$body(body) => Some(body),
                    _ => None,
                }
            }
        })*
        $(impl EventBody for v1::$boxed {
            const KIND: EventKind = EventKind::$boxed;

            fn of(kind: event::Kind) -> Option<Self> {
                match kind {
                    event::Kind::$boxed(body) => Some(*body),
                    _ => None,
                }
            }
        })*
    };
}

macro_rules! are {
    ($($name:ident: $($body:ident)*;)*) => {
        $($(impl $name for v1::$body {})*)*
    };
}

events! {
    InboundConnect InboundHelo InboundTls InboundAuth InboundData InboundHeaders InboundMessage
    InboundCommand InboundReset InboundDisconnect TransportSubmit TransportPreCategorize
    TransportCategorize TransportExpand TransportPostCategorize TransportMaxSize TransportResolve
    TransportLocalDelivery OutboundRecipient OutboundBeforeData OutboundSessionEnd OutboundCommand
    DeliveryLink ServiceStart ServiceStop ServiceConfig;
    boxed
    InboundMail InboundRcpt InboundResponse InboundOutcome TransportRoute TransportDsn
    OutboundSessionStart OutboundMessageStart OutboundResponse OutboundTls DeliveryResult
    DeliveryTrack
}

are! {
    MayWait: InboundConnect InboundHelo InboundTls InboundMail;
    OnlyTold:
        InboundConnect InboundHelo InboundTls InboundAuth InboundMail InboundRcpt InboundData
        InboundHeaders InboundMessage InboundCommand InboundResponse OutboundSessionStart
        OutboundMessageStart OutboundRecipient OutboundBeforeData OutboundSessionEnd
        OutboundCommand OutboundResponse OutboundTls;
    ShowsBody:
        InboundMessage TransportSubmit TransportPreCategorize TransportPostCategorize
        TransportLocalDelivery TransportDsn OutboundMessageStart;
    ShowsMessage:
        InboundHeaders InboundMessage TransportSubmit TransportPreCategorize
        TransportPostCategorize TransportLocalDelivery TransportDsn OutboundMessageStart;
    InTransaction:
        InboundMail InboundRcpt InboundData InboundHeaders InboundMessage InboundOutcome
        TransportSubmit TransportPreCategorize TransportCategorize TransportExpand
        TransportPostCategorize TransportMaxSize TransportLocalDelivery TransportDsn
        OutboundMessageStart OutboundRecipient OutboundBeforeData OutboundCommand OutboundResponse;
}

const FIELDS: Option<body_depth::Kind> = Some(body_depth::Kind::Headers(v1::HeadersOnly {}));

/// Events of inbound sessions.
pub mod inbound {
    use super::*;

    /// `inbound.connect`: a client connected; the banner has not been sent.
    pub const CONNECT: Interest<v1::InboundConnect, Asked> =
        Interest::of(EventKind::InboundConnect, None);
    /// `inbound.helo`: HELO, EHLO or LHLO.
    pub const HELO: Interest<v1::InboundHelo, Asked> = Interest::of(EventKind::InboundHelo, None);
    /// `inbound.tls`: a TLS handshake ended, well or not.
    pub const TLS: Interest<v1::InboundTls, Asked> = Interest::of(EventKind::InboundTls, None);
    /// `inbound.auth`: a step of an AUTH exchange.
    pub const AUTH: Interest<v1::InboundAuth, Asked> = Interest::of(EventKind::InboundAuth, None);
    /// `inbound.mail`: MAIL.
    pub const MAIL: Interest<v1::InboundMail, Asked> = Interest::of(EventKind::InboundMail, None);
    /// `inbound.rcpt`: RCPT. Those of a pipelined group are judged at the same time.
    pub const RCPT: Interest<v1::InboundRcpt, Asked> = Interest::of(EventKind::InboundRcpt, None);
    /// `inbound.data`: DATA, or the first BDAT.
    pub const DATA: Interest<v1::InboundData, Asked> = Interest::of(EventKind::InboundData, None);
    /// `inbound.headers`: the header section is complete, the body is still arriving.
    pub const HEADERS: Interest<v1::InboundHeaders, Asked> =
        Interest::of(EventKind::InboundHeaders, FIELDS);
    /// `inbound.message`: the message. Asked when the header section is complete; the body follows as it arrives.
    pub const MESSAGE: Interest<v1::InboundMessage, Asked> =
        Interest::of(EventKind::InboundMessage, FIELDS);
    /// `inbound.command`: any verb, before its own event.
    pub const COMMAND: Interest<v1::InboundCommand, Asked> =
        Interest::of(EventKind::InboundCommand, None);
    /// `inbound.response`: a reply is about to be sent.
    pub const RESPONSE: Interest<v1::InboundResponse, Asked> =
        Interest::of(EventKind::InboundResponse, None);
    /// `inbound.outcome`: what became of a transaction. One-way.
    pub const OUTCOME: Interest<v1::InboundOutcome, Told> =
        Interest::of(EventKind::InboundOutcome, None);
    /// `inbound.reset`: a transaction was given up before its content. One-way.
    pub const RESET: Interest<v1::InboundReset, Told> = Interest::of(EventKind::InboundReset, None);
    /// `inbound.disconnect`: the session ended. One-way.
    pub const DISCONNECT: Interest<v1::InboundDisconnect, Told> =
        Interest::of(EventKind::InboundDisconnect, None);
}

/// Events of accepted messages.
pub mod transport {
    use super::*;

    /// `transport.submit`: the message was accepted and is durable.
    pub const SUBMIT: Interest<v1::TransportSubmit, Asked> =
        Interest::of(EventKind::TransportSubmit, FIELDS);
    /// `transport.pre_categorize`: before recipients are resolved.
    pub const PRE_CATEGORIZE: Interest<v1::TransportPreCategorize, Asked> =
        Interest::of(EventKind::TransportPreCategorize, FIELDS);
    /// `transport.categorize`: recipients, and the sender, are to be resolved.
    pub const CATEGORIZE: Interest<v1::TransportCategorize, Asked> =
        Interest::of(EventKind::TransportCategorize, None);
    /// `transport.expand`: one recipient or list is to be resolved.
    pub const EXPAND: Interest<v1::TransportExpand, Asked> =
        Interest::of(EventKind::TransportExpand, None);
    /// `transport.post_categorize`: all recipients are resolved.
    pub const POST_CATEGORIZE: Interest<v1::TransportPostCategorize, Asked> =
        Interest::of(EventKind::TransportPostCategorize, FIELDS);
    /// `transport.route`: where the messages of one class for one destination go.
    pub const ROUTE: Interest<v1::TransportRoute, Asked> =
        Interest::of(EventKind::TransportRoute, None);
    /// `transport.max_size`: a size limit would refuse the message.
    pub const MAX_SIZE: Interest<v1::TransportMaxSize, Asked> =
        Interest::of(EventKind::TransportMaxSize, None);
    /// `transport.resolve`: addresses are needed for a name.
    pub const RESOLVE: Interest<v1::TransportResolve, Asked> =
        Interest::of(EventKind::TransportResolve, None);
    /// `transport.local_delivery`: this sink is the mailbox store of some recipients.
    pub const LOCAL_DELIVERY: Interest<v1::TransportLocalDelivery, Asked> =
        Interest::of(EventKind::TransportLocalDelivery, FIELDS);
    /// `transport.dsn`: a notification is about to be made, or was made.
    pub const DSN: Interest<v1::TransportDsn, Asked> =
        Interest::of(EventKind::TransportDsn, FIELDS);
}

/// Events of outgoing sessions.
pub mod outbound {
    use super::*;

    /// `outbound.session_start`: before EHLO of an outgoing session.
    pub const SESSION_START: Interest<v1::OutboundSessionStart, Asked> =
        Interest::of(EventKind::OutboundSessionStart, None);
    /// `outbound.message_start`: before MAIL, after every conversion; edits belong to this attempt.
    pub const MESSAGE_START: Interest<v1::OutboundMessageStart, Asked> =
        Interest::of(EventKind::OutboundMessageStart, FIELDS);
    /// `outbound.recipient`: before each RCPT.
    pub const RECIPIENT: Interest<v1::OutboundRecipient, Asked> =
        Interest::of(EventKind::OutboundRecipient, None);
    /// `outbound.before_data`: before DATA or BDAT.
    pub const BEFORE_DATA: Interest<v1::OutboundBeforeData, Asked> =
        Interest::of(EventKind::OutboundBeforeData, None);
    /// `outbound.session_end`: before QUIT.
    pub const SESSION_END: Interest<v1::OutboundSessionEnd, Asked> =
        Interest::of(EventKind::OutboundSessionEnd, None);
    /// `outbound.command`: any command, before it is sent.
    pub const COMMAND: Interest<v1::OutboundCommand, Asked> =
        Interest::of(EventKind::OutboundCommand, None);
    /// `outbound.response`: the remote answered.
    pub const RESPONSE: Interest<v1::OutboundResponse, Asked> =
        Interest::of(EventKind::OutboundResponse, None);
    /// `outbound.tls`: how TLS turned out in this attempt.
    pub const TLS: Interest<v1::OutboundTls, Asked> = Interest::of(EventKind::OutboundTls, None);
}

/// What is told of deliveries.
pub mod delivery {
    use super::*;

    /// `delivery.result`: what became of recipients in one attempt. One-way.
    pub const RESULT: Interest<v1::DeliveryResult, Told> =
        Interest::of(EventKind::DeliveryResult, None);
    /// `delivery.link`: a destination went down or came back. One-way.
    pub const LINK: Interest<v1::DeliveryLink, Told> = Interest::of(EventKind::DeliveryLink, None);
    /// `delivery.track`: a step in a message's life. One-way.
    pub const TRACK: Interest<v1::DeliveryTrack, Told> =
        Interest::of(EventKind::DeliveryTrack, None);
}

/// The gateway's own life.
pub mod service {
    use super::*;

    /// `service.start`: the gateway started, or this replica became reachable. One-way.
    pub const START: Interest<v1::ServiceStart, Told> = Interest::of(EventKind::ServiceStart, None);
    /// `service.stop`: the gateway is stopping. One-way.
    pub const STOP: Interest<v1::ServiceStop, Told> = Interest::of(EventKind::ServiceStop, None);
    /// `service.config`: another configuration took effect. One-way.
    pub const CONFIG: Interest<v1::ServiceConfig, Told> =
        Interest::of(EventKind::ServiceConfig, None);
}
