//! What a sink decided, once it has been checked, and what a chain came to.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use postern_message::{Draft, Edit, MessageId, RecipientId};
use postern_smtp::reply::Reply;

use crate::answer::{AnyAnswer, TypedAnswer};
use crate::context::{Apart, ForkEdits, Split};
use crate::event::EventKind;
use crate::fault::{Fault, Policy};
use crate::order::{Order, Orders};

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
    /// The sink answered the command; the service does not act on it. Without a reply only beside a
    /// [`DialogueAnswer`](crate::inbound::DialogueAnswer), which has its own.
    Respond(Option<Reply>),
    /// Refused for good. The reply is 5xx; in transport it is the status of the recipients.
    Reject(Reply),
    /// Refused for now. The reply is 4xx; in transport the message stays queued.
    Tempfail(Reply),
    /// Accepted and dropped, on record.
    Discard,
    /// Accepted, kept until a person acts.
    Quarantine,
    /// Accepted, judged again from this binding on when it is released, and after this time at the latest.
    Hold {
        /// `None`: by the queue's own rule.
        at_most: Option<Duration>,
    },
    /// In transport: judged again from this binding on after this time.
    Postpone(Duration),
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
            Self::Hold { .. } => "hold",
            Self::Postpone(_) => "postpone",
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

    /// The message is judged again later, from the binding that decided on.
    #[must_use]
    pub const fn puts_off(&self) -> bool {
        matches!(self, Self::Hold { .. } | Self::Postpone(_))
    }

    /// Where the message is kept because of it, it goes on from the binding that decided: at its time, or when a person
    /// releases it. A refusal for now is asked again from where the message was.
    #[must_use]
    pub const fn goes_on_here(&self) -> bool {
        self.puts_off() || matches!(self, Self::Quarantine | Self::Reject(_))
    }

    /// The reply that it carries.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Reject(reply) | Self::Tempfail(reply) | Self::Disconnect(reply) => Some(reply),
            Self::Respond(reply) => reply.as_ref(),
            Self::Proceed
            | Self::Finish(_)
            | Self::Discard
            | Self::Quarantine
            | Self::Hold { .. }
            | Self::Postpone(_) => None,
        }
    }
}

/// A verdict that has been checked against the table, the binding's grants and the limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What it decides.
    pub decision: Decision,
    /// What it changes, properties among it. Applied whole or not at all, before the decision takes effect.
    pub edits: Vec<Edit>,
    /// What it orders beside that.
    pub orders: Vec<Order>,
    /// The typed answer.
    pub answer: Option<AnyAnswer>,
    /// Decisions that differ for some recipients.
    pub recipients: Vec<(Vec<RecipientId>, Decision)>,
    /// Edits that differ for some recipients.
    pub forks: Vec<ForkEdits>,
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
            orders: Vec::new(),
            answer: None,
            recipients: Vec::new(),
            forks: Vec::new(),
            delay: Duration::ZERO,
            reason_code: String::new(),
            explanation: String::new(),
            warnings: Vec::new(),
        }
    }

    /// It changes the body.
    #[must_use]
    pub fn edits_body(&self) -> bool {
        let forks = self.forks.iter().flat_map(|fork| &fork.edits);
        self.edits.iter().chain(forks).any(Edit::is_of_body)
    }

    /// It makes branches of the message.
    #[must_use]
    pub fn splits(&self) -> bool {
        !(self.recipients.is_empty() && self.forks.is_empty())
    }

    /// The branches that it asks for.
    #[must_use]
    pub fn split(&self) -> Split {
        let apart = self.recipients.iter().map(|(ids, decision)| Apart {
            recipients: ids.clone(),
            goes_on: !decision.ends_chain(),
        });
        Split {
            decided: apart.collect(),
            forks: self.forks.clone(),
        }
    }

    /// What of it takes effect. Edits of what is refused are nothing; properties hold whatever is decided.
    #[must_use]
    pub fn effective(&self) -> Cow<'_, Self> {
        if !self.decision.is_refusal() || self.splits() {
            return Cow::Borrowed(self);
        }
        let is_property = |edit: &&Edit| matches!(edit, Edit::SetProperty { .. });
        Cow::Owned(Self {
            edits: self.edits.iter().filter(is_property).cloned().collect(),
            orders: Vec::new(),
            ..self.clone()
        })
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

/// What some recipients of a message come to, apart from the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Its number within the message.
    pub number: u32,
    /// The id of the message that it becomes.
    pub message_id: MessageId,
    /// Its recipients.
    pub recipients: Vec<RecipientId>,
    /// What was decided about them.
    pub decision: Decision,
    /// Who decided. `None`: nobody objected.
    pub by: Option<By>,
    /// The binding whose verdict made the branch.
    pub made_by: Option<Arc<str>>,
    /// The reason code of the verdict that decided.
    pub reason_code: String,
    /// Envelope, recipients, properties and content.
    pub draft: Draft,
    /// What was ordered about it.
    pub orders: Orders,
}

/// A refusal of an event that had waited for RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The event: connection, handshake, greeting or MAIL.
    pub event: EventKind,
    /// The refusal.
    pub decision: Decision,
    /// Who decided.
    pub by: By,
    /// The reason code of the verdict.
    pub reason_code: String,
}

/// What a chain came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling<A = AnyAnswer> {
    /// The event.
    pub event: EventKind,
    /// `Proceed` if no binding ended the chain. It holds for all recipients that are in no branch.
    pub decision: Decision,
    /// Who ended the chain.
    pub by: Option<By>,
    /// What the event asked for, as the answers of all applied verdicts combine.
    pub answer: Option<A>,
    /// The binding that answered first.
    pub answered_by: Option<Arc<str>>,
    /// Recipients that come to something else.
    pub branches: Vec<Branch>,
    /// The refusal of an event that had waited: it is the reply to every RCPT for as long as what it refuses stands.
    pub standing: Option<Standing>,
    /// How long the reply is to be held back: the longest delay that an applied verdict asked for.
    pub delay: Duration,
    /// The reason code of the verdict that ended the chain; else empty.
    pub reason_code: String,
    /// Every failure that took effect, in order.
    pub failures: Vec<Failure>,
}

impl<A> Ruling<A> {
    /// Nobody objects.
    #[must_use]
    pub const fn proceed(event: EventKind) -> Self {
        Self {
            event,
            decision: Decision::Proceed,
            by: None,
            answer: None,
            answered_by: None,
            branches: Vec::new(),
            standing: None,
            delay: Duration::ZERO,
            reason_code: String::new(),
            failures: Vec::new(),
        }
    }
}

impl<A> Ruling<A> {
    /// Every recipient is refused: nothing more of the message need arrive.
    #[must_use]
    pub fn refuses_all(&self) -> bool {
        self.decision.is_refusal()
            && self
                .branches
                .iter()
                .all(|branch| branch.decision.is_refusal())
    }
}

impl Ruling {
    /// The ruling with the answer that its event asks for.
    #[must_use]
    pub fn typed<A: TypedAnswer>(self) -> Ruling<A> {
        Ruling {
            event: self.event,
            decision: self.decision,
            by: self.by,
            answer: self.answer.and_then(|answer| answer.get().cloned()),
            answered_by: self.answered_by,
            branches: self.branches,
            standing: self.standing,
            delay: self.delay,
            reason_code: self.reason_code,
            failures: self.failures,
        }
    }

    /// What both chains of one message came to: the later one decides; delays, branches and failures of both count.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        let mut failures = self.failures;
        failures.extend(later.failures);
        let mut branches = self.branches;
        branches.retain(|own| {
            later
                .branches
                .iter()
                .all(|other| other.number != own.number)
        });
        branches.extend(later.branches);
        branches.sort_by_key(|branch| branch.number);
        Self {
            delay: self.delay.max(later.delay),
            failures,
            branches,
            ..later
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

#[cfg(test)]
mod tests;
