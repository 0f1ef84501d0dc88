//! Frames on their way to one sink, over one stream.
//!
//! A bounded queue of batches. The network takes them one by one; while the sink does not read, the network does
//! not take, the queue fills, and whoever wants to send waits under its own deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use postern_proto::v1::AttachRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::Stream;

/// Frames that are sent together, none or all of them, in order.
pub(crate) enum Batch {
    /// The usual case.
    One(AttachRequest),
    /// An instance that opens with its first event, replayed ones, pages of long lists.
    Many(Vec<AttachRequest>),
    /// A piece of content, with its place among those that may wait at a time.
    Chunk(AttachRequest, OwnedSemaphorePermit),
}

/// The stream has ended; nothing can be sent any more.
#[derive(Debug)]
pub(crate) struct Ended;

/// What a sender got.
pub(crate) enum Room<'a> {
    /// A place for one batch.
    Place(mpsc::Permit<'a, Batch>),
    /// The queue is full.
    Full,
    /// The stream has ended.
    Ended,
}

/// The sending side.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Batch>,
    chunks: Arc<Semaphore>,
}

impl Outbox {
    /// An outbox for `batches` batches, among them `chunks` pieces of content, and what the network takes from.
    pub(crate) fn new(batches: usize, chunks: usize) -> (Self, Outgoing) {
        let (queue, taken) = mpsc::channel(batches.max(1));
        let outbox = Self {
            queue,
            chunks: Arc::new(Semaphore::new(chunks.max(1))),
        };
        (
            outbox,
            Outgoing {
                taken,
                rest: Vec::new().into_iter(),
            },
        )
    }

    /// A place for one batch, if there is one now.
    pub(crate) fn room(&self) -> Room<'_> {
        match self.queue.try_reserve() {
            Ok(permit) => Room::Place(permit),
            Err(mpsc::error::TrySendError::Full(())) => Room::Full,
            Err(mpsc::error::TrySendError::Closed(())) => Room::Ended,
        }
    }

    /// A place for one batch, waiting for it.
    pub(crate) async fn wait_for_room(&self) -> Result<mpsc::Permit<'_, Batch>, Ended> {
        self.queue.reserve().await.map_err(|_| Ended)
    }

    /// Sends if there is room now. False: it was not sent.
    pub(crate) fn try_send(&self, frame: AttachRequest) -> bool {
        self.queue.try_send(Batch::One(frame)).is_ok()
    }

    /// Waits until another piece of content may wait for the network.
    pub(crate) async fn wait_for_chunk(&self) -> Result<OwnedSemaphorePermit, Ended> {
        Arc::clone(&self.chunks)
            .acquire_owned()
            .await
            .map_err(|_| Ended)
    }

    /// Sends a piece of content, waiting for room.
    pub(crate) async fn send_chunk(
        &self,
        frame: AttachRequest,
        place: OwnedSemaphorePermit,
    ) -> Result<(), Ended> {
        self.queue
            .send(Batch::Chunk(frame, place))
            .await
            .map_err(|_| Ended)
    }
}

/// What the network takes from. Ends when the last [`Outbox`] is gone.
pub(crate) struct Outgoing {
    taken: mpsc::Receiver<Batch>,
    rest: std::vec::IntoIter<AttachRequest>,
}

impl Stream for Outgoing {
    type Item = AttachRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<AttachRequest>> {
        loop {
            if let Some(frame) = self.rest.next() {
                return Poll::Ready(Some(frame));
            }
            match std::task::ready!(self.taken.poll_recv(cx)) {
                Some(Batch::One(frame)) => return Poll::Ready(Some(frame)),
                Some(Batch::Chunk(frame, place)) => {
                    // Free for the next chunk as soon as the network has taken this one.
                    drop(place);
                    return Poll::Ready(Some(frame));
                }
                Some(Batch::Many(frames)) => self.rest = frames.into_iter(),
                None => return Poll::Ready(None),
            }
        }
    }
}
