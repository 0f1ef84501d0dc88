//! What a sink asks for, beside what its binding gives.

use std::fmt;

use postern_proto::v1 as pb;

use super::spec::BodyDepth;
use super::{Binding, Pin};
use crate::event::EventKind;
use crate::grant::{Grants, Reads};

/// Something that a sink asks for and its binding does not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// Less of the content than it needs at an event.
    Depth {
        /// The event.
        event: EventKind,
        /// What it is given.
        given: BodyDepth,
        /// What it needs.
        wanted: BodyDepth,
    },
    /// Words of `reads` that it needs.
    Reads(Vec<String>),
    /// Words of `may` that it needs.
    Grants(Vec<String>),
    /// Events that it wants and is not bound to.
    Events(Vec<EventKind>),
    /// A word of its description that is none.
    Word(String),
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depth {
                event,
                given,
                wanted,
            } => write!(
                f,
                "at {event} its sink asks for body {:?} and gets {:?}",
                wanted.name(),
                given.name()
            ),
            Self::Reads(words) => write!(f, "its sink also wants to read {}", words.join(", ")),
            Self::Grants(words) => write!(f, "its sink also asks for {}", words.join(", ")),
            Self::Events(events) => {
                let names: Vec<&str> = events.iter().map(|event| event.name()).collect();
                write!(f, "its sink also wants {}", names.join(", "))
            }
            Self::Word(word) => write!(f, "its sink describes {word:?}, which is no word"),
        }
    }
}

/// Something that answers in a sink's place and is not what was accepted: it is not asked, and nothing is shown to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// Another program.
    #[error("{accepted:?} was accepted, and {found:?} answers; it is not asked")]
    Name {
        /// The name of the one that was accepted.
        accepted: String,
        /// The name of the one that answers.
        found: String,
    },
    /// A process of another user.
    #[error(
        "{name:?} was accepted as a process of user {}, and one of user {found} answers; it is not asked",
        listed(accepted)
    )]
    User {
        /// The name of the one that was accepted.
        name: String,
        /// The user ids that it had.
        accepted: Vec<u32>,
        /// The user id of the one that answers.
        found: u32,
    },
}

impl Stranger {
    fn found(accepted: &str, users: &[u32], name: &str, user: Option<u32>) -> Option<Self> {
        if accepted != name {
            return Some(Self::Name {
                accepted: accepted.to_owned(),
                found: name.to_owned(),
            });
        }
        let found = user.filter(|user| !users.is_empty() && !users.contains(user))?;
        Some(Self::User {
            name: accepted.to_owned(),
            accepted: users.to_vec(),
            found,
        })
    }
}

impl Pin {
    /// As [`Binding::stranger`], for a description that is on record. One without a name says nothing.
    #[must_use]
    pub fn stranger(&self, name: &str, user: Option<u32>) -> Option<Stranger> {
        match self.name.as_str() {
            "" => None,
            accepted => Stranger::found(accepted, &self.users, name, user),
        }
    }
}

fn listed(users: &[u32]) -> String {
    let users: Vec<_> = users.iter().map(u32::to_string).collect();
    users.join(" or ")
}

/// How careful one must be about asking a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caution {
    /// It is asked in its turn, never ahead of it.
    pub side_effects: bool,
    /// It may be asked the same again, here or on another replica.
    pub repeatable: bool,
}

impl Binding {
    /// The more careful of what was accepted and what the sink says now.
    #[must_use]
    pub fn caution(&self, described: Option<&pb::DescribeResponse>) -> Caution {
        let live = described.is_some_and(|live| live.side_effects);
        let live_repeatable = described.is_none_or(|live| live.repeatable || !live.side_effects);
        Caution {
            side_effects: self.side_effects || live,
            repeatable: self.repeatable && live_repeatable,
        }
    }

    /// Why what answers is not the sink that was accepted. `user`: of its process, where it answers on a Unix socket.
    /// Nothing was accepted: anything may answer.
    #[must_use]
    pub fn stranger(&self, name: &str, user: Option<u32>) -> Option<Stranger> {
        let accepted = self.accepted_name.as_ref()?;
        Stranger::found(accepted, &self.accepted_users, name, user)
    }

    /// What the sink asks for and does not get. Of events that it is not bound to only that they are wanted.
    #[must_use]
    pub fn shortfalls(&self, described: &pb::DescribeResponse) -> Vec<Shortfall> {
        let mut found = Vec::new();
        let mut unbound = Vec::new();
        for interest in &described.events {
            let Some(event) = EventKind::from_number(interest.event) else {
                continue;
            };
            let wanted = BodyDepth::described(interest.body.as_ref());
            match self.bound(event) {
                None => unbound.push(event),
                Some(bound) if event.shows_content() && !bound.depth.gives(wanted) => {
                    found.push(Shortfall::Depth {
                        event,
                        given: bound.depth,
                        wanted,
                    });
                }
                Some(_) => {}
            }
        }
        if !unbound.is_empty() {
            found.push(Shortfall::Events(unbound));
        }
        self.missing_words(described, &mut found);
        found
    }

    fn missing_words(&self, described: &pb::DescribeResponse, found: &mut Vec<Shortfall>) {
        let mut reads = Vec::new();
        for word in &described.reads {
            match Reads::parse(&[word]) {
                Ok(wanted) if self.reads.cover(&wanted) => {}
                Ok(_) => reads.push(word.clone()),
                Err(_) => found.push(Shortfall::Word(word.clone())),
            }
        }
        let mut grants = Vec::new();
        for word in &described.grants {
            match Grants::parse_all(&[word]) {
                Ok(wanted) if self.grants.cover(&wanted) => {}
                Ok(_) => grants.push(word.clone()),
                Err(_) => found.push(Shortfall::Word(word.clone())),
            }
        }
        if !reads.is_empty() {
            found.push(Shortfall::Reads(reads));
        }
        if !grants.is_empty() {
            found.push(Shortfall::Grants(grants));
        }
    }
}
