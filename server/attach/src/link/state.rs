//! The state of a link, and what every part of it needs to know or to do.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use postern_proto::v1::attach_request::Kind;

use crate::settings::LinkSettings;
use crate::transmit::Transmit;

use super::events::{Asked, InstanceId, LinkEvent};
use super::flight::Flight;
use super::instance::Instance;
use super::outbox::{Frame, Outbox, Urgency};
use super::phase::Phase;
use super::pulse::Pulse;

/// Time after which a stream that owes answers and says nothing is not the first choice for further instances.
const QUIET: Duration = Duration::from_millis(100);

/// Whether the network has taken anything of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing was there to be taken.
    Nothing,
    /// Something waits to be taken since then.
    Waiting(Instant),
    /// The first frame has left.
    Taken,
}

/// The gateway's end of one Attach stream.
///
/// It numbers instances and events, puts frames in order, holds the sink to the protocol, and says what came of each
/// question. It neither reads nor writes: hand in what the network brings and when, and take out what is to be sent,
/// what happened, and when to come back.
#[derive(Debug)]
pub struct Link {
    pub(super) settings: LinkSettings,
    pub(super) phase: Phase,
    pub(super) start: Start,
    pub(super) instances: HashMap<u64, Instance>,
    pub(super) last_instance: u64,
    pub(super) outbox: Outbox,
    /// What the network was handed and has not taken.
    pub(super) flight: Flight,
    /// When it is looked whether that has moved.
    pub(super) flow_checked_at: Option<Instant>,
    pub(super) events: VecDeque<LinkEvent>,
    pub(super) pulse: Pulse,
    /// Idle instances by the time since when they are.
    pub(super) idle: BTreeSet<(Instant, u64)>,
    /// Since when it carries no instance.
    pub(super) empty_since: Option<Instant>,
    /// Frames that came in.
    pub(super) heard: u64,
    /// Open events.
    pub(super) questions: usize,
    /// When the sink was first asked something since it last said anything.
    pub(super) unanswered_since: Option<Instant>,
    /// Octets of unfinished verdicts.
    pub(super) unfinished: usize,
    /// Events whose content waits for the network.
    pub(super) hungry: VecDeque<Asked>,
    /// The caller was told that it is busy.
    pub(super) refused: bool,
}

/// What a stream could carry, for the choice among several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// It takes another instance.
    pub has_room: bool,
    /// It carries one instance at a time.
    pub exclusive: bool,
    /// Its instances.
    pub instances: usize,
    /// Those of them that may be parked now.
    pub idle: usize,
    /// It owes answers and has said nothing for a while: others are the better choice.
    pub quiet: bool,
}

impl Link {
    /// The link for a stream that is being opened. Frames may be taken at once: nothing waits for response headers.
    #[must_use]
    pub fn new(now: Instant, settings: LinkSettings) -> Self {
        let linger = if settings.capacity > 1 {
            settings.linger
        } else {
            Duration::ZERO
        };
        Self {
            phase: Phase::Open,
            start: Start::Nothing,
            instances: HashMap::new(),
            last_instance: settings.instances_after,
            outbox: Outbox::new(settings.capacity.max(1), linger),
            flight: Flight::new(now),
            flow_checked_at: None,
            events: VecDeque::new(),
            pulse: Pulse::new(now, settings.heartbeat_interval, settings.heartbeat_timeout),
            idle: BTreeSet::new(),
            empty_since: Some(now),
            heard: 0,
            questions: 0,
            unanswered_since: None,
            unfinished: 0,
            hungry: VecDeque::new(),
            refused: false,
            settings,
        }
    }

    /// Returns what the stream could carry.
    #[must_use]
    pub fn occupancy(&self, now: Instant) -> Occupancy {
        Occupancy {
            has_room: self.has_room(),
            exclusive: self.is_exclusive(),
            instances: self.instances.len(),
            idle: self.idle.len(),
            quiet: self
                .unanswered_since
                .is_some_and(|since| now.saturating_duration_since(since) >= QUIET),
        }
    }

    /// Returns the number of open questions.
    #[must_use]
    pub const fn questions(&self) -> usize {
        self.questions
    }

    /// Returns whether nothing can come of it any more: drop it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Ended && self.events.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.phase == Phase::Open && self.instances.len() < self.settings.capacity.max(1)
    }

    pub(super) const fn is_exclusive(&self) -> bool {
        self.settings.capacity <= 1
    }

    /// Queues a frame that cannot be refused.
    pub(super) fn send(&mut self, now: Instant, instance: u64, kind: Kind, urgency: Urgency) {
        let frame = Frame::Control(Transmit::control(instance, kind));
        self.push_frame(now, instance, frame, urgency);
    }

    pub(super) fn push_frame(
        &mut self,
        now: Instant,
        instance: u64,
        frame: Frame,
        urgency: Urgency,
    ) {
        self.outbox.push(now, instance, frame, urgency);
        if self.start == Start::Nothing && !self.outbox.is_empty() {
            self.start = Start::Waiting(now);
        }
    }

    /// An open event is not open any more.
    pub(super) fn question_ended(&mut self, now: Instant) {
        self.questions -= 1;
        self.pulse.sign(now);
        if self.questions == 0 {
            self.unanswered_since = None;
        }
    }

    /// Says that more content of the event whose turn it is may be sent.
    pub(super) fn want_content(&mut self, instance: InstanceId, event_id: u64) {
        let event = self
            .instances
            .get(&instance.0)
            .and_then(|one| one.ledger.get(event_id));
        if let Some(event) = event {
            let tag = event.tag;
            self.events.push_back(LinkEvent::ContentWanted {
                asked: Asked { instance, event_id },
                tag,
            });
        }
    }
}
