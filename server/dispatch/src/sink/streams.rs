//! The streams of one sink: each with its link, the call that carries it, and the time at which it wants to be woken.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::{AbortHandle, Abortable, SelectAll};
use postern_attach::{Link, LinkSettings, Occupancy, ReplicaId, StreamId};
use tonic::transport::Channel;

use crate::call::{Call, Incoming, Named};
use crate::meter::Meter;
use crate::pipe::{Feeder, pipe};

/// One stream.
pub(super) struct Stream {
    pub(super) link: Link,
    pub(super) replica: ReplicaId,
    pub(super) replica_name: Arc<str>,
    /// The sink hears what became of its verdicts.
    pub(super) settles: bool,
    feeder: Feeder,
    meter: Meter,
    abort: AbortHandle,
    /// The requests end once the link has nothing more to send.
    pub(super) half_closing: bool,
    /// The network has said how it ended.
    pub(super) over: bool,
    wake_at: Option<Instant>,
}

impl Stream {
    /// Does what is due. The link hears first how far its frames have come.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.link.network(self.meter.progress());
        self.link.handle_timeout(now);
    }
}

/// All streams of a sink.
#[derive(Default)]
pub(super) struct Streams {
    streams: HashMap<StreamId, Stream>,
    calls: SelectAll<Abortable<Named<StreamId>>>,
    timers: BTreeSet<(Instant, StreamId)>,
    /// Streams that something was done to: their events, frames and times are to be looked at.
    touched: Vec<StreamId>,
    /// Streams with frames that the network did not take.
    blocked: Vec<StreamId>,
}

impl Streams {
    /// Opens a stream on a connection.
    pub(super) fn open(
        &mut self,
        id: StreamId,
        (replica, replica_name): (ReplicaId, Arc<str>),
        channel: &Channel,
        settings: LinkSettings,
        stream_bytes: usize,
        now: Instant,
    ) {
        let (feeder, frames) = pipe(stream_bytes);
        let meter = Meter::new(now);
        let (abort, registration) = AbortHandle::new_pair();
        let call = Named {
            name: id,
            call: Call::begin(channel, frames, meter.clone()),
        };
        self.calls.push(Abortable::new(call, registration));
        let stream = Stream {
            settles: settings.features.settled,
            link: Link::new(now, settings),
            replica,
            replica_name,
            feeder,
            meter,
            abort,
            half_closing: false,
            over: false,
            wake_at: None,
        };
        self.streams.insert(id, stream);
        self.touch(id);
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(&id)
    }

    /// The stream, to do something to its link.
    pub(super) fn touch(&mut self, id: StreamId) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(&id)?;
        if !self.touched.contains(&id) {
            self.touched.push(id);
        }
        Some(stream)
    }

    pub(super) fn occupancies(&self, now: Instant) -> impl Iterator<Item = (StreamId, Occupancy)> {
        self.streams
            .iter()
            .map(move |(id, stream)| (*id, stream.link.occupancy(now)))
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.streams.keys().copied().collect()
    }

    /// Forgets a stream, and resets it if it has not ended.
    pub(super) fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        stream.abort.abort();
        if let Some(at) = stream.wake_at {
            self.timers.remove(&(at, id));
        }
        Some(stream)
    }

    /// The next thing that came from the sink.
    pub(super) fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Option<(StreamId, Incoming)> {
        if self.calls.is_empty() {
            return None;
        }
        match self.calls.poll_next_unpin(cx) {
            Poll::Ready(incoming) => incoming,
            Poll::Pending => None,
        }
    }

    /// A stream whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<StreamId> {
        let (at, id) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.wake_at = None;
        }
        Some(id)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// What was done to a stream has been looked at.
    pub(super) fn untouch(&mut self, id: StreamId) {
        self.touched.retain(|touched| *touched != id);
    }

    /// A stream that something was done to.
    pub(super) fn pop_touched(&mut self) -> Option<StreamId> {
        self.touched.pop()
    }

    /// Looks again at streams whose frames the network did not take.
    pub(super) fn retry_blocked(&mut self) {
        for id in std::mem::take(&mut self.blocked) {
            self.touch(id);
        }
    }

    /// Hands the network what it takes of a stream's frames, and notes when the link wants to be woken.
    pub(super) fn transmit(&mut self, id: StreamId, now: Instant, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        loop {
            if !stream.feeder.poll_room(cx) {
                self.blocked.push(id);
                break;
            }
            match stream.link.poll_transmit(now) {
                Some(frame) => stream.feeder.feed(frame),
                None => {
                    if stream.half_closing {
                        stream.feeder.end();
                    }
                    break;
                }
            }
        }
        let wake_at = stream.link.poll_timeout();
        if wake_at != stream.wake_at {
            if let Some(at) = stream.wake_at {
                self.timers.remove(&(at, id));
            }
            if let Some(at) = wake_at {
                self.timers.insert((at, id));
            }
            stream.wake_at = wake_at;
        }
    }
}
