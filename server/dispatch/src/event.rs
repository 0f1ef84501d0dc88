//! The events of a session's and a message's life, by their dotted names.

use std::fmt;
use std::str::FromStr;

/// Which events share defaults and failure policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventGroup {
    /// A client waits for the reply to a command, the greeting or a handshake.
    Command,
    /// The header section is complete, the body is still arriving.
    Headers,
    /// A client waits for the reply to its message.
    Message,
    /// The message is in the spool; no client waits.
    Transport,
    /// Stages of an outgoing session.
    Outgoing,
    /// Told, not asked: nobody waits for an answer.
    OneWay,
}

impl EventGroup {
    /// The word used in the configuration and in the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Headers => "headers",
            Self::Message => "message",
            Self::Transport => "transport",
            Self::Outgoing => "outgoing",
            Self::OneWay => "one-way",
        }
    }

    /// The group whose column of the failure policy table applies. `inbound.headers` belongs to the message;
    /// one-way events have none.
    #[must_use]
    pub const fn policy_group(self) -> Option<Self> {
        match self {
            Self::Command => Some(Self::Command),
            Self::Headers | Self::Message => Some(Self::Message),
            Self::Transport => Some(Self::Transport),
            Self::Outgoing => Some(Self::Outgoing),
            Self::OneWay => None,
        }
    }
}

impl fmt::Display for EventGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $dotted:literal, $group:ident, $published:literal;)+) => {
        /// One event. `Display` and `FromStr` use the dotted name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind {
            $($(#[$doc])* $name,)+
        }

        impl EventKind {
            /// All events of the model, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The dotted name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $dotted,)+ }
            }

            /// Its group.
            #[must_use]
            pub const fn group(self) -> EventGroup {
                match self { $(Self::$name => EventGroup::$group,)+ }
            }

            /// Whether this version publishes it. A binding to an event that is not published is refused.
            #[must_use]
            pub const fn is_published(self) -> bool {
                match self { $(Self::$name => $published,)+ }
            }
        }
    };
}

events! {
    /// A client connected.
    InboundConnect = "inbound.connect", Command, true;
    /// HELO, EHLO or LHLO.
    InboundHelo = "inbound.helo", Command, true;
    /// A TLS handshake with the client ended.
    InboundTls = "inbound.tls", Command, true;
    /// An AUTH exchange.
    InboundAuth = "inbound.auth", Command, false;
    /// MAIL.
    InboundMail = "inbound.mail", Command, true;
    /// RCPT, one event for each recipient.
    InboundRcpt = "inbound.rcpt", Command, true;
    /// DATA, or the first BDAT.
    InboundData = "inbound.data", Command, true;
    /// The header section is complete.
    InboundHeaders = "inbound.headers", Headers, true;
    /// The message, before its reply.
    InboundMessage = "inbound.message", Message, true;
    /// Any command line, before the service's own handling.
    InboundCommand = "inbound.command", Command, true;
    /// A reply is about to be sent to the client.
    InboundResponse = "inbound.response", Command, true;
    /// What became of the transaction.
    InboundOutcome = "inbound.outcome", OneWay, true;
    /// The transaction was given up: RSET, or a new one began.
    InboundReset = "inbound.reset", OneWay, true;
    /// The session ended.
    InboundDisconnect = "inbound.disconnect", OneWay, true;
    /// The message was accepted and is durable.
    TransportSubmit = "transport.submit", Transport, true;
    /// Recipients are about to be resolved.
    TransportPreCategorize = "transport.pre_categorize", Transport, false;
    /// Recipients are being resolved.
    TransportCategorize = "transport.categorize", Transport, false;
    /// A recipient or list is being expanded.
    TransportExpand = "transport.expand", Transport, false;
    /// Recipients have been resolved.
    TransportPostCategorize = "transport.post_categorize", Transport, false;
    /// A destination is being routed.
    TransportRoute = "transport.route", Transport, false;
    /// A size limit would refuse the message.
    TransportMaxSize = "transport.max_size", Transport, false;
    /// DNS for a destination.
    TransportResolve = "transport.resolve", Transport, false;
    /// A local recipient is about to be delivered.
    TransportLocalDelivery = "transport.local_delivery", Transport, false;
    /// A delivery status notification is about to be made, or was made.
    TransportDsn = "transport.dsn", Transport, false;
    /// An outgoing session begins.
    OutboundSessionStart = "outbound.session_start", Outgoing, false;
    /// A message is about to be sent in an outgoing session.
    OutboundMessageStart = "outbound.message_start", Outgoing, false;
    /// A recipient is about to be sent.
    OutboundRecipient = "outbound.recipient", Outgoing, false;
    /// DATA is about to be sent.
    OutboundBeforeData = "outbound.before_data", Outgoing, false;
    /// An outgoing session ends.
    OutboundSessionEnd = "outbound.session_end", Outgoing, false;
    /// A command is about to be sent.
    OutboundCommand = "outbound.command", Outgoing, false;
    /// The remote host answered.
    OutboundResponse = "outbound.response", Outgoing, false;
    /// The TLS result of an outgoing attempt.
    OutboundTls = "outbound.tls", Outgoing, false;
    /// What became of recipients: delivered, deferred, failed, expired, relayed.
    DeliveryResult = "delivery.result", OneWay, true;
    /// A destination went down or came back.
    DeliveryLink = "delivery.link", OneWay, false;
    /// The gateway started.
    ServiceStart = "service.start", OneWay, false;
    /// The gateway is stopping.
    ServiceStop = "service.stop", OneWay, false;
    /// The gateway's configuration changed.
    ServiceConfig = "service.config", OneWay, false;
}

impl EventKind {
    /// How many events there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Its place in [`EventKind::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Told, not asked.
    #[must_use]
    pub const fn is_one_way(self) -> bool {
        matches!(self.group(), EventGroup::OneWay)
    }

    /// The events that this version publishes.
    pub fn published() -> impl Iterator<Item = Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(|event| event.is_published())
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no event has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no event is called {name:?}")]
pub struct UnknownEvent {
    /// What was given.
    pub name: String,
}

impl FromStr for EventKind {
    type Err = UnknownEvent;

    fn from_str(name: &str) -> Result<Self, UnknownEvent> {
        Self::ALL
            .iter()
            .copied()
            .find(|event| event.name() == name)
            .ok_or_else(|| UnknownEvent {
                name: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_lead_back_and_indices_are_places() {
        for (place, event) in EventKind::ALL.iter().enumerate() {
            assert_eq!(event.name().parse::<EventKind>().unwrap(), *event);
            assert_eq!(event.index(), place);
        }
        assert!("inbound.Mail".parse::<EventKind>().is_err());
    }

    #[test]
    fn this_version_publishes_fifteen_events() {
        assert_eq!(EventKind::published().count(), 15);
        assert!(!EventKind::InboundAuth.is_published());
        assert!(EventKind::DeliveryResult.is_one_way());
    }
}
