//! What a link is handed, and what it says.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_events::encode::{EncodedEvent, EncodedSnapshot};
use postern_events::event::EventKind;
use postern_events::fault::Fault;
use postern_proto::v1 as pb;

use crate::binding::WireBinding;
use crate::depth::BodyDepth;
use crate::end::StreamEnd;
use crate::retry::Retry;

use super::interest::MessageId;
use super::outbox::Deadline;

/// The number of an instance on its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub(crate) u64);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event that was asked: its instance and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asked {
    /// The instance.
    pub instance: InstanceId,
    /// The event's number in it.
    pub event_id: u64,
}

/// An instance that is to be opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What it is about.
    pub scope: pb::Scope,
    /// The binding that it belongs to.
    pub binding: Arc<WireBinding>,
    /// The bounds that the sink is told and held to.
    pub limits: Arc<pb::Limits>,
    /// How things stand.
    pub snapshot: EncodedSnapshot,
    /// How often it was opened before.
    pub reopened_count: u32,
    /// W3C traceparent. Empty: none.
    pub trace_parent: String,
    /// W3C tracestate. Empty: none.
    pub trace_state: String,
    /// The transaction or message in the snapshot.
    pub message: Option<MessageId>,
    /// What names the session or message in logs.
    pub subject: Arc<str>,
    /// The caller's name for the instance, given back with whatever is said of it.
    pub tag: u64,
}

/// An event that is to be asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The event.
    pub event: EncodedEvent,
    /// When its verdict must be there.
    pub deadline: Deadline,
    /// How often the binding may have been asked it before.
    pub attempt: u32,
    /// Why it is asked.
    pub ask_reason: pb::AskReason,
    /// The binding's depth of the content that goes with it, which is narrowed as the sink asked. `None`: none.
    pub content: Option<BodyDepth>,
    /// `Event.attributes`, encoded.
    pub attributes: Bytes,
    /// W3C traceparent of its span. Empty: that of the instance.
    pub trace_parent: String,
    /// The transaction or message that it is about.
    pub message: Option<MessageId>,
    /// The caller's name for it, given back with its answer.
    pub tag: u64,
}

/// An event that is to be told: one-way, or replayed.
#[derive(Clone, Debug)]
pub struct News {
    /// The event.
    pub event: EncodedEvent,
    /// It was asked or told before, and is told again because the instance was opened anew.
    pub replayed: bool,
    /// Why it is told.
    pub ask_reason: pb::AskReason,
    /// `Event.attributes`, encoded.
    pub attributes: Bytes,
    /// W3C traceparent of its span. Empty: that of the instance.
    pub trace_parent: String,
    /// The transaction or message that it is about.
    pub message: Option<MessageId>,
}

/// Why a link does not take something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The sink said that it does not want it: as if it were answered `proceed`.
    Declined,
    /// The sink does not read fast enough. [`LinkEvent::Room`] follows.
    Busy,
    /// The stream takes no instance more, now or at all.
    NoRoom,
    /// The instance is over. It is to be opened elsewhere.
    Gone,
    /// It does not fit into a frame: this question alone fails.
    Size(Fault),
}

/// What became of an event that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It had been answered, or its instance is over.
    AlreadyOver,
    /// Nobody waits for it any more.
    Taken {
        /// The sink has sent no frame at all on the stream since it was asked. Its instances have been closed.
        silent: bool,
    },
}

/// How an instance ended without being closed by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was idle.
    Parked,
    /// One of both sides is going away.
    Drained,
    /// A deadline passed in silence.
    Silent,
    /// The sink failed it as a whole.
    BySink,
    /// The sink needs nothing further. It is not opened again for the same session or message.
    Done,
    /// The sink broke the protocol.
    Protocol,
    /// The stream has ended.
    Lost,
}

impl Ending {
    /// Returns whether the instance may be opened again for the same session or message.
    #[must_use]
    pub const fn may_reopen(self) -> bool {
        !matches!(self, Self::Done)
    }
}

/// Who and what a report is about, for logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The instance's number on the stream. `None`: the stream as a whole, or an instance that is not known.
    pub instance: Option<InstanceId>,
    /// The binding's name.
    pub binding: Option<Arc<str>>,
    /// The session or message.
    pub subject: Option<Arc<str>>,
    /// The event's number. `None`: the instance as a whole.
    pub event_id: Option<u64>,
    /// The event.
    pub event: Option<EventKind>,
}

/// What a link has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// The verdict on an event. It is merged of its parts and within the bounds of one; nothing else is checked yet.
    Verdict {
        /// The event.
        asked: Asked,
        /// The caller's name for it.
        tag: u64,
        /// The verdict.
        verdict: Box<pb::Verdict>,
        /// When its last frame came.
        at: Instant,
    },
    /// An event ended without a verdict.
    Failed {
        /// The event.
        asked: Asked,
        /// The caller's name for it.
        tag: u64,
        /// Why.
        fault: Fault,
        /// Whether it may be asked elsewhere.
        retry: Retry,
    },
    /// The sink is still at work on an event.
    Progress {
        /// The event.
        asked: Asked,
        /// The caller's name for it.
        tag: u64,
        /// How long it expects to need from now on. `None`: the binding's time-out once more.
        wanted: Option<Duration>,
        /// What it is doing, for the trace.
        activity: String,
    },
    /// More content of an event may be sent.
    ContentWanted {
        /// The event.
        asked: Asked,
        /// The caller's name for it.
        tag: u64,
    },
    /// The sink wants something done. It is to be answered.
    Action {
        /// The instance.
        instance: InstanceId,
        /// The caller's name for the instance.
        tag: u64,
        /// The action, well-formed.
        action: Box<pb::SinkAction>,
    },
    /// Octets of an upload, within its credit.
    Upload {
        /// The instance.
        instance: InstanceId,
        /// The caller's name for the instance.
        tag: u64,
        /// The frame.
        upload: pb::Upload,
    },
    /// The sink narrowed what it wants of an instance: ask [`Link::wants`](super::Link::wants) and
    /// [`Link::depth`](super::Link::depth) again.
    Narrowed {
        /// The instance.
        instance: InstanceId,
        /// The caller's name for the instance.
        tag: u64,
        /// The message or transaction that it is done with. `None`: it named the events that it wants.
        done_with: Option<MessageId>,
    },
    /// An instance has ended, not by the caller.
    Closed {
        /// The instance.
        instance: InstanceId,
        /// The caller's name for the instance.
        tag: u64,
        /// How.
        ending: Ending,
    },
    /// A frame came about something that is over. It was dropped.
    Late {
        /// What it was about.
        place: Place,
    },
    /// The sink broke the protocol. The questions that it concerns fail by events of their own.
    Broken {
        /// Where.
        place: Place,
        /// What it did.
        fault: Fault,
    },
    /// Events are taken again.
    Room,
    /// The network has taken nothing for a while of what it was handed: the sink does not read the stream, or nothing on
    /// its connection. Report it to the fleet. Said again while it lasts.
    Stalled,
    /// The stream is not needed any more: end the requests after what is still to be sent, and hand in the end.
    HalfClose,
    /// The sink takes no new instances on the stream; those that are open have time to end.
    GoingAway {
        /// The time.
        drain: Duration,
        /// What the sink says.
        reason: String,
    },
    /// The stream is over. Report the end to the fleet, and drop the link.
    Ended {
        /// How.
        end: StreamEnd,
        /// The network does not know it yet: reset the stream.
        reset: bool,
    },
}
