//! What links say: answers for sessions, and what the operator should know.

use std::time::Instant;

use postern_attach::{Ending, LinkEvent, Outcome, Place, Retry, StreamEnd, StreamId};
use postern_events::event::EventKind;
use postern_events::fault::Fault;
use postern_proto::v1 as pb;

use crate::call::Incoming;
use crate::observer::{Record, What};

use super::command::{Again, Answer, Heard, QuestionKey};
use super::task::SinkTask;

impl SinkTask {
    /// Hands a link what came from its sink.
    pub(super) fn incoming(&mut self, stream_id: StreamId, incoming: Incoming) {
        let Some(stream) = self.streams.touch(stream_id) else {
            return;
        };
        match incoming {
            Incoming::Frame(octets) => stream.link.handle_frame(Instant::now(), octets),
            Incoming::Ended(end) => {
                stream.over = true;
                stream.link.handle_end(end);
            }
        }
    }

    /// Acts on what a link says.
    pub(super) fn heard(&mut self, stream_id: StreamId, event: LinkEvent, now: Instant) {
        match event {
            LinkEvent::Verdict { tag, verdict, .. } => self.verdict(stream_id, tag, verdict, now),
            LinkEvent::Failed {
                tag, fault, retry, ..
            } => self.failed(stream_id, tag, fault, retry, now),
            LinkEvent::Progress { tag, wanted, .. } => {
                if let Some(open) = self.questions.get_mut(tag) {
                    let ticket = open.ticket;
                    let answer = Answer {
                        ticket,
                        heard: Heard::Progress { wanted },
                    };
                    // A sink that repeats itself takes no room.
                    open.answers.put_once(answer, |waiting| {
                        waiting.ticket == ticket && matches!(waiting.heard, Heard::Progress { .. })
                    });
                }
            }
            LinkEvent::ContentWanted { tag, .. } => self.show_more(tag),
            LinkEvent::Action {
                instance,
                tag,
                action,
            } => self.act(stream_id, instance, tag, *action, now),
            LinkEvent::Upload {
                instance, upload, ..
            } => {
                if let Some(stream) = self.streams.touch(stream_id) {
                    let detail = "this gateway takes no uploads";
                    stream
                        .link
                        .stop_upload(now, instance, upload.upload_id, detail);
                }
            }
            LinkEvent::Narrowed {
                instance,
                tag,
                done_with,
            } => self.narrowed(stream_id, instance, tag, done_with),
            LinkEvent::Closed { tag, ending, .. } => self.closed(tag, ending),
            LinkEvent::Late { place } => self.about(stream_id, &place, What::Late),
            LinkEvent::Broken { place, fault } => {
                self.about(stream_id, &place, What::ContractBroken { fault: &fault });
            }
            LinkEvent::Room => self.stirred = true,
            LinkEvent::Stalled => self.stalled(stream_id, now),
            LinkEvent::HalfClose => {
                if let Some(stream) = self.streams.touch(stream_id) {
                    stream.half_closing = true;
                }
            }
            LinkEvent::GoingAway { drain, reason } => {
                let replica = self.replica_of(stream_id);
                let reason: String = reason.chars().filter(|c| !c.is_control()).collect();
                self.observe(
                    "",
                    &replica,
                    What::GoingAway {
                        drain,
                        reason: &reason,
                    },
                );
                self.stirred = true;
            }
            LinkEvent::Ended { end, .. } => self.ended(stream_id, &end, now),
        }
    }

    fn verdict(
        &mut self,
        stream: StreamId,
        question: QuestionKey,
        verdict: Box<pb::Verdict>,
        now: Instant,
    ) {
        let settles = self
            .streams
            .get(stream)
            .is_some_and(|stream| stream.settles);
        let Some(answered) = self.questions.answered(question, settles) else {
            return;
        };
        self.count(-1);
        self.fleet.report(now, answered.replica, Outcome::Answered);
        answered.answers.put(Answer {
            ticket: answered.ticket,
            heard: Heard::Verdict(verdict),
        });
        // Where few may be asked at a time, the next may be.
        self.stirred = true;
    }

    fn failed(
        &mut self,
        stream: StreamId,
        question: QuestionKey,
        fault: Fault,
        retry: Retry,
        now: Instant,
    ) {
        let Some(open) = self.questions.remove(question) else {
            return;
        };
        self.count(-1);
        let lost = self.streams.get(stream).is_none_or(|stream| stream.over);
        let outcome = if lost {
            Outcome::Lost
        } else {
            Outcome::Faulted
        };
        self.fleet.report(now, open.replica, outcome);
        let again = (retry != Retry::Never).then(|| {
            Box::new(Again {
                tried: open.tried.clone(),
                fault: fault.clone(),
                retry,
            })
        });
        open.answers.put(Answer {
            ticket: open.ticket,
            heard: Heard::Failed { fault, again },
        });
        self.stirred = true;
    }

    fn narrowed(
        &mut self,
        stream: StreamId,
        instance: postern_attach::InstanceId,
        key: u64,
        done_with: Option<postern_attach::MessageId>,
    ) {
        let Some(stream) = self.streams.get(stream) else {
            return;
        };
        let Some(entry) = self.instances.get_mut(key) else {
            return;
        };
        if let Some(message) = done_with {
            return entry.attached.done_with(message);
        }
        let unwanted = EventKind::ALL
            .iter()
            .copied()
            .filter(|event| !stream.link.wants(instance, *event, None))
            .collect();
        entry.attached.narrow(unwanted);
    }

    fn closed(&mut self, key: u64, ending: Ending) {
        self.questions.forget_instance(key);
        if let Some(entry) = self.instances.remove(key) {
            entry.attached.end(ending);
            for waiting in entry.waiting {
                self.orphaned(waiting);
            }
        }
        self.stirred = true;
    }

    fn ended(&mut self, id: StreamId, end: &StreamEnd, now: Instant) {
        self.fleet.stream_ended(now, id, end);
        self.streams.remove(id);
        self.stirred = true;
    }

    /// The sink does not read the stream: others on the connection leave before they are held up, and what is stuck is
    /// asked elsewhere, where that does no harm.
    fn stalled(&mut self, id: StreamId, now: Instant) {
        let Some(others) = self.fleet.stalled(now, id) else {
            return;
        };
        for other in others {
            if let Some(stream) = self.streams.touch(other) {
                stream.link.leave(now);
            }
        }
        let questions = &self.questions;
        if let Some(stream) = self.streams.touch(id) {
            stream
                .link
                .forsake(now, |question| questions.may_move(question));
        }
        self.stirred = true;
    }

    pub(super) fn replica_of(&self, stream: StreamId) -> std::sync::Arc<str> {
        self.streams.get(stream).map_or_else(
            || std::sync::Arc::from(""),
            |stream| std::sync::Arc::clone(&stream.replica_name),
        )
    }

    fn about(&self, stream: StreamId, place: &Place, what: What<'_>) {
        self.observer.observe(&Record {
            server: "",
            session: None,
            message: None,
            event: place.event,
            detail: place.subject.as_deref().unwrap_or(""),
            binding: place.binding.as_deref().unwrap_or(""),
            sink: &self.sink.name,
            replica: &self.replica_of(stream),
            what,
        });
    }
}
