//! What a running handler asks of its stream.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::v1;

/// Commands of one stream that may wait. Past it, handlers wait.
const COMMANDS_MAX: usize = 256;

pub(crate) enum Command {
    Progress(v1::Progress, Option<oneshot::Sender<Duration>>),
    Ready(v1::Ready),
    Done(v1::Done),
    WantContent(v1::WantContent),
    StopContent(v1::StopContent),
    ReadContent(v1::ReadContent),
    Upload(v1::Upload),
    Act(v1::SinkAction, mpsc::Sender<v1::ActionResult>),
}

/// The way from handlers to their stream.
#[derive(Clone)]
pub(crate) struct Commands(mpsc::Sender<(u64, Command)>);

impl Commands {
    pub(crate) fn new() -> (Self, mpsc::Receiver<(u64, Command)>) {
        let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
        (Self(sender), receiver)
    }

    /// Hands a command to the stream. False: the stream is gone, and the handler is about to be dropped.
    pub(crate) async fn send(&self, instance_id: u64, command: Command) -> bool {
        self.0.send((instance_id, command)).await.is_ok()
    }
}
