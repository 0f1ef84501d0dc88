//! The events of a session's and a message's life, by their dotted names.
//!
//! What each allows is a row of `rules.json`; this type names the rows.

use std::fmt;
use std::str::FromStr;

use postern_proto::rules::{self, EventRule, Group};
use postern_proto::v1 as pb;

/// A group of events that share defaults and failure policies.
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
            Self::Headers => Some(Self::Message),
            Self::OneWay => None,
            own => Some(own),
        }
    }
}

impl From<Option<Group>> for EventGroup {
    fn from(group: Option<Group>) -> Self {
        match group {
            Some(Group::Command) => Self::Command,
            Some(Group::Headers) => Self::Headers,
            Some(Group::Message) => Self::Message,
            Some(Group::Transport) => Self::Transport,
            Some(Group::Outgoing) => Self::Outgoing,
            None => Self::OneWay,
        }
    }
}

impl fmt::Display for EventGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One event. `Display` and `FromStr` use the dotted name; the discriminant is the number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum EventKind {
    /// A client connected.
    InboundConnect = 1,
    /// HELO, EHLO or LHLO.
    InboundHelo = 2,
    /// A TLS handshake with the client ended.
    InboundTls = 3,
    /// A step of an AUTH exchange.
    InboundAuth = 4,
    /// MAIL.
    InboundMail = 5,
    /// RCPT, one event for each recipient.
    InboundRcpt = 6,
    /// DATA, or the first BDAT.
    InboundData = 7,
    /// The header section is complete.
    InboundHeaders = 8,
    /// The message, before its reply.
    InboundMessage = 9,
    /// Any command line, before the service's own handling.
    InboundCommand = 10,
    /// A reply is about to be sent to the client.
    InboundResponse = 11,
    /// What became of the transaction.
    InboundOutcome = 12,
    /// The transaction was given up: RSET, or a new one began.
    InboundReset = 13,
    /// The session ended.
    InboundDisconnect = 14,
    /// The message was accepted and is durable.
    TransportSubmit = 31,
    /// Recipients are about to be resolved.
    TransportPreCategorize = 32,
    /// Recipients are being resolved.
    TransportCategorize = 33,
    /// A recipient or list is being expanded.
    TransportExpand = 34,
    /// Recipients have been resolved.
    TransportPostCategorize = 35,
    /// A destination is being routed.
    TransportRoute = 36,
    /// A size limit would refuse the message.
    TransportMaxSize = 37,
    /// Addresses are needed for a name.
    TransportResolve = 38,
    /// Local recipients are about to be delivered by a sink.
    TransportLocalDelivery = 39,
    /// A delivery status notification is about to be made, or was made.
    TransportDsn = 40,
    /// An outgoing session begins.
    OutboundSessionStart = 61,
    /// A message is about to be sent in an outgoing session.
    OutboundMessageStart = 62,
    /// A recipient is about to be sent.
    OutboundRecipient = 63,
    /// DATA is about to be sent.
    OutboundBeforeData = 64,
    /// An outgoing session ends.
    OutboundSessionEnd = 65,
    /// A command is about to be sent.
    OutboundCommand = 66,
    /// The remote host answered.
    OutboundResponse = 67,
    /// The TLS result of an outgoing attempt.
    OutboundTls = 68,
    /// What became of recipients in one attempt.
    DeliveryResult = 91,
    /// A destination went down or came back.
    DeliveryLink = 92,
    /// A step in a message's life.
    DeliveryTrack = 93,
    /// The gateway started.
    ServiceStart = 101,
    /// The gateway is stopping.
    ServiceStop = 102,
    /// Another configuration took effect.
    ServiceConfig = 103,
}

impl EventKind {
    /// All events of the model, by number.
    pub const ALL: [Self; 38] = [
        Self::InboundConnect,
        Self::InboundHelo,
        Self::InboundTls,
        Self::InboundAuth,
        Self::InboundMail,
        Self::InboundRcpt,
        Self::InboundData,
        Self::InboundHeaders,
        Self::InboundMessage,
        Self::InboundCommand,
        Self::InboundResponse,
        Self::InboundOutcome,
        Self::InboundReset,
        Self::InboundDisconnect,
        Self::TransportSubmit,
        Self::TransportPreCategorize,
        Self::TransportCategorize,
        Self::TransportExpand,
        Self::TransportPostCategorize,
        Self::TransportRoute,
        Self::TransportMaxSize,
        Self::TransportResolve,
        Self::TransportLocalDelivery,
        Self::TransportDsn,
        Self::OutboundSessionStart,
        Self::OutboundMessageStart,
        Self::OutboundRecipient,
        Self::OutboundBeforeData,
        Self::OutboundSessionEnd,
        Self::OutboundCommand,
        Self::OutboundResponse,
        Self::OutboundTls,
        Self::DeliveryResult,
        Self::DeliveryLink,
        Self::DeliveryTrack,
        Self::ServiceStart,
        Self::ServiceStop,
        Self::ServiceConfig,
    ];

    /// How many events there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Its row of the table.
    #[must_use]
    pub const fn rule(self) -> &'static EventRule {
        &rules::EVENTS[self.index()]
    }

    /// Its place in [`EventKind::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        let mut index = 0;
        while index < Self::COUNT {
            if Self::ALL[index] as i32 == self as i32 {
                break;
            }
            index += 1;
        }
        index
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The event with this number on the wire.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.number() == number)
    }

    /// The dotted name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.rule().name
    }

    /// Its group.
    #[must_use]
    pub fn group(self) -> EventGroup {
        self.rule().group.into()
    }

    /// What an instance that gets it is about.
    #[must_use]
    pub const fn scope(self) -> pb::Scope {
        self.rule().scope
    }

    /// Whether this version publishes it. A binding to an event that is not published is refused.
    #[must_use]
    pub const fn is_published(self) -> bool {
        self.rule().published()
    }

    /// Told, not asked.
    #[must_use]
    pub const fn is_one_way(self) -> bool {
        !self.rule().asked
    }

    /// Whether content may be shown at it.
    #[must_use]
    pub fn shows_content(self) -> bool {
        match self {
            Self::InboundHeaders | Self::InboundMessage | Self::OutboundMessageStart => true,
            // A destination and a size limit have no content to show.
            Self::TransportRoute | Self::TransportResolve | Self::TransportMaxSize => false,
            _ => self.group() == EventGroup::Transport,
        }
    }

    /// The events that this version publishes.
    pub fn published() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|event| event.is_published())
    }
}

impl From<EventKind> for pb::EventKind {
    fn from(event: EventKind) -> Self {
        event.rule().kind
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
            .into_iter()
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
    fn the_events_are_the_rows_of_the_table() {
        assert_eq!(EventKind::ALL.len(), rules::EVENTS.len());
        for (place, event) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(event.index(), place);
            assert_eq!(event.number(), event.rule().kind as i32);
            assert_eq!(event.name().parse::<EventKind>().unwrap(), event);
            assert_eq!(EventKind::from_number(event.number()), Some(event));
            let words = format!("{event:?}").to_lowercase();
            assert_eq!(words, event.name().replace(['.', '_'], ""));
        }
        assert!("inbound.Mail".parse::<EventKind>().is_err());
        assert_eq!(EventKind::from_number(0), None);
    }

    #[test]
    fn this_version_publishes_fifteen_events() {
        assert_eq!(EventKind::published().count(), 15);
        assert!(!EventKind::InboundAuth.is_published());
        assert!(EventKind::DeliveryResult.is_one_way());
    }
}
