//! Answers of the sink, whole or in parts, and its signs that it is at work.

use std::time::Instant;

use postern_events::fault::{Fault, FaultKind};
use postern_proto::v1 as pb;

use crate::line::one_line;
use crate::retry::Retry;
use crate::transmit::from_wire;

use super::events::{Asked, Ending, InstanceId, LinkEvent};
use super::state::Link;

/// Octets of unfinished verdicts of all instances of a stream.
const UNFINISHED_BYTES: usize = 16 << 20;

/// Longest detail of a fault, in characters.
const DETAIL: usize = 4096;

/// Longest activity of a progress, in characters.
const ACTIVITY: usize = 200;

impl Link {
    pub(super) fn hear_verdict(
        &mut self,
        now: Instant,
        instance: InstanceId,
        verdict: pb::Verdict,
    ) {
        let event_id = verdict.event_id;
        let settled = self.settings.features.settled;
        if !self.is_answerable(now, instance, event_id, settled) {
            return;
        }
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let place = one.place(Some(event_id));
        let Some(mut event) = one.ledger.answer(event_id) else {
            return;
        };
        one.interest.answered();
        let parts = std::mem::take(&mut event.parts);
        self.unfinished -= parts.len();
        let asked = Asked { instance, event_id };
        match parts.finish(verdict, one.bounds) {
            Ok(verdict) => {
                if settled {
                    one.unsettled.insert(event_id);
                }
                self.events.push_back(LinkEvent::Verdict {
                    asked,
                    tag: event.tag,
                    verdict: Box::new(verdict),
                    at: now,
                });
            }
            Err(detail) => {
                let fault = Fault::protocol(detail);
                self.events.push_back(LinkEvent::Broken {
                    place,
                    fault: fault.clone(),
                });
                self.events.push_back(LinkEvent::Failed {
                    asked,
                    tag: event.tag,
                    fault,
                    retry: Retry::Never,
                });
            }
        }
        self.event_over(now, instance, &event);
        self.rest(now, instance);
    }

    pub(super) fn hear_part(&mut self, now: Instant, instance: InstanceId, part: &pb::Verdict) {
        if !self.settings.features.parts {
            let detail = "verdict_part, though the feature `parts` is not in force";
            return self.break_instance(now, instance, Some(part.event_id), detail);
        }
        if !self.is_open(now, instance, part.event_id) {
            return;
        }
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let Some(event) = one.ledger.get_mut(part.event_id) else {
            return;
        };
        let before = event.parts.len();
        if let Err(detail) = event.parts.add(part, one.bounds) {
            return self.break_instance(now, instance, Some(part.event_id), detail);
        }
        self.unfinished += event.parts.len() - before;
        if self.unfinished > UNFINISHED_BYTES {
            let detail = format!("more than {UNFINISHED_BYTES} octets of unfinished verdicts");
            self.break_stream(now, Some(instance), detail);
        }
    }

    pub(super) fn hear_fault(&mut self, now: Instant, instance: InstanceId, said: &pb::Fault) {
        let (kind, retry) = match pb::FaultKind::try_from(said.kind) {
            Ok(pb::FaultKind::Overload) => (FaultKind::Overload, Retry::Always),
            Ok(pb::FaultKind::Unavailable) => (FaultKind::Unreachable, Retry::Always),
            Ok(pb::FaultKind::ProtocolError) => (FaultKind::Protocol, Retry::Never),
            _ => (FaultKind::Fault, Retry::Never),
        };
        let detail = one_line(&said.detail, DETAIL);
        let fault = Fault::new(kind, format!("the sink says: {detail}"));
        if said.event_id == 0 {
            let reason = pb::CloseReason::BySink;
            return self.void(now, instance, &fault, retry, reason, Ending::BySink);
        }
        if !self.is_answerable(now, instance, said.event_id, false) {
            return;
        }
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let Some(event) = one.ledger.answer(said.event_id) else {
            return;
        };
        one.interest.answered();
        self.events.push_back(LinkEvent::Failed {
            asked: Asked {
                instance,
                event_id: said.event_id,
            },
            tag: event.tag,
            fault,
            retry,
        });
        self.event_over(now, instance, &event);
        self.rest(now, instance);
    }

    pub(super) fn hear_progress(
        &mut self,
        now: Instant,
        instance: InstanceId,
        progress: &pb::Progress,
    ) {
        let event_id = progress.event_id;
        if !self.is_open(now, instance, event_id) {
            return;
        }
        let wanted = match &progress.wanted {
            None => None,
            Some(wanted) => match from_wire(wanted) {
                Some(wanted) => Some(wanted),
                None => {
                    let detail = "Progress wants an invalid time";
                    return self.break_instance(now, instance, Some(event_id), detail);
                }
            },
        };
        let event = self
            .instances
            .get_mut(&instance.0)
            .and_then(|one| one.ledger.get_mut(event_id));
        let Some(event) = event else { return };
        event.wants_time = wanted.is_some();
        self.events.push_back(LinkEvent::Progress {
            asked: Asked { instance, event_id },
            tag: event.tag,
            wanted,
            activity: one_line(&progress.activity, ACTIVITY),
        });
    }
}
