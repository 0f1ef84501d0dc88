//! A link, a sink that checks what it sends, and a clock that the test moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_attach::{
    Asked, BodyDepth, Deadline, Features, InstanceId, Link, LinkEvent, LinkSettings, News, Opening,
    Question, Refusal, Retry, WireBinding,
};
use postern_events::encode::{EncodedEvent, EncodedSnapshot};
use postern_events::event::EventKind;
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_response::Kind;
use prost::Message;

use crate::sink::Sink;

/// Time that a question has.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// One link under test.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) link: Link,
    pub(crate) sink: Sink,
    pub(crate) binding: Arc<WireBinding>,
    pub(crate) limits: Arc<pb::Limits>,
    /// Octets that left, with what gRPC puts in front of each frame.
    pub(crate) octets: u64,
    /// Frames that left, since the last call of `sent`.
    frames: Vec<pb::AttachRequest>,
}

/// A stream for so many instances, with these features.
pub(crate) fn world(capacity: usize, features: &[&str]) -> World {
    World::new(LinkSettings {
        capacity,
        features: Features::from_words(features.iter().copied()),
        initial_credit: 1000,
        ..LinkSettings::default()
    })
}

/// A binding for the events that tests use, with the whole body at the message.
pub(crate) fn binding(revision: u64) -> Arc<WireBinding> {
    let interest = |event: pb::EventKind, body: Option<BodyDepth>| pb::EventInterest {
        event: event.into(),
        body: body.map(BodyDepth::to_wire),
        ask: pb::AskMode::AtOnce.into(),
    };
    let binding = pb::Binding {
        name: "scan".into(),
        sink: "scanner".into(),
        events: vec![
            interest(pb::EventKind::InboundConnect, None),
            interest(pb::EventKind::InboundMail, None),
            interest(pb::EventKind::InboundRcpt, None),
            interest(pb::EventKind::InboundMessage, Some(BodyDepth::Full)),
            interest(pb::EventKind::InboundOutcome, None),
        ],
        ..pb::Binding::default()
    };
    Arc::new(WireBinding::new(revision, &binding))
}

/// An event with nothing in it.
pub(crate) fn event(kind: EventKind) -> EncodedEvent {
    let arm = match kind {
        EventKind::InboundRcpt => pb::event::Kind::InboundRcpt(Box::default()),
        EventKind::InboundMessage => pb::event::Kind::InboundMessage(pb::InboundMessage::default()),
        EventKind::InboundMail => pb::event::Kind::InboundMail(Box::default()),
        EventKind::InboundOutcome => pb::event::Kind::InboundOutcome(Box::default()),
        _ => pb::event::Kind::InboundConnect(pb::InboundConnect::default()),
    };
    let event = pb::Event {
        kind: Some(arm),
        ..pb::Event::default()
    };
    EncodedEvent::new(kind, &event).expect("it is small")
}

/// A verdict that lets pass.
pub(crate) fn proceed(event_id: u64) -> pb::Verdict {
    pb::Verdict {
        event_id,
        decision: Some(pb::Decision {
            kind: Some(pb::decision::Kind::Proceed(pb::Proceed {})),
        }),
        ..pb::Verdict::default()
    }
}

impl World {
    pub(crate) fn new(settings: LinkSettings) -> Self {
        let now = Instant::now();
        let sink = Sink::new(
            settings.capacity,
            settings.initial_credit,
            settings.features.settled,
        );
        Self {
            now,
            link: Link::new(now, settings),
            sink,
            binding: binding(7),
            limits: Arc::new(pb::Limits {
                message_bytes: 1 << 20,
                upload_credit_bytes: 100,
                ..pb::Limits::default()
            }),
            octets: 0,
            frames: Vec::new(),
        }
    }

    pub(crate) fn opening(&self, tag: u64) -> Opening {
        Opening {
            scope: pb::Scope::InboundSession,
            binding: Arc::clone(&self.binding),
            limits: Arc::clone(&self.limits),
            snapshot: EncodedSnapshot::new(&pb::Snapshot::default()).expect("it is small"),
            reopened_count: 0,
            trace_parent: String::new(),
            trace_state: String::new(),
            message: None,
            subject: Arc::from(format!("session {tag}")),
            tag,
        }
    }

    pub(crate) fn question(&self, kind: EventKind, tag: u64) -> Question {
        Question {
            event: event(kind),
            deadline: Deadline::At(self.now + DEADLINE),
            attempt: 0,
            ask_reason: pb::AskReason::Happened,
            content: None,
            attributes: Bytes::new(),
            trace_parent: String::new(),
            message: None,
            tag,
        }
    }

    pub(crate) fn news(kind: EventKind) -> News {
        News {
            event: event(kind),
            replayed: false,
            ask_reason: pb::AskReason::Happened,
            attributes: Bytes::new(),
            trace_parent: String::new(),
            message: None,
        }
    }

    pub(crate) fn try_open(&mut self, tag: u64) -> Result<InstanceId, Refusal> {
        let opening = self.opening(tag);
        self.link.open(self.now, opening)
    }

    pub(crate) fn open(&mut self, tag: u64) -> InstanceId {
        self.try_open(tag).expect("there is room")
    }

    pub(crate) fn try_ask(&mut self, instance: InstanceId, tag: u64) -> Result<Asked, Refusal> {
        let question = self.question(EventKind::InboundRcpt, tag);
        self.link.ask(self.now, instance, question)
    }

    pub(crate) fn ask(&mut self, instance: InstanceId, tag: u64) -> Asked {
        self.try_ask(instance, tag).expect("it is taken")
    }

    /// Asks inbound.message with this depth of content.
    pub(crate) fn ask_message(&mut self, instance: InstanceId, depth: BodyDepth) -> Asked {
        let question = Question {
            content: Some(depth),
            deadline: Deadline::AfterContent(DEADLINE),
            ..self.question(EventKind::InboundMessage, 90)
        };
        self.link
            .ask(self.now, instance, question)
            .expect("it is taken")
    }

    pub(crate) fn tell(&mut self, instance: InstanceId) -> u64 {
        let news = Self::news(EventKind::InboundOutcome);
        self.link
            .tell(self.now, instance, news)
            .expect("it is taken")
    }

    /// An instance with one open question that the sink has seen.
    pub(crate) fn asked(&mut self, tag: u64) -> Asked {
        let instance = self.open(tag);
        let asked = self.ask(instance, tag * 10);
        self.flush();
        asked
    }

    /// Lets the network take what there is. The sink checks each frame.
    pub(crate) fn flush(&mut self) {
        while let Some(frame) = self.take_frame() {
            self.frames.push(frame);
        }
    }

    /// Lets the network take one frame.
    pub(crate) fn take_frame(&mut self) -> Option<pb::AttachRequest> {
        let transmit = self.link.poll_transmit(self.now)?;
        assert!(transmit.len() <= 1 << 20, "no frame exceeds 1 MiB");
        self.octets += transmit.len() as u64 + 5;
        let octets = [transmit.head, transmit.shared].concat();
        let frame = pb::AttachRequest::decode(octets.as_slice()).expect("frames decode");
        self.sink.take(&frame);
        Some(frame)
    }

    /// Lets the network take what there is, and returns all frames since the last call.
    pub(crate) fn sent(&mut self) -> Vec<pb::attach_request::Kind> {
        self.flush();
        std::mem::take(&mut self.frames)
            .into_iter()
            .filter_map(|frame| frame.kind)
            .collect()
    }

    /// What the link says, all of it.
    pub(crate) fn events(&mut self) -> Vec<LinkEvent> {
        std::iter::from_fn(|| self.link.poll_event()).collect()
    }

    /// The sink says something.
    pub(crate) fn say(&mut self, instance: u64, kind: Kind) {
        if let Kind::Verdict(verdict) = &kind {
            self.sink.answers(instance, verdict.event_id);
        }
        if let Kind::Fault(fault) = &kind {
            self.sink.fails(instance, fault.event_id);
        }
        let frame = pb::AttachResponse {
            instance_id: instance,
            kind: Some(kind),
        };
        self.link
            .handle_frame(self.now, frame.encode_to_vec().into());
    }

    pub(crate) fn verdict(&mut self, asked: Asked) {
        self.say(
            number(asked.instance),
            Kind::Verdict(Box::new(proceed(asked.event_id))),
        );
    }

    pub(crate) fn fault(&mut self, instance: InstanceId, event_id: u64, kind: pb::FaultKind) {
        let fault = pb::Fault {
            event_id,
            kind: kind.into(),
            detail: "no\r\nway".into(),
        };
        self.say(number(instance), Kind::Fault(fault));
    }

    /// Moves the clock, stopping wherever the link wants to be called.
    pub(crate) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        let mut stops = 0;
        self.flush();
        while let Some(at) = self.link.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.link.handle_timeout(self.now);
            self.flush();
            stops += 1;
            assert!(stops < 1000, "the link asks to be called again and again");
        }
        self.now = until;
    }
}

/// The number of an instance on the wire.
pub(crate) fn number(instance: InstanceId) -> u64 {
    instance.to_string().parse().expect("a number")
}

/// The failures among events: event, kind of fault, whether it may be asked again.
pub(crate) fn failures(events: &[LinkEvent]) -> Vec<(u64, FaultKind, Retry)> {
    events
        .iter()
        .filter_map(|event| match event {
            LinkEvent::Failed {
                tag, fault, retry, ..
            } => Some((*tag, fault.kind, *retry)),
            _ => None,
        })
        .collect()
}

/// The details of what the sink broke.
pub(crate) fn broken(events: &[LinkEvent]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match event {
            LinkEvent::Broken { fault, .. } => Some(fault.detail.clone()),
            _ => None,
        })
        .collect()
}
