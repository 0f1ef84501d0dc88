//! The sink's side of the contract: checks every frame that a link sends.

use std::collections::{BTreeMap, BTreeSet};

use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;

/// What a sink knows of an event.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The event, merged of its parts.
    pub(crate) event: pb::Event,
    /// It has been asked and neither cancelled nor answered.
    pub(crate) open: bool,
    /// Octets of the body that were pushed.
    pub(crate) pushed: u64,
    /// Octets that may be pushed.
    pub(crate) credit: u64,
    pub(crate) ended: bool,
    pub(crate) answered: bool,
    pub(crate) cancelled: bool,
    /// The reads that wait for an answer, and what came of them.
    pub(crate) reads: Vec<(u64, u64)>,
}

/// What a sink knows of an instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) open: pb::Open,
    pub(crate) snapshot: pb::Snapshot,
    pub(crate) events: BTreeMap<u64, Seen>,
    pub(crate) close: Option<pb::Close>,
    /// The parts of the event that is under way.
    partial: Option<pb::Event>,
    settled: BTreeSet<u64>,
    pub(crate) results: Vec<pb::ActionResult>,
    actions: BTreeSet<u64>,
}

/// A sink that holds the gateway to the protocol.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(crate) capacity: usize,
    pub(crate) initial_credit: u64,
    pub(crate) instances: BTreeMap<u64, Known>,
    named: BTreeSet<u64>,
    pub(crate) heartbeats: Vec<u64>,
    pub(crate) going_away: bool,
    pub(crate) settles: bool,
}

fn merge(one: &pb::Event, other: &pb::Event) -> pb::Event {
    use prost::Message;
    let octets = [one.encode_to_vec(), other.encode_to_vec()].concat();
    pb::Event::decode(octets.as_slice()).expect("events merge")
}

fn merge_snapshots(one: &pb::Snapshot, other: &pb::Snapshot) -> pb::Snapshot {
    use prost::Message;
    let octets = [one.encode_to_vec(), other.encode_to_vec()].concat();
    pb::Snapshot::decode(octets.as_slice()).expect("snapshots merge")
}

impl Sink {
    pub(crate) fn new(capacity: usize, initial_credit: u64, settles: bool) -> Self {
        Self {
            capacity,
            initial_credit,
            instances: BTreeMap::new(),
            named: BTreeSet::new(),
            heartbeats: Vec::new(),
            going_away: false,
            settles,
        }
    }

    /// Instances that are open.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u64, &Known)> {
        self.instances
            .iter()
            .filter(|(_, known)| known.close.is_none())
            .map(|(id, known)| (*id, known))
    }

    /// The sink has answered an event.
    pub(crate) fn answers(&mut self, instance: u64, event: u64) {
        if let Some(seen) = self
            .instances
            .get_mut(&instance)
            .and_then(|known| known.events.get_mut(&event))
        {
            seen.answered |= seen.open || seen.cancelled;
            seen.open = false;
        }
    }

    /// The sink has failed an event.
    pub(crate) fn fails(&mut self, instance: u64, event: u64) {
        if let Some(seen) = self
            .instances
            .get_mut(&instance)
            .and_then(|known| known.events.get_mut(&event))
        {
            seen.open = false;
        }
    }

    /// Takes in a frame, and panics if it breaks the contract.
    pub(crate) fn take(&mut self, frame: &pb::AttachRequest) {
        let id = frame.instance_id;
        let kind = frame.kind.as_ref().expect("a frame has a kind");
        match kind {
            Kind::Heartbeat(beat) => {
                assert_eq!(id, 0, "heartbeats are about the stream");
                assert!(
                    self.heartbeats
                        .last()
                        .is_none_or(|last| beat.sequence > *last)
                );
                self.heartbeats.push(beat.sequence);
                return;
            }
            Kind::GoAway(_) => {
                assert_eq!(id, 0, "GoAway is about the stream");
                self.going_away = true;
                return;
            }
            _ => assert_ne!(id, 0, "{frame:?}"),
        }
        if let Kind::OpenInstance(open) = kind {
            self.take_open(id, open);
            return;
        }
        let credit = if self.capacity > 1 {
            self.initial_credit
        } else {
            u64::MAX
        };
        let settles = self.settles;
        let known = self
            .instances
            .get_mut(&id)
            .unwrap_or_else(|| panic!("frame for an instance that is not open: {frame:?}"));
        assert!(known.close.is_none(), "a frame after Close: {frame:?}");
        if known.partial.is_some() {
            assert!(
                matches!(kind, Kind::EventPart(_) | Kind::Event(_)),
                "an event that is begun in parts is ended before {frame:?}"
            );
        }
        match kind {
            Kind::SnapshotPart(part) => {
                assert!(
                    known.events.is_empty(),
                    "the snapshot is complete with the first event"
                );
                known.snapshot = merge_snapshots(&known.snapshot, part);
            }
            Kind::EventPart(part) => known.take_part(part),
            Kind::Event(event) => known.take_event(event, credit),
            Kind::Cancel(cancel) => known.take_cancel(cancel),
            Kind::Content(content) => known.take_content(content),
            Kind::Settled(settled) => {
                assert!(settles, "Settled without the feature");
                let seen = known.events.get(&settled.event_id);
                assert!(seen.is_some_and(|seen| seen.answered), "{settled:?}");
                assert!(
                    known.settled.insert(settled.event_id),
                    "settled twice: {settled:?}"
                );
            }
            Kind::Extended(extended) => {
                let seen = known.events.get(&extended.event_id);
                assert!(seen.is_some_and(|seen| !seen.cancelled));
            }
            Kind::ActionResult(result) => known.results.push((**result).clone()),
            Kind::CloseInstance(close) => known.take_close(close, settles),
            Kind::WantUpload(_) | Kind::StopUpload(_) => {}
            Kind::OpenInstance(_) | Kind::Heartbeat(_) | Kind::GoAway(_) => {}
        }
    }

    fn take_open(&mut self, id: u64, open: &pb::Open) {
        assert!(
            self.open().count() < self.capacity,
            "more instances than the sink takes"
        );
        let last = self.instances.last_key_value().map_or(0, |(last, _)| *last);
        assert!(
            id > last || !self.instances.contains_key(&id),
            "a number is used once"
        );
        let first = self.named.insert(open.binding_revision);
        if first || self.capacity <= 1 {
            assert!(
                open.binding.is_some() && open.limits.is_some(),
                "a binding is named: {open:?}"
            );
        } else {
            assert!(open.binding.is_none(), "a binding is named once");
        }
        let snapshot = open
            .snapshot
            .as_deref()
            .cloned()
            .expect("Open has a snapshot");
        self.instances.insert(
            id,
            Known {
                open: open.clone(),
                snapshot,
                ..Known::default()
            },
        );
    }

    /// The sink sends an action.
    pub(crate) fn acts(&mut self, instance: u64, action: u64) {
        if let Some(known) = self.instances.get_mut(&instance) {
            known.actions.insert(action);
        }
    }
}

impl Known {
    fn take_part(&mut self, part: &pb::Event) {
        let whole = match self.partial.take() {
            Some(before) => {
                assert_eq!(before.event_id, part.event_id, "parts are contiguous");
                merge(&before, part)
            }
            None => part.clone(),
        };
        assert!(part.kind.is_none() || part.recipients.is_some() || part.headers.is_some());
        self.partial = Some(whole);
    }

    fn take_event(&mut self, event: &pb::Event, credit: u64) {
        let whole = match self.partial.take() {
            Some(before) => {
                assert_eq!(before.event_id, event.event_id, "parts are contiguous");
                merge(&before, event)
            }
            None => event.clone(),
        };
        let last = self.events.last_key_value().map_or(0, |(last, _)| *last);
        assert_eq!(event.event_id, last + 1, "events are numbered from 1");
        let asked = event.deadline.is_some();
        assert!(!(asked && event.replayed), "a replayed event is not asked");
        self.events.insert(
            event.event_id,
            Seen {
                event: whole,
                open: asked,
                pushed: 0,
                credit,
                ended: false,
                answered: false,
                cancelled: false,
                reads: Vec::new(),
            },
        );
    }

    fn take_cancel(&mut self, cancel: &pb::Cancel) {
        let seen = self
            .events
            .get_mut(&cancel.event_id)
            .expect("only what was asked is cancelled");
        assert!(
            seen.event.deadline.is_some(),
            "only what was asked is cancelled"
        );
        assert!(!seen.cancelled, "cancelled twice");
        seen.open = false;
        seen.cancelled = true;
    }

    fn take_content(&mut self, content: &pb::Content) {
        let seen = self
            .events
            .get_mut(&content.event_id)
            .expect("content of an event that was told");
        assert!(!seen.cancelled, "content after Cancel");
        assert!(content.octets.len() <= 256 << 10);
        if content.read_id != 0 {
            let (read, octets) = seen
                .reads
                .first_mut()
                .expect("a read is answered in its turn");
            assert_eq!(*read, content.read_id);
            *octets += content.octets.len() as u64;
            if content.ended.is_some() {
                seen.reads.remove(0);
            }
            return;
        }
        assert!(!seen.ended, "nothing is pushed after the end");
        assert_eq!(content.offset, seen.pushed, "pushed octets have no gaps");
        seen.pushed += content.octets.len() as u64;
        assert!(
            seen.pushed <= seen.credit,
            "more than the credit was pushed"
        );
        let depth = seen
            .event
            .content
            .and_then(|depth| depth.kind)
            .expect("a depth");
        let most = match depth {
            pb::body_depth::Kind::Full(_) => u64::MAX,
            pb::body_depth::Kind::Prefix(prefix) => prefix.size_bytes,
            _ => 0,
        };
        assert!(seen.pushed <= most, "no more is pushed than the depth says");
        seen.ended = content.ended.is_some();
    }

    fn take_close(&mut self, close: &pb::Close, settles: bool) {
        let excepted = matches!(
            close.reason(),
            pb::CloseReason::ProtocolError | pb::CloseReason::Silent | pb::CloseReason::BySink
        );
        if !excepted {
            assert!(
                self.events.values().all(|seen| !seen.open),
                "Close with open events: {close:?}"
            );
            let answered: BTreeSet<u64> = self
                .results
                .iter()
                .filter(|one| !one.more_follows)
                .map(|one| one.action_id)
                .collect();
            assert!(
                self.actions.is_subset(&answered),
                "an action is unanswered: {close:?}"
            );
            let all_settled = self
                .events
                .iter()
                .filter(|(_, seen)| seen.answered && !seen.cancelled)
                .all(|(id, _)| self.settled.contains(id));
            assert!(
                !settles || all_settled,
                "a verdict is not settled: {close:?}"
            );
        }
        self.close = Some(close.clone());
    }
}
