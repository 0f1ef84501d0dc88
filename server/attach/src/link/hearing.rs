//! Frames from the sink.

use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_response::Kind;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::line::one_line;
use crate::settings::FRAME_BYTES;
use crate::transmit::from_wire;

use super::events::{InstanceId, LinkEvent};
use super::phase::Phase;
use super::pulse::Reply;
use super::state::Link;

/// Longest reason of a go-away, in characters.
const REASON: usize = 200;

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
                    Some(id) if self.was_opened(InstanceId(id)) => {
                        self.late(InstanceId(id), None);
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
                    reason: one_line(&go_away.reason, REASON),
                });
                self.drain(now, Some(now + drain), pb::CloseReason::BySink);
            }
            _ => self.break_stream(
                now,
                None,
                "a frame with instance_id 0 that is neither Heartbeat nor GoAway",
            ),
        }
    }

    /// The instance was opened on this stream, now or earlier.
    const fn was_opened(&self, instance: InstanceId) -> bool {
        self.settings.instances_after < instance.0 && instance.0 <= self.last_instance
    }

    fn hear_instance(&mut self, now: Instant, instance: InstanceId, kind: Option<Kind>) {
        if !self.instances.contains_key(&instance.0) {
            if self.was_opened(instance) {
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
