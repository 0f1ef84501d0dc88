//! What becomes of questions: they are given up, given time, or settled.

use std::time::{Duration, Instant};

use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;

use crate::transmit::to_wire;

use super::events::{Asked, Cancelled};
use super::outbox::Urgency;
use super::state::Link;

impl Link {
    /// Says that nobody waits for an event any more. With [`pb::CancelReason::Deadline`], on a stream that has brought
    /// no frame since the event was asked, all instances of the stream are closed: they go on elsewhere.
    pub fn cancel(&mut self, now: Instant, asked: Asked, reason: pb::CancelReason) -> Cancelled {
        let Some(one) = self.instances.get_mut(&asked.instance.0) else {
            return Cancelled::AlreadyOver;
        };
        let Some(event) = one.ledger.get(asked.event_id) else {
            return Cancelled::AlreadyOver;
        };
        let silent = reason == pb::CancelReason::Deadline && event.heard_before == self.heard;
        if silent {
            // No Cancel: Close ends it, and the caller hears nothing of what it gave up itself.
            if let Some(event) = one.ledger.cancel(asked.event_id) {
                self.event_over(now, asked.instance, &event);
            }
            self.fall_silent(now);
        } else {
            self.cancel_open(now, asked, reason);
            self.rest(now, asked.instance);
        }
        Cancelled::Taken { silent }
    }

    /// Says how much time an event has now. The sink hears it if its last `Progress` named a time.
    pub fn extend(&mut self, now: Instant, asked: Asked, remaining: Duration) {
        let event = self
            .instances
            .get_mut(&asked.instance.0)
            .and_then(|one| one.ledger.get_mut(asked.event_id));
        let Some(event) = event else { return };
        if std::mem::take(&mut event.wants_time) {
            let extended = pb::Extended {
                event_id: asked.event_id,
                remaining: Some(to_wire(remaining)),
            };
            self.send(
                now,
                asked.instance.0,
                Kind::Extended(extended),
                Urgency::Now,
            );
        }
    }

    /// Says what became of a verdict: once for each. Its `event_id` is set here. Nothing is sent to a sink that does not
    /// want to hear it.
    pub fn settle(&mut self, now: Instant, asked: Asked, settled: pb::Settled) {
        let waits = self
            .instances
            .get_mut(&asked.instance.0)
            .is_some_and(|one| one.unsettled.remove(&asked.event_id));
        if waits {
            let event_id = asked.event_id;
            self.send_settled(
                now,
                asked.instance,
                pb::Settled {
                    event_id,
                    ..settled
                },
            );
            self.rest(now, asked.instance);
        }
    }
}
