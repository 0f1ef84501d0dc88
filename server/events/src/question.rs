//! Events as questions: what every event has, and one on its way through a chain.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use postern_message::RecipientId;
use postern_proto::v1 as pb;

use crate::answer::{AnyAnswer, Checks, TypedAnswer};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, Context, Within};
use crate::event::EventKind;
use crate::fault::{Fault, FaultKind};
use crate::wire::View;

/// One point in the life of a session or a message at which sinks are asked or told.
pub trait Event: fmt::Debug + Send + Sync + 'static {
    /// Which event.
    const KIND: EventKind;
    /// What is known where it happens.
    type Context: Within;
    /// What it asks for; [`NoAnswer`](crate::answer::NoAnswer) for most.
    type Answer: TypedAnswer;

    /// Its body on the wire, as a binding with this view may see it.
    ///
    /// `said` is what bindings before this one answered in the same chain, all of it put together by
    /// [`TypedAnswer::then`]; `None` as long as nobody has. An event whose body shows what its answer would change shows it
    /// as answered (see `inbound.rcpt`); others leave `said` alone.
    fn body(
        &self,
        context: &Self::Context,
        said: Option<&Self::Answer>,
        view: &View<'_>,
    ) -> pb::event::Kind;

    /// An attribute that the event itself has, or of which it knows better than its context: as it is after what was
    /// `said`, see [`Event::body`]. `None`: the context knows it, or it does not exist here.
    fn attribute(
        &self,
        _attribute: Attribute,
        _context: &Self::Context,
        _said: Option<&Self::Answer>,
    ) -> Option<AttributeValue> {
        None
    }

    /// What the event is to rules and validation, beside its context.
    fn facts(&self) -> EventFacts<'_> {
        EventFacts::default()
    }

    /// What it is about, for a line of text.
    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
}

/// What an event is to rules, to validation and to what is replayed, beside its context. By default it is nothing special:
/// it is about all recipients, about no command and no reply.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventFacts<'a> {
    /// The name of the greeting that is asked about (`inbound.helo`). Rules on EHLO match it in place of the accepted one.
    pub helo: Option<&'a [u8]>,
    /// The one recipient that is asked about (`inbound.rcpt`, `transport.expand`, `outbound.recipient`). Rules on RCPT TO
    /// match it alone; where the event allows edits, they may name no other.
    pub recipient: Option<RecipientId>,
    /// Recipients that the question is about (`transport.categorize`, `transport.dsn`): verdicts may name these alone.
    /// Empty: all that the message has.
    pub recipients: &'a [RecipientId],
    /// At `command` and `response` of inbound and outgoing sessions: the command. Rules select by its verb.
    pub command: Option<&'a CommandLine>,
    /// At the stages and commands of outgoing sessions: the command that is due, as the service would send it.
    pub due: Option<&'a CommandLine>,
    /// The decision `respond` may answer the command: it changes nothing in the service (`inbound.command`).
    pub answerable: bool,
    /// A dialogue is going on that the binding carries: it says the next step, ends it or refuses (`inbound.command`).
    pub in_dialogue: bool,
    /// Sender and recipients that a rule is matched with, where the event tells of a message and happens in a context
    /// without one (`delivery.result`, `delivery.track`).
    pub parties: Option<&'a dyn Parties>,
    /// The event belongs to the running transaction of an inbound session (`inbound.mail` to `inbound.headers`), and is
    /// replayed when an instance opens anew within it.
    pub of_transaction: bool,
    /// Of edits and orders only the routing class and a redirect are taken (`transport.post_categorize`, asked again for
    /// routes).
    pub routing_only: bool,
}

/// Sender and recipients of an event that happens outside of a message.
pub trait Parties: fmt::Debug {
    /// The sender without angle brackets, empty for the null sender.
    fn sender(&self) -> &str;
    /// Calls `visit` with each recipient, without angle brackets, until it returns true. True if `visit` did.
    fn any_recipient(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool;
}

/// An event of any kind.
pub trait AnyEvent: fmt::Debug + Send + Sync {
    /// Which event.
    fn kind(&self) -> EventKind;

    /// Its body on the wire; see [`Event::body`].
    ///
    /// # Errors
    /// The context is not one that the event happens in.
    fn body(
        &self,
        context: &Context,
        said: Option<&AnyAnswer>,
        view: &View<'_>,
    ) -> Result<pb::event::Kind, Fault>;

    /// See [`Event::attribute`].
    fn attribute(
        &self,
        attribute: Attribute,
        context: &Context,
        said: Option<&AnyAnswer>,
    ) -> Option<AttributeValue>;

    /// Checks the answer that it asks for, as a sink sent it; see [`TypedAnswer::check`].
    ///
    /// # Errors
    /// What is wrong with it: the sink's failure.
    fn check_answer(
        &self,
        answer: pb::answer::Kind,
        checks: &mut dyn Checks,
    ) -> Result<AnyAnswer, Fault>;

    /// See [`Event::facts`].
    fn facts(&self) -> EventFacts<'_>;

    /// See [`Event::detail`].
    fn detail(&self) -> Cow<'_, str>;

    /// The event itself.
    fn as_any(&self) -> &dyn Any;
}

impl<E: Event> AnyEvent for E {
    fn kind(&self) -> EventKind {
        E::KIND
    }

    fn body(
        &self,
        context: &Context,
        said: Option<&AnyAnswer>,
        view: &View<'_>,
    ) -> Result<pb::event::Kind, Fault> {
        match E::Context::of(context) {
            Some(own) => Ok(Event::body(
                self,
                own,
                said.and_then(AnyAnswer::get::<E::Answer>),
                view,
            )),
            None => Err(Fault::new(
                FaultKind::Fault,
                format!("{} does not happen in this scope", E::KIND),
            )),
        }
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &Context,
        said: Option<&AnyAnswer>,
    ) -> Option<AttributeValue> {
        let own = E::Context::of(context)?;
        Event::attribute(
            self,
            attribute,
            own,
            said.and_then(AnyAnswer::get::<E::Answer>),
        )
    }

    fn check_answer(
        &self,
        answer: pb::answer::Kind,
        checks: &mut dyn Checks,
    ) -> Result<AnyAnswer, Fault> {
        E::Answer::check(answer, checks).map(AnyAnswer::new)
    }

    fn facts(&self) -> EventFacts<'_> {
        Event::facts(self)
    }

    fn detail(&self) -> Cow<'_, str> {
        Event::detail(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An event on its way through a chain, with what has been answered so far.
#[derive(Clone, Debug)]
pub struct Question {
    event: Arc<dyn AnyEvent>,
    said: Option<AnyAnswer>,
    /// The binding that answered first.
    answered_by: Option<Arc<str>>,
}

impl Question {
    /// A question that nobody has answered yet.
    #[must_use]
    pub fn new(event: impl Event) -> Self {
        Self {
            event: Arc::new(event),
            said: None,
            answered_by: None,
        }
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> &Arc<dyn AnyEvent> {
        &self.event
    }

    /// Which event.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.event.kind()
    }

    /// What has been answered so far.
    #[must_use]
    pub const fn said(&self) -> Option<&AnyAnswer> {
        self.said.as_ref()
    }

    /// Takes an answer of a binding in. How it combines with the ones before is its own affair.
    pub(crate) fn answer(&mut self, answer: AnyAnswer, by: &Arc<str>) {
        self.answered_by.get_or_insert_with(|| Arc::clone(by));
        self.said = Some(match self.said.take() {
            Some(before) => before.then(answer),
            None => answer,
        });
    }

    /// Takes what was answered.
    pub(crate) const fn take_answer(&mut self) -> Option<AnyAnswer> {
        self.said.take()
    }

    /// Takes who has answered first.
    pub(crate) const fn take_answered_by(&mut self) -> Option<Arc<str>> {
        self.answered_by.take()
    }

    /// Both are the same asking of the same event.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.event, &other.event)
    }
}

#[cfg(test)]
pub(crate) mod tests;
