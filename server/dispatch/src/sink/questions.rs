//! Questions that were asked, until they are answered and, where the sink wants to hear of it, settled.

use std::collections::HashMap;
use std::sync::Arc;

use postern_attach::{Asked, ReplicaId, StreamId, Tried};

use crate::answers::Answers;
use crate::attached::Key;

use super::command::{Answer, QuestionKey, Ticket};
use super::fetching::Showing;

/// A question that was asked: open, or answered and not settled yet.
pub(super) struct Open {
    pub(super) instance: Key,
    pub(super) asked: Asked,
    pub(super) stream: StreamId,
    pub(super) replica: ReplicaId,
    pub(super) answers: Arc<Answers<Answer>>,
    pub(super) ticket: Ticket,
    pub(super) showing: Option<Showing>,
    pub(super) tried: Tried,
    /// The verdict is there; what became of it is not.
    pub(super) answered: bool,
}

/// The questions of a sink.
#[derive(Default)]
pub(super) struct Questions {
    questions: HashMap<QuestionKey, Open>,
    open: usize,
}

impl Questions {
    pub(super) fn insert(&mut self, key: QuestionKey, open: Open) {
        self.open += 1;
        self.questions.insert(key, open);
    }

    pub(super) fn get_mut(&mut self, key: QuestionKey) -> Option<&mut Open> {
        self.questions.get_mut(&key)
    }

    /// A question that is open may be asked elsewhere instead.
    pub(super) fn may_move(&self, key: QuestionKey) -> bool {
        self.questions
            .get(&key)
            .is_some_and(|open| open.tried.may_move())
    }

    pub(super) fn remove(&mut self, key: QuestionKey) -> Option<Open> {
        let open = self.questions.remove(&key)?;
        if !open.answered {
            self.open = self.open.saturating_sub(1);
        }
        Some(open)
    }

    /// The verdict came: the question is not open any more, but may be settled.
    pub(super) fn answered(&mut self, key: QuestionKey, settles: bool) -> Option<Answered> {
        let open = self.questions.get_mut(&key).filter(|open| !open.answered)?;
        open.answered = true;
        open.showing = None;
        self.open = self.open.saturating_sub(1);
        let answered = Answered {
            answers: Arc::clone(&open.answers),
            ticket: open.ticket,
            replica: open.replica,
        };
        if !settles {
            self.questions.remove(&key);
        }
        Some(answered)
    }

    pub(super) fn show(&mut self, key: QuestionKey, showing: Showing) {
        if let Some(open) = self.questions.get_mut(&key) {
            open.showing = Some(showing);
        }
    }

    pub(super) fn forget_instance(&mut self, instance: Key) {
        self.questions
            .retain(|_, open| open.instance != instance || !open.answered);
    }

    pub(super) const fn open(&self) -> usize {
        self.open
    }
}

/// To whom an answer goes.
pub(super) struct Answered {
    pub(super) answers: Arc<Answers<Answer>>,
    pub(super) ticket: Ticket,
    pub(super) replica: ReplicaId,
}
