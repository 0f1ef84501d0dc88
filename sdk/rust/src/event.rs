//! The events: what a sink can ask for, and what its handlers are given.
//!
//! Each constant in [`inbound`], [`transport`], [`outbound`], [`delivery`] and [`service`] is one event, named as in the
//! configuration: `inbound.rcpt` is [`inbound::RCPT`]. A handler is registered for it with [`Sink::on`](crate::Sink::on).

mod interest;
mod kinds;
mod said;

use std::ops::Deref;
use std::time::Duration;

pub use self::interest::{Asked, Grouped, Interest, Told};
pub use self::kinds::{EventBody, delivery, inbound, outbound, service, transport};
pub(crate) use self::kinds::{InTransaction, ShowsMessage};
pub use self::said::{
    Auth, Command, Connect, Data, DeliveryResult, Disconnect, Headers, Helo, Mail, Outcome, Rcpt,
    RcptGroup, Reset, Response, Tls,
};
use crate::v1;

/// One event, as its handler is given it. It gives access to the fields of its body, `B`, as the protocol has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<B> {
    body: B,
    about: About,
}

/// What goes with every event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// The event's number in its instance.
    pub event_id: u64,
    /// How often it may have been asked before, here or elsewhere. 0: certainly never.
    pub attempt: u32,
    /// Why it is asked.
    pub ask_reason: v1::AskReason,
    /// It was answered or told before, and is told again because the instance was opened anew.
    pub replayed: bool,
    /// How long the gateway waits for a verdict, from when it sent the event. None: nobody waits.
    pub deadline: Option<Duration>,
    /// W3C traceparent of the event. Empty: that of the instance.
    pub trace_parent: String,
}

impl<B> Event<B> {
    pub(crate) fn new(body: B, about: About) -> Self {
        Self { body, about }
    }

    /// What goes with every event: attempt, reason, deadline.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Whether it is told again because the instance was opened anew. The verdict is dropped.
    pub fn is_replayed(&self) -> bool {
        self.about.replayed
    }

    /// The body, as the protocol has it.
    pub fn into_body(self) -> B {
        self.body
    }
}

impl<B> Deref for Event<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.body
    }
}

impl About {
    pub(crate) fn of(event: &v1::Event) -> Self {
        Self {
            event_id: event.event_id,
            attempt: event.attempt,
            ask_reason: event.ask_reason(),
            replayed: event.replayed,
            deadline: event.deadline.and_then(|deadline| deadline.try_into().ok()),
            trace_parent: event.trace_parent.clone(),
        }
    }
}
