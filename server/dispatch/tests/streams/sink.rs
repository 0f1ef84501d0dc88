//! A sink that does what a test tells it, and remembers every frame.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use postern_proto::v1::attach_request::Kind as In;
use postern_proto::v1::attach_response::Kind as Out;
use postern_proto::v1::event_sink_server::{EventSink, EventSinkServer};
use postern_proto::v1::{
    self as pb, AttachRequest, AttachResponse, DescribeRequest, DescribeResponse,
};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

type Behaviour = dyn Fn(&Frame, &Replies) + Send + Sync;

/// A frame that came.
#[derive(Clone, Debug)]
pub struct Frame {
    pub instance: u64,
    pub kind: In,
}

impl Frame {
    pub fn event(&self) -> Option<&pb::Event> {
        match &self.kind {
            In::Event(event) => Some(&**event),
            _ => None,
        }
    }

    /// The event, if an answer to it is awaited.
    pub fn question(&self) -> Option<&pb::Event> {
        self.event().filter(|event| event.deadline.is_some())
    }
}

/// Where a behaviour answers.
pub struct Replies {
    out: mpsc::Sender<Result<AttachResponse, Status>>,
    instance: u64,
    hang_up: Arc<Notify>,
    /// Frames of the stream are left on the network from here on.
    deaf: Arc<AtomicBool>,
}

impl Replies {
    /// Reads nothing more from this stream.
    pub fn turn_deaf(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }

    pub fn send(&self, kind: Out) {
        self.out
            .try_send(Ok(AttachResponse {
                instance_id: self.instance,
                kind: Some(kind),
            }))
            .unwrap();
    }

    pub fn verdict(&self, event_id: u64, kind: pb::decision::Kind) {
        self.send(Out::Verdict(Box::new(verdict(event_id, kind))));
    }

    pub fn proceed(&self, event_id: u64) {
        self.verdict(event_id, pb::decision::Kind::Proceed(pb::Proceed {}));
    }

    pub fn reject(&self, event_id: u64) {
        self.verdict(
            event_id,
            pb::decision::Kind::Reject(pb::Reject { reply: None }),
        );
    }

    /// Ends the stream without a word.
    pub fn hang_up(&self) {
        self.hang_up.notify_one();
    }

    /// Replies for another instance of the stream.
    pub fn keep_for(&self, instance: u64) -> Self {
        Self {
            instance,
            ..self.keep()
        }
    }

    /// The same replies, for later.
    pub fn keep(&self) -> Self {
        Self {
            out: self.out.clone(),
            instance: self.instance,
            hang_up: Arc::clone(&self.hang_up),
            deaf: Arc::clone(&self.deaf),
        }
    }
}

pub fn verdict(event_id: u64, kind: pb::decision::Kind) -> pb::Verdict {
    pb::Verdict {
        event_id,
        decision: Some(pb::Decision { kind: Some(kind) }),
        ..pb::Verdict::default()
    }
}

/// What a test's sink says of itself.
pub fn description(instances_per_stream: u32) -> DescribeResponse {
    DescribeResponse {
        name: "test".to_owned(),
        version: "1".to_owned(),
        protocol_version: 1,
        features: vec!["parts".to_owned(), "settled".to_owned()],
        instances_per_stream,
        ..DescribeResponse::default()
    }
}

/// A behaviour that has no objection to anything.
pub fn agreeable(frame: &Frame, replies: &Replies) {
    if let Some(event) = frame.question() {
        replies.proceed(event.event_id);
    }
}

struct Inner {
    behaviour: Box<Behaviour>,
    describe: DescribeResponse,
    streams: AtomicUsize,
    frames: Mutex<Vec<Frame>>,
    came: Notify,
}

/// A running sink.
#[derive(Clone)]
pub struct TestSink {
    inner: Arc<Inner>,
    pub endpoint: String,
    server: Arc<Server>,
}

/// A health service (grpc.health.v1).
#[derive(Clone)]
pub struct Health(HealthReporter);

impl Health {
    pub async fn serving() -> Self {
        let health = Self(HealthReporter::new());
        health.say(ServingStatus::Serving).await;
        health
    }

    pub async fn say(&self, status: ServingStatus) {
        self.0.set_service_status("", status).await;
    }

    fn service(self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.0))
    }
}

/// A server on a thread of its own: when it stops, its connections are gone with its runtime.
pub struct Server {
    stop: Arc<Notify>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Server {
    fn start(listener: std::net::TcpListener, inner: Arc<Inner>, health: Option<Health>) -> Self {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
                let service = EventSinkServer::new(Service(inner));
                let serving = tonic::transport::Server::builder()
                    .add_service(service)
                    .add_optional_service(health.map(Health::service))
                    .serve_with_incoming(incoming);
                tokio::select! {
                    served = serving => served.unwrap(),
                    () = stopped.notified() => {}
                }
            });
        });
        Self {
            stop,
            thread: Mutex::new(Some(thread)),
        }
    }

    fn kill(&self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[derive(Clone)]
struct Service(Arc<Inner>);

impl TestSink {
    /// A sink that carries this many instances on a stream.
    pub async fn start(
        instances_per_stream: u32,
        behaviour: impl Fn(&Frame, &Replies) + Send + Sync + 'static,
    ) -> Self {
        Self::start_described(description(instances_per_stream), behaviour).await
    }

    pub async fn start_described(
        describe: DescribeResponse,
        behaviour: impl Fn(&Frame, &Replies) + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(describe, None, behaviour).await
    }

    pub async fn start_with(
        describe: DescribeResponse,
        health: Option<Health>,
        behaviour: impl Fn(&Frame, &Replies) + Send + Sync + 'static,
    ) -> Self {
        let inner = Arc::new(Inner {
            behaviour: Box::new(behaviour),
            describe,
            streams: AtomicUsize::new(0),
            frames: Mutex::new(Vec::new()),
            came: Notify::new(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::start(listener, Arc::clone(&inner), health);
        Self {
            inner,
            endpoint,
            server: Arc::new(server),
        }
    }

    /// Stops the server and drops its connections.
    pub fn kill(&self) {
        self.server.kill();
    }

    pub fn frames(&self) -> Vec<Frame> {
        self.inner.frames.lock().clone()
    }

    pub fn streams(&self) -> usize {
        self.inner.streams.load(Ordering::Relaxed)
    }

    /// Waits until the frames that came satisfy `wanted`.
    pub async fn until(&self, wanted: impl Fn(&[Frame]) -> bool) -> Vec<Frame> {
        let waiting = async {
            loop {
                let mut came = std::pin::pin!(self.inner.came.notified());
                came.as_mut().enable();
                let frames = self.frames();
                if wanted(&frames) {
                    return frames;
                }
                came.await;
            }
        };
        let limit = std::time::Duration::from_secs(5);
        match tokio::time::timeout(limit, waiting).await {
            Ok(frames) => frames,
            Err(_) => panic!("never came; what came is {:#?}", self.frames()),
        }
    }

    /// Octets of pushed content that came, and whether the last frame was there.
    pub fn content(&self) -> (Vec<u8>, Option<pb::ContentEnd>) {
        let mut octets = Vec::new();
        let mut end = None;
        for frame in self.frames() {
            if let In::Content(content) = frame.kind
                && content.read_id == 0
            {
                assert_eq!(content.offset, octets.len() as u64, "no gap");
                octets.extend_from_slice(&content.octets);
                end = content.ended.map(|end| *end).or(end);
            }
        }
        (octets, end)
    }
}

/// A sink without memory, on a listener.
pub fn serve_on(
    listener: std::net::TcpListener,
    behaviour: impl Fn(&Frame, &Replies) + Send + Sync + 'static,
) -> Server {
    let inner = Arc::new(Inner {
        behaviour: Box::new(behaviour),
        describe: description(1),
        streams: AtomicUsize::new(0),
        frames: Mutex::new(Vec::new()),
        came: Notify::new(),
    });
    Server::start(listener, inner, None)
}

#[tonic::async_trait]
impl EventSink for Service {
    type AttachStream = ReceiverStream<Result<AttachResponse, Status>>;

    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        Ok(Response::new(self.0.describe.clone()))
    }

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut frames = request.into_inner();
        // As servers in other languages do: no response headers before the gateway has spoken.
        let first = frames.message().await?;
        let (out, replies) = mpsc::channel(4096);
        let inner = Arc::clone(&self.0);
        inner.streams.fetch_add(1, Ordering::Relaxed);
        let hang_up = Arc::new(Notify::new());
        let serving = serve(inner, first, frames, out, Arc::clone(&hang_up));
        tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                () = hang_up.notified() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(replies)))
    }
}

fn serve(
    inner: Arc<Inner>,
    first: Option<AttachRequest>,
    mut frames: Streaming<AttachRequest>,
    out: mpsc::Sender<Result<AttachResponse, Status>>,
    hang_up: Arc<Notify>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let deaf = Arc::new(AtomicBool::new(false));
        let mut next = first;
        while let Some(AttachRequest {
            instance_id,
            kind: Some(kind),
        }) = next
        {
            let frame = Frame {
                instance: instance_id,
                kind,
            };
            let replies = Replies {
                out: out.clone(),
                instance: instance_id,
                hang_up: Arc::clone(&hang_up),
                deaf: Arc::clone(&deaf),
            };
            (inner.behaviour)(&frame, &replies);
            // A test that has seen a frame may count on what the behaviour did about it.
            inner.frames.lock().push(frame);
            inner.came.notify_waiters();
            if deaf.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            next = frames.message().await.unwrap_or(None);
        }
    })
}
