//! What an instance was told of the world, so that an event brings only what changed.
//!
//! Every message in an update is whole; only the list of recipients is told by its changes. An instance that is opened
//! anew gets a snapshot, and the events of the running transaction that its binding was asked or told before.
//!
//! What bindings with the same view and the same picture are told is encoded once for all of them.

mod encodings;
mod place;
mod update;

use crate::context::Context;
use crate::encode::{EncodedEvent, EncodedSnapshot};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::plan::Binding;
use crate::question::Question;

pub use encodings::Encodings;
pub use place::Place;

use update::Told;

/// What one binding's instance was told in one scope. It outlives the instance: what is opened anew goes on from it.
#[derive(Debug, Default)]
pub struct Picture {
    openings: u32,
    told: Told,
    /// Events of the running transaction that the binding was asked or told.
    asked: Vec<Question>,
    /// Events that are told with the next question.
    waiting: Vec<Question>,
}

/// What opens an instance.
#[derive(Clone, Debug)]
pub struct Opening {
    /// How things stand.
    pub snapshot: EncodedSnapshot,
    /// Events that are told again, to be marked as replayed.
    pub replayed: Vec<EncodedEvent>,
    /// How often an instance was opened before.
    pub reopened_count: u32,
}

/// Events of one transaction that are told again at most.
const MAX_REPLAYED: usize = 2_000;

impl Picture {
    /// Nothing was told yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No instance was opened yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.openings == 0
    }

    /// What a new instance begins with. Questions that are `open` are not told again: they are asked anew.
    ///
    /// # Errors
    /// A fault of kind `size`: something is too large for any frame.
    pub fn open(
        &mut self,
        context: &Context,
        binding: &Binding,
        open: &[&Question],
        encodings: &mut Encodings,
    ) -> Result<Opening, Fault> {
        let told = Told::by_snapshot(context);
        let snapshot = encodings.snapshot(context, binding, &told)?;
        let mut replayed = Vec::new();
        if self.openings > 0 {
            self.forget_others(context);
            for question in &self.asked {
                if open.iter().any(|other| other.is_same_as(question)) {
                    continue;
                }
                replayed.push(encodings.replayed(question, context, binding)?);
            }
        }
        let reopened_count = self.openings;
        self.openings = self.openings.saturating_add(1);
        self.told = told;
        Ok(Opening {
            snapshot,
            replayed,
            reopened_count,
        })
    }

    /// An event with what changed since the last one. It may be called again for a question that did not reach the sink,
    /// after [`Picture::open`].
    ///
    /// # Errors
    /// A fault of kind `size`: something is too large for any frame. Nothing counts as told then.
    pub fn event(
        &mut self,
        question: &Question,
        context: &Context,
        binding: &Binding,
        place: Place,
        encodings: &mut Encodings,
    ) -> Result<EncodedEvent, Fault> {
        let (encoded, told) = encodings.event(question, context, binding, place, &self.told)?;
        self.told = told;
        self.remember(question, context);
        Ok(encoded)
    }

    /// An event is told with the next question. One that does not stand any more is forgotten.
    pub fn wait(&mut self, question: &Question) {
        let over: &[EventKind] = match question.kind() {
            EventKind::InboundMail => &[EventKind::InboundMail],
            EventKind::InboundHelo | EventKind::InboundTls => {
                &[EventKind::InboundMail, EventKind::InboundHelo]
            }
            _ => &[],
        };
        self.waiting.retain(|own| !over.contains(&own.kind()));
        self.waiting.push(question.clone());
    }

    /// Something waits to be told.
    #[must_use]
    pub const fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The transaction is over: what waits of it is not told any more.
    pub fn transaction_ended(&mut self) {
        self.waiting
            .retain(|own| !own.event().facts().of_transaction);
    }

    /// What goes in front of the next question, or before the instance is closed. Call it when the instance is open.
    ///
    /// # Errors
    /// As [`Picture::event`]; what was encoded before is lost with it.
    pub fn waiting(
        &mut self,
        context: &Context,
        binding: &Binding,
        encodings: &mut Encodings,
    ) -> Result<Vec<EncodedEvent>, Fault> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut told = Vec::with_capacity(waiting.len());
        for question in &waiting {
            told.push(self.event(question, context, binding, Place::ALONE, encodings)?);
        }
        Ok(told)
    }

    fn remember(&mut self, question: &Question, context: &Context) {
        let is_of_transaction = question.event().facts().of_transaction;
        if question.kind() == EventKind::InboundMail {
            self.asked.clear();
        } else {
            self.forget_others(context);
        }
        let known = self.asked.iter().any(|own| own.is_same_as(question));
        if is_of_transaction && !known && self.asked.len() < MAX_REPLAYED {
            self.asked.push(question.clone());
        }
    }

    /// Without a transaction there is nothing to tell again.
    fn forget_others(&mut self, context: &Context) {
        let running = match context {
            Context::Inbound(own) => own.transaction().is_some(),
            _ => false,
        };
        if !running {
            self.asked.clear();
        }
    }
}

#[cfg(test)]
mod tests;
