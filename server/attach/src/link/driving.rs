//! What drives a link: time, the network, and the end of the stream.

use std::time::{Duration, Instant};

use postern_proto::v1 as pb;
use postern_proto::v1::CloseReason;
use postern_proto::v1::attach_request::Kind;

use crate::end::{Code, StreamEnd};
use crate::transmit::{Transmit, to_wire};

use super::events::{InstanceId, LinkEvent};
use super::flight::Progress;
use super::outbox::{Left, Urgency};
use super::phase::Phase;
use super::pulse::Beat;
use super::state::{Link, Start};

impl Link {
    /// Returns the next frame to be sent, if one may leave now.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let leaving = self.outbox.pop(now)?;
        self.start = Start::Taken;
        if let Some(time) = self.settings.flow_timeout {
            self.flight
                .give(now, leaving.instance, leaving.transmit.len());
            self.flow_checked_at.get_or_insert(now + time);
        }
        match leaving.left {
            Left::Event(event_id) => {
                if let Some(one) = self.instances.get_mut(&leaving.instance) {
                    one.ledger.sent(event_id);
                }
            }
            Left::Content => self.feed_hungry(),
            Left::Other => {}
        }
        if self.refused && self.outbox.events() < self.settings.queue_bytes / 2 {
            self.refused = false;
            self.events.push_back(LinkEvent::Room);
        }
        Some(leaving.transmit)
    }

    /// Returns what happened next.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        if self.outbox.is_overrun() {
            self.reset("the sink does not read what it is told");
        }
        self.events.pop_front()
    }

    /// Takes in how much of the frames the network has taken. Say it before time is looked at.
    pub fn network(&mut self, progress: Progress) {
        self.flight.take(progress);
    }

    /// Returns when [`Link::handle_timeout`] is to be called, unless something else comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let settings = &self.settings;
        let stall = match self.start {
            Start::Waiting(since) => Some(since + settings.stall_after),
            Start::Nothing | Start::Taken => None,
        };
        let park = self
            .idle
            .first()
            .map(|(since, _)| *since + settings.park_after);
        let empty = self
            .empty_since
            .filter(|_| self.phase == Phase::Open)
            .map(|since| since + settings.idle_after);
        [
            stall.filter(|_| self.phase.is_carrying()),
            self.phase.timeout(),
            self.heartbeat_timeout(),
            park,
            empty,
            self.outbox.lingers_until(),
            self.flow_checked_at.filter(|_| self.phase.is_carrying()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.outbox.handle_timeout(now);
        if let Start::Waiting(since) = self.start
            && self.phase.is_carrying()
            && now >= since + self.settings.stall_after
        {
            let detail = "the network took nothing of it; the server may have as many as it allows";
            return self.end(
                StreamEnd::Refused {
                    detail: detail.to_owned(),
                },
                true,
            );
        }
        if self.phase.timeout().is_some_and(|until| now >= until) {
            return self.time_is_up();
        }
        self.check_flow(now);
        if self.heartbeat_timeout().is_some() {
            match self.pulse.poll(now, self.questions == 0) {
                Some(Beat::Ask(sequence)) => {
                    let beat = pb::Heartbeat { sequence };
                    self.send(now, 0, Kind::Heartbeat(beat), Urgency::Now);
                }
                Some(Beat::Missed) => return self.reset("no heartbeat came back"),
                None => {}
            }
        }
        while let Some(&(since, instance)) = self.idle.first()
            && now >= since + self.settings.park_after
        {
            self.park(now, InstanceId(instance));
        }
        if self.phase == Phase::Open
            && self
                .empty_since
                .is_some_and(|since| now >= since + self.settings.idle_after)
        {
            self.part(now, StreamEnd::InOrder);
        }
    }

    /// Takes in the end of the stream, whoever ended it.
    pub fn handle_end(&mut self, end: StreamEnd) {
        let in_order = self.questions == 0
            && matches!(
                end,
                StreamEnd::Status { code: Code::Ok, .. } | StreamEnd::InOrder
            );
        let end = match &self.phase {
            Phase::Ended => return,
            Phase::Parting { end: planned, .. } => planned.clone(),
            _ if in_order => StreamEnd::InOrder,
            _ => end,
        };
        self.end(end, false);
    }

    /// Tells the sink that the gateway goes away: no new instances come, and what is open has so much time.
    pub fn go_away(&mut self, now: Instant, drain: Duration, reason: &str) {
        if !self.phase.is_carrying() {
            return;
        }
        let go_away = pb::GoAway {
            drain: Some(to_wire(drain)),
            reason: reason.to_owned(),
        };
        self.send(now, 0, Kind::GoAway(go_away), Urgency::Now);
        self.drain(now, Some(now + drain), CloseReason::Shutdown);
    }

    /// Closes idle instances, those first that have been idle longest, at most so many. Returns how many.
    pub fn park_idle(&mut self, now: Instant, most: usize) -> usize {
        let idle: Vec<u64> = self.idle.iter().take(most).map(|(_, id)| *id).collect();
        for instance in &idle {
            self.park(now, InstanceId(*instance));
        }
        idle.len()
    }

    /// When a heartbeat is due, or must have come back. A stream that is not heard of anyway is asked for none.
    fn heartbeat_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open | Phase::Draining { .. } if self.start == Start::Taken => {
                self.pulse.timeout(self.questions == 0)
            }
            _ => None,
        }
    }

    fn check_flow(&mut self, now: Instant) {
        let (Some(at), Some(time)) = (self.flow_checked_at, self.settings.flow_timeout) else {
            return;
        };
        if now < at || !self.phase.is_carrying() {
            return;
        }
        self.flow_checked_at = self.flight.still_since().map(|since| {
            let late = since + time;
            if now < late {
                return late;
            }
            self.events.push_back(LinkEvent::Stalled);
            now + time
        });
    }

    fn time_is_up(&mut self) {
        match &self.phase {
            Phase::Silent { .. } => self.reset("no frame came since a deadline passed in silence"),
            Phase::Draining { .. } => self.reset("time to go away is up"),
            Phase::Parting { end, .. } => {
                let end = end.clone();
                self.end(end, true);
            }
            Phase::Open | Phase::Ended => {}
        }
    }

    fn reset(&mut self, why: &str) {
        let end = StreamEnd::Broken {
            detail: why.to_owned(),
        };
        self.end(end, true);
    }

    fn end(&mut self, end: StreamEnd, reset: bool) {
        if self.phase != Phase::Ended {
            self.lose(&end);
            self.events.push_back(LinkEvent::Ended { end, reset });
        }
    }
}
