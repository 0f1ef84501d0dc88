//! Both ends of a stream against each other: the gateway's link and the SDK's, over a line that delays, and breaks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_attach::{
    Asked, BodyDepth, Code, Deadline, Features, InstanceId, LinkEvent, LinkSettings, Question,
    StreamEnd, Wish,
};
use postern_events::event::EventKind;
use postern_proto::v1 as pb;
use postern_sdk::link as sdk;
use prost::Message;

use crate::world::{World, number, proceed};

/// Octets that a sink of the SDK takes before it grants more.
const CREDIT: u64 = 64;
/// Octets of each message's body.
const BODY: usize = 500;

/// The two links and the line between them.
struct Pair {
    world: World,
    sink: sdk::Link,
    up: VecDeque<pb::AttachRequest>,
    down: VecDeque<Bytes>,
    instances: Vec<InstanceId>,
    /// Questions whose outcome is due, with what was pushed of their content.
    due: HashMap<(u64, u64), (Asked, usize, bool)>,
    /// What the sink is asked and has not answered: whether content comes, and how much of it came.
    open: HashMap<(u64, u64), (bool, u64)>,
    verdicts: usize,
    reads: u64,
    random: u64,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let features = Features::from_words(["parts", "settled"]);
        let settings = LinkSettings {
            capacity: 16,
            initial_credit: CREDIT,
            features,
            ..LinkSettings::default()
        };
        Self {
            world: World::new(settings),
            sink: sdk::Link::new(sdk::LinkSettings {
                initial_credit: CREDIT,
                ..sdk::LinkSettings::default()
            }),
            up: VecDeque::new(),
            down: VecDeque::new(),
            instances: Vec::new(),
            due: HashMap::new(),
            open: HashMap::new(),
            verdicts: 0,
            reads: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// A number below `most`.
    fn any(&mut self, most: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % most.max(1) as u64) as usize
    }

    fn now(&self) -> Instant {
        self.world.now
    }

    /// Puts on the line what the two have to say.
    fn settle(&mut self) {
        while let Some(transmit) = self.world.link.poll_transmit(self.world.now) {
            let octets = [transmit.head, transmit.shared].concat();
            let frame = pb::AttachRequest::decode(octets.as_slice());
            self.up.push_back(frame.expect("frames decode"));
        }
        while let Some(frame) = self.sink.poll_transmit() {
            self.down.push_back(frame.encode_to_vec().into());
        }
        for event in self.world.events() {
            self.gateway_said(event);
        }
    }

    fn gateway_said(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Verdict { asked, .. } | LinkEvent::Failed { asked, .. } => {
                let key = (number(asked.instance), asked.event_id);
                self.verdicts += 1;
                assert!(
                    self.due.remove(&key).is_some(),
                    "one outcome for each question: {asked:?}"
                );
            }
            LinkEvent::Broken { fault, .. } => {
                panic!("the sink's link broke the contract: {fault:?}")
            }
            LinkEvent::Closed { instance, .. } => self.instances.retain(|open| *open != instance),
            _ => {}
        }
    }

    /// One frame arrives at the sink.
    fn arrive(&mut self) {
        let now = self.now();
        if let Some(frame) = self.up.pop_front() {
            self.sink.handle_frame(now, frame);
        }
        while let Some(event) = self.sink.poll_event() {
            match event {
                sdk::LinkEvent::Event {
                    instance_id,
                    event,
                    awaited,
                    ..
                } if awaited => {
                    let content = event.content.is_some();
                    self.open
                        .insert((instance_id, event.event_id), (content, 0));
                }
                sdk::LinkEvent::Content {
                    instance_id,
                    content,
                } => {
                    let open = self.open.get_mut(&(instance_id, content.event_id));
                    let (_, came) = open.expect("content of an open event");
                    if content.read_id == 0 {
                        assert_eq!(content.offset, *came, "in order");
                        *came += content.octets.len() as u64;
                    }
                }
                sdk::LinkEvent::Cancelled {
                    instance_id,
                    event_id,
                    ..
                } => {
                    self.open.remove(&(instance_id, event_id));
                }
                sdk::LinkEvent::Closed { instance_id, .. } => {
                    self.open.retain(|(of, _), _| *of != instance_id);
                }
                sdk::LinkEvent::Broken { detail, .. } => {
                    panic!("the gateway's link broke the contract: {detail}")
                }
                _ => {}
            }
        }
    }

    /// One frame comes back.
    fn come_back(&mut self) {
        if let Some(octets) = self.down.pop_front() {
            self.world.link.handle_frame(self.world.now, octets);
        }
    }

    fn ask(&mut self) {
        let at = self.any(self.instances.len());
        let Some(instance) = self.instances.get(at).copied() else {
            return;
        };
        let whole = self.any(3) == 0;
        let question = match whole {
            false => self.world.question(EventKind::InboundRcpt, 1),
            true => Question {
                content: Some(BodyDepth::Full),
                deadline: Deadline::AfterContent(Duration::from_secs(5)),
                ..self.world.question(EventKind::InboundMessage, 2)
            },
        };
        if let Ok(asked) = self.world.link.ask(self.world.now, instance, question) {
            let key = (number(asked.instance), asked.event_id);
            self.due.insert(key, (asked, 0, whole));
        }
    }

    /// Gives the gateway's link the content that it wishes for.
    fn push(&mut self) {
        let now = self.world.now;
        for (asked, pushed, whole) in self.due.values_mut() {
            if !*whole {
                continue;
            }
            match self.world.link.content_wish(*asked) {
                Wish::Push { offset, most } => {
                    let from = usize::try_from(offset).unwrap_or(BODY).min(BODY);
                    let to = BODY.min(from + most.min(70));
                    if to > from {
                        self.world
                            .link
                            .push(now, *asked, Bytes::from(vec![b'x'; to - from]));
                    }
                    if to == BODY && *pushed < BODY {
                        let end = pb::ContentEnd {
                            body_size_bytes: BODY as u64,
                            size_bytes: BODY as u64,
                            ..pb::ContentEnd::default()
                        };
                        self.world.link.content_complete(now, *asked, end);
                    }
                    *pushed = to;
                }
                Wish::Read(read) => {
                    let length = usize::try_from(read.length).unwrap_or(0).min(10);
                    let octets = Bytes::from(vec![b'x'; length]);
                    self.world
                        .link
                        .answer_read(now, *asked, read.read_id, octets, true);
                }
                Wish::Nothing | Wish::Over => {}
            }
        }
    }

    /// The sink does something about an open event.
    fn answer(&mut self) {
        let mut open: Vec<_> = self.open.iter().map(|(key, of)| (*key, *of)).collect();
        open.sort_unstable();
        let at = self.any(open.len());
        let Some(&((instance, event_id), (content, came))) = open.get(at) else {
            return;
        };
        let now = self.now();
        self.reads += 1;
        match self.any(6) {
            0 if content => self.sink.want_content(
                instance,
                pb::WantContent {
                    event_id,
                    credit_bytes: 100,
                },
            ),
            1 if content && came == 0 => self.sink.read_content(
                instance,
                pb::ReadContent {
                    event_id,
                    read_id: self.reads,
                    length_bytes: 10,
                    ..pb::ReadContent::default()
                },
            ),
            2 if content => self
                .sink
                .stop_content(instance, pb::StopContent { event_id }),
            3 => self.sink.progress(
                instance,
                pb::Progress {
                    event_id,
                    ..pb::Progress::default()
                },
            ),
            4 => {
                let fault = pb::Fault {
                    event_id,
                    kind: pb::FaultKind::Overload.into(),
                    detail: String::new(),
                };
                self.open.remove(&(instance, event_id));
                assert!(self.sink.fault(now, instance, fault));
            }
            _ => {
                self.open.remove(&(instance, event_id));
                assert!(self.sink.verdict(now, instance, proceed(event_id)));
            }
        }
    }

    fn cancel(&mut self) {
        let mut due: Vec<_> = self.due.keys().copied().collect();
        due.sort_unstable();
        let at = self.any(due.len());
        if let Some(key) = due.get(at)
            && let Some((asked, ..)) = self.due.remove(key)
        {
            let reason = pb::CancelReason::Decided;
            self.world.link.cancel(self.world.now, asked, reason);
        }
    }

    fn close(&mut self) {
        if self.instances.is_empty() {
            return;
        }
        let at = self.any(self.instances.len());
        let instance = self.instances.swap_remove(at);
        self.world
            .link
            .close(self.world.now, instance, pb::CloseReason::Finished);
        let of = number(instance);
        self.due.retain(|(instance, _), _| *instance != of);
    }

    fn step(&mut self) {
        match self.any(12) {
            0 => {
                if let Ok(instance) = self.world.try_open(1) {
                    self.instances.push(instance);
                }
            }
            1 | 2 => self.ask(),
            3 => self.push(),
            4 | 5 => self.arrive(),
            6 => self.come_back(),
            7 | 8 => self.answer(),
            9 if self.any(4) == 0 => self.cancel(),
            10 if self.any(6) == 0 => self.close(),
            11 => self.world.now += Duration::from_millis(1),
            _ => {}
        }
        self.settle();
    }

    /// Lets everything arrive, and the sink answer what it is asked.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            self.push();
            self.settle();
            while !self.up.is_empty() {
                self.arrive();
            }
            let open: HashSet<_> = self.open.drain().map(|(key, _)| key).collect();
            let now = self.now();
            for (instance, event_id) in open {
                self.sink.verdict(now, instance, proceed(event_id));
            }
            self.settle();
            while !self.down.is_empty() {
                self.come_back();
            }
            self.settle();
            if self.due.is_empty() && self.up.is_empty() && self.down.is_empty() {
                return;
            }
            self.world.now += Duration::from_millis(10);
        }
        panic!("questions stay open: {:?}", self.due.keys());
    }
}

#[test]
fn neither_end_breaks_the_contract_and_every_question_has_one_outcome() {
    let mut verdicts = 0;
    for seed in 0..60 {
        let mut pair = Pair::new(seed);
        for _ in 0..1500 {
            pair.step();
        }
        pair.finish();
        assert_eq!(pair.world.link.questions(), 0);
        verdicts += pair.verdicts;
    }
    assert!(verdicts > 2000, "the walk asked {verdicts} questions");
}

#[test]
fn a_line_that_breaks_fails_every_open_question_and_ends_the_sink() {
    for seed in 100..160 {
        let mut pair = Pair::new(seed);
        for _ in 0..400 {
            pair.step();
        }
        let end = StreamEnd::Status {
            code: Code::Unavailable,
            detail: "the line broke".to_owned(),
        };
        pair.world.link.handle_end(end);
        pair.settle();
        assert!(
            pair.due.is_empty(),
            "each has failed: {:?}",
            pair.due.keys()
        );
        pair.sink.handle_end();
        while pair.sink.poll_event().is_some() {}
        while pair.sink.poll_transmit().is_some() {}
        assert!(pair.sink.is_finished());
    }
}
