//! Where the edits of a message wait for the verdict.

use std::sync::{Mutex, PoisonError};

use crate::v1::edit;

/// The edits of the message that a handler was given. They come back when the handler lets go of the message.
#[derive(Default)]
pub(crate) struct Slot(Mutex<State>);

#[derive(Default)]
enum State {
    /// No message was handed out.
    #[default]
    Unused,
    /// The message is at the handler.
    Out,
    /// The message was let go of.
    Back(Vec<edit::Kind>, Option<u64>),
}

impl Slot {
    pub(crate) fn hand_out(&self) {
        *self.lock() = State::Out;
    }

    pub(crate) fn take_back(&self, edits: Vec<edit::Kind>, content_bytes: Option<u64>) {
        *self.lock() = State::Back(edits, content_bytes);
    }

    /// The edits, and the size of the content if its end has come. None: the message is still held somewhere.
    pub(crate) fn edits(&self) -> Option<(Vec<edit::Kind>, Option<u64>)> {
        match std::mem::take(&mut *self.lock()) {
            State::Unused => Some((Vec::new(), None)),
            State::Out => None,
            State::Back(edits, content_bytes) => Some((edits, content_bytes)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
