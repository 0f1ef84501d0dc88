//! Instances at the sink, and what waits for one that cannot take it at once: a connection is being made, or the sink
//! does not read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use postern_attach::{InstanceId, StreamId};
use postern_proto::v1::CloseReason;

use crate::attached::{Attached, Key};

use super::command::{Ask, Begin, QuestionKey, Tell};

/// Something that waits.
pub(super) enum Waiting {
    Ask(Box<Ask>),
    Tell {
        tell: Box<Tell>,
        octets: usize,
        until: Instant,
    },
}

/// One instance, open or to be opened.
pub(super) struct Instance {
    pub(super) attached: Arc<Attached>,
    /// Where it is open.
    pub(super) place: Option<(StreamId, InstanceId)>,
    /// How it is to be opened, until it is.
    pub(super) begin: Option<Box<Begin>>,
    pub(super) waiting: VecDeque<Waiting>,
    /// To be closed once nothing waits.
    pub(super) closing: Option<CloseReason>,
    /// It is among those for which something waits.
    listed: bool,
}

/// All instances of a sink.
#[derive(Default)]
pub(super) struct Instances {
    instances: HashMap<Key, Instance>,
    /// Those for which something waits, in order.
    waiting: VecDeque<Key>,
    /// When one-way events have waited long enough, in order.
    expiries: VecDeque<(Instant, Key)>,
    /// Octets of one-way events that wait.
    octets: usize,
    /// One-way events that found no room since the last that was sent.
    lost: u64,
}

impl Instances {
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Instance> {
        self.instances.get_mut(&key)
    }

    /// The instance of a command: known, or new with the command that brings what opens it.
    pub(super) fn take_up(
        &mut self,
        attached: &Arc<Attached>,
        begin: Option<Box<Begin>>,
    ) -> Option<&mut Instance> {
        if let Some(begin) = begin {
            self.instances
                .entry(attached.key)
                .or_insert_with(|| Instance {
                    attached: Arc::clone(attached),
                    place: None,
                    begin: Some(begin),
                    waiting: VecDeque::new(),
                    closing: None,
                    listed: false,
                });
        }
        self.instances.get_mut(&attached.key)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Instance> {
        let entry = self.instances.remove(&key)?;
        for waiting in &entry.waiting {
            if let Waiting::Tell { octets, .. } = waiting {
                self.octets = self.octets.saturating_sub(*octets);
            }
        }
        Some(entry)
    }

    pub(super) fn len(&self) -> usize {
        self.instances.len()
    }

    /// Puts something behind what waits for the instance.
    pub(super) fn wait(&mut self, key: Key, waiting: Waiting) {
        if let Waiting::Tell { octets, until, .. } = &waiting {
            self.octets += octets;
            self.expiries.push_back((*until, key));
        }
        self.put(key, |queue| queue.push_back(waiting));
    }

    /// Puts something back before what waits for the instance.
    pub(super) fn wait_on(&mut self, key: Key, waiting: Waiting) {
        if let Waiting::Tell { octets, .. } = &waiting {
            self.octets += octets;
        }
        self.put(key, |queue| queue.push_front(waiting));
    }

    fn put(&mut self, key: Key, put: impl FnOnce(&mut VecDeque<Waiting>)) {
        let Some(entry) = self.instances.get_mut(&key) else {
            return;
        };
        put(&mut entry.waiting);
        if !std::mem::replace(&mut entry.listed, true) {
            self.waiting.push_back(key);
        }
    }

    /// The first thing that waits for an instance.
    pub(super) fn pop(&mut self, key: Key) -> Option<Waiting> {
        let waiting = self.instances.get_mut(&key)?.waiting.pop_front()?;
        if let Waiting::Tell { octets, .. } = &waiting {
            self.octets = self.octets.saturating_sub(*octets);
        }
        Some(waiting)
    }

    /// The instances for which something waits, to be tried again.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Key> {
        let waiting = std::mem::take(&mut self.waiting);
        for key in &waiting {
            if let Some(entry) = self.instances.get_mut(key) {
                entry.listed = false;
            }
        }
        waiting
    }

    pub(super) fn anything_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes a question out that nobody waits for any more.
    pub(super) fn forget(&mut self, key: Key, question: QuestionKey) {
        let Some(entry) = self.instances.get_mut(&key) else {
            return;
        };
        for waiting in &mut entry.waiting {
            if let Waiting::Ask(ask) = waiting {
                ask.questions.retain(|asking| asking.key != question);
            }
        }
    }

    /// Whether one-way events of so many octets find room. If not, the loss is counted.
    pub(super) fn has_room(&mut self, octets: usize, most: usize) -> bool {
        let fits = self.octets + octets <= most;
        if !fits {
            self.lost += 1;
        }
        fits
    }

    /// How many one-way events were lost since this was last asked.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// When the first waiting one-way event has waited long enough.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.front().map(|(until, _)| *until)
    }

    /// Takes out one-way events that have waited long enough.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Tell> {
        let mut expired = Vec::new();
        while let Some((_, key)) = self.expiries.front().filter(|(until, _)| *until <= now) {
            let key = *key;
            self.expiries.pop_front();
            let Some(entry) = self.instances.get_mut(&key) else {
                continue;
            };
            for waiting in std::mem::take(&mut entry.waiting) {
                match waiting {
                    Waiting::Tell {
                        tell,
                        octets,
                        until,
                    } if until <= now => {
                        self.octets = self.octets.saturating_sub(octets);
                        expired.push(*tell);
                    }
                    other => entry.waiting.push_back(other),
                }
            }
        }
        expired
    }
}
