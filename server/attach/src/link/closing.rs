//! How instances and streams end.

use std::time::Instant;

use postern_events::fault::{Fault, FaultKind};
use postern_proto::v1 as pb;
use postern_proto::v1::CloseReason;
use postern_proto::v1::attach_request::Kind;

use crate::end::StreamEnd;
use crate::retry::Retry;
use crate::transmit::Transmit;

use super::events::{Asked, Ending, InstanceId, LinkEvent, Place};
use super::instance::{Instance, Life};
use super::outbox::{Frame, Urgency};
use super::phase::Phase;
use super::state::Link;

impl Link {
    /// Closes an instance. Open questions are cancelled, without an event for them; verdicts whose fate was not told
    /// are settled as undone. While actions are unanswered `Close` waits for their results.
    pub fn close(&mut self, now: Instant, instance: InstanceId, reason: CloseReason) {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        if matches!(one.life, Life::Closing(_)) {
            return;
        }
        one.life = Life::Closing(reason);
        let why = match reason {
            CloseReason::Shutdown => pb::CancelReason::Shutdown,
            _ => pb::CancelReason::ClientGone,
        };
        let open: Vec<u64> = one.ledger.iter().map(|event| event.id).collect();
        let unsettled = std::mem::take(&mut one.unsettled);
        for event_id in open {
            self.cancel_open(now, Asked { instance, event_id }, why);
        }
        for event_id in unsettled {
            self.send_settled(
                now,
                instance,
                pb::Settled {
                    event_id,
                    settlement: pb::Settlement::Undone.into(),
                    ..pb::Settled::default()
                },
            );
        }
        self.rest(now, instance);
    }

    /// Cancels an open event. Returns false if it is not open.
    pub(super) fn cancel_open(
        &mut self,
        now: Instant,
        asked: Asked,
        reason: pb::CancelReason,
    ) -> bool {
        let event = self
            .instances
            .get_mut(&asked.instance.0)
            .and_then(|one| one.ledger.cancel(asked.event_id));
        let Some(event) = event else { return false };
        self.event_over(now, asked.instance, &event);
        let cancel = pb::Cancel {
            event_id: asked.event_id,
            reason: reason.into(),
        };
        self.send(now, asked.instance.0, Kind::Cancel(cancel), Urgency::Now);
        true
    }

    pub(super) fn send_settled(
        &mut self,
        now: Instant,
        instance: InstanceId,
        settled: pb::Settled,
    ) {
        let kind = Kind::Settled(settled);
        self.send(now, instance.0, kind, Urgency::AtLeisure);
    }

    /// Something of an instance has ended: it may have become idle, or be closed now.
    pub(super) fn rest(&mut self, now: Instant, instance: InstanceId) {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        if one.is_busy() {
            if let Some(since) = one.idle_since.take() {
                self.idle.remove(&(since, instance.0));
            }
            return;
        }
        let (reason, ending) = match (one.life, &self.phase) {
            (Life::Closing(reason), _) => (reason, None),
            (Life::Done, _) => (CloseReason::BySink, Some(Ending::Done)),
            (Life::Open, Phase::Draining { reason, .. }) => (*reason, Some(Ending::Drained)),
            (Life::Open, _) => {
                if !one.lasting && one.idle_since.is_none() {
                    one.idle_since = Some(now);
                    self.idle.insert((now, instance.0));
                }
                return;
            }
        };
        self.finish(now, instance, reason, String::new(), ending);
    }

    /// Closes an idle instance, which may be opened again.
    pub(super) fn park(&mut self, now: Instant, instance: InstanceId) {
        let parked = Some(Ending::Parked);
        self.finish(now, instance, CloseReason::Parked, String::new(), parked);
    }

    /// Sends Close behind what waits, and forgets an instance that has nothing open.
    fn finish(
        &mut self,
        now: Instant,
        instance: InstanceId,
        reason: CloseReason,
        detail: String,
        ending: Option<Ending>,
    ) {
        let heard_of = !self.outbox.drop_unbegun(instance.0);
        self.take_out(now, instance, heard_of.then_some((reason, detail)), ending);
    }

    /// Fails what is open in an instance, drops what waits for it, sends Close and forgets it.
    pub(super) fn void(
        &mut self,
        now: Instant,
        instance: InstanceId,
        fault: &Fault,
        retry: Retry,
        reason: CloseReason,
        ending: Ending,
    ) {
        self.fail_all(instance, fault, retry);
        let heard_of = self.outbox.drop_all(instance.0);
        let detail = match reason {
            CloseReason::ProtocolError => fault.detail.clone(),
            _ => String::new(),
        };
        self.take_out(
            now,
            instance,
            heard_of.then_some((reason, detail)),
            Some(ending),
        );
    }

    fn take_out(
        &mut self,
        now: Instant,
        instance: InstanceId,
        close: Option<(CloseReason, String)>,
        ending: Option<Ending>,
    ) {
        let Some(one) = self.forget(instance) else {
            return;
        };
        if let Some((reason, detail)) = close {
            let close = pb::Close {
                reason: reason.into(),
                detail,
            };
            let transmit = Transmit::control(instance.0, Kind::CloseInstance(close));
            self.push_frame(now, instance.0, Frame::Close(transmit), Urgency::AtLeisure);
        }
        if let Some(ending) = ending {
            self.events.push_back(LinkEvent::Closed {
                instance,
                tag: one.tag,
                ending,
            });
        }
        // The handler of a sink for one at a time may still be at work: the next instance gets another stream.
        let stuck = self.is_exclusive() && one.ledger.owes();
        if self.phase == Phase::Open && stuck {
            return self.part(now, StreamEnd::InOrder);
        }
        self.when_empty(now);
    }

    fn when_empty(&mut self, now: Instant) {
        if !self.instances.is_empty() {
            return;
        }
        self.empty_since.get_or_insert(now);
        if matches!(self.phase, Phase::Draining { .. }) {
            self.part(now, StreamEnd::InOrder);
        }
    }

    fn forget(&mut self, instance: InstanceId) -> Option<Instance> {
        let one = self.instances.remove(&instance.0)?;
        if let Some(since) = one.idle_since {
            self.idle.remove(&(since, instance.0));
        }
        self.hungry.retain(|asked| asked.instance != instance);
        Some(one)
    }

    /// Fails every open question of an instance. One that the sink cannot have seen may be asked elsewhere.
    fn fail_all(&mut self, instance: InstanceId, fault: &Fault, retry: Retry) {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        for event in one.ledger.take_all() {
            let seen = one.ledger.is_sent(event.id);
            self.questions -= 1;
            self.unfinished -= event.parts.len();
            self.events.push_back(LinkEvent::Failed {
                asked: Asked {
                    instance,
                    event_id: event.id,
                },
                tag: event.tag,
                fault: fault.clone(),
                retry: if seen { retry } else { Retry::Always },
            });
        }
    }

    /// Every instance, in the order in which they were opened.
    pub(super) fn all(&self) -> Vec<InstanceId> {
        let mut all: Vec<InstanceId> = self.instances.values().map(|one| one.id).collect();
        all.sort_unstable();
        all
    }

    /// The sink broke the protocol in one instance, which ends.
    pub(super) fn break_instance(
        &mut self,
        now: Instant,
        instance: InstanceId,
        event_id: Option<u64>,
        detail: impl Into<String>,
    ) {
        let Some(one) = self.instances.get(&instance.0) else {
            return;
        };
        let fault = Fault::protocol(detail);
        self.events.push_back(LinkEvent::Broken {
            place: one.place(event_id),
            fault: fault.clone(),
        });
        self.void(
            now,
            instance,
            &fault,
            Retry::Never,
            CloseReason::ProtocolError,
            Ending::Protocol,
        );
    }

    /// The sink broke the protocol of the stream, which ends. What other instances asked may be asked again.
    pub(super) fn break_stream(
        &mut self,
        now: Instant,
        offender: Option<InstanceId>,
        detail: impl Into<String>,
    ) {
        let fault = Fault::protocol(detail);
        let place = offender
            .and_then(|offender| self.instances.get(&offender.0))
            .map_or_else(Place::default, |one| one.place(None));
        self.events.push_back(LinkEvent::Broken {
            place,
            fault: fault.clone(),
        });
        self.part(
            now,
            StreamEnd::GivenUp {
                detail: fault.detail.clone(),
            },
        );
        for instance in self.all() {
            let (retry, ending) = if Some(instance) == offender {
                (Retry::Never, Ending::Protocol)
            } else {
                (Retry::Harmless, Ending::Lost)
            };
            self.void(
                now,
                instance,
                &fault,
                retry,
                CloseReason::ProtocolError,
                ending,
            );
        }
        self.outbox.hurry();
    }

    /// A deadline passed without a frame on the stream: its instances go elsewhere.
    pub(super) fn fall_silent(&mut self, now: Instant) {
        let fault = Fault::new(
            FaultKind::Timeout,
            "the sink has sent no frame on the stream since before the question",
        );
        if self.phase == Phase::Open {
            self.phase = Phase::Silent {
                until: now + self.settings.silent_limit,
            };
        }
        for instance in self.all() {
            self.void(
                now,
                instance,
                &fault,
                Retry::Harmless,
                CloseReason::Silent,
                Ending::Silent,
            );
        }
    }

    /// Takes no further instances: those that are idle end now, the others when they are idle, to be opened elsewhere. The
    /// connection is to be closed.
    pub fn leave(&mut self, now: Instant) {
        self.drain(now, None, CloseReason::Parked);
    }

    /// Leaves a stream that is stalled. Instances of which something is stuck on it fail, with all that is open in them, so
    /// that it is asked elsewhere, where `movable` says of each of their questions, by the caller's name for it, that it
    /// may be. The others have their time.
    pub fn forsake(&mut self, now: Instant, movable: impl Fn(u64) -> bool) {
        let fault = Fault::new(
            FaultKind::Timeout,
            "the sink takes nothing more of the stream",
        );
        for instance in self.all() {
            let Some(one) = self.instances.get(&instance.0) else {
                continue;
            };
            let stuck = self.flight.carries(instance.0) || self.outbox.carries(instance.0);
            if stuck && one.ledger.count() > 0 && one.ledger.iter().all(|event| movable(event.tag))
            {
                let (reason, ending) = (CloseReason::Silent, Ending::Silent);
                self.void(now, instance, &fault, Retry::Harmless, reason, ending);
            }
        }
        self.leave(now);
    }

    /// One of both sides goes away: idle instances end now, the others when they are idle.
    pub(super) fn drain(&mut self, now: Instant, until: Option<Instant>, reason: CloseReason) {
        match &mut self.phase {
            Phase::Open | Phase::Silent { .. } => self.phase = Phase::Draining { until, reason },
            Phase::Draining { until: before, .. } => {
                *before = [*before, until].into_iter().flatten().min();
            }
            Phase::Parting { .. } | Phase::Ended => return,
        }
        for instance in self.all() {
            self.rest(now, instance);
        }
        self.when_empty(now);
    }

    /// Half-closes the stream.
    pub(super) fn part(&mut self, now: Instant, end: StreamEnd) {
        self.phase = Phase::Parting {
            until: now + self.settings.goodbye,
            end,
        };
        self.outbox.hurry();
        self.events.push_back(LinkEvent::HalfClose);
    }

    /// The stream has ended, with whatever is open on it.
    pub(super) fn lose(&mut self, end: &StreamEnd) {
        let fault = end.fault();
        let retry = if end.unseen() {
            Retry::Always
        } else {
            Retry::Harmless
        };
        for instance in self.all() {
            self.fail_all(instance, &fault, retry);
            if let Some(one) = self.forget(instance) {
                self.events.push_back(LinkEvent::Closed {
                    instance,
                    tag: one.tag,
                    ending: Ending::Lost,
                });
            }
        }
        self.outbox.clear();
        self.flight.clear();
        self.phase = Phase::Ended;
    }
}
