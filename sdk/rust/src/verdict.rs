//! Verdicts and how they are built.

use std::time::Duration;

use bytes::Bytes;

use crate::v1::{self, decision::Kind};
use crate::{Reply, Value};

/// What a sink decides about an event.
///
/// Made by a constructor that names the decision, completed by the methods that follow:
///
/// ```
/// use postern_sdk::Verdict;
/// let verdict = Verdict::reject("Too many recipients").reason("too-many").explain("12 of at most 10");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a verdict does nothing unless the handler returns it"]
pub struct Verdict(v1::Verdict);

impl Verdict {
    /// No objection: the next binding, and at last the service's own handling.
    pub fn proceed() -> Self {
        Self::of(Kind::Proceed(v1::Proceed {}))
    }

    /// A permanent refusal. Text alone goes with 550.
    pub fn reject(reply: impl Into<Reply>) -> Self {
        Self::of(Kind::Reject(v1::Reject {
            reply: Some(reply.into().into_proto(550)),
        }))
    }

    /// A temporary refusal. Text alone goes with 451.
    pub fn tempfail(reply: impl Into<Reply>) -> Self {
        Self::of(Kind::Tempfail(v1::Tempfail {
            reply: Some(reply.into().into_proto(451)),
        }))
    }

    /// The reply, then the connection ends. Text alone goes with 421.
    pub fn disconnect(reply: impl Into<Reply>) -> Self {
        Self::of(Kind::Disconnect(v1::Disconnect {
            reply: Some(reply.into().into_proto(421)),
        }))
    }

    /// The sink answered the command; the service does not handle it. Only at command events. Text alone goes
    /// with 250.
    pub fn respond(reply: impl Into<Reply>) -> Self {
        Self::of(Kind::Respond(v1::Respond {
            reply: Some(reply.into().into_proto(250)),
        }))
    }

    /// The chain of this event ends here; later bindings are not asked. Needs the grant `finish`.
    pub fn finish() -> Self {
        Self::of(Kind::Finish(v1::Finish {
            scope: v1::FinishScope::Event.into(),
        }))
    }

    /// As [`finish`](Self::finish), for this message's remaining inbound events too.
    pub fn finish_message() -> Self {
        Self::of(Kind::Finish(v1::Finish {
            scope: v1::FinishScope::Message.into(),
        }))
    }

    /// Accepted and dropped, on record. Needs the grant `discard`.
    pub fn discard() -> Self {
        Self::of(Kind::Discard(v1::Discard {}))
    }

    /// Accepted and kept until a person acts.
    pub fn quarantine(reason: impl Into<String>) -> Self {
        Self::of(Kind::Quarantine(v1::Quarantine {
            reason: reason.into(),
        }))
    }

    /// Accepted, kept, and judged again from this binding on when it is released.
    pub fn hold(reason: impl Into<String>) -> Self {
        Self::of(Kind::Hold(v1::Hold {
            reason: reason.into(),
        }))
    }

    /// Accepted, kept, and judged again from this binding on after `wait`.
    pub fn defer(wait: Duration) -> Self {
        Self::of(Kind::Defer(v1::Defer {
            wait: Some(duration(wait)),
        }))
    }

    /// A code for metrics: few different ones, `[a-z0-9][a-z0-9._-]{0,62}`.
    pub fn reason(mut self, code: impl Into<String>) -> Self {
        self.0.reason_code = code.into();
        self
    }

    /// An explanation for the operator's trace. No client reads it.
    pub fn explain(mut self, explanation: impl Into<String>) -> Self {
        self.0.explanation = explanation.into();
        self
    }

    /// A warning for the gateway's log.
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.0.warnings.push(warning.into());
        self
    }

    /// The gateway waits so long before it replies (tarpit).
    pub fn delay(mut self, delay: Duration) -> Self {
        self.0.delay = Some(duration(delay));
        self
    }

    /// The gateway may use the same verdict for so long without asking, for events that agree in the attributes
    /// `keys` (all of them, if it is empty).
    pub fn cache_for(mut self, lifetime: Duration, keys: &[&str]) -> Self {
        self.0.cache_for = Some(duration(lifetime));
        self.0.cache_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self
    }

    /// Sets a property of the session, in the sink's own namespace.
    pub fn session_property(self, key: &str, value: impl Into<Value>) -> Self {
        self.property(v1::PropertyScope::Session, Bytes::new(), key, value.into())
    }

    /// Sets a property of the message, in the sink's own namespace.
    pub fn message_property(self, key: &str, value: impl Into<Value>) -> Self {
        self.property(v1::PropertyScope::Message, Bytes::new(), key, value.into())
    }

    /// Sets a property of a recipient, in the sink's own namespace.
    pub fn recipient_property(
        self,
        recipient_id: Bytes,
        key: &str,
        value: impl Into<Value>,
    ) -> Self {
        self.property(
            v1::PropertyScope::Recipient,
            recipient_id,
            key,
            value.into(),
        )
    }

    /// Another decision for these recipients; the verdict's own stands for the others.
    pub fn for_recipients(
        mut self,
        recipient_ids: impl IntoIterator<Item = Bytes>,
        verdict: Verdict,
    ) -> Self {
        self.0.recipients.push(v1::RecipientDecision {
            recipient_ids: recipient_ids.into_iter().collect(),
            decision: verdict.0.decision,
        });
        self
    }

    /// Lets an edit be made that has no method here.
    pub fn edit(mut self, edit: v1::edit::Kind) -> Self {
        self.0.edits.push(v1::Edit { kind: Some(edit) });
        self
    }

    /// Branches the message: these recipients get these edits instead of the verdict's own.
    pub fn fork(mut self, fork: v1::Fork) -> Self {
        self.0.forks.push(fork);
        self
    }

    /// The typed answer, where the event asks a question.
    pub fn answer(mut self, answer: v1::answer::Kind) -> Self {
        self.0.answer = Some(Box::new(v1::Answer { kind: Some(answer) }));
        self
    }

    /// The decision, as the protocol has it.
    pub fn decision(&self) -> Option<&Kind> {
        self.0.decision.as_ref()?.kind.as_ref()
    }

    /// The whole verdict, as the protocol has it.
    pub fn as_proto(&self) -> &v1::Verdict {
        &self.0
    }

    pub(crate) fn into_proto(self) -> v1::Verdict {
        self.0
    }

    pub(crate) fn from_proto(verdict: v1::Verdict) -> Self {
        Self(verdict)
    }

    /// Whether the message lives on, so that edits mean something.
    pub(crate) fn keeps_the_message(&self) -> bool {
        matches!(
            self.decision(),
            Some(
                Kind::Proceed(_)
                    | Kind::Finish(_)
                    | Kind::Quarantine(_)
                    | Kind::Hold(_)
                    | Kind::Defer(_)
            )
        )
    }

    pub(crate) fn add_edits(&mut self, edits: impl IntoIterator<Item = v1::edit::Kind>) {
        self.0
            .edits
            .extend(edits.into_iter().map(|kind| v1::Edit { kind: Some(kind) }));
    }

    pub(crate) fn edits_mut(&mut self) -> &mut Vec<v1::Edit> {
        &mut self.0.edits
    }

    fn of(kind: Kind) -> Self {
        Self(v1::Verdict {
            decision: Some(v1::Decision { kind: Some(kind) }),
            ..Default::default()
        })
    }

    fn property(
        mut self,
        scope: v1::PropertyScope,
        recipient_id: Bytes,
        key: &str,
        value: Value,
    ) -> Self {
        self.0.properties.push(v1::PropertyEdit {
            scope: scope.into(),
            recipient_id,
            key: key.to_owned(),
            value: Some(value.into_proto()),
        });
        self
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    // Longer than the protocol can say is as long as it can say; the gateway's bounds are far below.
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration {
        seconds: 315_576_000_000,
        nanos: 0,
    })
}
