//! One stream: takes frames in, gives each to its instance, and runs handlers side by side.
//!
//! The router itself waits for nothing but the stream. A handler that answers at once is run in place; one that
//! waits becomes a task of its own, so that it holds up nobody.

mod call;
mod instances;
mod outbox;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Status;
use tracing::{debug, warn};

use self::call::Call;
pub(crate) use self::call::is_one_way;
use self::instances::{Bindings, Entry, Instances};
pub(crate) use self::outbox::{Frames, Outbox};
use crate::instance::Instance;
use crate::message::Feed;
use crate::v1::{self, FaultKind, attach_request, attach_response};
use crate::{Fault, Sink};

/// Handlers of one stream that may wait at a time. Past it, questions are answered with an overload.
const RUNNING_MAX: usize = 65_536;

/// How long handlers may go on when the gateway has closed the stream.
const AFTERMATH: Duration = Duration::from_secs(10);

/// While draining: how long an idle stream waits for an instance that was on its way.
const LINGER: Duration = Duration::from_secs(1);

/// What the router is told from outside: whether the sink drains, and how long that may take.
pub(crate) type Drain = watch::Receiver<Option<Duration>>;

pub(crate) struct Router<S, P, T> {
    sink: Arc<S>,
    bindings: Bindings<P>,
    instances: Instances<P, T>,
    running: JoinSet<()>,
    outbox: Outbox,
    drain: Drain,
}

impl<S, P, T> Router<S, P, T>
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    pub(crate) fn new(sink: Arc<S>, outbox: Outbox, drain: Drain) -> Self {
        Self {
            sink,
            bindings: Bindings::default(),
            instances: Instances::default(),
            running: JoinSet::new(),
            outbox,
            drain,
        }
    }

    /// Serves the stream to its end.
    pub(crate) async fn run<R>(mut self, mut requests: R)
    where
        R: Stream<Item = Result<v1::AttachRequest, Status>> + Send + Unpin,
    {
        let mut idle_since = None;
        let mut draining = false;
        loop {
            if draining && self.instances.is_empty() {
                idle_since.get_or_insert_with(Instant::now);
            } else {
                idle_since = None;
            }
            // Frames mostly come several at a time: what else may happen is looked at when all are handled.
            if let Some(frame) = requests.next().now_or_never() {
                match frame {
                    Some(Ok(frame)) => self.handle(frame).await,
                    end => {
                        self.ended(end);
                        break;
                    }
                }
                continue;
            }
            tokio::select! {
                biased;
                frame = requests.next() => match frame {
                    Some(Ok(frame)) => self.handle(frame).await,
                    end => {
                        self.ended(end);
                        break;
                    }
                },
                Some(_) = self.running.join_next(), if !self.running.is_empty() => {}
                () = drained(&mut self.drain), if !draining => {
                    draining = true;
                    self.say_goodbye().await;
                }
                () = sleep_until(idle_since.unwrap_or_else(Instant::now) + LINGER), if idle_since.is_some() => break,
            }
        }
        self.finish().await;
    }

    fn ended(&mut self, end: Option<Result<v1::AttachRequest, Status>>) {
        if let Some(Err(status)) = end {
            debug!(%status, "the gateway broke the stream off");
            self.instances.abandon();
        }
    }

    async fn handle(&mut self, frame: v1::AttachRequest) {
        use attach_request::Kind;
        let instance_id = frame.instance_id;
        match frame.kind {
            Some(Kind::Event(event)) => self.event(instance_id, event).await,
            Some(Kind::Content(content)) => self.content(instance_id, content).await,
            Some(Kind::Open(open)) => self.open(instance_id, open).await,
            Some(Kind::Close(_)) => self.instances.close(instance_id),
            Some(Kind::Page(page)) => {
                if let Err(detail) = self.instances.page(instance_id, page) {
                    self.protocol_fault(instance_id, detail).await;
                }
            }
            Some(Kind::Cancel(cancel)) => self.instances.cancel(instance_id, cancel.event_id),
            Some(Kind::Settled(settled)) => self.settled(instance_id, &settled),
            Some(Kind::WantUpload(want)) => self.instances.upload_credit(instance_id, &want),
            Some(Kind::Heartbeat(heartbeat)) => {
                self.outbox
                    .send(0, attach_response::Kind::Heartbeat(heartbeat))
                    .await;
            }
            // What is open goes on; the gateway closes the stream itself.
            Some(Kind::GoAway(away)) => debug!(reason = away.reason, "the gateway wants to stop"),
            None => debug!(
                instance_id,
                "a frame of a later protocol version was ignored"
            ),
        }
    }

    async fn open(&mut self, instance_id: u64, mut open: v1::Open) {
        match self.bindings.of(&mut open) {
            Ok(binding) => self.instances.open(instance_id, binding, open),
            Err(fault) => {
                warn!(?fault, "an instance cannot be opened");
                self.outbox
                    .send(
                        instance_id,
                        attach_response::Kind::Fault(fault.into_proto(0)),
                    )
                    .await;
            }
        }
    }

    async fn event(&mut self, instance_id: u64, mut event: v1::Event) {
        let Some(entry) = self.instances.get(instance_id) else {
            // Its Open was answered with a fault, or it was closed.
            return;
        };
        entry.take_pages(&mut event);
        entry.known.update(&mut event);
        let event_id = event.event_id;
        let awaited = event.deadline.is_some() && !event.replayed;
        let Some(kind) = &event.kind else {
            if awaited {
                let fault = Fault::new(
                    FaultKind::UnknownEvent,
                    "an event of a later protocol version",
                );
                self.outbox
                    .send(
                        instance_id,
                        attach_response::Kind::Fault(fault.into_proto(event_id)),
                    )
                    .await;
            }
            return;
        };
        let one_way = call::is_one_way(kind);
        let depth = event.content.as_ref().and_then(|depth| depth.kind);
        let feed = depth.map(|depth| (Feed::new(), depth));
        let instance = Instance {
            shared: Arc::clone(&entry.shared),
            known: entry.known.clone(),
            event_id,
            outbox: self.outbox.clone(),
        };
        let headers = entry.headers(&mut event);
        let call = Call {
            sink: Arc::clone(&self.sink),
            instance,
            event,
            headers,
            feed: feed.clone(),
            awaited,
        };
        let work: BoxFuture<'static, ()> = Box::pin(call.run());
        if one_way {
            queue_one_way(entry, work, &mut self.running).await;
            return;
        }
        // A busy stream never gets to the branch of the loop that does this.
        while self.running.try_join_next().is_some() {}
        if self.running.len() >= RUNNING_MAX {
            drop(work);
            warn!(instance_id, "too many handlers wait");
            if awaited {
                let fault = Fault::overload("too many handlers wait");
                self.outbox
                    .send(
                        instance_id,
                        attach_response::Kind::Fault(fault.into_proto(event_id)),
                    )
                    .await;
            }
            return;
        }
        // A handler that only answers when its content is there must find the feed.
        let task = start(work, &mut self.running).await;
        if let Some(task) = task {
            entry.started(event_id, task, feed.map(|(feed, _)| feed), awaited);
        }
    }

    async fn content(&mut self, instance_id: u64, content: v1::Content) {
        if let Err(detail) = self.instances.content(instance_id, content) {
            self.protocol_fault(instance_id, detail).await;
        }
    }

    fn settled(&mut self, instance_id: u64, settled: &v1::Settled) {
        if let Some(entry) = self.instances.get(instance_id) {
            let instance = Instance {
                shared: Arc::clone(&entry.shared),
                known: entry.known.clone(),
                event_id: settled.event_id,
                outbox: self.outbox.clone(),
            };
            self.sink.on_settled(&instance, settled);
        }
    }

    async fn protocol_fault(&mut self, instance_id: u64, detail: &str) {
        warn!(instance_id, detail, "the gateway broke the protocol");
        let fault = Fault::new(FaultKind::Protocol, detail);
        self.outbox
            .send(
                instance_id,
                attach_response::Kind::Fault(fault.into_proto(0)),
            )
            .await;
        self.instances.abandon_one(instance_id);
    }

    async fn say_goodbye(&mut self) {
        let drain = (*self.drain.borrow()).and_then(|drain| drain.try_into().ok());
        let away = v1::GoAway {
            drain,
            reason: "the sink shuts down".to_owned(),
        };
        self.outbox
            .send(0, attach_response::Kind::GoAway(away))
            .await;
    }

    /// Lets handlers end that are still at work: one-way events above all.
    async fn finish(mut self) {
        drop(self.instances);
        let rest = async { while self.running.join_next().await.is_some() {} };
        if timeout(AFTERMATH, rest).await.is_err() {
            warn!(
                count = self.running.len(),
                "handlers that outlived their stream are dropped"
            );
        }
    }
}

async fn drained(drain: &mut Drain) {
    if drain.wait_for(Option::is_some).await.is_err() {
        // Nobody will ever say so.
        std::future::pending::<()>().await;
    }
}

/// Runs a handler as far as it goes at once; what is left becomes a task.
async fn start(
    mut work: BoxFuture<'static, ()>,
    running: &mut JoinSet<()>,
) -> Option<tokio::task::AbortHandle> {
    match poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        Poll::Ready(()) => None,
        Poll::Pending => Some(running.spawn(work)),
    }
}

/// Runs a one-way event behind those of its instance that came before.
async fn queue_one_way<P, T>(
    entry: &mut Entry<P, T>,
    work: BoxFuture<'static, ()>,
    running: &mut JoinSet<()>,
) {
    if let Some(lane) = entry.lane() {
        if lane.try_send(work).is_err() {
            warn!("a one-way event was dropped: its instance has too many that wait");
        }
        return;
    }
    let mut work = work;
    if poll_fn(|context| Poll::Ready(work.as_mut().poll(context)))
        .await
        .is_pending()
    {
        let lane = entry.start_lane(work);
        running.spawn(lane);
    }
}
