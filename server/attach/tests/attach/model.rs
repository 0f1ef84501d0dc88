//! A reference model of a link: what must come of each call and each frame, without queues, frames or clocks.

use std::collections::BTreeMap;

use postern_attach::{Ending, LinkEvent, Retry};
use postern_events::fault::FaultKind;

/// What a link says, as far as the model foretells it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Verdict(u64),
    Failed(u64, FaultKind, Retry),
    Progress(u64),
    Narrowed(u64),
    Closed(u64, Ending),
    Action(u64),
    Late,
    Broken,
    GoingAway,
    HalfClose,
    Ended { reset: bool },
}

impl Said {
    pub(crate) const WORDS: [&str; 15] = [
        "verdict",
        "failed",
        "elsewhere",
        "progress",
        "narrowed",
        "drained",
        "silent",
        "by sink",
        "done",
        "protocol",
        "lost",
        "action",
        "late",
        "broken",
        "going away",
    ];

    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Verdict(_) => "verdict",
            Self::Failed(_, _, Retry::Always) => "elsewhere",
            Self::Failed(..) => "failed",
            Self::Progress(_) => "progress",
            Self::Narrowed(_) => "narrowed",
            Self::Closed(_, ending) => match ending {
                Ending::Parked => "parked",
                Ending::Drained => "drained",
                Ending::Silent => "silent",
                Ending::BySink => "by sink",
                Ending::Done => "done",
                Ending::Protocol => "protocol",
                Ending::Lost => "lost",
            },
            Self::Action(_) => "action",
            Self::Late => "late",
            Self::Broken => "broken",
            Self::GoingAway => "going away",
            Self::HalfClose => "half close",
            Self::Ended { .. } => "ended",
        }
    }

    pub(crate) fn of(event: &LinkEvent) -> Option<Self> {
        Some(match event {
            LinkEvent::Verdict { tag, .. } => Self::Verdict(*tag),
            LinkEvent::Failed {
                tag, fault, retry, ..
            } => Self::Failed(*tag, fault.kind, *retry),
            LinkEvent::Progress { tag, .. } => Self::Progress(*tag),
            LinkEvent::Narrowed { tag, .. } => Self::Narrowed(*tag),
            LinkEvent::Closed { tag, ending, .. } => Self::Closed(*tag, *ending),
            LinkEvent::Action { tag, .. } => Self::Action(*tag),
            LinkEvent::Late { .. } => Self::Late,
            LinkEvent::Broken { .. } => Self::Broken,
            LinkEvent::GoingAway { .. } => Self::GoingAway,
            LinkEvent::HalfClose => Self::HalfClose,
            LinkEvent::Ended { reset, .. } => Self::Ended { reset: *reset },
            LinkEvent::ContentWanted { .. }
            | LinkEvent::Upload { .. }
            | LinkEvent::Room
            | LinkEvent::Stalled => return None,
        })
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Open { tag: u64, heard: u64 },
    Answered,
    Cancelled,
    Told,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Life {
    Open,
    Done,
    Closing,
}

#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) tag: u64,
    pub(crate) life: Life,
    pub(crate) events: BTreeMap<u64, Fate>,
    /// The last event of which the sink has everything.
    pub(crate) sent: u64,
    pub(crate) unsettled: Vec<u64>,
    pub(crate) actions: Vec<u64>,
    pub(crate) ready: bool,
    pub(crate) answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phase {
    Open,
    Silent,
    Draining,
    Parting,
    Ended,
}

/// The model.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) capacity: usize,
    pub(crate) settles: bool,
    pub(crate) acts: bool,
    pub(crate) phase: Phase,
    pub(crate) instances: BTreeMap<u64, Instance>,
    pub(crate) last: u64,
    pub(crate) heard: u64,
    /// What the link must have said since this was last emptied.
    pub(crate) said: Vec<Said>,
}

impl Instance {
    fn open(&self) -> Vec<(u64, u64)> {
        self.events
            .iter()
            .filter_map(|(id, fate)| match fate {
                Fate::Open { tag, .. } => Some((*id, *tag)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn busy(&self) -> bool {
        !self.open().is_empty() || !self.unsettled.is_empty() || !self.actions.is_empty()
    }
}

impl Model {
    pub(crate) fn new(capacity: usize, settles: bool, acts: bool) -> Self {
        Self {
            capacity,
            settles,
            acts,
            phase: Phase::Open,
            instances: BTreeMap::new(),
            last: 0,
            heard: 0,
            said: Vec::new(),
        }
    }

    pub(crate) fn carries(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Silent | Phase::Draining)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.phase == Phase::Open && self.instances.len() < self.capacity
    }

    pub(crate) fn questions(&self) -> usize {
        self.instances.values().map(|one| one.open().len()).sum()
    }

    pub(crate) fn open(&mut self, tag: u64) -> u64 {
        self.last += 1;
        self.instances.insert(
            self.last,
            Instance {
                tag,
                life: Life::Open,
                events: BTreeMap::new(),
                sent: 0,
                unsettled: Vec::new(),
                actions: Vec::new(),
                ready: false,
                answered: false,
            },
        );
        self.last
    }

    pub(crate) fn ask(&mut self, id: u64, tag: Option<u64>) -> u64 {
        let heard = self.heard;
        let one = self.instances.get_mut(&id).expect("open");
        let event = one.events.len() as u64 + 1;
        let fate = tag.map_or(Fate::Told, |tag| Fate::Open { tag, heard });
        one.events.insert(event, fate);
        event
    }

    pub(crate) fn sent(&mut self, id: u64, event: u64) {
        if let Some(one) = self.instances.get_mut(&id) {
            one.sent = event;
        }
    }

    /// Returns whether the cancelling is taken, and finds silence.
    pub(crate) fn cancel(&mut self, id: u64, event: u64, deadline: bool) -> Option<bool> {
        let heard = self.heard;
        let one = self.instances.get_mut(&id)?;
        let fate = one.events.get_mut(&event)?;
        let Fate::Open {
            heard: heard_before,
            ..
        } = *fate
        else {
            return None;
        };
        *fate = Fate::Cancelled;
        let silent = deadline && heard_before == heard;
        if silent {
            if self.phase == Phase::Open {
                self.phase = Phase::Silent;
            }
            for id in self.ids() {
                self.end(
                    id,
                    Some((FaultKind::Timeout, Retry::Harmless)),
                    Some(Ending::Silent),
                );
            }
        } else {
            self.rest(id);
        }
        Some(silent)
    }

    pub(crate) fn close(&mut self, id: u64) {
        let Some(one) = self.instances.get_mut(&id) else {
            return;
        };
        if one.life == Life::Closing {
            return;
        }
        one.life = Life::Closing;
        one.unsettled.clear();
        for fate in one.events.values_mut() {
            if matches!(fate, Fate::Open { .. }) {
                *fate = Fate::Cancelled;
            }
        }
        self.rest(id);
    }

    pub(crate) fn settle(&mut self, id: u64, event: u64) {
        if let Some(one) = self.instances.get_mut(&id) {
            one.unsettled.retain(|unsettled| *unsettled != event);
            self.rest(id);
        }
    }

    pub(crate) fn answer_action(&mut self, id: u64, action: u64) {
        if let Some(one) = self.instances.get_mut(&id) {
            one.actions.retain(|open| *open != action);
            self.rest(id);
        }
    }

    pub(crate) fn drain(&mut self) {
        if !self.carries() {
            return;
        }
        self.phase = Phase::Draining;
        for id in self.ids() {
            self.rest(id);
        }
        self.when_empty();
    }

    pub(crate) fn end_stream(&mut self, kind: FaultKind, retry: Retry, reset: bool) {
        if self.phase == Phase::Ended {
            return;
        }
        for id in self.ids() {
            self.fail(id, kind, retry);
            if let Some(one) = self.instances.remove(&id) {
                self.said.push(Said::Closed(one.tag, Ending::Lost));
            }
        }
        self.phase = Phase::Ended;
        self.said.push(Said::Ended { reset });
    }

    /// A frame came. Returns whether the model looks at it.
    pub(crate) fn hears(&mut self) -> bool {
        if !self.carries() {
            return false;
        }
        self.heard += 1;
        if self.phase == Phase::Silent {
            self.phase = Phase::Open;
        }
        true
    }

    /// A frame names this instance. Returns whether it is there; if not, what follows has been said.
    pub(crate) fn names(&mut self, id: u64) -> bool {
        if self.instances.contains_key(&id) {
            return true;
        }
        if id != 0 && id <= self.last {
            self.said.push(Said::Late);
        } else {
            self.break_stream();
        }
        false
    }

    pub(crate) fn break_stream(&mut self) {
        self.said.push(Said::Broken);
        self.said.push(Said::HalfClose);
        self.phase = Phase::Parting;
        for id in self.ids() {
            self.end(
                id,
                Some((FaultKind::Protocol, Retry::Harmless)),
                Some(Ending::Lost),
            );
        }
    }

    pub(crate) fn break_instance(&mut self, id: u64) {
        self.said.push(Said::Broken);
        self.end(
            id,
            Some((FaultKind::Protocol, Retry::Never)),
            Some(Ending::Protocol),
        );
    }

    pub(crate) fn hear_answer(&mut self, id: u64, event: u64, fault: Option<(FaultKind, Retry)>) {
        let settles = self.settles;
        let one = self.instances.get_mut(&id).expect("named");
        let fate = one.events.get(&event).copied();
        if event == 0 || event > one.sent {
            return self.break_instance(id);
        }
        match fate {
            Some(Fate::Open { tag, .. }) => {
                one.events.insert(event, Fate::Answered);
                one.answered = true;
                match fault {
                    None => {
                        if settles {
                            one.unsettled.push(event);
                        }
                        self.said.push(Said::Verdict(tag));
                    }
                    Some((kind, retry)) => self.said.push(Said::Failed(tag, kind, retry)),
                }
                self.rest(id);
            }
            Some(Fate::Answered) => self.break_instance(id),
            Some(Fate::Cancelled) => {
                one.events.insert(event, Fate::Answered);
                self.said.push(Said::Late);
            }
            Some(Fate::Told) | None => self.said.push(Said::Late),
        }
    }

    /// A frame about an event that is not an answer. Returns the tag of the event if it is open.
    pub(crate) fn hear_about(&mut self, id: u64, event: u64) -> Option<u64> {
        let one = self.instances.get(&id).expect("named");
        if event == 0 || event > one.sent {
            self.break_instance(id);
            return None;
        }
        match one.events.get(&event) {
            Some(Fate::Open { tag, .. }) => Some(*tag),
            _ => {
                self.said.push(Said::Late);
                None
            }
        }
    }

    pub(crate) fn hear_whole_fault(&mut self, id: u64, kind: FaultKind, retry: Retry) {
        self.end(id, Some((kind, retry)), Some(Ending::BySink));
    }

    pub(crate) fn hear_ready(&mut self, id: u64) {
        let one = self.instances.get_mut(&id).expect("named");
        if one.ready || one.answered {
            self.break_instance(id);
        } else {
            one.ready = true;
            let tag = one.tag;
            self.said.push(Said::Narrowed(tag));
        }
    }

    pub(crate) fn hear_done(&mut self, id: u64) {
        let one = self.instances.get_mut(&id).expect("named");
        if one.life == Life::Open {
            one.life = Life::Done;
        }
        self.rest(id);
    }

    pub(crate) fn hear_action(&mut self, id: u64, action: u64) {
        let acts = self.acts;
        let one = self.instances.get_mut(&id).expect("named");
        if acts && one.life != Life::Closing && !one.actions.contains(&action) {
            one.actions.push(action);
            let tag = one.tag;
            self.said.push(Said::Action(tag));
        }
    }

    /// Time has passed: the link said this of its own accord.
    pub(crate) fn observe(&mut self, said: &Said) {
        match said {
            Said::Closed(tag, Ending::Parked) => {
                let (id, one) = self
                    .instances
                    .iter()
                    .find(|(_, one)| one.tag == *tag)
                    .expect("only what is open is parked");
                assert!(
                    !one.busy() && one.life == Life::Open,
                    "only what is idle is parked"
                );
                let id = *id;
                self.instances.remove(&id);
                if self.stuck_after(id, false) {
                    self.said.push(Said::HalfClose);
                }
            }
            other => panic!("not in its time: {other:?}"),
        }
    }

    fn stuck_after(&mut self, _id: u64, owes: bool) -> bool {
        let stuck = self.capacity == 1 && owes && self.phase == Phase::Open;
        if stuck {
            self.phase = Phase::Parting;
        }
        stuck
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.instances.keys().copied().collect()
    }

    fn rest(&mut self, id: u64) {
        let Some(one) = self.instances.get(&id) else {
            return;
        };
        if one.busy() {
            return;
        }
        match (one.life, self.phase) {
            (Life::Closing, _) => self.end(id, None, None),
            (Life::Done, _) => self.end(id, None, Some(Ending::Done)),
            (Life::Open, Phase::Draining) => self.end(id, None, Some(Ending::Drained)),
            (Life::Open, _) => {}
        }
    }

    fn fail(&mut self, id: u64, kind: FaultKind, retry: Retry) {
        let Some(one) = self.instances.get(&id) else {
            return;
        };
        let sent = one.sent;
        for (event, tag) in one.open() {
            let retry = if event <= sent { retry } else { Retry::Always };
            self.said.push(Said::Failed(tag, kind, retry));
        }
    }

    fn end(&mut self, id: u64, fail: Option<(FaultKind, Retry)>, ending: Option<Ending>) {
        if let Some((kind, retry)) = fail {
            self.fail(id, kind, retry);
        }
        let Some(one) = self.instances.remove(&id) else {
            return;
        };
        if let Some(ending) = ending {
            self.said.push(Said::Closed(one.tag, ending));
        }
        let owes = one.events.values().any(|fate| *fate == Fate::Cancelled);
        if self.stuck_after(id, owes) {
            self.said.push(Said::HalfClose);
        } else {
            self.when_empty();
        }
    }

    fn when_empty(&mut self) {
        if self.instances.is_empty() && self.phase == Phase::Draining {
            self.phase = Phase::Parting;
            self.said.push(Said::HalfClose);
        }
    }
}
