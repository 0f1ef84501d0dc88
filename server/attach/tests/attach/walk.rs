//! Random walks of a link beside the reference model, over a network that delays, mixes and breaks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use postern_attach::{
    Asked, BodyDepth, Cancelled, Code, Deadline, InstanceId, LinkSettings, Opening, Question,
    Refusal, Retry, StreamEnd, Wish,
};
use postern_events::event::EventKind;
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind as Sent;
use postern_proto::v1::attach_response::Kind;

use crate::model::{Life, Model, Phase, Said};
use crate::world::{DEADLINE, World, number, proceed};

/// Steps of all walks together.
const WALKS: u64 = 500;
const STEPS: u64 = 600;

struct Walk {
    world: World,
    model: Model,
    random: u64,
    ids: BTreeMap<u64, InstanceId>,
    tags: u64,
    /// Frames of the sink on their way, in order within an instance.
    upstream: BTreeMap<u64, VecDeque<Kind>>,
    /// Events that the sink has seen and may say something about.
    seen: Vec<(u64, u64)>,
    pushed: Vec<Asked>,
    /// How often each kind of thing was said.
    said: BTreeMap<&'static str, u64>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let capacity = [1, 2, 8][(next() % 3) as usize];
        let features: Vec<&str> = ["parts", "settled", "actions"]
            .into_iter()
            .filter(|_| next() % 2 == 0)
            .collect();
        let world = World::new(LinkSettings {
            capacity,
            features: postern_attach::Features::from_words(features.iter().copied()),
            initial_credit: 1000,
            // The walk says itself when the network is slow.
            stall_after: Duration::from_secs(1_000_000),
            heartbeat_interval: Duration::from_secs(1_000_000),
            idle_after: Duration::from_secs(1_000_000),
            silent_limit: Duration::from_secs(1_000_000),
            ..LinkSettings::default()
        });
        let model = Model::new(
            capacity,
            features.contains(&"settled"),
            features.contains(&"actions"),
        );
        Self {
            world,
            model,
            random,
            ids: BTreeMap::new(),
            tags: 0,
            upstream: BTreeMap::new(),
            seen: Vec::new(),
            pushed: Vec::new(),
            said: BTreeMap::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound.max(1)
    }

    fn some_instance(&mut self) -> Option<u64> {
        let ids = self.model.ids();
        let place = self.below(ids.len() as u64) as usize;
        ids.get(place).copied()
    }

    fn asked(&self, instance: u64, event_id: u64) -> Asked {
        Asked {
            instance: self.ids[&instance],
            event_id,
        }
    }

    fn step(&mut self) {
        match self.below(40) {
            0 | 1 => self.open(),
            2..=8 => self.ask(),
            9 => self.tell(),
            10 => self.cancel(),
            11 => self.close(),
            12..=14 => self.settle(),
            15..=21 => self.transmit(),
            22 | 23 => self.content(),
            24..=30 => self.sink_speaks(),
            31..=37 => self.deliver(),
            38 => self.pass_time(),
            _ => self.rare(),
        }
        self.compare();
    }

    /// What the link says must be what the model says.
    fn compare(&mut self) {
        let said: Vec<Said> = self.world.events().iter().filter_map(Said::of).collect();
        let expected = std::mem::take(&mut self.model.said);
        assert_eq!(said, expected);
        for one in said {
            *self.said.entry(one.word()).or_default() += 1;
        }
        assert_eq!(self.world.link.questions(), self.model.questions());
        let occupancy = self.world.link.occupancy(self.world.now);
        assert_eq!(occupancy.has_room, self.model.has_room());
        assert_eq!(occupancy.instances, self.model.instances.len());
        let idle = self
            .model
            .instances
            .values()
            .filter(|one| !one.busy())
            .count();
        assert!(occupancy.idle <= idle, "only what is idle can be parked");
        assert_eq!(
            self.world.link.is_finished(),
            self.model.phase == Phase::Ended
        );
    }

    fn open(&mut self) {
        self.tags += 1;
        let tag = self.tags;
        let revision = self.below(3);
        self.world.binding = crate::world::binding(revision);
        let opening = Opening {
            message: Some([1; 16]),
            ..self.world.opening(tag)
        };
        let opened = self.world.link.open(self.world.now, opening);
        if self.model.has_room() {
            let id = opened.expect("there is room");
            let expected = self.model.open(tag);
            assert_eq!(number(id), expected);
            self.ids.insert(expected, id);
        } else {
            assert_eq!(opened, Err(Refusal::NoRoom));
        }
    }

    fn refusal(&self, id: u64) -> Option<Refusal> {
        match self.model.instances.get(&id).map(|one| one.life) {
            None | Some(Life::Closing) => Some(Refusal::Gone),
            Some(Life::Done) => Some(Refusal::Declined),
            Some(Life::Open) => None,
        }
    }

    fn ask(&mut self) {
        let last = self.model.last;
        let id = match self.some_instance() {
            Some(id) if self.below(10) > 0 => id,
            _ if last > 0 => 1 + self.below(last),
            _ => return,
        };
        let message = self.below(4) == 0;
        let group = if message { 1 } else { 1 + self.below(3) };
        let questions: Vec<Question> = (0..group)
            .map(|n| {
                let tag = self.tags + 1 + n;
                if message {
                    Question {
                        content: Some(BodyDepth::Full),
                        deadline: Deadline::AfterContent(DEADLINE),
                        ..self.world.question(EventKind::InboundMessage, tag)
                    }
                } else {
                    self.world.question(EventKind::InboundRcpt, tag)
                }
            })
            .collect();
        self.tags += group;
        let first = self.tags - group + 1;
        let asked = self
            .world
            .link
            .ask_group(self.world.now, self.ids[&id], questions);
        match self.refusal(id) {
            Some(refusal) => assert_eq!(asked, Err(refusal)),
            None => {
                let asked = asked.expect("it is taken");
                for (n, asked) in asked.into_iter().enumerate() {
                    let event = self.model.ask(id, Some(first + n as u64));
                    assert_eq!(asked.event_id, event);
                    if message {
                        self.pushed.push(asked);
                    }
                }
            }
        }
    }

    fn tell(&mut self) {
        let Some(id) = self.some_instance() else {
            return;
        };
        let news = World::news(EventKind::InboundOutcome);
        let told = self.world.link.tell(self.world.now, self.ids[&id], news);
        match self.refusal(id) {
            Some(refusal) => assert_eq!(told, Err(refusal)),
            None => assert_eq!(told, Ok(self.model.ask(id, None))),
        }
    }

    fn cancel(&mut self) {
        let Some(id) = self.some_instance() else {
            return;
        };
        let count = self.model.instances[&id].events.len() as u64;
        let event = self.below(count + 2);
        let deadline = self.below(6) == 0;
        let reason = if deadline {
            pb::CancelReason::Deadline
        } else {
            pb::CancelReason::Decided
        };
        let asked = self.asked(id, event);
        let cancelled = self.world.link.cancel(self.world.now, asked, reason);
        let expected = match self.model.cancel(id, event, deadline) {
            Some(silent) => Cancelled::Taken { silent },
            None => Cancelled::AlreadyOver,
        };
        assert_eq!(cancelled, expected);
    }

    fn close(&mut self) {
        if let Some(id) = self.some_instance() {
            let reason = pb::CloseReason::Finished;
            self.world.link.close(self.world.now, self.ids[&id], reason);
            self.model.close(id);
        }
    }

    fn settle(&mut self) {
        for id in self.model.ids() {
            let one = self.model.instances[&id].clone();
            for event in one.unsettled {
                let asked = self.asked(id, event);
                self.world
                    .link
                    .settle(self.world.now, asked, pb::Settled::default());
                self.model.settle(id, event);
            }
            for action_id in one.actions {
                let result = pb::ActionResult {
                    action_id,
                    ..pb::ActionResult::default()
                };
                let instance = self.ids[&id];
                self.world
                    .link
                    .answer_action(self.world.now, instance, result);
                self.model.answer_action(id, action_id);
            }
        }
    }

    fn transmit(&mut self) {
        for _ in 0..=self.below(6) {
            let Some(frame) = self.world.take_frame() else {
                return;
            };
            if let Some(Sent::Event(event)) = &frame.kind {
                self.model.sent(frame.instance_id, event.event_id);
                self.seen.push((frame.instance_id, event.event_id));
            }
        }
    }

    fn content(&mut self) {
        self.pushed.retain(|asked| {
            let one = self.model.instances.get(&number(asked.instance));
            one.is_some_and(|one| {
                matches!(one.events[&asked.event_id], crate::model::Fate::Open { .. })
            })
        });
        let place = self.below(self.pushed.len() as u64) as usize;
        let Some(asked) = self.pushed.get(place).copied() else {
            return;
        };
        let now = self.world.now;
        match self.world.link.content_wish(asked) {
            Wish::Push { offset, most } => {
                let octets = (1 + self.below(700) as usize).min(most);
                if self.below(4) == 0 {
                    let end = pb::ContentEnd {
                        state: pb::ContentState::Complete.into(),
                        body_size_bytes: offset + octets as u64,
                        ..pb::ContentEnd::default()
                    };
                    self.world.link.content_complete(now, asked, end);
                }
                self.world.link.push(now, asked, vec![0; octets].into());
            }
            Wish::Read(read) => {
                if self.below(3) == 0 {
                    self.world.link.refuse_read(now, asked, read.read_id);
                } else {
                    let octets = Bytes::from(vec![0; read.length as usize]);
                    self.world
                        .link
                        .answer_read(now, asked, read.read_id, octets, false);
                }
            }
            Wish::Nothing => {}
            Wish::Over => panic!("it is open"),
        }
    }

    /// The sink puts a frame on its way, right or wrong.
    fn sink_speaks(&mut self) {
        let place = self.below(self.seen.len() as u64) as usize;
        let Some((instance, event_id)) = self.seen.get(place).copied() else {
            return;
        };
        let wrong = self.below(100) == 0;
        let event_id = if wrong {
            event_id + self.below(3)
        } else {
            event_id
        };
        if self.below(3) > 0 {
            self.seen.swap_remove(place);
        }
        let kind = match self.below(12) {
            0..=5 => Kind::Verdict(Box::new(proceed(event_id))),
            6 => Kind::Fault(pb::Fault {
                event_id,
                kind: pb::FaultKind::Overload.into(),
                ..pb::Fault::default()
            }),
            7 => Kind::Progress(pb::Progress {
                event_id,
                ..pb::Progress::default()
            }),
            8 => Kind::WantContent(pb::WantContent {
                event_id,
                credit_bytes: 1 + self.below(500),
            }),
            9 => Kind::ReadContent(pb::ReadContent {
                event_id,
                read_id: 1 + self.below(1 << 40),
                length_bytes: 1 + self.below(100),
                ..pb::ReadContent::default()
            }),
            10 => Kind::StopContent(pb::StopContent { event_id }),
            _ => Kind::Action(Box::new(pb::SinkAction {
                action_id: 1 + self.below(1 << 40),
                idempotency_key: "k".into(),
                reason: String::new(),
                kind: Some(pb::sink_action::Kind::ResetRoutes(
                    pb::ResetRoutes::default(),
                )),
            })),
        };
        self.upstream.entry(instance).or_default().push_back(kind);
    }

    /// A frame of any instance arrives: order holds within one only.
    fn deliver(&mut self) {
        let waiting: Vec<u64> = self
            .upstream
            .iter()
            .filter(|(_, queue)| !queue.is_empty())
            .map(|(id, _)| *id)
            .collect();
        let place = self.below(waiting.len() as u64) as usize;
        let Some(id) = waiting.get(place).copied() else {
            return;
        };
        let kind = self.upstream.get_mut(&id).and_then(VecDeque::pop_front);
        if let Some(kind) = kind {
            self.arrive(id, kind);
        }
    }

    fn arrive(&mut self, id: u64, kind: Kind) {
        if let Kind::ReadContent(read) = &kind {
            let seen = self
                .world
                .sink
                .instances
                .get_mut(&id)
                .and_then(|known| known.events.get_mut(&read.event_id));
            if let Some(seen) = seen {
                seen.reads.push((read.read_id, 0));
            }
        }
        if let Kind::WantContent(want) = &kind {
            let seen = self
                .world
                .sink
                .instances
                .get_mut(&id)
                .and_then(|known| known.events.get_mut(&want.event_id));
            if let Some(seen) = seen {
                seen.credit = seen.credit.saturating_add(want.credit_bytes);
            }
        }
        if let Kind::Action(action) = &kind
            && self.model.instances.contains_key(&id)
        {
            self.world.sink.acts(id, action.action_id);
        }
        self.world.say(id, kind.clone());
        if !self.model.hears() || !self.model.names(id) {
            return;
        }
        match kind {
            Kind::Verdict(verdict) => self.model.hear_answer(id, verdict.event_id, None),
            Kind::Fault(fault) if fault.event_id == 0 => {
                self.model
                    .hear_whole_fault(id, FaultKind::Overload, Retry::Always);
            }
            Kind::Fault(fault) => {
                let failure = Some((FaultKind::Overload, Retry::Always));
                self.model.hear_answer(id, fault.event_id, failure);
            }
            Kind::Progress(progress) => {
                if let Some(tag) = self.model.hear_about(id, progress.event_id) {
                    self.model.said.push(Said::Progress(tag));
                }
            }
            Kind::WantContent(want) => {
                self.model.hear_about(id, want.event_id);
            }
            Kind::StopContent(stop) => {
                self.model.hear_about(id, stop.event_id);
            }
            Kind::ReadContent(read) => {
                let fate = self.model.instances[&id]
                    .events
                    .get(&read.event_id)
                    .copied();
                if fate != Some(crate::model::Fate::Told)
                    || read.event_id > self.model.instances[&id].sent
                {
                    self.model.hear_about(id, read.event_id);
                }
            }
            Kind::Ready(_) => self.model.hear_ready(id),
            Kind::Done(done) if done.kind.is_none() => self.model.break_instance(id),
            Kind::Done(_) => self.model.hear_done(id),
            Kind::Action(action) => self.model.hear_action(id, action.action_id),
            Kind::VerdictPart(_) | Kind::Upload(_) | Kind::Heartbeat(_) | Kind::GoAway(_) => {
                self.model.break_instance(id);
            }
        }
    }

    fn pass_time(&mut self) {
        let time = Duration::from_millis(self.below(20_000));
        let until = self.world.now + time;
        let mut stops = 0;
        while let Some(at) = self.world.link.poll_timeout().filter(|at| *at <= until) {
            stops += 1;
            assert!(stops < 1000, "the link asks to be called again and again");
            self.world.now = at.max(self.world.now);
            self.world.link.handle_timeout(self.world.now);
            let parting = self.model.phase == Phase::Parting;
            let draining = self.model.phase == Phase::Draining;
            for event in self.world.events() {
                let Some(said) = Said::of(&event) else {
                    continue;
                };
                if parting && said == (Said::Ended { reset: true }) {
                    self.model.phase = Phase::Ended;
                    continue;
                }
                if draining && self.model.said.is_empty() {
                    self.model
                        .end_stream(FaultKind::Unreachable, Retry::Harmless, true);
                }
                if self.model.said.is_empty() {
                    self.model.observe(&said);
                } else {
                    assert_eq!(said, self.model.said.remove(0));
                }
            }
        }
        self.world.now = until;
    }

    /// What happens seldom.
    fn rare(&mut self) {
        match self.below(60) {
            0 => {
                let end = match self.below(4) {
                    0 => StreamEnd::Broken {
                        detail: String::new(),
                    },
                    1 => StreamEnd::Refused {
                        detail: String::new(),
                    },
                    _ => StreamEnd::Status {
                        code: Code::Unknown,
                        detail: String::new(),
                    },
                };
                let retry = if end.unseen() {
                    Retry::Always
                } else {
                    Retry::Harmless
                };
                let kind = end.fault().kind;
                self.world.link.handle_end(end);
                self.model.end_stream(kind, retry, false);
            }
            1 => {
                let go_away = Kind::GoAway(pb::GoAway::default());
                self.world.say(0, go_away);
                if self.model.hears() {
                    self.model.said.push(Said::GoingAway);
                    self.model.drain();
                }
            }
            2 => {
                self.world
                    .link
                    .go_away(self.world.now, DEADLINE, "it stops");
                self.model.drain();
            }
            3 => {
                let id = self.model.last + 1 + self.below(3);
                self.arrive(id, Kind::Verdict(Box::new(proceed(1))));
            }
            4 => self.arrive_at_some(Kind::Heartbeat(pb::Heartbeat { sequence: 1 })),
            5..=7 => self.arrive_at_some(Kind::Done(pb::Done { kind: None })),
            8..=16 => {
                let done = Some(pb::done::Kind::Instance(pb::DoneInstance {}));
                self.arrive_at_some(Kind::Done(pb::Done { kind: done }));
            }
            17..=21 => self.arrive_at_some(Kind::Ready(pb::Ready::default())),
            22..=24 => self.arrive_at_some(Kind::Fault(pb::Fault {
                event_id: 0,
                kind: pb::FaultKind::Overload.into(),
                ..pb::Fault::default()
            })),
            _ => self.transmit(),
        }
    }

    fn arrive_at_some(&mut self, kind: Kind) {
        // A sink knows an instance once its Open has left.
        let known: Vec<u64> = self.world.sink.open().map(|(id, _)| id).collect();
        let place = self.below(known.len() as u64) as usize;
        if let Some(id) = known.get(place).copied() {
            self.arrive(id, kind);
        }
    }
}

#[test]
fn a_link_does_what_the_model_says() {
    let mut said: BTreeMap<&str, u64> = BTreeMap::new();
    let mut steps = 0;
    for seed in 1..=WALKS {
        let mut walk = Walk::new(seed);
        let mut parting = 0;
        for step in 0..STEPS {
            let step = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk.step()))
                .map_err(|panic| (step, panic));
            if let Err((step, panic)) = step {
                eprintln!("seed {seed}, step {step}");
                std::panic::resume_unwind(panic);
            }
            steps += 1;
            parting += u64::from(walk.model.phase == Phase::Parting);
            if walk.model.phase == Phase::Ended || parting > 20 {
                break;
            }
        }
        for (word, count) in walk.said {
            *said.entry(word).or_default() += count;
        }
    }
    // A walk that meets nothing proves nothing.
    assert!(steps > 50_000, "{steps}");
    for word in Said::WORDS {
        let count = said.get(word).copied().unwrap_or_default();
        assert!(count >= 20, "{word}: {count} of {said:?}");
    }
}
