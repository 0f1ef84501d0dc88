//! What a sink decided, once it has been checked, and what a chain came to.

use std::sync::Arc;
use std::time::Duration;

use postern_message::Edit;
use postern_smtp::reply::Reply;

use crate::event::EventKind;
pub use crate::fault::{Fault, FaultKind, Policy};

/// How far a `finish` reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishScope {
    /// This event's chain.
    Event,
    /// This event's chain and those of the message's remaining inbound events.
    Message,
}

/// The decision of a verdict, or of a whole chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No objection.
    Proceed,
    /// No objection, and nobody later is asked. The service goes on with its own handling.
    Finish(FinishScope),
    /// This reply; the service's own handling is skipped.
    Respond(Reply),
    /// Refused for good. The reply is 5xx; in transport it is the status of the recipients.
    Reject(Reply),
    /// Refused for now. The reply is 4xx; in transport the message stays queued.
    Tempfail(Reply),
    /// Accepted and dropped, on record.
    Discard,
    /// Accepted, kept until a person acts.
    Quarantine,
    /// Accepted, judged again from this binding on, on the retry schedule.
    Hold,
    /// In transport: judged again from this binding on after this time.
    Defer(Duration),
    /// The reply (4xx or 5xx), then the connection ends.
    Disconnect(Reply),
}

impl Decision {
    /// The word used on the wire, in logs and in metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::Finish(_) => "finish",
            Self::Respond(_) => "respond",
            Self::Reject(_) => "reject",
            Self::Tempfail(_) => "tempfail",
            Self::Discard => "discard",
            Self::Quarantine => "quarantine",
            Self::Hold => "hold",
            Self::Defer(_) => "defer",
            Self::Disconnect(_) => "disconnect",
        }
    }

    /// The chain ends with it.
    #[must_use]
    pub const fn ends_chain(&self) -> bool {
        !matches!(self, Self::Proceed)
    }

    /// Nothing of the message is kept or sent on: the content need not arrive any more.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Reject(_) | Self::Tempfail(_) | Self::Disconnect(_)
        )
    }

    /// The reply that it carries.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Respond(reply)
            | Self::Reject(reply)
            | Self::Tempfail(reply)
            | Self::Disconnect(reply) => Some(reply),
            Self::Proceed
            | Self::Finish(_)
            | Self::Discard
            | Self::Quarantine
            | Self::Hold
            | Self::Defer(_) => None,
        }
    }
}

/// A verdict that has been checked against the table, the binding's grants and the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it decides.
    pub decision: Decision,
    /// What it changes, properties among it. Applied whole or not at all, before the decision takes effect.
    pub edits: Vec<Edit>,
    /// How long the reply is to be held back. Bounded.
    pub delay: Duration,
    /// A short code for metrics; empty if there is none.
    pub reason_code: String,
    /// Why, for the operator; empty if there is none.
    pub explanation: String,
    /// Remarks without a decision, for the operator.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// A verdict that decides this and nothing else.
    #[must_use]
    pub const fn of(decision: Decision) -> Self {
        Self {
            decision,
            edits: Vec::new(),
            delay: Duration::ZERO,
            reason_code: String::new(),
            explanation: String::new(),
            warnings: Vec::new(),
        }
    }

    /// It changes the body.
    #[must_use]
    pub fn edits_body(&self) -> bool {
        self.edits
            .iter()
            .any(|edit| matches!(edit, Edit::SpliceBody { .. }))
    }
}

/// Why a chain ended as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The binding's verdict said so.
    Verdict,
    /// The binding failed, and its failure policy said so.
    Failure(Policy, Fault),
}

/// Who ended a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The member's place in the chain.
    pub member: usize,
    /// The binding's name: what a held message is asked from again.
    pub binding: Arc<str>,
    /// Why.
    pub cause: Cause,
}

/// A binding that failed on the way and was passed over (`continue`), or that ended the chain by its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The member's place in the chain.
    pub member: usize,
    /// The binding's name.
    pub binding: Arc<str>,
    /// What happened.
    pub fault: Fault,
    /// What was done.
    pub policy: Policy,
}

/// What a chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The event.
    pub event: EventKind,
    /// `Proceed` if no binding ended the chain.
    pub decision: Decision,
    /// Who ended the chain.
    pub by: Option<By>,
    /// How long the reply is to be held back: the longest delay that an applied verdict asked for.
    pub delay: Duration,
    /// The reason code of the verdict that ended the chain; else empty.
    pub reason_code: String,
    /// Every failure that took effect, in order.
    pub failures: Vec<Failure>,
}

impl Ruling {
    /// Nobody objects.
    #[must_use]
    pub const fn proceed(event: EventKind) -> Self {
        Self {
            event,
            decision: Decision::Proceed,
            by: None,
            delay: Duration::ZERO,
            reason_code: String::new(),
            failures: Vec::new(),
        }
    }
}

/// What became of an answer that a sink gave or was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Decision and edits took effect.
    Applied,
    /// An earlier binding ended the chain.
    NotReached {
        /// Its name.
        because_of: Arc<str>,
    },
    /// The answer was refused, and the failure policy spoke.
    Refused(Fault),
}
