//! One instance of a stream: what it was told, and which of its events are open.

use std::collections::HashMap;

use prost::Message as _;

use super::PARTS_MAX;
use super::content::Incoming;
use crate::picture::{Picture, Told};
use crate::v1;

/// Events of one instance that may be awaited at a time.
const OPEN_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Instance {
    state: State,
    open: HashMap<u64, Open>,
    last_event_id: u64,
    parts: Option<v1::Event>,
    parts_bytes: usize,
    outgoing: bool,
}

#[derive(Debug)]
enum State {
    /// Its snapshot may still come in parts.
    Opening(Box<v1::Snapshot>),
    /// It has had its first event.
    Told(Box<Told>),
    /// It was answered with a fault and waits to be closed.
    Dead,
}

/// An event whose verdict is awaited.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) content: Incoming,
}

/// An event that was taken in.
pub(super) struct Taken {
    pub(super) event: Box<v1::Event>,
    pub(super) picture: Picture,
    pub(super) awaited: bool,
    pub(super) message_ended: bool,
}

impl Instance {
    pub(super) fn new(snapshot: v1::Snapshot, outgoing: bool) -> Self {
        Self {
            state: State::Opening(Box::new(snapshot)),
            open: HashMap::new(),
            last_event_id: 0,
            parts: None,
            parts_bytes: 0,
            outgoing,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, State::Dead)
    }

    pub(super) fn kill(&mut self) {
        self.state = State::Dead;
        self.open.clear();
        self.parts = None;
    }

    pub(super) fn has_event_parts(&self) -> bool {
        self.parts.is_some()
    }

    pub(super) fn picture(&self) -> Picture {
        match &self.state {
            State::Told(told) => told.picture(),
            State::Opening(_) | State::Dead => Picture::default(),
        }
    }

    pub(super) fn snapshot_part(&mut self, encoded: &[u8]) -> Result<(), &'static str> {
        self.grow(encoded.len())?;
        match &mut self.state {
            State::Opening(snapshot) => snapshot
                .merge(encoded)
                .map_err(|_| "a part of a snapshot that cannot be merged"),
            State::Told(_) => Err("a part of a snapshot behind the first event"),
            State::Dead => Ok(()),
        }
    }

    pub(super) fn event_part(&mut self, part: v1::Event) -> Result<(), &'static str> {
        self.grow(part.encoded_len())?;
        match &mut self.parts {
            None => self.parts = Some(part),
            Some(parts) => merge(parts, &part)?,
        }
        Ok(())
    }

    pub(super) fn event(
        &mut self,
        mut event: Box<v1::Event>,
        initial_credit: u64,
    ) -> Result<Taken, &'static str> {
        self.parts_bytes = 0;
        if let Some(mut parts) = self.parts.take() {
            merge(&mut parts, &event)?;
            *event = parts;
        }
        if event.event_id <= self.last_event_id {
            return Err("event ids that do not increase");
        }
        self.last_event_id = event.event_id;
        if let State::Opening(snapshot) = &mut self.state {
            let told = Told::open(std::mem::take(snapshot), self.outgoing);
            self.state = State::Told(Box::new(told));
        }
        let State::Told(told) = &mut self.state else {
            return Err("an event of an instance that is over");
        };
        let message_ended = event.message_ended;
        told.update(&mut event);
        let awaited = event.deadline.is_some() && !event.replayed;
        if awaited {
            if self.open.len() >= OPEN_MAX {
                return Err("too many open events in one instance");
            }
            let content = Incoming::new(initial_credit);
            self.open.insert(event.event_id, Open { content });
        }
        Ok(Taken {
            picture: told.picture(),
            event,
            awaited,
            message_ended,
        })
    }

    pub(super) fn is_open(&self, event_id: u64) -> bool {
        self.open.contains_key(&event_id)
    }

    pub(super) fn open_event(&mut self, event_id: u64) -> Option<&mut Open> {
        self.open.get_mut(&event_id)
    }

    pub(super) fn answered(&mut self, event_id: u64) -> bool {
        self.open.remove(&event_id).is_some()
    }

    fn grow(&mut self, octets: usize) -> Result<(), &'static str> {
        self.parts_bytes += octets;
        match self.parts_bytes <= PARTS_MAX {
            true => Ok(()),
            false => Err("more than 64 MiB in parts"),
        }
    }
}

/// MergeFrom of protobuf: decoding one encoding behind the other.
fn merge(parts: &mut v1::Event, next: &v1::Event) -> Result<(), &'static str> {
    parts
        .merge(next.encode_to_vec().as_slice())
        .map_err(|_| "a part of an event that cannot be merged")
}
