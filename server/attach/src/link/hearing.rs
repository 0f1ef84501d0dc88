//! Frames from the sink.

use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_events::fault::{Fault, FaultKind};
use postern_proto::v1 as pb;
use postern_proto::v1::attach_response::Kind;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::line::one_line;
use crate::retry::Retry;
use crate::settings::FRAME_BYTES;
use crate::transmit::from_wire;

use super::events::{Asked, Ending, InstanceId, LinkEvent, Place};
use super::instance::Life;
use super::ledger::Standing;
use super::phase::Phase;
use super::pulse::Reply;
use super::state::Link;

/// Octets of unfinished verdicts of all instances of a stream.
const UNFINISHED_BYTES: usize = 16 << 20;

/// Longest detail of a fault, activity of a progress and reason of a go-away, in characters.
const DETAIL: usize = 4096;
const SHORT: usize = 200;

/// Longest time that a sink may take to go away.
const DRAIN: Duration = Duration::from_secs(3600);

impl Link {
    /// Takes in one encoded `AttachResponse`.
    pub fn handle_frame(&mut self, now: Instant, octets: Bytes) {
        if !self.phase.is_carrying() {
            return;
        }
        self.heard += 1;
        self.pulse.sign(now);
        self.unanswered_since = None;
        if matches!(self.phase, Phase::Silent { .. }) {
            self.phase = Phase::Open;
        }
        let length = octets.len();
        if length > FRAME_BYTES {
            let detail = format!("a frame of {length} octets; {FRAME_BYTES} are allowed");
            return self.break_stream(now, None, detail);
        }
        match pb::AttachResponse::decode(octets.clone()) {
            Ok(frame) if frame.instance_id == 0 => self.hear_stream(now, frame.kind),
            Ok(frame) => self.hear_instance(now, InstanceId(frame.instance_id), frame.kind),
            Err(error) => {
                let detail = format!("a frame that does not decode: {error}");
                match instance_of(octets) {
                    Some(id) if self.instances.contains_key(&id) => {
                        self.break_instance(now, InstanceId(id), None, detail);
                    }
                    Some(id) if id != 0 && id <= self.last_instance => {
                        self.late(InstanceId(id), None)
                    }
                    _ => self.break_stream(now, None, detail),
                }
            }
        }
    }

    fn hear_stream(&mut self, now: Instant, kind: Option<Kind>) {
        match kind {
            Some(Kind::Heartbeat(beat)) => {
                if self.pulse.returned(beat.sequence) == Reply::Unknown {
                    let detail = format!("heartbeat {}, which was never sent", beat.sequence);
                    self.break_stream(now, None, detail);
                }
            }
            Some(Kind::GoAway(go_away)) => {
                let drain = match &go_away.drain {
                    None => self.settings.drain,
                    Some(drain) => match from_wire(drain) {
                        Some(drain) => drain.min(DRAIN),
                        None => return self.break_stream(now, None, "GoAway with an invalid time"),
                    },
                };
                self.events.push_back(LinkEvent::GoingAway {
                    drain,
                    reason: one_line(&go_away.reason, SHORT),
                });
                self.drain(now, now + drain, pb::CloseReason::BySink);
            }
            _ => self.break_stream(
                now,
                None,
                "a frame with instance_id 0 that is neither Heartbeat nor GoAway",
            ),
        }
    }

    fn hear_instance(&mut self, now: Instant, instance: InstanceId, kind: Option<Kind>) {
        if !self.instances.contains_key(&instance.0) {
            if instance.0 <= self.last_instance {
                return self.late(instance, None);
            }
            let detail = format!("a frame for instance {instance}, which was never opened");
            return self.break_stream(now, None, detail);
        }
        match kind {
            Some(Kind::Verdict(verdict)) => self.hear_verdict(now, instance, *verdict),
            Some(Kind::VerdictPart(part)) => self.hear_part(now, instance, &part),
            Some(Kind::Fault(fault)) => self.hear_fault(now, instance, &fault),
            Some(Kind::Progress(progress)) => self.hear_progress(now, instance, &progress),
            Some(Kind::WantContent(want)) => self.hear_want(now, instance, want),
            Some(Kind::StopContent(stop)) => self.hear_stop(now, instance, stop.event_id),
            Some(Kind::ReadContent(read)) => self.hear_read(now, instance, read),
            Some(Kind::Ready(ready)) => self.hear_ready(now, instance, &ready),
            Some(Kind::Done(done)) => self.hear_done(now, instance, done),
            Some(Kind::Upload(upload)) => self.hear_upload(now, instance, upload),
            Some(Kind::Action(action)) => self.hear_action(now, instance, action),
            Some(Kind::Heartbeat(_)) => {
                self.break_instance(
                    now,
                    instance,
                    None,
                    "Heartbeat is about the stream: instance_id 0",
                );
            }
            Some(Kind::GoAway(_)) => {
                self.break_instance(
                    now,
                    instance,
                    None,
                    "GoAway is about the stream: instance_id 0",
                );
            }
            None => self.break_instance(now, instance, None, "a frame of no known kind"),
        }
    }

    fn hear_verdict(&mut self, now: Instant, instance: InstanceId, verdict: pb::Verdict) {
        let event_id = verdict.event_id;
        if !self.is_answerable(now, instance, event_id) {
            return;
        }
        let settled = self.settings.features.settled;
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

    fn hear_part(&mut self, now: Instant, instance: InstanceId, part: &pb::Verdict) {
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

    fn hear_fault(&mut self, now: Instant, instance: InstanceId, said: &pb::Fault) {
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
        if !self.is_answerable(now, instance, said.event_id) {
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

    fn hear_progress(&mut self, now: Instant, instance: InstanceId, progress: &pb::Progress) {
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
            activity: one_line(&progress.activity, SHORT),
        });
    }

    fn hear_want(&mut self, now: Instant, instance: InstanceId, want: pb::WantContent) {
        let event_id = want.event_id;
        if !self.is_open(now, instance, event_id) {
            return;
        }
        let granted = self
            .instances
            .get_mut(&instance.0)
            .and_then(|one| one.ledger.get_mut(event_id))
            .and_then(|event| event.feed.as_mut())
            .map_or(Ok(()), |feed| feed.grant(want.credit_bytes));
        match granted {
            Ok(()) => self.steered(now, Asked { instance, event_id }),
            Err(detail) => self.break_instance(now, instance, Some(event_id), detail),
        }
    }

    fn hear_stop(&mut self, now: Instant, instance: InstanceId, event_id: u64) {
        if !self.is_open(now, instance, event_id) {
            return;
        }
        let feed = self
            .instances
            .get_mut(&instance.0)
            .and_then(|one| one.ledger.get_mut(event_id))
            .and_then(|event| event.feed.as_mut());
        if let Some(feed) = feed {
            feed.stop();
        }
        self.steered(now, Asked { instance, event_id });
    }

    fn hear_read(&mut self, now: Instant, instance: InstanceId, read: pb::ReadContent) {
        let event_id = read.event_id;
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let has_content = match one.ledger.standing(event_id) {
            Standing::Open => one
                .ledger
                .get(event_id)
                .is_some_and(|event| event.feed.is_some()),
            // An event that was told has no content.
            Standing::Past => false,
            Standing::Answered | Standing::Cancelled => return self.late(instance, Some(event_id)),
            Standing::NeverAsked => return self.never_asked(now, instance, event_id),
        };
        let first = one.reads.front().is_none();
        match one.reads.ask(&read, has_content) {
            Ok(()) if first => self.serve_reads(now, instance),
            Ok(()) => {}
            Err(detail) => self.break_instance(now, instance, Some(event_id), detail),
        }
    }

    fn hear_ready(&mut self, now: Instant, instance: InstanceId, ready: &pb::Ready) {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let tag = one.tag;
        match one.interest.ready(ready, &one.binding) {
            Ok(()) => self.events.push_back(LinkEvent::Narrowed {
                instance,
                tag,
                done_with: None,
            }),
            Err(detail) => self.break_instance(now, instance, None, detail),
        }
    }

    fn hear_done(&mut self, now: Instant, instance: InstanceId, done: pb::Done) {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        match done.kind {
            Some(pb::done::Kind::Instance(_)) => {
                if one.life == Life::Open {
                    one.life = Life::Done;
                }
                self.rest(now, instance);
            }
            Some(pb::done::Kind::MessageId(id)) => {
                let tag = one.tag;
                match one.interest.done_with(&id) {
                    Ok(message) => self.events.push_back(LinkEvent::Narrowed {
                        instance,
                        tag,
                        done_with: Some(message),
                    }),
                    Err(detail) => self.break_instance(now, instance, None, detail),
                }
            }
            None => {
                let detail = "Done with nothing: name the instance or a message";
                self.break_instance(now, instance, None, detail);
            }
        }
    }

    /// A verdict or a fault for this event counts. If not, what is to be done about it has been done.
    fn is_answerable(&mut self, now: Instant, instance: InstanceId, event_id: u64) -> bool {
        let settled = self.settings.features.settled;
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return false;
        };
        match one.ledger.standing(event_id) {
            Standing::Open => return true,
            Standing::Answered => {
                let detail = format!("a second answer to event {event_id}");
                self.break_instance(now, instance, Some(event_id), detail);
            }
            Standing::Cancelled => {
                one.ledger.answer_late(event_id);
                self.late(instance, Some(event_id));
                if settled {
                    let late = pb::Settled {
                        event_id,
                        settlement: pb::Settlement::Late.into(),
                        ..pb::Settled::default()
                    };
                    self.send_settled(now, instance, late);
                }
            }
            Standing::Past => self.late(instance, Some(event_id)),
            Standing::NeverAsked => self.never_asked(now, instance, event_id),
        }
        false
    }

    /// A frame about this event counts. If not, what is to be done about it has been done.
    fn is_open(&mut self, now: Instant, instance: InstanceId, event_id: u64) -> bool {
        let Some(one) = self.instances.get(&instance.0) else {
            return false;
        };
        match one.ledger.standing(event_id) {
            Standing::Open => return true,
            Standing::Answered | Standing::Cancelled | Standing::Past => {
                self.late(instance, Some(event_id));
            }
            Standing::NeverAsked => self.never_asked(now, instance, event_id),
        }
        false
    }

    fn never_asked(&mut self, now: Instant, instance: InstanceId, event_id: u64) {
        let detail = format!("a frame about event {event_id}, which was never asked");
        self.break_instance(now, instance, Some(event_id), detail);
    }

    fn late(&mut self, instance: InstanceId, event_id: Option<u64>) {
        let place = match self.instances.get(&instance.0) {
            Some(one) => one.place(event_id),
            None => Place {
                instance: Some(instance),
                ..Place::default()
            },
        };
        self.events.push_back(LinkEvent::Late { place });
    }
}

/// The instance that a frame names, as far as it can be read.
fn instance_of(mut octets: Bytes) -> Option<u64> {
    let mut found = None;
    while let Ok((tag, wire_type)) = decode_key(&mut octets) {
        if tag == 1 && wire_type == WireType::Varint {
            match decode_varint(&mut octets) {
                Ok(id) => found = Some(id),
                Err(_) => break,
            }
        } else if skip_field(wire_type, tag, &mut octets, DecodeContext::default()).is_err() {
            break;
        }
    }
    found
}
