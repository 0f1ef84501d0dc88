//! The events of one instance by number: which are open, and what became of the others.

use std::collections::VecDeque;

use postern_events::event::EventKind;

use super::feed::Feed;
use super::parts::Parts;

/// Asked events whose fate is remembered once they are over, to tell a second verdict from a late one.
const REMEMBERED: usize = 1024;

/// An event that a verdict is awaited for.
#[derive(Debug)]
pub(crate) struct OpenEvent {
    /// Its number.
    pub(crate) id: u64,
    /// What happened.
    pub(crate) kind: EventKind,
    /// The caller's name for it.
    pub(crate) tag: u64,
    /// Frames that had come in on the stream when it was asked.
    pub(crate) heard_before: u64,
    /// The content that goes with it.
    pub(crate) feed: Option<Feed>,
    /// Parts of its verdict that have come.
    pub(crate) parts: Parts,
    /// The sink wants to hear how much time it has.
    pub(crate) wants_time: bool,
}

/// How an asked event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Cancelled,
}

/// What an event number stands for, to a frame from the sink that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is open.
    Open,
    /// It was answered.
    Answered,
    /// It was cancelled and has not been answered since.
    Cancelled,
    /// It was told, or is over for so long that it is not remembered how it ended.
    Past,
    /// The sink has never seen it.
    NeverAsked,
}

/// The events of one instance.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    last: u64,
    sent: u64,
    open: VecDeque<OpenEvent>,
    over: VecDeque<(u64, Fate, EventKind)>,
}

impl Ledger {
    /// The number of the next event.
    pub(crate) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Opens an event. Its number is above those of all that were opened before.
    pub(crate) fn open(&mut self, event: OpenEvent) {
        self.open.push_back(event);
    }

    /// The last frame of this event has left.
    pub(crate) fn sent(&mut self, id: u64) {
        self.sent = id;
    }

    /// The sink may have seen this event whole.
    pub(crate) const fn is_sent(&self, id: u64) -> bool {
        id <= self.sent
    }

    /// Number of open events.
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    /// The open events, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &OpenEvent> {
        self.open.iter()
    }

    /// An open event.
    pub(crate) fn get(&self, id: u64) -> Option<&OpenEvent> {
        self.place(id).and_then(|place| self.open.get(place))
    }

    /// An open event.
    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut OpenEvent> {
        self.place(id).and_then(|place| self.open.get_mut(place))
    }

    /// What happened in an event that is open, or over and still remembered.
    pub(crate) fn kind(&self, id: u64) -> Option<EventKind> {
        let over = || self.over.iter().find(|(over, _, _)| *over == id);
        self.get(id)
            .map(|event| event.kind)
            .or_else(|| over().map(|(_, _, kind)| *kind))
    }

    /// What a frame from the sink that names this event is about.
    pub(crate) fn standing(&self, id: u64) -> Standing {
        if id == 0 || id > self.sent {
            return Standing::NeverAsked;
        }
        if self.place(id).is_some() {
            return Standing::Open;
        }
        match self.over.iter().find(|(over, _, _)| *over == id) {
            Some((_, Fate::Answered, _)) => Standing::Answered,
            Some((_, Fate::Cancelled, _)) => Standing::Cancelled,
            None => Standing::Past,
        }
    }

    /// The sink has answered an open event.
    pub(crate) fn answer(&mut self, id: u64) -> Option<OpenEvent> {
        self.end(id, Fate::Answered)
    }

    /// Nobody waits for an open event any more.
    pub(crate) fn cancel(&mut self, id: u64) -> Option<OpenEvent> {
        self.end(id, Fate::Cancelled)
    }

    /// The sink has answered a cancelled event.
    pub(crate) fn answer_late(&mut self, id: u64) {
        if let Some((_, fate, _)) = self.over.iter_mut().find(|(over, _, _)| *over == id) {
            *fate = Fate::Answered;
        }
    }

    /// The sink owes answers to cancelled events: its handler may still be at work on them.
    pub(crate) fn owes(&self) -> bool {
        self.over
            .iter()
            .any(|(_, fate, _)| *fate == Fate::Cancelled)
    }

    /// Takes all open events, oldest first.
    pub(crate) fn take_all(&mut self) -> VecDeque<OpenEvent> {
        std::mem::take(&mut self.open)
    }

    fn end(&mut self, id: u64, fate: Fate) -> Option<OpenEvent> {
        let event = self.open.remove(self.place(id)?)?;
        if self.over.len() == REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back((id, fate, event.kind));
        Some(event)
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.open.binary_search_by_key(&id, |event| event.id).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(events: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for _ in 0..events {
            let id = ledger.number();
            ledger.open(OpenEvent {
                id,
                kind: EventKind::InboundRcpt,
                tag: id * 10,
                heard_before: 0,
                feed: None,
                parts: Parts::default(),
                wants_time: false,
            });
        }
        ledger
    }

    #[test]
    fn a_number_stands_for_what_the_sink_has_seen_of_it() {
        let mut ledger = ledger(3);
        ledger.sent(2);
        assert!(ledger.is_sent(2) && !ledger.is_sent(3));
        assert_eq!(ledger.standing(0), Standing::NeverAsked);
        assert_eq!(ledger.standing(2), Standing::Open);
        assert_eq!(ledger.standing(3), Standing::NeverAsked);
        assert_eq!(ledger.standing(4), Standing::NeverAsked);
        assert_eq!(ledger.answer(1).map(|event| event.tag), Some(10));
        assert!(ledger.answer(1).is_none());
        assert_eq!(ledger.standing(1), Standing::Answered);
        assert_eq!(ledger.kind(1), Some(EventKind::InboundRcpt));
        assert!(!ledger.owes());
        assert_eq!(ledger.cancel(2).map(|event| event.tag), Some(20));
        assert_eq!(ledger.standing(2), Standing::Cancelled);
        assert!(ledger.owes());
        ledger.answer_late(2);
        assert_eq!(ledger.standing(2), Standing::Answered);
        assert!(!ledger.owes());
        assert_eq!(ledger.count(), 1);
        assert_eq!(ledger.iter().map(|event| event.id).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn what_was_told_is_past() {
        let mut ledger = Ledger::default();
        let told = ledger.number();
        ledger.sent(told);
        assert_eq!(ledger.standing(told), Standing::Past);
    }

    #[test]
    fn memory_of_what_is_over_is_bounded() {
        let count = REMEMBERED as u64 + 1;
        let mut ledger = ledger(count);
        ledger.sent(count);
        for id in 1..=count {
            assert!(ledger.answer(id).is_some());
        }
        assert_eq!(ledger.standing(1), Standing::Past);
        assert_eq!(ledger.standing(2), Standing::Answered);
        assert_eq!(ledger.over.len(), REMEMBERED);
    }
}
