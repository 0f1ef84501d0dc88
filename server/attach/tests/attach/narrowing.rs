//! Ready and Done: what a sink does not want.

use std::time::Duration;

use bytes::Bytes;
use postern_attach::{BodyDepth, Ending, LinkEvent, News, Opening, Question, Refusal, Wish};
use postern_events::event::EventKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;
use postern_proto::v1::attach_response::Kind as Said;

use crate::world::{World, broken, number, world};

fn ready(events: &[(pb::EventKind, Option<BodyDepth>)]) -> Said {
    Said::Ready(pb::Ready {
        events: events
            .iter()
            .map(|(event, depth)| pb::EventInterest {
                event: (*event).into(),
                body: depth.map(BodyDepth::to_wire),
                ask: pb::AskMode::AtOnce.into(),
            })
            .collect(),
    })
}

fn done_with(message: [u8; 16]) -> Said {
    Said::Done(pb::Done {
        kind: Some(pb::done::Kind::MessageId(Bytes::copy_from_slice(&message))),
    })
}

fn done() -> Said {
    Said::Done(pb::Done {
        kind: Some(pb::done::Kind::Instance(pb::DoneInstance {})),
    })
}

#[test]
fn ready_narrows_what_is_asked_told_and_shown() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.say(
        1,
        ready(&[(pb::EventKind::InboundMessage, Some(BodyDepth::Prefix(5)))]),
    );
    let instance = asked.instance;
    assert_eq!(
        world.events(),
        [LinkEvent::Narrowed {
            instance,
            tag: 1,
            done_with: None
        }]
    );
    assert_eq!(world.try_ask(instance, 1), Err(Refusal::Declined));
    let news = World::news(EventKind::InboundOutcome);
    assert_eq!(
        world.link.tell(world.now, instance, news),
        Err(Refusal::Declined)
    );
    assert!(!world.link.wants(instance, EventKind::InboundRcpt, None));
    assert!(world.link.wants(instance, EventKind::InboundMessage, None));
    let own = BodyDepth::Full;
    let depth = world.link.depth(instance, EventKind::InboundMessage, own);
    assert_eq!(depth, Some(BodyDepth::Prefix(5)));
    world.sent();
    let message = world.ask_message(instance, own);
    assert_eq!(
        world.link.content_wish(message),
        Wish::Push { offset: 0, most: 5 }
    );
    let sent = world.sent();
    assert!(
        matches!(&sent[..], [Kind::Event(event)] if event.content == Some(BodyDepth::Prefix(5).to_wire())),
        "{sent:?}"
    );
    world.verdict(asked);
    assert!(
        matches!(world.events()[..], [LinkEvent::Verdict { .. }]),
        "what is open is still answered"
    );
}

#[test]
fn v17_ready_comes_once_and_before_the_first_answer() {
    for twice in [false, true] {
        let mut world = world(8, &[]);
        let asked = world.asked(1);
        if twice {
            world.say(1, ready(&[]));
        } else {
            world.verdict(asked);
        }
        world.events();
        world.say(1, ready(&[]));
        assert_eq!(broken(&world.events()).len(), 1);
    }
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    world.fault(asked.instance, 1, pb::FaultKind::SinkError);
    world.events();
    world.say(1, ready(&[]));
    assert_eq!(broken(&world.events()).len(), 1, "a fault is an answer too");
}

#[test]
fn done_with_a_message_declines_the_rest_of_it() {
    let mut world = world(8, &[]);
    let opening = Opening {
        message: Some([1; 16]),
        ..world.opening(1)
    };
    let instance = world.link.open(world.now, opening).expect("there is room");
    let about = |message| Question {
        message: Some([message; 16]),
        ..world.question(EventKind::InboundRcpt, 1)
    };
    let (first, second) = (about(1), about(2));
    world
        .link
        .ask(world.now, instance, first.clone())
        .expect("taken");
    world.flush();
    world.say(1, done_with([1; 16]));
    assert_eq!(
        world.events(),
        [LinkEvent::Narrowed {
            instance,
            tag: 1,
            done_with: Some([1; 16])
        }]
    );
    assert_eq!(
        world.link.ask(world.now, instance, first),
        Err(Refusal::Declined)
    );
    assert!(
        !world
            .link
            .wants(instance, EventKind::InboundRcpt, Some([1; 16]))
    );
    assert!(
        world
            .link
            .wants(instance, EventKind::InboundRcpt, Some([2; 16]))
    );
    assert!(
        world.try_ask(instance, 1).is_ok(),
        "what is about no message is asked"
    );
    world.link.ask(world.now, instance, second).expect("taken");
    let news = News {
        message: Some([3; 16]),
        ..World::news(EventKind::InboundOutcome)
    };
    world.link.tell(world.now, instance, news).expect("taken");
    world.flush();
    world.say(1, done_with([2; 16]));
    world.say(1, done_with([3; 16]));
    world.say(1, done_with([1; 16]));
    assert_eq!(
        broken(&world.events()),
        Vec::<String>::new(),
        "all of them were told"
    );
    world.say(1, done_with([4; 16]));
    assert_eq!(broken(&world.events()).len(), 1);
}

#[test]
fn done_with_the_instance_closes_it_when_nothing_is_open() {
    let mut world = world(8, &["settled"]);
    let asked = world.asked(1);
    world.say(1, done());
    world.say(1, done());
    assert_eq!(world.events(), []);
    assert_eq!(world.try_ask(asked.instance, 1), Err(Refusal::Declined));
    assert!(
        !world
            .link
            .wants(asked.instance, EventKind::InboundRcpt, None)
    );
    world.verdict(asked);
    assert_eq!(
        world.events().len(),
        1,
        "the verdict, whose fate is not told yet"
    );
    world.link.settle(world.now, asked, pb::Settled::default());
    assert_eq!(
        world.events(),
        [LinkEvent::Closed {
            instance: asked.instance,
            tag: 1,
            ending: Ending::Done
        }]
    );
    assert!(!Ending::Done.may_reopen() && Ending::Lost.may_reopen());
    world.advance(Duration::from_millis(5));
    let close = world.sink.instances[&number(asked.instance)].close.clone();
    assert_eq!(
        close.map(|close| close.reason()),
        Some(pb::CloseReason::BySink)
    );
    assert_eq!(world.try_ask(asked.instance, 1), Err(Refusal::Gone));
}

#[test]
fn what_is_not_known_is_not_wanted_and_not_narrowed() {
    let mut world = world(8, &[]);
    let instance = world.open(1);
    world
        .link
        .close(world.now, instance, pb::CloseReason::Finished);
    assert!(!world.link.wants(instance, EventKind::InboundRcpt, None));
    let own = BodyDepth::Full;
    let depth = world.link.depth(instance, EventKind::InboundMessage, own);
    assert_eq!(depth, Some(own));
}
