//! What a sink asks for, beside what its binding gives.

use std::fmt;

use postern_proto::v1 as pb;

use super::Binding;
use super::spec::BodyDepth;
use crate::event::EventKind;
use crate::grant::{Grants, Reads};

/// Something that a sink asks for and its binding does not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// It is another program than the one that was accepted.
    Identity {
        /// The name of the one that was accepted.
        accepted: String,
        /// The name of the one that answered.
        found: String,
    },
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
            Self::Identity { accepted, found } => {
                write!(f, "{accepted:?} was accepted, and {found:?} answers")
            }
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

    /// What the sink asks for and does not get. Of events that it is not bound to only that they are wanted.
    #[must_use]
    pub fn shortfalls(&self, described: &pb::DescribeResponse) -> Vec<Shortfall> {
        let mut found = Vec::new();
        if let Some(accepted) = &self.accepted_name
            && *accepted != described.name
        {
            found.push(Shortfall::Identity {
                accepted: accepted.clone(),
                found: described.name.clone(),
            });
        }
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
