//! The gRPC service around a sink.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use crate::router::{Drain, Outbox, Router};
use crate::v1::event_sink_server::{EventSink, EventSinkServer};
use crate::v1::{AttachRequest, AttachResponse, DescribeRequest, DescribeResponse};
use crate::{NoProperties, NoState, Sink};

/// The most that a frame from the gateway may have. The protocol says 1 MiB; the rest is its envelope.
const FRAME_MAX: usize = 1024 * 1024 + 64 * 1024;

/// A sink as a tonic service, for those who run a server of their own. [`serve`](crate::serve) has one already.
pub struct SinkService<S, P = NoProperties, T = NoState> {
    sink: Arc<S>,
    drain: Drain,
    streams: watch::Sender<usize>,
    // Says nothing of ownership: the service is as free between threads as the sink is.
    types: PhantomData<fn() -> (P, T)>,
}

impl<S, P, T> SinkService<S, P, T>
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    /// The service for a tonic router. It never drains.
    pub fn server(sink: S) -> EventSinkServer<Self> {
        // Without a sender the channel says nothing ever, which is what is wanted.
        let (_, drain) = watch::channel(None);
        Self::draining(Arc::new(sink), drain, watch::Sender::new(0))
    }

    /// The service, with a way to tell it to drain and a count of its streams.
    pub(crate) fn draining(
        sink: Arc<S>,
        drain: Drain,
        streams: watch::Sender<usize>,
    ) -> EventSinkServer<Self> {
        let service = Self {
            sink,
            drain,
            streams,
            types: PhantomData,
        };
        EventSinkServer::new(service).max_decoding_message_size(FRAME_MAX)
    }
}

/// Counts a stream while it lives.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(streams: &watch::Sender<usize>) -> Self {
        streams.send_modify(|count| *count += 1);
        Self(streams.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[tonic::async_trait]
impl<S, P, T> EventSink for SinkService<S, P, T>
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    type AttachStream = ReceiverStream<Result<AttachResponse, Status>>;

    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        debug!(gateway = request.get_ref().gateway_version, "described");
        Ok(Response::new(self.sink.describe().into_proto()))
    }

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (outbox, frames) = Outbox::new();
        let router = Router::new(Arc::clone(&self.sink), outbox, self.drain.clone());
        // It ends with the stream: either side's end of it ends the other.
        let counted = Counted::new(&self.streams);
        tokio::spawn(async move {
            router.run(request.into_inner()).await;
            drop(counted);
        });
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}
