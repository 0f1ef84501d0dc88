//! The task of one sink on one runtime thread. It owns the sink's fleet and all of its streams, each with its link:
//! whatever sessions want of the sink reaches it as a command, whatever the sink says is handed on as an answer.

mod acting;
mod acts;
mod asking;
mod command;
mod connections;
mod face;
mod fetching;
mod fleet;
mod hearing;
mod news;
mod questions;
mod queue;
mod showing;
mod streams;
mod task;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use postern_attach::{FleetStatus, Reach};
use postern_events::fault::{Fault, FaultKind};
use postern_events::plan::Sink;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use face::{Face, shutting_down};

pub(crate) use command::{
    Again, Answer, Ask, Asking, Begin, Command, Heard, QuestionKey, Tell, Ticket, Told,
};
pub(crate) use face::Start;

/// The way to a sink's task. The task ends with it.
pub(crate) struct SinkHandle {
    sink: Arc<Sink>,
    commands: mpsc::Sender<Command>,
    face: Arc<Face>,
    task: JoinHandle<()>,
}

impl SinkHandle {
    /// Starts the task of a sink. It connects at once, so that what cannot be reached is reported before it is needed.
    pub(crate) fn start(start: Start) -> Self {
        let sink = Arc::clone(&start.sink);
        let (commands, received) = mpsc::channel(start.settings.commands);
        let (task, face) = task::SinkTask::new(start, received);
        Self {
            sink,
            commands,
            face,
            task: tokio::spawn(task),
        }
    }

    /// Whether it leads to this sink, as it is configured now.
    pub(crate) fn serves(&self, sink: &Arc<Sink>) -> bool {
        Arc::ptr_eq(&self.sink, sink)
            || (self.sink.name == sink.name
                && self.sink.endpoints == sink.endpoints
                && self.sink.tls == sink.tls
                && self.sink.concurrency == sink.concurrency)
    }

    /// Hands over a command.
    ///
    /// # Errors
    /// As many commands wait as may, because the sink's task does not get to them; or the task has ended.
    pub(crate) fn send(&self, command: Command) -> Result<(), Fault> {
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                TrySendError::Full(_) => Fault::new(
                    FaultKind::Overload,
                    "too much waits for this sink on this thread",
                ),
                TrySendError::Closed(_) => shutting_down(),
            })
    }

    /// The sink's state: which replicas are well; and of when it is.
    pub(crate) fn status(&self) -> (Instant, FleetStatus) {
        self.face.status.read().clone()
    }

    /// Whether it can be asked.
    pub(crate) fn reach(&self) -> Reach {
        self.face.status.read().1.reach
    }

    /// Instances, open and being opened.
    pub(crate) fn instances(&self) -> usize {
        self.face.busy.load(Ordering::Relaxed)
    }

    /// Whether instances are open, or events wait.
    pub(crate) fn is_used(&self) -> bool {
        self.face.busy.load(Ordering::Relaxed) > 0 || self.open_questions() > 0
    }

    /// Questions that are open.
    pub(crate) fn open_questions(&self) -> usize {
        self.face.questions.load(Ordering::Relaxed)
    }

    /// Whether the sink says that asking has side effects.
    pub(crate) fn is_cautious(&self) -> bool {
        self.face.cautious.load(Ordering::Relaxed)
    }

    /// The sink's name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.sink.name
    }
}

impl Drop for SinkHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
