//! The way back to the gateway.

use tokio::sync::mpsc;
use tonic::Status;

use crate::v1;
use crate::v1::attach_response::Kind;

/// Frames that may wait for the gateway to take them. Past it, handlers wait.
const FRAMES_MAX: usize = 256;

/// What the stream sends.
pub(crate) type Frames = mpsc::Receiver<Result<v1::AttachResponse, Status>>;

/// Where everything of a stream that is for the gateway goes.
#[derive(Clone)]
pub(crate) struct Outbox(mpsc::Sender<Result<v1::AttachResponse, Status>>);

impl Outbox {
    pub(crate) fn new() -> (Self, Frames) {
        let (sender, frames) = mpsc::channel(FRAMES_MAX);
        (Self(sender), frames)
    }

    /// Sends a frame. When the gateway is gone, so is the frame, and its handler is about to be dropped.
    pub(crate) async fn send(&self, instance_id: u64, kind: Kind) {
        let frame = v1::AttachResponse {
            instance_id,
            kind: Some(kind),
        };
        if self.0.send(Ok(frame)).await.is_err() {
            tracing::debug!(
                instance_id,
                "a frame for a gateway that is gone was dropped"
            );
        }
    }
}
