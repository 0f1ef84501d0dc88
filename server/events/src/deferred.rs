//! Events that are asked together with the first RCPT after them (`ask = "at-rcpt"`).
//!
//! Each is asked once: the connection and its handshake once for the session, a greeting once for as long as it stands,
//! MAIL once for its transaction. A refusal is the reply to that RCPT and to every later one, for as long as what it
//! refuses stands. Where a binding is asked something else before, what waits for it comes in front of that question,
//! and its refusals still speak at RCPT.

use std::sync::Arc;

use crate::event::EventKind;
use crate::plan::{Binding, Plan, Stage};
use crate::question::Question;
use crate::ruling::{Ruling, Standing};

/// What waits for RCPT in one session, and what was refused by it.
#[derive(Debug, Default)]
pub struct Deferred {
    waiting: Vec<Waiting>,
    standing: Vec<Standing>,
}

#[derive(Debug)]
struct Waiting {
    question: Question,
    bindings: Vec<Arc<Binding>>,
}

/// A stage with what had waited in front of it.
#[derive(Debug)]
pub struct Joined {
    /// The stage. Its members say by [`Member::about`](crate::plan::Member::about) which question they are asked.
    pub stage: Arc<Stage>,
    /// The questions: those that had waited, and then the stage's own.
    pub questions: Vec<Question>,
}

impl Deferred {
    /// Nothing waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An event has happened: it waits for the bindings that are asked about it at RCPT, and takes the place of one that
    /// does not stand any more.
    pub fn happened(&mut self, plan: &Plan, server: &str, question: &Question) {
        let event = question.kind();
        let over: &[EventKind] = match event {
            EventKind::InboundMail => &[EventKind::InboundMail],
            EventKind::InboundHelo | EventKind::InboundTls => {
                &[EventKind::InboundMail, EventKind::InboundHelo]
            }
            _ => &[],
        };
        self.forget(over);
        let bindings = plan.at_rcpt(server, event);
        if !bindings.is_empty() {
            self.waiting.push(Waiting {
                question: question.clone(),
                bindings: bindings.to_vec(),
            });
        }
    }

    /// The transaction is over: neither its MAIL nor a refusal of it counts any more.
    pub fn transaction_ended(&mut self) {
        self.forget(&[EventKind::InboundMail]);
    }

    fn forget(&mut self, events: &[EventKind]) {
        self.waiting
            .retain(|own| !events.contains(&own.question.kind()));
        self.standing.retain(|own| !events.contains(&own.event));
    }

    /// The refusal that every RCPT is answered with.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.iter().min_by_key(|own| own.event)
    }

    /// Notes what a chain came to that had such members in it.
    pub fn ruled(&mut self, ruling: &Ruling) {
        if let Some(standing) = &ruling.standing {
            self.standing.push(standing.clone());
        }
    }

    /// The stage of a RCPT with everything that waits in front of it. `None` where nothing waits: the plan's own stage
    /// is asked.
    pub fn at_rcpt(&mut self, own: Option<&Arc<Stage>>, rcpt: &Question) -> Option<Joined> {
        let waiting = std::mem::take(&mut self.waiting);
        Self::join(waiting, own, rcpt, false)
    }

    /// The stage of another question with what waits for its members in front of it. `None` where nothing does.
    pub fn in_front_of(&mut self, own: &Arc<Stage>, question: &Question) -> Option<Joined> {
        let is_asked = |binding: &Arc<Binding>| {
            let mut members = own.members.iter();
            members.any(|member| Arc::ptr_eq(&member.binding, binding))
        };
        let mut ready = Vec::new();
        for waiting in &mut self.waiting {
            let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut waiting.bindings)
                .into_iter()
                .partition(is_asked);
            waiting.bindings = later;
            if !now.is_empty() {
                ready.push(Waiting {
                    question: waiting.question.clone(),
                    bindings: now,
                });
            }
        }
        self.waiting.retain(|waiting| !waiting.bindings.is_empty());
        Self::join(ready, Some(own), question, true)
    }

    fn join(
        waiting: Vec<Waiting>,
        own: Option<&Arc<Stage>>,
        question: &Question,
        speaks_later: bool,
    ) -> Option<Joined> {
        if waiting.is_empty() {
            return None;
        }
        let mut questions = Vec::with_capacity(waiting.len() + 1);
        let mut segments = Vec::with_capacity(waiting.len());
        for waiting in waiting {
            segments.push((waiting.question.kind(), waiting.bindings));
            questions.push(waiting.question);
        }
        questions.push(question.clone());
        let own = own.map(|own| &**own);
        let stage = Stage::joined(&segments, question.kind(), own, speaks_later);
        Some(Joined {
            stage: Arc::new(stage),
            questions,
        })
    }
}

#[cfg(test)]
mod tests;
