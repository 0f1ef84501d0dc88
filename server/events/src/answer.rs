//! Typed answers: what events ask for beside a decision.
//!
//! Each stands in the file of its event, with the check of what sinks send and with how two of them combine.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use postern_message::{HeaderName, HeaderValue, RecipientId};
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_smtp::reply::Reply;

use crate::fault::Fault;

/// An answer as a sink sends it.
pub(crate) use pb::answer::Kind as AnswerBody;

/// The answer that one event takes.
pub trait TypedAnswer: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// Which one. `None`: the event asks for nothing beside a decision.
    const KIND: Option<AnswerKind>;

    /// Checks an answer as a sink sent it. Its kind, the decision that it goes with and its own grant were checked.
    ///
    /// # Errors
    /// What is wrong with it: the sink's failure.
    fn check(answer: pb::answer::Kind, checks: &mut dyn Checks) -> Result<Self, Fault>;

    /// This answer, and then another one to the same question: unless it says otherwise, the last one counts.
    #[must_use]
    fn then(self, later: Self) -> Self {
        later
    }
}

/// What the check of an answer asks of the question, of the binding and of the verdict around it.
pub trait Checks {
    /// The event that was asked about.
    fn event(&self) -> &dyn Any;

    /// At the stages and commands of outgoing sessions: verb and line of the command that is due.
    fn due(&self) -> Option<(&[u8], &[u8])>;

    /// Where properties of the sink that answered are kept.
    fn namespace(&self) -> &str;

    /// Addresses, values and replies may hold UTF-8.
    fn utf8(&self) -> bool;

    /// Requires a word of the binding's `may`.
    ///
    /// # Errors
    /// It is not granted.
    fn may(&self, grant: &str) -> Result<(), Fault>;

    /// Checks the id of a recipient that was asked about.
    ///
    /// # Errors
    /// It is no id, or that of another recipient.
    fn recipient(&self, id: &[u8]) -> Result<RecipientId, Fault>;

    /// Checks a group of recipients that were asked about, of which none is in `seen`.
    ///
    /// # Errors
    /// The group is empty, or the first that is wrong.
    fn recipients(
        &self,
        ids: &[Bytes],
        seen: &mut HashSet<RecipientId>,
    ) -> Result<Vec<RecipientId>, Fault>;

    /// Checks a reply whose code is of one of the classes. `what` names what it must agree with.
    ///
    /// # Errors
    /// The code contradicts `what`, or a line cannot be sent.
    fn reply(&self, reply: pb::Reply, classes: &[u8], what: &str) -> Result<Reply, Fault>;

    /// Checks a header field.
    ///
    /// # Errors
    /// Name or value cannot be those of a field.
    fn header(&self, name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), Fault>;

    /// Takes octets that came with the verdict, or were uploaded before it. `what` says what they are for.
    ///
    /// # Errors
    /// They are not there, or more than a verdict may bring.
    fn data(&mut self, data: pb::Data, what: &str) -> Result<Bytes, Fault>;
}

/// The table lets through what the event's own type does not take.
pub(crate) fn not_the_answer() -> Fault {
    Fault::protocol("the answer is not the one that the event asks for")
}

/// Events that ask for nothing beside a decision have this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {}

impl TypedAnswer for NoAnswer {
    const KIND: Option<AnswerKind> = None;

    fn check(_answer: pb::answer::Kind, _checks: &mut dyn Checks) -> Result<Self, Fault> {
        Err(not_the_answer())
    }
}

/// An answer of any kind, checked. Cheap to clone.
#[derive(Clone)]
pub struct AnyAnswer(Arc<dyn Erased>);

impl AnyAnswer {
    /// An answer whose type is forgotten.
    #[must_use]
    pub fn new(answer: impl TypedAnswer) -> Self {
        Self(Arc::new(answer))
    }

    /// The answer, if it is of this type.
    #[must_use]
    pub fn get<A: TypedAnswer>(&self) -> Option<&A> {
        self.0.as_any().downcast_ref()
    }

    /// This answer, and then another one to the same question.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        self.0.followed_by(&later).unwrap_or(later)
    }
}

impl PartialEq for AnyAnswer {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other)
    }
}

impl fmt::Debug for AnyAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What can be done with an answer without its type.
trait Erased: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &AnyAnswer) -> bool;
    /// `None`: the other is of another type.
    fn followed_by(&self, later: &AnyAnswer) -> Option<AnyAnswer>;
}

impl<A: TypedAnswer> Erased for A {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &AnyAnswer) -> bool {
        other.get::<A>().is_some_and(|other| other == self)
    }

    fn followed_by(&self, later: &AnyAnswer) -> Option<AnyAnswer> {
        let later = later.get::<A>()?.clone();
        Some(AnyAnswer::new(self.clone().then(later)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::RcptAnswer;
    use crate::transport::SizeAnswer;

    fn rcpt(tenant: &str, hop: Option<&str>) -> RcptAnswer {
        RcptAnswer {
            tenant: tenant.to_owned(),
            next_hop: hop.map(crate::route::NextHop::to),
            ..RcptAnswer::default()
        }
    }

    #[test]
    fn answers_combine_as_their_type_says_and_are_told_apart() {
        let first = AnyAnswer::new(rcpt("a", Some("mx")));
        let both = first.clone().then(AnyAnswer::new(rcpt("b", None)));
        assert_eq!(both.get(), Some(&rcpt("b", Some("mx"))));
        assert_eq!(both, AnyAnswer::new(rcpt("b", Some("mx"))));
        assert_ne!(both, first);
        // No event takes two kinds: of another one the last counts.
        let size = AnyAnswer::new(SizeAnswer::Waive);
        assert_eq!(first.clone().then(size.clone()), size);
        assert_ne!(first, size);
        assert_eq!(size.get::<RcptAnswer>(), None);
    }
}
