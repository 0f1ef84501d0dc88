//! The sink's end of one Attach stream as a machine: frames and times in, frames and events out.
//!
//! It does no I/O and takes no clock of its own. Whoever drives it hands in the gateway's frames with
//! [`Link::handle_frame`], answers what [`Link::poll_event`] gives, and sends what [`Link::poll_transmit`] gives. The
//! gateway's end is its mirror, so that both can be driven against each other on a virtual clock.
//!
//! The machine merges parts, keeps each instance's [`Picture`] up to date, checks order and credit of content, drops
//! answers that nobody waits for any more, and splits verdicts that are too long for one frame. What the gateway does
//! against the protocol ends that instance with a fault and no other.

mod content;
mod instance;
mod parts;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;

use self::instance::{Instance, Open};
use crate::picture::Picture;
use crate::v1::{self, FaultKind, attach_request, attach_response};

/// Octets of parts that the gateway may send before the event that they belong to.
const PARTS_MAX: usize = 64 * 1024 * 1024;

/// Configurations of bindings that one stream may name. Each change of a binding is one.
const BINDINGS_MAX: usize = 4096;

/// How a [`Link`] behaves.
#[derive(Clone, Copy, Debug)]
pub struct LinkSettings {
    /// While draining: how long a stream without instances waits for one that was on its way.
    pub linger: Duration,
    /// Octets of content that the gateway may send for an event before it is granted more, as the description says.
    pub initial_credit: u64,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(1),
            initial_credit: 256 * 1024,
        }
    }
}

/// A binding as the gateway told it on this stream.
#[derive(Clone, Debug, PartialEq)]
pub struct BindingView {
    /// The number of this configuration of this binding.
    pub revision: u64,
    /// The binding.
    pub binding: v1::Binding,
}

/// What an instance is opened with.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What it is about.
    pub scope: v1::Scope,
    /// Its binding.
    pub binding: Arc<BindingView>,
    /// The bounds that the gateway enforces.
    pub limits: Arc<v1::Limits>,
    /// The features in force.
    pub features: Arc<[String]>,
    /// How often it was opened before, at most.
    pub reopened_count: u32,
    /// W3C traceparent. Empty: none.
    pub trace_parent: String,
    /// The gateway, UUIDv7.
    pub gateway_id: bytes::Bytes,
    /// The spool, UUIDv7.
    pub spool_id: bytes::Bytes,
}

impl Opening {
    /// Whether a feature is in force.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }
}

/// What happened on the stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// An instance begins.
    Opened {
        /// The instance.
        instance_id: u64,
        /// What it is opened with.
        opening: Box<Opening>,
    },
    /// An event, merged and taken into the picture. `session`, `transaction`, `message`, `headers` and `recipients` have
    /// been moved there.
    Event {
        /// The instance.
        instance_id: u64,
        /// The event.
        event: Box<v1::Event>,
        /// What is known at this event.
        picture: Picture,
        /// Whether a verdict or fault is awaited.
        awaited: bool,
        /// Whether the instance's transaction or message ended before it.
        message_ended: bool,
    },
    /// Content of an open event, in order and within the credit.
    Content {
        /// The instance.
        instance_id: u64,
        /// The content.
        content: v1::Content,
    },
    /// Nobody waits for an answer any more.
    Cancelled {
        /// The instance.
        instance_id: u64,
        /// The event.
        event_id: u64,
        /// Why.
        reason: v1::CancelReason,
    },
    /// What became of a verdict.
    Settled {
        /// The instance.
        instance_id: u64,
        /// What became of it.
        settled: v1::Settled,
        /// What is known now.
        picture: Picture,
    },
    /// How much time an event has now.
    Extended {
        /// The instance.
        instance_id: u64,
        /// The event.
        event_id: u64,
        /// What is left.
        remaining: Duration,
    },
    /// Credit for an upload.
    UploadCredit {
        /// The instance.
        instance_id: u64,
        /// The upload.
        upload_id: u64,
        /// Octets beyond what was granted before.
        credit_bytes: u64,
    },
    /// The gateway takes no more of an upload.
    UploadStopped {
        /// The instance.
        instance_id: u64,
        /// The upload.
        upload_id: u64,
        /// Why.
        detail: String,
    },
    /// What became of an action.
    ActionResult {
        /// The instance.
        instance_id: u64,
        /// What became of it.
        result: Box<v1::ActionResult>,
    },
    /// An instance ended. What was open in it is void.
    Closed {
        /// The instance.
        instance_id: u64,
        /// Why.
        reason: v1::CloseReason,
        /// What this sink did wrong, if the reason says so.
        detail: String,
    },
    /// The gateway broke the protocol; the instance is answered with a fault and forgotten.
    Broken {
        /// The instance.
        instance_id: u64,
        /// What it did.
        detail: &'static str,
    },
    /// The gateway wants to stop: no new instances come.
    GoingAway {
        /// Why.
        reason: String,
    },
}

/// The sink's end of one Attach stream.
#[derive(Debug)]
pub struct Link {
    settings: LinkSettings,
    bindings: HashMap<u64, (Arc<BindingView>, Arc<v1::Limits>)>,
    features: Arc<[String]>,
    instances: HashMap<u64, Instance>,
    out: VecDeque<v1::AttachResponse>,
    events: VecDeque<LinkEvent>,
    /// Set once this end has said that it wants to stop.
    leaving: bool,
    /// When a stream that is left has nothing to do any more.
    idle_since: Option<Instant>,
    ended: bool,
}

impl Link {
    /// The end of a new stream.
    pub fn new(settings: LinkSettings) -> Self {
        Self {
            settings,
            bindings: HashMap::new(),
            features: Arc::default(),
            instances: HashMap::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            leaving: false,
            idle_since: None,
            ended: false,
        }
    }

    /// Takes a frame of the gateway in.
    pub fn handle_frame(&mut self, now: Instant, frame: v1::AttachRequest) {
        use attach_request::Kind;
        let instance_id = frame.instance_id;
        let Some(kind) = frame.kind else {
            // A frame of a later protocol version.
            return;
        };
        if let Some(instance) = self.instances.get(&instance_id)
            && instance.has_event_parts()
            && !matches!(kind, Kind::Event(_) | Kind::EventPart(_))
        {
            return self.broken(instance_id, "a frame between the parts of an event");
        }
        match kind {
            Kind::OpenInstance(open) => self.open(instance_id, *open),
            Kind::SnapshotPart(part) => self.snapshot_part(instance_id, &part),
            Kind::EventPart(part) => self.event_part(instance_id, *part),
            Kind::Event(event) => self.event(instance_id, event),
            Kind::Content(content) => self.content(instance_id, content),
            Kind::Cancel(cancel) => self.cancel(instance_id, &cancel),
            Kind::CloseInstance(close) => {
                if self.instances.remove(&instance_id).is_some() {
                    let reason = close.reason();
                    let detail = close.detail;
                    self.events.push_back(LinkEvent::Closed {
                        instance_id,
                        reason,
                        detail,
                    });
                }
            }
            Kind::Settled(settled) => {
                if let Some(instance) = self.alive(instance_id) {
                    let picture = instance.picture();
                    self.events.push_back(LinkEvent::Settled {
                        instance_id,
                        settled,
                        picture,
                    });
                }
            }
            Kind::Extended(extended) => {
                let remaining = extended.remaining.and_then(|time| time.try_into().ok());
                self.events.push_back(LinkEvent::Extended {
                    instance_id,
                    event_id: extended.event_id,
                    remaining: remaining.unwrap_or_default(),
                });
            }
            Kind::WantUpload(want) => self.events.push_back(LinkEvent::UploadCredit {
                instance_id,
                upload_id: want.upload_id,
                credit_bytes: want.credit_bytes,
            }),
            Kind::StopUpload(stop) => self.events.push_back(LinkEvent::UploadStopped {
                instance_id,
                upload_id: stop.upload_id,
                detail: stop.detail,
            }),
            Kind::ActionResult(result) => self.events.push_back(LinkEvent::ActionResult {
                instance_id,
                result,
            }),
            Kind::Heartbeat(heartbeat) => {
                self.transmit(0, attach_response::Kind::Heartbeat(heartbeat));
            }
            Kind::GoAway(away) => self.events.push_back(LinkEvent::GoingAway {
                reason: away.reason,
            }),
        }
        self.note_idleness(now);
    }

    /// The stream ended, by either side: nothing is awaited any more.
    pub fn handle_end(&mut self) {
        self.ended = true;
        let mut open: Vec<_> = self.instances.drain().map(|(id, _)| id).collect();
        open.sort_unstable();
        for instance_id in open {
            self.events.push_back(LinkEvent::Closed {
                instance_id,
                reason: v1::CloseReason::Unspecified,
                detail: String::new(),
            });
        }
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.ended = true;
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. None: never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.ended {
            true => None,
            false => Some(self.idle_since? + self.settings.linger),
        }
    }

    /// The next frame for the gateway.
    pub fn poll_transmit(&mut self) -> Option<v1::AttachResponse> {
        self.out.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// Whether nothing comes out of it any more: the stream is to be ended.
    pub fn is_finished(&self) -> bool {
        self.ended && self.out.is_empty() && self.events.is_empty()
    }

    /// Answers an event. False: nobody waits for it any more, and nothing is sent.
    pub fn verdict(&mut self, now: Instant, instance_id: u64, verdict: v1::Verdict) -> bool {
        if !self.answered(instance_id, verdict.event_id) {
            return false;
        }
        let (parts, last) = match self.has("parts") {
            true => parts::split(verdict),
            false => (Vec::new(), verdict),
        };
        for part in parts {
            self.transmit(instance_id, attach_response::Kind::VerdictPart(part.into()));
        }
        self.transmit(instance_id, attach_response::Kind::Verdict(last.into()));
        self.note_idleness(now);
        true
    }

    /// Answers an event with a failure; event 0 is the whole instance. False: nobody waits for it any more.
    pub fn fault(&mut self, now: Instant, instance_id: u64, fault: v1::Fault) -> bool {
        let known = match fault.event_id {
            0 => match self.instances.get_mut(&instance_id) {
                Some(instance) => {
                    instance.kill();
                    true
                }
                None => false,
            },
            event_id => self.answered(instance_id, event_id),
        };
        if known {
            self.transmit(instance_id, attach_response::Kind::Fault(fault));
            self.note_idleness(now);
        }
        known
    }

    /// Asks for more time.
    pub fn progress(&mut self, instance_id: u64, progress: v1::Progress) {
        if self.is_open(instance_id, progress.event_id) {
            self.transmit(instance_id, attach_response::Kind::Progress(progress));
        }
    }

    /// Narrows what the instance gets.
    pub fn ready(&mut self, instance_id: u64, ready: v1::Ready) {
        if self.alive(instance_id).is_some() {
            self.transmit(instance_id, attach_response::Kind::Ready(ready));
        }
    }

    /// Says that nothing further is needed of the instance, or of a message.
    pub fn done(&mut self, instance_id: u64, done: v1::Done) {
        if self.alive(instance_id).is_some() {
            self.transmit(instance_id, attach_response::Kind::Done(done));
        }
    }

    /// Grants credit for pushed content.
    pub fn want_content(&mut self, instance_id: u64, want: v1::WantContent) {
        if let Some(open) = self.open_event(instance_id, want.event_id) {
            open.content.grant(want.credit_bytes);
            self.transmit(instance_id, attach_response::Kind::WantContent(want));
        }
    }

    /// Asks for no more pushed content.
    pub fn stop_content(&mut self, instance_id: u64, stop: v1::StopContent) {
        if self.is_open(instance_id, stop.event_id) {
            self.transmit(instance_id, attach_response::Kind::StopContent(stop));
        }
    }

    /// Asks for a range of the content.
    pub fn read_content(&mut self, instance_id: u64, read: v1::ReadContent) {
        if let Some(open) = self.open_event(instance_id, read.event_id) {
            open.content.read(read.read_id, read.length_bytes);
            self.transmit(instance_id, attach_response::Kind::ReadContent(read));
        }
    }

    /// Sends octets ahead of a verdict or an action.
    pub fn upload(&mut self, instance_id: u64, upload: v1::Upload) {
        if upload.event_id == 0 || self.is_open(instance_id, upload.event_id) {
            self.transmit(instance_id, attach_response::Kind::Upload(upload));
        }
    }

    /// Asks for something outside of any question. False: the instance is gone.
    pub fn act(&mut self, instance_id: u64, action: v1::SinkAction) -> bool {
        let alive = self.alive(instance_id).is_some();
        if alive {
            self.transmit(instance_id, attach_response::Kind::Action(action.into()));
        }
        alive
    }

    /// This end wants to stop: no new instances are to come, the open ones go on. Once they are over the stream ends.
    pub fn go_away(&mut self, now: Instant, drain: Option<Duration>, reason: &str) {
        if self.leaving || self.ended {
            return;
        }
        self.leaving = true;
        let away = v1::GoAway {
            drain: drain.and_then(|drain| drain.try_into().ok()),
            reason: reason.to_owned(),
        };
        self.transmit(0, attach_response::Kind::GoAway(away));
        self.note_idleness(now);
    }

    /// Whether a verdict or fault is awaited for an event.
    pub fn is_open(&self, instance_id: u64, event_id: u64) -> bool {
        self.instances
            .get(&instance_id)
            .is_some_and(|instance| instance.is_open(event_id))
    }

    /// The number of instances that are open.
    pub fn instance_count(&self) -> usize {
        self.instances.len()
    }

    fn open(&mut self, instance_id: u64, mut open: v1::Open) {
        if !open.features.is_empty() {
            self.features = std::mem::take(&mut open.features).into();
        }
        let revision = open.binding_revision;
        let limits = open.limits.take().map(Arc::from);
        if let Some(binding) = open.binding.take() {
            if self.bindings.len() >= BINDINGS_MAX {
                return self.refuse(instance_id, "too many bindings on one stream");
            }
            let view = Arc::new(BindingView {
                revision,
                binding: *binding,
            });
            let limits = limits.clone().unwrap_or_default();
            self.bindings.insert(revision, (view, limits));
        }
        let Some((binding, known_limits)) = self.bindings.get_mut(&revision) else {
            return self.refuse(instance_id, "the first Open of a binding must bring it");
        };
        if let Some(limits) = limits {
            *known_limits = limits;
        }
        if instance_id == 0 || self.instances.contains_key(&instance_id) {
            return self.refuse(instance_id, "the number of the instance is taken");
        }
        let scope = open.scope();
        let opening = Opening {
            scope,
            binding: Arc::clone(binding),
            limits: Arc::clone(known_limits),
            features: Arc::clone(&self.features),
            reopened_count: open.reopened_count,
            trace_parent: open.trace_parent,
            gateway_id: open.gateway_id,
            spool_id: open.spool_id,
        };
        let snapshot = open.snapshot.map(|snapshot| *snapshot).unwrap_or_default();
        let outgoing = scope == v1::Scope::OutboundSession;
        self.instances
            .insert(instance_id, Instance::new(snapshot, outgoing));
        self.events.push_back(LinkEvent::Opened {
            instance_id,
            opening: Box::new(opening),
        });
    }

    fn snapshot_part(&mut self, instance_id: u64, part: &v1::Snapshot) {
        let Some(instance) = self.alive(instance_id) else {
            return;
        };
        if let Err(detail) = instance.snapshot_part(&part.encode_to_vec()) {
            self.broken(instance_id, detail);
        }
    }

    fn event_part(&mut self, instance_id: u64, part: v1::Event) {
        let Some(instance) = self.alive(instance_id) else {
            return;
        };
        if let Err(detail) = instance.event_part(part) {
            self.broken(instance_id, detail);
        }
    }

    fn event(&mut self, instance_id: u64, event: Box<v1::Event>) {
        let credit = self.settings.initial_credit;
        let Some(instance) = self.alive(instance_id) else {
            // Its Open was answered with a fault, or it was closed.
            return;
        };
        match instance.event(event, credit) {
            Ok(told) => self.events.push_back(LinkEvent::Event {
                instance_id,
                event: told.event,
                picture: told.picture,
                awaited: told.awaited,
                message_ended: told.message_ended,
            }),
            Err(detail) => self.broken(instance_id, detail),
        }
    }

    fn content(&mut self, instance_id: u64, content: v1::Content) {
        // None: the event has been answered or cancelled, and this was under way.
        let Some(open) = self.open_event(instance_id, content.event_id) else {
            return;
        };
        match open.content.take(&content) {
            Ok(true) => self.events.push_back(LinkEvent::Content {
                instance_id,
                content,
            }),
            Ok(false) => {}
            Err(detail) => self.broken(instance_id, detail),
        }
    }

    fn cancel(&mut self, instance_id: u64, cancel: &v1::Cancel) {
        if self.answered(instance_id, cancel.event_id) {
            self.events.push_back(LinkEvent::Cancelled {
                instance_id,
                event_id: cancel.event_id,
                reason: cancel.reason(),
            });
        }
    }

    fn alive(&mut self, instance_id: u64) -> Option<&mut Instance> {
        self.instances
            .get_mut(&instance_id)
            .filter(|instance| instance.is_alive())
    }

    fn open_event(&mut self, instance_id: u64, event_id: u64) -> Option<&mut Open> {
        self.instances.get_mut(&instance_id)?.open_event(event_id)
    }

    /// Takes an event out of those that are awaited. False: it was not among them.
    fn answered(&mut self, instance_id: u64, event_id: u64) -> bool {
        self.instances
            .get_mut(&instance_id)
            .is_some_and(|instance| instance.answered(event_id))
    }

    /// An instance that is not opened at all. It is remembered until it is closed, so that its frames are not taken for
    /// those of an unknown one.
    fn refuse(&mut self, instance_id: u64, detail: &'static str) {
        self.events.push_back(LinkEvent::Broken {
            instance_id,
            detail,
        });
        if instance_id == 0 {
            return;
        }
        let mut instance = Instance::new(v1::Snapshot::default(), false);
        instance.kill();
        self.instances.insert(instance_id, instance);
        self.protocol_fault(instance_id, detail);
    }

    fn broken(&mut self, instance_id: u64, detail: &'static str) {
        if let Some(instance) = self.alive(instance_id) {
            instance.kill();
        }
        self.events.push_back(LinkEvent::Broken {
            instance_id,
            detail,
        });
        self.protocol_fault(instance_id, detail);
    }

    fn protocol_fault(&mut self, instance_id: u64, detail: &str) {
        let fault = v1::Fault {
            event_id: 0,
            kind: FaultKind::ProtocolError.into(),
            detail: detail.to_owned(),
        };
        self.transmit(instance_id, attach_response::Kind::Fault(fault));
    }

    fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }

    fn transmit(&mut self, instance_id: u64, kind: attach_response::Kind) {
        self.out.push_back(v1::AttachResponse {
            instance_id,
            kind: Some(kind),
        });
    }

    fn note_idleness(&mut self, now: Instant) {
        match self.leaving && self.instances.is_empty() {
            true => _ = self.idle_since.get_or_insert(now),
            false => self.idle_since = None,
        }
    }
}

#[cfg(test)]
mod tests;
