//! Frames that wait for the network.
//!
//! Each instance has a lane of its own, in which frames keep their order. The lanes take turns, frame by frame, so
//! that an event of many parts or a large body holds up no other instance. What waits is bounded in octets: events
//! and content by those who send them, all else by the end of a stream that nobody reads.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::settings::FRAME_BYTES;
use crate::transmit::{Transmit, Varying};

use super::named::{Named, OpenFrame};

/// Octets of frames that cannot be refused: a sink that lets more of them wait has stopped reading.
const CONTROL_BYTES: usize = 4 << 20;

/// What one frame takes beside its octets.
const OVERHEAD: usize = 64;

/// Frames that nobody waits for leave without lingering once there are so many.
const MOST_LINGERING: usize = 32;

/// When a deadline that is written into an event ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// At this moment.
    At(Instant),
    /// So long after the end of the content, which is still arriving.
    AfterContent(Duration),
}

impl Deadline {
    fn left(self, now: Instant) -> Duration {
        match self {
            Self::At(at) => at.saturating_duration_since(now),
            Self::AfterContent(time) => time,
        }
    }
}

/// How soon a frame must leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Somebody waits for what comes of it.
    Now,
    /// It may wait a little for others.
    AtLeisure,
}

/// One frame that waits.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Open: leaves with the first event that follows.
    Open(Box<OpenFrame>),
    /// More of the snapshot in Open: leaves with it.
    SnapshotPart(Bytes),
    /// A frame that cannot be refused.
    Control(Transmit),
    /// Part of an event.
    EventPart { event_id: u64, part: Bytes },
    /// An event, or its last part.
    Event {
        varying: Box<Varying>,
        deadline: Option<Deadline>,
        last: Bytes,
    },
    /// Content of an event. Without octets it only says an end, and cannot be refused.
    Content {
        event_id: u64,
        has_octets: bool,
        transmit: Transmit,
    },
    /// Close.
    Close(Transmit),
}

impl Frame {
    fn octets(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Control(transmit)
                | Self::Content { transmit, .. }
                | Self::Close(transmit) => transmit.len(),
                Self::Open(open) => open.bound(),
                Self::EventPart { part, .. } | Self::SnapshotPart(part) => part.len(),
                Self::Event { varying, last, .. } => varying.bound() + last.len(),
            }
    }

    const fn account(&self) -> Account {
        match self {
            Self::Open(_) | Self::SnapshotPart(_) | Self::EventPart { .. } | Self::Event { .. } => {
                Account::Events
            }
            Self::Content {
                has_octets: true, ..
            } => Account::Content,
            Self::Content {
                has_octets: false, ..
            }
            | Self::Control(_)
            | Self::Close(_) => Account::Control,
        }
    }
}

/// What a frame's octets are counted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    Events,
    Content,
    Control,
}

/// A frame that leaves.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// The frame.
    pub(crate) transmit: Transmit,
    /// Its instance.
    pub(crate) instance: u64,
    /// What it was.
    pub(crate) left: Left,
}

/// What kind of frame has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The last frame of this event: it is asked now.
    Event(u64),
    /// A piece of content.
    Content,
    /// Anything else.
    Other,
}

#[derive(Debug, Default)]
struct Lane {
    frames: VecDeque<Frame>,
    /// It is in the list of turns.
    listed: bool,
    /// A frame that is not part of Open was added.
    begun: bool,
    /// A part of an event has left whose last frame is still here.
    torn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Nothing waits but what may wait until then.
    Lingering { until: Instant },
    /// What waits leaves.
    Going,
}

/// The frames of one stream.
#[derive(Debug)]
pub(crate) struct Outbox {
    lanes: HashMap<u64, Lane>,
    turns: VecDeque<u64>,
    named: Named,
    capacity: usize,
    /// Instances of which Open has left and Close has not.
    carried: usize,
    pace: Pace,
    linger: Duration,
    lingering: usize,
    events: usize,
    content: usize,
    control: usize,
}

impl Outbox {
    /// No frames, on a stream that carries so many instances at a time. `linger`: how long what nobody waits for may
    /// wait.
    pub(crate) fn new(capacity: usize, linger: Duration) -> Self {
        Self {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            named: Named::new(capacity <= 1),
            capacity,
            carried: 0,
            pace: Pace::Going,
            linger,
            lingering: 0,
            events: 0,
            content: 0,
            control: 0,
        }
    }

    /// Octets of events that wait.
    pub(crate) const fn events(&self) -> usize {
        self.events
    }

    /// Octets of content that wait.
    pub(crate) const fn content(&self) -> usize {
        self.content
    }

    /// More waits of what cannot be refused than a sink that reads lets come together.
    pub(crate) const fn is_overrun(&self) -> bool {
        self.control > CONTROL_BYTES
    }

    /// Nothing may leave, now or later, without more being added.
    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Something of this instance waits.
    pub(crate) fn carries(&self, instance: u64) -> bool {
        self.lanes
            .get(&instance)
            .is_some_and(|lane| !lane.frames.is_empty())
    }

    /// Adds a frame to a lane.
    pub(crate) fn push(&mut self, now: Instant, instance: u64, frame: Frame, urgency: Urgency) {
        *self.account(frame.account()) += frame.octets();
        let lane = self.lanes.entry(instance).or_default();
        let opening = matches!(frame, Frame::Open(_) | Frame::SnapshotPart(_));
        lane.frames.push_back(frame);
        if opening {
            return;
        }
        lane.begun = true;
        let idle = self.turns.is_empty();
        if !lane.listed {
            lane.listed = true;
            self.turns.push_back(instance);
        }
        if idle {
            self.lingering = 0;
        }
        self.pace = match (urgency, self.pace) {
            (Urgency::Now, _) => Pace::Going,
            (Urgency::AtLeisure, _) if idle => Pace::Lingering {
                until: now + self.linger,
            },
            (Urgency::AtLeisure, pace) => pace,
        };
        self.lingering += 1;
        if self.lingering >= MOST_LINGERING {
            self.pace = Pace::Going;
        }
    }

    /// Takes the next frame that may leave now.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Leaving> {
        if let Pace::Lingering { until } = self.pace {
            if now < until {
                return None;
            }
            self.pace = Pace::Going;
        }
        let instance = self.next_turn()?;
        let lane = self.lanes.get_mut(&instance)?;
        let frame = lane.frames.pop_front()?;
        match frame {
            Frame::Open(_) => self.carried += 1,
            Frame::Close(_) => self.carried -= 1,
            _ => {}
        }
        let octets = frame.octets();
        let last = matches!(frame, Frame::Close(_));
        lane.torn = matches!(frame, Frame::EventPart { .. });
        lane.listed = !lane.frames.is_empty();
        if lane.listed {
            self.turns.push_back(instance);
        }
        if last {
            self.lanes.remove(&instance);
        }
        *self.account(frame.account()) -= octets;
        let (transmit, left) = match frame {
            Frame::Control(transmit) | Frame::Close(transmit) => (transmit, Left::Other),
            Frame::Open(open) => (self.named.open(instance, *open), Left::Other),
            Frame::SnapshotPart(part) => (Transmit::snapshot_part(instance, part), Left::Other),
            Frame::EventPart { event_id, part } => {
                (Transmit::event_part(instance, event_id, part), Left::Other)
            }
            Frame::Event {
                varying,
                deadline,
                last,
            } => {
                let left = deadline.map(|deadline| deadline.left(now));
                let transmit = Transmit::event(instance, &varying, left, last);
                (transmit, Left::Event(varying.event_id))
            }
            Frame::Content { transmit, .. } => (transmit, Left::Content),
        };
        debug_assert!(transmit.len() <= FRAME_BYTES, "no frame exceeds 1 MiB");
        Some(Leaving {
            transmit,
            instance,
            left,
        })
    }

    /// The lane whose turn it is. Open waits until the Close of an instance before has left, where the sink takes no more.
    fn next_turn(&mut self) -> Option<u64> {
        for _ in 0..self.turns.len() {
            let instance = self.turns.pop_front()?;
            let opens = matches!(
                self.lanes
                    .get(&instance)
                    .and_then(|lane| lane.frames.front()),
                Some(Frame::Open(_))
            );
            if !opens || self.carried < self.capacity {
                return Some(instance);
            }
            self.turns.push_back(instance);
        }
        None
    }

    /// When frames that wait for others leave without them. `None`: nothing waits for that.
    pub(crate) fn lingers_until(&self) -> Option<Instant> {
        match self.pace {
            Pace::Lingering { until } if !self.turns.is_empty() => Some(until),
            Pace::Lingering { .. } | Pace::Going => None,
        }
    }

    /// Drops the content of an event that waits.
    pub(crate) fn drop_content(&mut self, instance: u64, event_id: u64) {
        self.retain(
            instance,
            |frame| !matches!(frame, Frame::Content { event_id: of, .. } if *of == event_id),
        );
    }

    /// Drops what waits for an instance, except for the rest of an event that was begun in parts. Returns whether
    /// the sink has heard of the instance.
    pub(crate) fn drop_all(&mut self, instance: u64) -> bool {
        let Some(lane) = self.lanes.get(&instance) else {
            return true;
        };
        let heard_of = !matches!(lane.frames.front(), Some(Frame::Open(_)));
        let mut torn = lane.torn;
        self.retain(instance, |frame| {
            let rest = torn && matches!(frame, Frame::EventPart { .. } | Frame::Event { .. });
            torn = torn && !matches!(frame, Frame::Event { .. });
            rest
        });
        if !heard_of {
            self.lanes.remove(&instance);
            self.turns.retain(|one| *one != instance);
        }
        heard_of
    }

    /// Drops an instance that was opened and has no frame behind `Open`. Returns false if it has, or had, one.
    pub(crate) fn drop_unbegun(&mut self, instance: u64) -> bool {
        let unbegun = self.lanes.get(&instance).is_some_and(|lane| !lane.begun);
        if unbegun {
            self.drop_all(instance);
        }
        unbegun
    }

    /// Lets what has waited long enough for others leave without them.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.lingers_until().is_some_and(|until| now >= until) {
            self.pace = Pace::Going;
        }
    }

    /// Lets everything leave that waits for others.
    pub(crate) const fn hurry(&mut self) {
        self.pace = Pace::Going;
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.lanes.clear();
        self.turns.clear();
        (self.events, self.content, self.control) = (0, 0, 0);
    }

    fn retain(&mut self, instance: u64, mut keep: impl FnMut(&Frame) -> bool) {
        let Some(lane) = self.lanes.get_mut(&instance) else {
            return;
        };
        let mut freed = Vec::new();
        lane.frames.retain(|frame| {
            let kept = keep(frame);
            if !kept {
                freed.push((frame.account(), frame.octets()));
            }
            kept
        });
        if lane.listed && lane.frames.is_empty() {
            lane.listed = false;
            self.turns.retain(|one| *one != instance);
        }
        for (account, octets) in freed {
            *self.account(account) -= octets;
        }
    }

    fn account(&mut self, account: Account) -> &mut usize {
        match account {
            Account::Events => &mut self.events,
            Account::Content => &mut self.content,
            Account::Control => &mut self.control,
        }
    }
}
