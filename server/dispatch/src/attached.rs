//! One instance at a sink, as the session's side sees it: a cell that the sink's task writes and the session reads before
//! it encodes an event.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_attach::{BodyDepth, Ending, MessageId};
use postern_events::event::EventKind;

/// The number of an instance among all of this process.
pub(crate) type Key = u64;

/// One instance: being opened, open, or over.
#[derive(Debug)]
pub(crate) struct Attached {
    /// Its number.
    pub(crate) key: Key,
    /// The binding's events, with the depth that it is shown at each.
    events: Arc<[(EventKind, Option<BodyDepth>)]>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ending: Option<Ending>,
    /// What the sink made of the binding's events; absent until it narrows them.
    narrowed: Option<Vec<Narrowed>>,
    /// The message that the sink needs to hear nothing more of.
    done_with: Option<MessageId>,
    settles: bool,
    replica: Option<Arc<str>>,
}

/// One event of the binding, as the sink narrowed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrowed {
    pub(crate) event: EventKind,
    pub(crate) wanted: bool,
    pub(crate) depth: Option<BodyDepth>,
}

impl Attached {
    pub(crate) fn new(key: Key, events: Arc<[(EventKind, Option<BodyDepth>)]>) -> Self {
        Self {
            key,
            events,
            state: Mutex::default(),
        }
    }

    /// How much of the content the binding shows at an event. `None`: it does not have the event.
    pub(crate) fn own_depth(&self, event: EventKind) -> Option<Option<BodyDepth>> {
        self.events
            .iter()
            .find_map(|(own, depth)| (*own == event).then_some(*depth))
    }

    /// Notes where it was opened, and whether the sink wants to hear what became of its verdicts.
    pub(crate) fn opened(&self, replica: &Arc<str>, settles: bool) {
        let mut state = self.state.lock();
        state.replica = Some(Arc::clone(replica));
        state.settles = settles;
    }

    /// Notes how it ended.
    pub(crate) fn end(&self, ending: Ending) {
        self.state.lock().ending.get_or_insert(ending);
    }

    /// Notes what the sink still wants.
    pub(crate) fn narrow(&self, narrowed: Vec<Narrowed>) {
        self.state.lock().narrowed = Some(narrowed);
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
        let narrowed_away = state.narrowed.as_ref().is_some_and(|narrowed| {
            narrowed
                .iter()
                .any(|one| one.event == event && !one.wanted)
        });
        let done = message.is_some() && state.done_with == message;
        !narrowed_away && !done
    }

    /// How much of the content the sink wants with the event, where the binding shows `own`.
    pub(crate) fn depth(&self, event: EventKind, own: Option<BodyDepth>) -> Option<BodyDepth> {
        let state = self.state.lock();
        match &state.narrowed {
            None => own,
            Some(narrowed) => narrowed
                .iter()
                .find(|one| one.event == event)
                .map_or(own, |one| one.depth),
        }
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
