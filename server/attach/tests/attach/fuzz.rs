//! Arbitrary frames from a sink: whatever comes, the link keeps its own side of the contract, says of each question
//! exactly once what became of it, and stays bounded.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use postern_attach::{Asked, BodyDepth, LinkEvent, Wish};
use postern_proto::v1 as pb;
use postern_proto::v1::attach_response::Kind;
use prost::Message;

use crate::world::{World, number, world};

/// A link with some of everything open.
struct Scene {
    world: World,
    open: BTreeSet<Asked>,
    ended: bool,
}

impl Scene {
    fn new(capacity: usize, features: &[&str]) -> Self {
        let mut world = world(capacity, features);
        let mut open = BTreeSet::new();
        for tag in 0..capacity.min(3) as u64 {
            let instance = world.open(tag);
            world.tell(instance);
            open.insert(world.ask(instance, tag * 10));
            open.insert(world.ask_message(instance, BodyDepth::Full));
            open.insert(world.ask_message(instance, BodyDepth::OnDemand));
        }
        world.flush();
        Self {
            world,
            open,
            ended: false,
        }
    }

    /// Takes in what the link says.
    fn hear(&mut self) {
        for event in self.world.events() {
            assert!(!self.ended, "nothing follows the end: {event:?}");
            match event {
                LinkEvent::Verdict { asked, .. } | LinkEvent::Failed { asked, .. } => {
                    assert!(self.open.remove(&asked), "answered once: {asked:?}");
                }
                LinkEvent::ContentWanted { asked, .. } => self.feed(asked),
                LinkEvent::Ended { .. } => self.ended = true,
                LinkEvent::Progress { asked, .. } => assert!(self.open.contains(&asked)),
                _ => {}
            }
        }
        assert_eq!(self.world.link.questions(), self.open.len());
    }

    fn feed(&mut self, asked: Asked) {
        let now = self.world.now;
        match self.world.link.content_wish(asked) {
            Wish::Push { most, .. } => {
                assert!(most <= 64 << 10);
                self.world
                    .link
                    .push(now, asked, vec![0; most.min(500)].into());
            }
            Wish::Read(read) => {
                assert!(read.length <= 64 << 10);
                self.world.link.refuse_read(now, asked, read.read_id);
            }
            Wish::Nothing | Wish::Over => {}
        }
    }

    fn frame(&mut self, octets: &[u8]) {
        // The sink that checks the link does not follow what this one says: only frames are looked at.
        self.world
            .link
            .handle_frame(self.world.now, Bytes::copy_from_slice(octets));
        self.hear();
        while let Some(transmit) = self.world.link.poll_transmit(self.world.now) {
            assert!(transmit.len() <= 1 << 20);
            let octets = [transmit.head, transmit.shared].concat();
            pb::AttachRequest::decode(octets.as_slice()).expect("frames decode");
        }
        self.hear();
    }

    /// Ends what is left, and checks that everything was answered.
    fn finish(mut self) {
        self.world.now += Duration::from_secs(5);
        let open: Vec<Asked> = self.open.iter().copied().collect();
        for asked in open {
            self.world
                .link
                .cancel(self.world.now, asked, pb::CancelReason::Deadline);
            self.open.remove(&asked);
            while let Some(event) = self.world.link.poll_event() {
                match event {
                    LinkEvent::Failed { asked, .. } => {
                        self.open.remove(&asked);
                    }
                    LinkEvent::Ended { .. } => self.ended = true,
                    _ => {}
                }
            }
        }
        assert_eq!(self.world.link.questions(), 0);
        for _ in 0..100 {
            let Some(at) = self.world.link.poll_timeout() else {
                break;
            };
            self.world.now = at.max(self.world.now);
            self.world.link.handle_timeout(self.world.now);
            while self.world.link.poll_transmit(self.world.now).is_some() {}
            self.hear();
        }
        assert!(
            self.ended && self.world.link.is_finished(),
            "a stream ends by itself"
        );
        assert_eq!(self.open.len(), 0);
    }
}

#[test]
fn any_octets_are_survived() {
    bolero::check!()
        .with_iterations(4_000)
        .with_max_len(512)
        .for_each(|input: &[u8]| {
            let (capacity, input) = match input.split_first() {
                Some((first, rest)) => (1 + usize::from(first % 4), rest),
                None => (1, input),
            };
            let mut scene = Scene::new(capacity, &["parts", "settled", "uploads", "actions"]);
            for frame in input.chunks(16) {
                scene.frame(frame);
            }
            scene.finish();
        });
}

/// A frame out of a few numbers: mostly one that decodes and names something that is there.
fn frame(choice: &[u8]) -> Vec<u8> {
    let at = |place: usize| u64::from(choice.get(place).copied().unwrap_or_default());
    let event_id = at(2) % 7;
    let octets = Bytes::from(vec![b'x'; (at(3) as usize) * 8]);
    let time = (at(3) % 3 > 0).then(|| prost_types::Duration {
        seconds: i64::from(at(4) as i8),
        nanos: at(5) as i32,
    });
    let verdict = pb::Verdict {
        event_id,
        decision: (at(3) % 4 > 0).then(pb::Decision::default),
        warnings: vec!["w".repeat(at(4) as usize * 16); (at(5) % 3) as usize],
        ..pb::Verdict::default()
    };
    let kind = match at(1) % 18 {
        0 | 1 => Kind::Verdict(Box::new(verdict)),
        2 => Kind::VerdictPart(Box::new(pb::Verdict {
            decision: None,
            ..verdict
        })),
        3 => Kind::WantContent(pb::WantContent {
            event_id,
            credit_bytes: at(3) << at(4).min(32),
        }),
        4 => Kind::StopContent(pb::StopContent { event_id }),
        5 => Kind::ReadContent(pb::ReadContent {
            event_id,
            read_id: at(3),
            part: at(4) as i32 % 4,
            offset: at(5) << at(4).min(56),
            length_bytes: at(6) << at(4).min(32),
            revision: at(7) as u32,
        }),
        6 => Kind::Upload(pb::Upload {
            upload_id: at(4) % 12,
            event_id,
            octets,
            finished: at(5) % 2 == 0,
            abandoned: at(6) % 5 == 0,
        }),
        7 => Kind::Progress(pb::Progress {
            event_id,
            wanted: time,
            activity: "a\u{202e}\n".repeat(at(5) as usize),
        }),
        8 => Kind::Done(pb::Done {
            kind: match at(3) % 3 {
                0 => None,
                1 => Some(pb::done::Kind::Instance(pb::DoneInstance {})),
                _ => Some(pb::done::Kind::MessageId(octets)),
            },
        }),
        9 | 10 => Kind::Fault(pb::Fault {
            event_id,
            kind: at(4) as i32 % 9,
            detail: "d".repeat(at(5) as usize * 40),
        }),
        11 => Kind::Action(Box::new(pb::SinkAction {
            action_id: at(3),
            idempotency_key: "k".repeat(at(4) as usize),
            reason: "r".repeat(at(5) as usize * 8),
            kind: (at(6) % 2 == 0).then(|| pb::sink_action::Kind::LookUp(pb::LookUp::default())),
        })),
        12 => Kind::Heartbeat(pb::Heartbeat {
            sequence: at(3) % 3,
        }),
        13 => Kind::GoAway(pb::GoAway {
            drain: time,
            reason: "because".into(),
        }),
        _ => Kind::Ready(pb::Ready {
            events: (0..at(3) % 3)
                .map(|n| pb::EventInterest {
                    event: (at(4) + n) as i32 % 20,
                    body: (at(5) % 2 == 0).then(|| BodyDepth::Prefix(at(6)).to_wire()),
                    ask: at(7) as i32 % 5,
                })
                .collect(),
        }),
    };
    let instance_id = at(0) % 6;
    let mut octets = pb::AttachResponse {
        instance_id: if at(0) > 250 { 0 } else { instance_id.max(1) },
        kind: (at(7) != 13).then_some(kind),
    }
    .encode_to_vec();
    if at(7) > 250 {
        octets.truncate(octets.len().saturating_sub(1));
    }
    octets
}

#[test]
fn any_frames_are_survived() {
    bolero::check!()
        .with_iterations(4_000)
        .with_max_len(512)
        .for_each(|input: &[u8]| {
            let (first, input) = input.split_first().unwrap_or((&0, input));
            let capacity = 1 + usize::from(first % 4);
            let all = ["parts", "settled", "uploads", "actions"];
            let features: Vec<&str> = all
                .into_iter()
                .enumerate()
                .filter(|(place, _)| first >> (2 + place) & 1 == 1)
                .map(|(_, word)| word)
                .collect();
            let mut scene = Scene::new(capacity, &features);
            for choice in input.chunks(8) {
                scene.frame(&frame(choice));
            }
            scene.finish();
        });
}

#[test]
fn names_on_the_wire_are_numbers() {
    let mut world = world(2, &[]);
    let (first, second) = (world.open(1), world.open(2));
    assert_eq!((number(first), number(second)), (1, 2));
}
