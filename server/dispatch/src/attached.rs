//! One instance at a sink, as the session's side sees it: a cell that the sink's task writes and the session reads before
//! it encodes an event.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_attach::{Ending, MessageId, Tried};
use postern_events::event::EventKind;
use postern_events::plan::Binding;

/// The number of an instance among all of this process.
pub(crate) type Key = u64;

/// One instance: being opened, open, or over.
#[derive(Debug)]
pub(crate) struct Attached {
    /// Its number.
    pub(crate) key: Key,
    binding: Option<Arc<Binding>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ending: Option<Ending>,
    /// Events of the binding that the sink does not want.
    unwanted: Vec<EventKind>,
    /// The message that the sink needs to hear nothing more of.
    done_with: Option<MessageId>,
    settles: bool,
    replica: Option<Arc<str>>,
    /// Where its last question was asked.
    tried: Option<Tried>,
}

impl Attached {
    pub(crate) fn new(key: Key, binding: impl Into<Option<Arc<Binding>>>) -> Self {
        Self {
            key,
            binding: binding.into(),
            state: Mutex::default(),
        }
    }

    /// The binding that it is of, as it was when the scope began.
    pub(crate) fn binding(&self) -> Option<Arc<Binding>> {
        self.binding.clone()
    }

    /// Notes where it was opened, and whether the sink wants to hear what became of its verdicts.
    pub(crate) fn opened(&self, replica: &Arc<str>, settles: bool) {
        let mut state = self.state.lock();
        state.replica = Some(Arc::clone(replica));
        state.settles = settles;
    }

    /// Notes where a question was asked.
    pub(crate) fn asked(&self, tried: &Tried) {
        self.state.lock().tried = Some(tried.clone());
    }

    /// Where the next one should not be opened: this one's sink has fallen silent.
    pub(crate) fn avoid(&self) -> Option<Tried> {
        let state = self.state.lock();
        let silent = state.ending == Some(Ending::Silent);
        state.tried.clone().filter(|_| silent)
    }

    /// Notes how it ended.
    pub(crate) fn end(&self, ending: Ending) {
        self.state.lock().ending.get_or_insert(ending);
    }

    /// Notes what the sink does not want.
    pub(crate) fn narrow(&self, unwanted: Vec<EventKind>) {
        self.state.lock().unwanted = unwanted;
    }

    /// Notes the message that the sink is done with.
    pub(crate) fn done_with(&self, message: MessageId) {
        self.state.lock().done_with = Some(message);
    }

    /// How it ended. `None`: it has not.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.state.lock().ending
    }

    /// Whether the sink wants the event.
    pub(crate) fn wants(&self, event: EventKind, message: Option<MessageId>) -> bool {
        let state = self.state.lock();
        let done = message.is_some() && state.done_with == message;
        !done && !state.unwanted.contains(&event)
    }

    /// Whether the sink hears what became of its verdicts.
    pub(crate) fn settles(&self) -> bool {
        self.state.lock().settles
    }

    /// The replica that it is at. Empty: none yet.
    pub(crate) fn replica(&self) -> Arc<str> {
        self.state
            .lock()
            .replica
            .clone()
            .unwrap_or_else(|| Arc::from(""))
    }
}
