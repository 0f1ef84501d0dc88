//! The gateway's end of the one stream that all sessions of a script share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::driver::{Driver, Manner};
use crate::sink::Ready;
use crate::v1::{self, attach_request, attach_response};
use crate::workers::Workers;

/// Frames that may wait for the sink. It takes them as they come.
const FRAMES_MAX: usize = 1024;

/// No frame is longer.
const FRAME_BYTES: usize = 1 << 20;

#[derive(Clone)]
pub(super) struct Hub {
    requests: mpsc::Sender<Result<v1::AttachRequest, String>>,
    state: Arc<Mutex<State>>,
    driving: Arc<Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Default)]
struct State {
    instances: HashMap<u64, mpsc::UnboundedSender<attach_response::Kind>>,
    next_instance_id: u64,
    binding_told: bool,
}

impl Hub {
    pub(super) fn start(sink: Arc<Ready>) -> Self {
        let (requests, receiver) = mpsc::channel(FRAMES_MAX);
        let state = Arc::<Mutex<State>>::default();
        let (_, never) = watch::channel(None);
        let manner = Manner { checks: false };
        let workers = Arc::new(Workers::InPlace);
        let mut driver = Driver::new(sink, workers, manner, ReceiverStream::new(receiver), never);
        let known = Arc::clone(&state);
        let driving = tokio::spawn(async move {
            while let Some(frame) = driver.next().await {
                deliver(&known, frame);
            }
        });
        Self {
            requests,
            state,
            driving: Arc::new(Mutex::new(Some(driving))),
        }
    }

    /// A number for an instance, and what comes back for it. True: the stream has not seen the binding yet.
    pub(super) fn instance(&self) -> (u64, mpsc::UnboundedReceiver<attach_response::Kind>, bool) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = lock(&self.state);
        state.next_instance_id += 1;
        let instance_id = state.next_instance_id;
        state.instances.insert(instance_id, sender);
        let first = !std::mem::replace(&mut state.binding_told, true);
        (instance_id, receiver, first)
    }

    pub(super) fn forget(&self, instance_id: u64) {
        lock(&self.state).instances.remove(&instance_id);
    }

    pub(super) async fn send(&self, instance_id: u64, kind: attach_request::Kind) {
        let frame = v1::AttachRequest {
            instance_id,
            kind: Some(kind),
        };
        assert!(
            frame.encoded_len() <= FRAME_BYTES,
            "the kit made a frame that is too long"
        );
        if self.requests.send(Ok(frame)).await.is_err() {
            panic!("the stream ended before the script");
        }
    }

    /// Ends the stream and waits for what still runs.
    pub(super) async fn finish(self) {
        let driving = lock(&self.driving).take();
        drop(self.requests);
        if let Some(driving) = driving
            && let Err(error) = driving.await
        {
            match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => panic!("the stream failed: {error}"),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn deliver(state: &Mutex<State>, frame: v1::AttachResponse) {
    let octets = frame.encoded_len();
    assert!(
        octets <= FRAME_BYTES,
        "the gateway would end the stream: a frame of {octets} octets"
    );
    let Some(kind) = frame.kind else {
        panic!("the gateway would end the stream: a frame without kind");
    };
    if frame.instance_id == 0 {
        let allowed = matches!(
            kind,
            attach_response::Kind::Heartbeat(_) | attach_response::Kind::GoAway(_)
        );
        assert!(
            allowed,
            "the gateway would end the stream: {kind:?} for no instance"
        );
        return;
    }
    // One that is closed already: the frame has crossed with Close.
    if let Some(instance) = lock(state).instances.get(&frame.instance_id) {
        drop(instance.send(kind));
    }
}
