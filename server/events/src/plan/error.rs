//! What is wrong with a plan, by place and key, so that the configuration can say where it was written.

use std::fmt;

use crate::event::{EventGroup, EventKind};
use crate::fault::{FaultKind, Policy};
use crate::grant::WordError;

use super::endpoint::EndpointError;

/// Which element of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The `[[sink]]` of this name.
    Sink(String),
    /// The `[[binding]]` of this name.
    Binding(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sink(name) => write!(f, "sink {name:?}"),
            Self::Binding(name) => write!(f, "binding {name:?}"),
        }
    }
}

/// One thing that is wrong. A plan is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {key}: {problem}")]
pub struct PlanError {
    /// Where.
    pub place: Place,
    /// The key within it.
    pub key: &'static str,
    /// What.
    pub problem: Problem,
}

/// Something that is allowed but probably not meant. The plan is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanWarning {
    /// Where.
    pub place: Place,
    /// The key within it.
    pub key: &'static str,
    /// What, in one sentence.
    pub text: String,
}

impl fmt::Display for PlanWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.key, self.text)
    }
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not `[a-z0-9][a-z0-9.-]{0,62}`.
    #[error(
        "{name:?} is not a name; use up to 63 of a-z, 0-9, '.' and '-', beginning with a letter or digit"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// Two elements have one name.
    #[error("the name is used twice")]
    Duplicate,
    /// An endpoint that cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A sink without endpoint.
    #[error("no endpoint; give the address of at least one replica")]
    NoEndpoint,
    /// Half a key pair.
    #[error("a client certificate needs both cert and key")]
    HalfKeyPair,
    /// A name that nothing has.
    #[error("no {what} is called {name:?}{}", suggestion(.nearest))]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// What was given.
        name: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// An event that this version does not publish.
    #[error("{event} is not in this version")]
    NotPublished {
        /// The event.
        event: EventKind,
    },
    /// Neither said nor accepted.
    #[error(
        "nothing says what this binding may see and do; accept the sink's description with `postern check --accept`, or set events and may"
    )]
    NothingAccepted,
    /// No event at all.
    #[error("no events")]
    NoEvents,
    /// A word of `reads` or `may`.
    #[error("{error}{}", suggestion(.nearest))]
    Word {
        /// Which word, and whether it is of a later version.
        error: WordError,
        /// The nearest word that exists.
        nearest: Option<String>,
    },
    /// `body` and `reads` contradict each other.
    #[error("reads names {what}, but body = {body:?} does not show it")]
    NotShown {
        /// What is read.
        what: &'static str,
        /// The depth.
        body: &'static str,
    },
    /// Another moment than the event can be asked at.
    #[error("{event} cannot be asked {ask}")]
    Ask {
        /// The event.
        event: EventKind,
        /// When.
        ask: &'static str,
    },
    /// `original` beside a grant to edit what was read.
    #[error(
        "a binding that reads `original` cannot have the grant {grant}: what it saw is not what it would edit"
    )]
    Original {
        /// The grant.
        grant: &'static str,
    },
    /// More attributes than can be shown.
    #[error("{count} attributes, at most {limit} can be shown")]
    TooManyAttributes {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Over 32767.
    #[error("{priority} is over 32767")]
    Priority {
        /// What was given.
        priority: u32,
    },
    /// A time-out of nothing.
    #[error("the time-out for {stage} is zero; the sink could never answer")]
    ZeroTimeout {
        /// The stage.
        stage: EventGroup,
    },
    /// A rule that does not parse.
    #[error(transparent)]
    Rule(#[from] crate::rule::RuleError),
    /// A rule that no bound event can meet.
    #[error("no event of this binding comes after {command}, so it would never fire")]
    NeverFires {
        /// The command of the condition.
        command: String,
    },
    /// A condition that does not compile or asks for what is not there.
    #[error(transparent)]
    Condition(#[from] crate::condition::ConditionError),
    /// A failure policy that the event cannot have.
    #[error("{} (for {kind}) cannot be done at {event}; use {instead}", .policy.name())]
    Policy {
        /// The policy.
        policy: Policy,
        /// The kind of fault.
        kind: FaultKind,
        /// The event.
        event: EventKind,
        /// What can be done there, joined by commas.
        instead: String,
    },
    /// Properties that are not a JSON object.
    #[error("properties are not one JSON object")]
    Properties,
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}
