//! Frames on their way to one sink, over one stream.
//!
//! A bounded queue of batches. The network takes them one by one; while the sink does not read, the network does
//! not take, the queue fills, and whoever wants to send waits under its own deadline.
//!
//! Each write wakes the sink's process, and that costs more than what is in it. So frames that come at nearly the
//! same time, from several sessions, leave together, and a frame that nobody waits for goes with the next one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use postern_proto::v1::AttachRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep, sleep};
use tokio_stream::Stream;

/// How long a frame that nobody waits for may wait for company, and how many may.
const COMPANY: Duration = Duration::from_millis(5);
const LEISURELY: usize = 32;

/// Frames that are sent together, none or all of them, in order.
pub(crate) enum Batch {
    /// The usual case.
    One(AttachRequest),
    /// An instance that opens with its first event, replayed ones, pages of long lists.
    Many(Vec<AttachRequest>),
    /// A piece of content, with its place among those that may wait at a time.
    Chunk(AttachRequest, OwnedSemaphorePermit),
    /// Nobody waits for what comes of it.
    AtLeisure(AttachRequest),
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
        (outbox, Outgoing::new(taken))
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

    /// As [`Outbox::try_send`], for a frame that may wait a little for others to go with. It keeps its place.
    pub(crate) fn try_send_at_leisure(&self, frame: AttachRequest) -> bool {
        self.queue.try_send(Batch::AtLeisure(frame)).is_ok()
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

/// Resolves once the tasks that can run now have run.
type Turn = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the network takes from. Ends when the last [`Outbox`] is gone.
pub(crate) struct Outgoing {
    taken: mpsc::Receiver<Batch>,
    /// What leaves next.
    rest: std::vec::IntoIter<AttachRequest>,
    /// What waits for company, and until when at most.
    leisurely: Vec<AttachRequest>,
    company: Pin<Box<Sleep>>,
    /// Everything was taken: the next batch waits for those of other sessions that can run now.
    idle: bool,
    /// What waits until the others have run, and what tells that they have.
    pause: Option<(Batch, Turn)>,
}

impl Outgoing {
    fn new(taken: mpsc::Receiver<Batch>) -> Self {
        Self {
            taken,
            rest: Vec::new().into_iter(),
            leisurely: Vec::new(),
            company: Box::pin(sleep(Duration::ZERO)),
            idle: true,
            pause: None,
        }
    }

    /// The next batch. One that comes after a time of silence waits until the runtime has looked at its sockets.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        if self.pause.is_none() {
            match self.taken.poll_recv(cx) {
                Poll::Ready(Some(Batch::AtLeisure(frame))) => {
                    return Poll::Ready(Some(Batch::AtLeisure(frame)));
                }
                Poll::Ready(Some(batch)) if self.idle => {
                    self.pause = Some((batch, Box::pin(tokio::task::yield_now())));
                }
                Poll::Pending => {
                    self.idle = true;
                    return Poll::Pending;
                }
                other => return other,
            }
        }
        if let Some((_, pause)) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
        }
        self.idle = false;
        Poll::Ready(self.pause.take().map(|(batch, _)| batch))
    }

    /// Keeps a frame until others go.
    fn keep(&mut self, frame: AttachRequest) {
        if self.leisurely.is_empty() {
            self.company.as_mut().reset(Instant::now() + COMPANY);
        }
        self.leisurely.push(frame);
    }

    /// Lets what was kept go, and `frames` behind it.
    fn release(&mut self, frames: Vec<AttachRequest>) {
        let mut all = std::mem::take(&mut self.leisurely);
        all.extend(frames);
        self.rest = all.into_iter();
    }
}

impl Stream for Outgoing {
    type Item = AttachRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<AttachRequest>> {
        loop {
            if let Some(frame) = self.rest.next() {
                return Poll::Ready(Some(frame));
            }
            match self.poll_batch(cx) {
                Poll::Ready(Some(Batch::AtLeisure(frame))) => {
                    self.keep(frame);
                    if self.leisurely.len() >= LEISURELY {
                        self.release(Vec::new());
                    }
                }
                Poll::Ready(Some(Batch::One(frame))) if self.leisurely.is_empty() => {
                    return Poll::Ready(Some(frame));
                }
                Poll::Ready(Some(Batch::One(frame))) => self.release(vec![frame]),
                Poll::Ready(Some(Batch::Chunk(frame, place))) => {
                    // Free for the next chunk as soon as the network has taken this one.
                    drop(place);
                    self.release(vec![frame]);
                }
                Poll::Ready(Some(Batch::Many(frames))) => self.release(frames),
                Poll::Ready(None) if self.leisurely.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => self.release(Vec::new()),
                Poll::Pending if self.leisurely.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    ready!(self.company.as_mut().poll(cx));
                    self.release(Vec::new());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt as _;
    use tokio_stream::StreamExt as _;

    use super::*;

    fn frame(instance_id: u64) -> AttachRequest {
        AttachRequest {
            instance_id,
            kind: None,
        }
    }

    #[tokio::test]
    async fn a_leisurely_frame_goes_with_the_next_one_in_order() {
        let (outbox, mut outgoing) = Outbox::new(8, 1);
        assert!(outbox.try_send_at_leisure(frame(1)));
        assert!(outgoing.next().now_or_never().is_none());
        assert!(outbox.try_send(frame(2)));
        let first = outgoing.next().await.unwrap();
        let second = outgoing.next().await.unwrap();
        assert_eq!((first.instance_id, second.instance_id), (1, 2));
    }

    #[tokio::test]
    async fn alone_it_goes_after_a_while_and_at_the_end() {
        let (outbox, mut outgoing) = Outbox::new(8, 1);
        assert!(outbox.try_send_at_leisure(frame(1)));
        let began = Instant::now();
        assert_eq!(outgoing.next().await.unwrap().instance_id, 1);
        assert!(began.elapsed() >= COMPANY);
        assert!(outbox.try_send_at_leisure(frame(2)));
        drop(outbox);
        assert_eq!(outgoing.next().await.unwrap().instance_id, 2);
        assert_eq!(outgoing.next().await, None);
    }

    #[tokio::test]
    async fn what_came_during_a_pause_leaves_together() {
        let (outbox, mut outgoing) = Outbox::new(8, 1);
        assert!(outbox.try_send(frame(1)));
        assert!(outgoing.next().now_or_never().is_none());
        assert!(outbox.try_send(frame(2)));
        assert_eq!(outgoing.next().await.unwrap().instance_id, 1);
        let second = outgoing.next().now_or_never();
        assert_eq!(second.flatten().unwrap().instance_id, 2);
    }

    #[tokio::test]
    async fn many_leisurely_ones_wait_for_nobody() {
        let (outbox, mut outgoing) = Outbox::new(LEISURELY, 1);
        for n in 0..LEISURELY {
            assert!(outbox.try_send_at_leisure(frame(n as u64)));
        }
        for n in 0..LEISURELY {
            assert_eq!(outgoing.next().await.unwrap().instance_id, n as u64);
        }
    }
}
