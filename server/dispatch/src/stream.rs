//! One Attach stream to one replica, and the instances on it.
//!
//! Frames go out through the outbox; a task of its own waits for the response headers (sinks in many languages
//! send theirs with their first message) and then reads, handing each frame to its instance.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_proto::v1::attach_request::Kind as Outbound;
use postern_proto::v1::attach_response::Kind as Inbound;
use postern_proto::v1::event_sink_client::EventSinkClient;
use postern_proto::v1::{self as pb, AttachRequest, AttachResponse, CloseReason};
use tokio::sync::Notify;
use tonic::Status;
use tonic::transport::Channel;

use crate::connection::{Slot, with_sources};
use crate::fault::{Fault, FaultKind};
use crate::instance::{Instance, Reception};
use crate::outbox::{Outbox, Outgoing};
use crate::replica::Replica;

/// Time that a sink has to end a stream that the gateway has half-closed.
const GOODBYE: Duration = Duration::from_secs(2);

/// Time after which a stream that owes answers and says nothing is not given further instances.
const SILENCE: Duration = Duration::from_millis(100);

/// Frames that must not be lost and may wait for room. A sink that lets more come together has stopped reading.
const LATE: usize = 16 << 10;

/// One stream.
pub(crate) struct SinkStream {
    replica: Arc<Replica>,
    outbox: Outbox,
    /// Instances that it may carry at a time.
    capacity: usize,
    state: Mutex<State>,
    /// When the sink was first asked something since it last said anything.
    unanswered: Mutex<Option<Instant>>,
    stop: Arc<Notify>,
    _slot: Slot,
}

struct State {
    instances: HashMap<u64, Arc<Instance>>,
    last_instance: u64,
    /// Revisions of bindings that were named on it.
    named: HashSet<u64>,
    /// Frames that found the outbox full and must not be lost. Nothing overtakes them but what belongs to others.
    late: Vec<AttachRequest>,
    retiring: bool,
    ended: bool,
    /// The sink has said something.
    spoke: bool,
    /// When something came in or was asked last, and the heartbeat that is still unanswered.
    last_sign: Instant,
    beats: u64,
    beat_open: Option<Instant>,
}

impl SinkStream {
    /// Opens a stream. Frames may be sent at once; they wait for the connection.
    pub(crate) fn open(
        replica: &Arc<Replica>,
        client: EventSinkClient<Channel>,
        slot: Slot,
        capacity: usize,
    ) -> Arc<Self> {
        let tuning = replica.tuning();
        let (outbox, outgoing) = Outbox::new(tuning.stream_queue, tuning.chunks_in_flight);
        let stop = Arc::new(Notify::new());
        let stream = Arc::new(Self {
            replica: Arc::clone(replica),
            outbox,
            capacity,
            state: Mutex::new(State {
                instances: HashMap::new(),
                last_instance: 0,
                named: HashSet::new(),
                late: Vec::new(),
                retiring: false,
                ended: false,
                spoke: false,
                last_sign: Instant::now(),
                beats: 0,
                beat_open: None,
            }),
            unanswered: Mutex::new(None),
            stop: Arc::clone(&stop),
            _slot: slot,
        });
        replica.spawn(run(Arc::downgrade(&stream), client, outgoing, stop));
        stream
    }

    /// The replica that it leads to.
    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Where frames are sent.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// It carries one instance at a time.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.capacity <= 1
    }

    /// Instances that are open on it.
    pub(crate) fn load(&self) -> usize {
        self.state.lock().instances.len()
    }

    /// It takes another instance.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state.lock();
        !state.retiring && !state.ended && state.instances.len() < self.capacity
    }

    /// It was asked something a while ago and says nothing at all: the sink may have stopped reading it, and new
    /// instances are better off elsewhere.
    pub(crate) fn is_silent(&self) -> bool {
        self.unanswered
            .lock()
            .is_some_and(|asked| asked.elapsed() >= SILENCE)
    }

    /// It has ended, or takes no new instances and has none.
    pub(crate) fn is_spent(&self) -> bool {
        let state = self.state.lock();
        state.ended || (state.retiring && state.instances.is_empty())
    }

    /// A new instance on it, if it takes one.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Arc<Instance>> {
        let mut state = self.state.lock();
        if state.retiring || state.ended || state.instances.len() >= self.capacity {
            return None;
        }
        state.last_instance += 1;
        let id = state.last_instance;
        let instance = Arc::new(Instance::new(id, Arc::clone(self)));
        state.instances.insert(id, Arc::clone(&instance));
        Some(instance)
    }

    /// Whether this binding must be described on Open: on a shared stream only the first time.
    pub(crate) fn must_name(&self, revision: u64) -> bool {
        self.is_exclusive() || self.state.lock().named.insert(revision)
    }

    /// The open instances.
    pub(crate) fn instances(&self) -> Vec<Arc<Instance>> {
        self.state.lock().instances.values().cloned().collect()
    }

    /// An instance has closed. A stream for one at a time on which answers are still owed is not used again: its
    /// handler may be stuck.
    pub(crate) fn forget(&self, id: u64, clean: bool) {
        self.state.lock().instances.remove(&id);
        if self.is_exclusive() && !clean {
            self.retire();
        }
    }

    /// Takes no new instances.
    pub(crate) fn retire(&self) {
        self.state.lock().retiring = true;
    }

    /// More or fewer questions are open.
    pub(crate) fn count_questions(&self, change: isize) {
        if change > 0 {
            self.unanswered.lock().get_or_insert_with(Instant::now);
        }
        self.replica.count_questions(change);
    }

    /// Sends a frame that must not be lost (Close, Cancel): later, if the outbox is full.
    pub(crate) fn send_in_any_case(&self, frame: AttachRequest) {
        let lagging = {
            let mut state = self.state.lock();
            if state.ended {
                return;
            }
            if !state.late.is_empty() || !self.outbox.try_send(frame.clone()) {
                state.late.push(frame);
            }
            state.late.len() > LATE
        };
        if lagging {
            self.end(&Fault::new(
                FaultKind::Unreachable,
                "the sink does not read what it is told",
            ));
            self.replica.timed_out();
        }
    }

    /// As [`SinkStream::send_in_any_case`], for a frame that the sink need not have at once: it spares the sink's
    /// process a wake-up. Where one instance is carried at a time the sink waits for it.
    pub(crate) fn send_at_leisure(&self, frame: AttachRequest) {
        let state = self.state.lock();
        if state.ended {
            return;
        }
        let sent = !self.is_exclusive()
            && state.late.is_empty()
            && self.outbox.try_send_at_leisure(frame.clone());
        drop(state);
        if !sent {
            self.send_in_any_case(frame);
        }
    }

    /// Sends what found the outbox full, as far as there is room now. Called with every frame that comes in and
    /// now and then.
    pub(crate) fn flush_late(&self) {
        let mut state = self.state.lock();
        if state.late.is_empty() {
            return;
        }
        let sent = state
            .late
            .iter()
            .take_while(|frame| self.outbox.try_send((*frame).clone()))
            .count();
        state.late.drain(..sent);
    }

    /// Asks for a sign of life where nothing has been said for a while and no question is open. A stream that
    /// owes one for too long is given up; the next event opens another.
    pub(crate) fn beat(&self, now: Instant) {
        let tuning = self.replica.tuning();
        let busy = self.instances().iter().any(|instance| !instance.is_idle());
        let frame = {
            let mut state = self.state.lock();
            if busy || state.ended || !state.spoke {
                return;
            }
            match state.beat_open {
                Some(at) if now.saturating_duration_since(at) >= tuning.keep_alive_timeout => None,
                Some(_) => return,
                None if now.saturating_duration_since(state.last_sign)
                    < tuning.keep_alive_interval =>
                {
                    return;
                }
                None => {
                    state.beats += 1;
                    state.beat_open = Some(now);
                    Some(Outbound::Heartbeat(pb::Heartbeat {
                        sequence: state.beats,
                    }))
                }
            }
        };
        match frame {
            Some(kind) => self.send_in_any_case(AttachRequest {
                instance_id: 0,
                kind: Some(kind),
            }),
            None => self.end(&Fault::new(
                FaultKind::Unreachable,
                "no heartbeat came back",
            )),
        }
    }

    /// Tells the sink that no new instances will come on the stream.
    pub(crate) fn say_goodbye(&self, time: Duration) {
        self.retire();
        let go_away = pb::GoAway {
            drain: Some(crate::wire::span(time)),
            reason: "the gateway is stopping".to_owned(),
        };
        self.send_in_any_case(AttachRequest {
            instance_id: 0,
            kind: Some(Outbound::GoAway(go_away)),
        });
    }

    fn receive(self: &Arc<Self>, frame: AttachResponse) {
        {
            let mut state = self.state.lock();
            state.spoke = true;
            state.last_sign = Instant::now();
            *self.unanswered.lock() = None;
            state.beat_open = None;
        }
        if frame.instance_id == 0 {
            if matches!(frame.kind, Some(Inbound::GoAway(_))) {
                self.retire();
                self.replica.stream_retired();
            }
            return;
        }
        let (instance, known) = {
            let state = self.state.lock();
            (
                state.instances.get(&frame.instance_id).cloned(),
                frame.instance_id <= state.last_instance,
            )
        };
        match instance.map(|instance| instance.receive(frame.kind)) {
            Some(Reception::Fine) => {}
            Some(Reception::Late) => self.replica.observe_late(),
            // The instance's questions carry the fault to whoever waits.
            Some(Reception::Broken(fault)) => self.replica.observe_broken(&fault),
            None if known => self.replica.observe_late(),
            None => {
                self.replica.observe_broken(&Fault::protocol(
                    "a frame for an instance that was never opened",
                ));
                self.end(&Fault::protocol(
                    "the sink named an instance that was never opened",
                ));
            }
        }
        self.flush_late();
    }

    /// Ends the stream: everything that is open on it is lost.
    pub(crate) fn end(&self, fault: &Fault) {
        let instances = {
            let mut state = self.state.lock();
            state.ended = true;
            state.late.clear();
            std::mem::take(&mut state.instances)
        };
        for instance in instances.values() {
            instance.lost(fault);
        }
        self.stop.notify_one();
    }

    /// Closes instances that have been idle; used for parking.
    pub(crate) fn park(&self, idle_since: Instant) -> usize {
        let idle: Vec<_> = self
            .instances()
            .into_iter()
            .filter(|instance| instance.is_idle_since(idle_since))
            .collect();
        for instance in &idle {
            instance.close(CloseReason::Parked);
        }
        idle.len()
    }

    fn ended_by_sink(&self, end: Result<(), Status>) {
        let (spoke, ended) = {
            let state = self.state.lock();
            (state.spoke, state.ended)
        };
        if ended {
            return;
        }
        let asked = self.instances().iter().any(|instance| !instance.is_idle());
        let detail = match &end {
            Ok(()) => "the sink ended the stream".to_owned(),
            Err(status) => describe(status),
        };
        let fault = Fault::new(FaultKind::Unreachable, detail);
        self.end(&fault);
        // Only a stream that could not be had at all speaks for the whole replica. One that ended with questions
        // open may be the work of one message; many in a row are counted like time-outs.
        match end {
            Err(status) if !spoke && status.code() == tonic::Code::Unavailable => {
                self.replica.stream_refused(&fault)
            }
            _ if asked => self.replica.timed_out(),
            _ => self.replica.stream_retired(),
        }
    }
}

impl Drop for SinkStream {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

/// A gRPC status in one line.
pub(crate) fn describe(status: &Status) -> String {
    let message: String = status
        .message()
        .chars()
        .filter(|c| !c.is_control())
        .take(512)
        .collect();
    match std::error::Error::source(status) {
        Some(source) => format!("{:?}: {message}: {}", status.code(), with_sources(source)),
        None => format!("{:?}: {message}", status.code()),
    }
}

async fn run(
    weak: Weak<SinkStream>,
    mut client: EventSinkClient<Channel>,
    outgoing: Outgoing,
    stop: Arc<Notify>,
) {
    let attached = tokio::select! {
        biased;
        attached = client.attach(outgoing) => attached,
        () = stop.notified() => return,
    };
    let end = match attached {
        Err(status) => Err(status),
        Ok(response) => read(&weak, response.into_inner(), &stop).await,
    };
    if let Some(stream) = weak.upgrade() {
        stream.ended_by_sink(end);
    }
}

async fn read(
    weak: &Weak<SinkStream>,
    mut frames: tonic::Streaming<AttachResponse>,
    stop: &Notify,
) -> Result<(), Status> {
    loop {
        let frame = tokio::select! {
            biased;
            frame = frames.message() => frame?,
            () = stop.notified() => {
                goodbye(weak, frames).await;
                return Ok(());
            }
        };
        match (frame, weak.upgrade()) {
            (Some(frame), Some(stream)) => stream.receive(frame),
            _ => return Ok(()),
        }
        // A sink that talks without end must not keep the thread from everybody else.
        tokio::task::coop::consume_budget().await;
    }
}

/// The gateway needs the stream no more. If it is gone here, our half is closed and the sink may end its own; if
/// it was ended for cause, dropping it resets it.
async fn goodbye(weak: &Weak<SinkStream>, mut frames: tonic::Streaming<AttachResponse>) {
    if weak.strong_count() > 0 {
        return;
    }
    let rest = async { while let Ok(Some(_)) = frames.message().await {} };
    // Whether the sink was in time makes no difference.
    let _late = tokio::time::timeout(GOODBYE, rest).await.is_err();
}
