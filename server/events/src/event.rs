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

macro_rules! kinds {
    ($(#[doc = $about:literal] $kind:ident = $number:literal;)+) => {
        /// One event. `Display` and `FromStr` use the dotted name; the discriminant is the number on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum EventKind {
            $(#[doc = $about] $kind = $number,)+
        }

        impl EventKind {
            /// All events of the model, by number.
            pub const ALL: [Self; rules::EVENTS.len()] = [$(Self::$kind,)+];
        }
    };
}

// The rows of `rules.json`; the comments on the events' bodies say what each is.
postern_proto::for_each_event!(kinds);

impl EventKind {
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
    pub const fn shows_content(self) -> bool {
        self.rule().shows_content
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
    fn a_version_publishes_what_it_fires() {
        let published: Vec<EventKind> = EventKind::published().collect();
        for event in EventKind::ALL {
            assert_eq!(published.contains(&event), event.is_published(), "{event}");
        }
        assert!(EventKind::InboundRcpt.is_published());
        assert!(EventKind::DeliveryResult.is_one_way() && !EventKind::InboundRcpt.is_one_way());
    }

    #[test]
    fn content_is_shown_with_what_has_some() {
        use EventKind as E;
        for (event, shows) in [
            (E::InboundHeaders, true),
            (E::InboundMessage, true),
            (E::TransportSubmit, true),
            (E::TransportDsn, true),
            (E::OutboundMessageStart, true),
            (E::InboundData, false),
            // A destination and a size limit have none.
            (E::TransportRoute, false),
            (E::TransportMaxSize, false),
            (E::OutboundBeforeData, false),
        ] {
            assert_eq!(event.shows_content(), shows, "{event}");
        }
    }

    #[test]
    fn each_group_has_its_word_and_its_column_of_policies() {
        use EventGroup as G;
        for (group, name, column) in [
            (G::Command, "command", Some(G::Command)),
            (G::Headers, "headers", Some(G::Message)),
            (G::Message, "message", Some(G::Message)),
            (G::Transport, "transport", Some(G::Transport)),
            (G::Outgoing, "outgoing", Some(G::Outgoing)),
            (G::OneWay, "one-way", None),
        ] {
            assert_eq!((group.name(), group.policy_group()), (name, column));
            assert_eq!(group.to_string(), name);
        }
        for event in EventKind::ALL {
            let group = event.rule().group.map(Group::name);
            assert_eq!(event.group().name(), group.unwrap_or("one-way"), "{event}");
        }
    }
}
