//! The gRPC service around a sink.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use crate::driver::{Drain, Driver, Manner};
use crate::sink::Ready;
use crate::v1::event_sink_server::{EventSink, EventSinkServer};
use crate::v1::{AttachRequest, AttachResponse, DescribeRequest, DescribeResponse};
use crate::workers::Workers;
use crate::{Sink, StartError};

/// The most that a frame from the gateway may have. The protocol says 1 MiB; the rest is its envelope.
const FRAME_MAX: usize = 1024 * 1024 + 64 * 1024;

/// A sink as a tonic service, for those who run a server of their own. [`serve`](crate::serve()) has one already.
#[derive(Clone)]
pub struct SinkService {
    sink: Arc<Ready>,
    workers: Arc<Workers>,
    drain: Drain,
    streams: watch::Sender<usize>,
}

impl Sink {
    /// The sink as a service for a tonic server or any tower stack. It never drains.
    ///
    /// # Errors
    /// [`StartError`] lists what is wrong with how the sink was built.
    pub fn into_service(self) -> Result<EventSinkServer<SinkService>, StartError> {
        // Without a sender the channel says nothing ever, which is what is wanted.
        let (_, drain) = watch::channel(None);
        Ok(SinkService::draining(
            self.ready()?,
            drain,
            watch::Sender::new(0),
        ))
    }
}

impl SinkService {
    /// The service, with a way to tell it to drain and a count of its streams.
    pub(crate) fn draining(
        sink: Arc<Ready>,
        drain: Drain,
        streams: watch::Sender<usize>,
    ) -> EventSinkServer<Self> {
        let service = Self {
            sink,
            workers: Arc::new(Workers::threads()),
            drain,
            streams,
        };
        EventSinkServer::new(service).max_decoding_message_size(FRAME_MAX)
    }
}

/// The answers of one stream. It is counted while it lives.
pub struct Answers {
    driver: Driver<Streaming<AttachRequest>>,
    streams: watch::Sender<usize>,
}

impl Stream for Answers {
    type Item = Result<AttachResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.driver)
            .poll_next(context)
            .map(|frame| frame.map(Ok))
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.streams.send_modify(|count| *count -= 1);
    }
}

#[tonic::async_trait]
impl EventSink for SinkService {
    type AttachStream = Answers;

    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let request = request.get_ref();
        debug!(gateway = request.gateway_version, "described");
        Ok(Response::new(DescribeResponse {
            problems: self.sink.problems(&request.bindings),
            ..self.sink.description.clone()
        }))
    }

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.streams.send_modify(|count| *count += 1);
        let manner = Manner { checks: true };
        let driver = Driver::new(
            Arc::clone(&self.sink),
            Arc::clone(&self.workers),
            manner,
            request.into_inner(),
            self.drain.clone(),
        );
        Ok(Response::new(Answers {
            driver,
            streams: self.streams.clone(),
        }))
    }
}
