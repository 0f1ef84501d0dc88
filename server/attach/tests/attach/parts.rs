//! Long events and verdicts.

use std::time::Duration;

use bytes::Bytes;
use postern_attach::{Cancelled, LinkEvent, Question, Refusal, Retry};
use postern_events::encode::EncodedEvent;
use postern_events::event::EventKind;
use postern_events::fault::FaultKind;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;
use postern_proto::v1::attach_response::Kind as Said;
use prost::Message;

use crate::world::{World, broken, failures, number, proceed, world};

fn long_event() -> pb::Event {
    let recipient = pb::Recipient {
        address: vec![b'a'; 1000].into(),
        ..pb::Recipient::default()
    };
    pb::Event {
        recipients: Some(pb::RecipientsUpdate {
            changed: vec![recipient; 2000],
            ..pb::RecipientsUpdate::default()
        }),
        kind: Some(pb::event::Kind::InboundMessage(
            pb::InboundMessage::default(),
        )),
        ..pb::Event::default()
    }
}

fn long_question(world: &World) -> Question {
    Question {
        event: EncodedEvent::new(EventKind::InboundMessage, &long_event()).expect("it splits"),
        ..world.question(EventKind::InboundMessage, 5)
    }
}

#[test]
fn v18_a_long_event_comes_in_parts_and_others_pass_between() {
    let mut world = world(8, &["parts"]);
    let long = world.open(1);
    let short = world.open(2);
    let question = long_question(&world);
    let parts = question.event.parts.len();
    let asked = world.link.ask(world.now, long, question).expect("taken");
    world.ask(short, 7);
    let sent = world.sent();
    let place = |found: &dyn Fn(&Kind) -> bool| sent.iter().position(found).expect("sent");
    let small = place(
        &|kind| matches!(kind, Kind::Event(event) if event.recipients.is_none() && event.event_id == 1),
    );
    let first_part = place(&|kind| matches!(kind, Kind::EventPart(_)));
    let last_part = sent
        .iter()
        .rposition(|kind| matches!(kind, Kind::EventPart(_)));
    assert!(
        small < last_part.expect("parts"),
        "one instance holds up no other: {first_part}"
    );
    let count = sent
        .iter()
        .filter(|kind| matches!(kind, Kind::EventPart(_)))
        .count();
    assert_eq!(count, parts);
    let seen = &world.sink.instances[&number(long)].events[&asked.event_id].event;
    assert_eq!(seen.recipients, long_event().recipients);
    assert!(seen.deadline.is_some());
}

#[test]
fn c5_a_cancel_comes_behind_an_event_that_was_begun() {
    for close in [false, true] {
        let mut world = world(8, &["parts"]);
        let instance = world.open(1);
        let question = long_question(&world);
        let asked = world
            .link
            .ask(world.now, instance, question)
            .expect("taken");
        world.take_frame();
        world.take_frame();
        if close {
            world
                .link
                .close(world.now, instance, pb::CloseReason::Finished);
        } else {
            let cancelled = world
                .link
                .cancel(world.now, asked, pb::CancelReason::Decided);
            assert_eq!(cancelled, Cancelled::Taken { silent: false });
        }
        // The sink panics over a part that is not followed by its event.
        let sent = world.sent();
        assert!(sent.iter().any(|kind| matches!(kind, Kind::Event(_))));
        assert!(sent.iter().any(|kind| matches!(kind, Kind::Cancel(_))));
    }
}

#[test]
fn an_instance_that_breaks_amid_an_event_in_parts_still_ends_it() {
    let mut world = world(8, &["parts"]);
    let first = world.asked(1);
    let question = long_question(&world);
    world
        .link
        .ask(world.now, first.instance, question)
        .expect("taken");
    let third = world.ask(first.instance, 12);
    let part = world.take_frame().and_then(|frame| frame.kind);
    assert!(matches!(part, Some(Kind::EventPart(_))));
    world.say(number(first.instance), Said::Verdict(Box::new(proceed(77))));
    let failed = failures(&world.events());
    assert_eq!(
        failed,
        [
            (10, FaultKind::Protocol, Retry::Never),
            (5, FaultKind::Protocol, Retry::Always),
            (12, FaultKind::Protocol, Retry::Always)
        ]
    );
    world.advance(Duration::from_millis(5));
    let sent = world.sent();
    assert!(
        matches!(sent.last(), Some(Kind::CloseInstance(_))),
        "{:?}",
        sent.last()
    );
    let events = &world.sink.instances[&number(first.instance)].events;
    assert!(events.contains_key(&2) && !events.contains_key(&third.event_id));
}

#[test]
fn v18_without_parts_a_long_event_fails_by_size_alone() {
    let mut world = world(8, &[]);
    let asked = world.asked(1);
    let question = long_question(&world);
    let refused = world.link.ask(world.now, asked.instance, question);
    assert!(matches!(refused, Err(Refusal::Size(fault)) if fault.kind == FaultKind::Size));
    let next = world.ask(asked.instance, 3);
    assert_eq!(next.event_id, 2, "no number was used");
    world.flush();
    world.verdict(asked);
    assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
}

#[test]
fn v18_attributes_count_towards_the_frame() {
    for (octets, fits) in [(1_048_300, true), (1_048_576, false)] {
        let mut world = world(8, &["parts"]);
        let instance = world.open(1);
        // A string field: tag, length in three octets, and so many octets.
        let value = pb::NamedValue {
            name: "a".repeat(octets - 8),
            value: None,
        };
        let attributes: Bytes = pb::Event {
            attributes: vec![value],
            ..pb::Event::default()
        }
        .encode_to_vec()
        .into();
        assert!(attributes.len().abs_diff(octets) < 16);
        let question = Question {
            attributes,
            ..world.question(EventKind::InboundRcpt, 1)
        };
        assert_eq!(world.link.ask(world.now, instance, question).is_ok(), fits);
        world.flush();
    }
}

fn part(event_id: u64, octets: usize) -> Said {
    let insert = pb::Data {
        kind: Some(pb::data::Kind::UploadId(1)),
    };
    let splice = pb::Edit {
        kind: Some(pb::edit::Kind::SpliceBody(pb::SpliceBody {
            insert: Some(insert),
            ..pb::SpliceBody::default()
        })),
    };
    let warning = "w".repeat(octets);
    Said::VerdictPart(Box::new(pb::Verdict {
        event_id,
        edits: vec![splice],
        warnings: vec![warning],
        ..pb::Verdict::default()
    }))
}

#[test]
fn a_verdict_in_parts_is_put_together_and_parts_may_be_interleaved() {
    let mut world = world(8, &["parts"]);
    let first = world.asked(1);
    let second = world.ask(first.instance, 11);
    world.flush();
    world.say(1, part(1, 1));
    world.say(1, part(2, 2));
    world.say(1, part(1, 3));
    assert_eq!(world.events(), []);
    world.verdict(first);
    world.verdict(second);
    let edits: Vec<usize> = world
        .events()
        .iter()
        .map(|event| match event {
            LinkEvent::Verdict { verdict, .. } => verdict.edits.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(edits, [2, 1]);
}

#[test]
fn parts_need_their_feature() {
    let mut world = world(8, &[]);
    world.asked(1);
    world.say(1, part(1, 1));
    let events = world.events();
    assert!(broken(&events)[0].contains("`parts`"), "{events:?}");
}

#[test]
fn a_fault_or_a_cancel_discards_parts() {
    let mut world = world(8, &["parts"]);
    let asked = world.asked(1);
    for n in 0..40 {
        // 15 MiB each time: what is not discarded would end the stream at the second.
        for _ in 0..15 {
            world.say(1, part(n + 1, (1 << 20) - 1000));
        }
        if n % 2 == 0 {
            world.fault(asked.instance, n + 1, pb::FaultKind::SinkError);
        } else {
            let asked = postern_attach::Asked {
                instance: asked.instance,
                event_id: n + 1,
            };
            world
                .link
                .cancel(world.now, asked, pb::CancelReason::Decided);
        }
        assert_eq!(broken(&world.events()), Vec::<String>::new());
        world.ask(asked.instance, 1);
        world.flush();
    }
}

#[test]
fn what_fails_with_its_whole_instance_discards_its_parts() {
    let mut world = world(8, &["parts"]);
    for tag in 1..4 {
        let asked = world.asked(tag);
        for _ in 0..15 {
            world.say(number(asked.instance), part(1, (1 << 20) - 1000));
        }
        world.fault(asked.instance, 0, pb::FaultKind::SinkError);
        let events = world.events();
        assert_eq!(failures(&events).len(), 1);
        assert_eq!(broken(&events), Vec::<String>::new());
    }
}

#[test]
fn c15_a_verdict_of_too_many_octets_ends_its_instance() {
    let mut world = world(8, &["parts"]);
    let other = world.asked(2);
    let asked = world.asked(1);
    for _ in 0..20 {
        world.say(number(asked.instance), part(1, (1 << 20) - 1000));
    }
    let events = world.events();
    assert_eq!(failures(&events), [(10, FaultKind::Protocol, Retry::Never)]);
    assert_eq!(broken(&events).len(), 1);
    world.verdict(other);
    assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
}

#[test]
fn c15_unfinished_verdicts_of_a_stream_are_bounded_together() {
    let mut world = world(8, &["parts"]);
    let first = world.asked(1);
    let second = world.asked(2);
    for instance in [first.instance, second.instance] {
        for _ in 0..9 {
            world.say(number(instance), part(1, (1 << 20) - 1000));
        }
    }
    let events = world.events();
    assert!(
        broken(&events)[0].contains("unfinished"),
        "{:?}",
        broken(&events)
    );
    assert_eq!(
        failures(&events),
        [
            (10, FaultKind::Protocol, Retry::Harmless),
            (20, FaultKind::Protocol, Retry::Never)
        ]
    );
    assert!(events.contains(&LinkEvent::HalfClose));
}

#[test]
fn c15_a_verdict_out_of_bounds_fails_its_question_alone() {
    let mut world = world(8, &["parts"]);
    let asked = world.asked(1);
    let other = world.ask(asked.instance, 11);
    world.flush();
    let literal = pb::Data {
        kind: Some(pb::data::Kind::Literal(Bytes::from(vec![
            0;
            (512 << 10) + 1
        ]))),
    };
    let mut verdict = proceed(1);
    verdict.edits = vec![pb::Edit {
        kind: Some(pb::edit::Kind::ReplaceBody(pb::ReplaceBody {
            body: Some(literal),
        })),
    }];
    world.say(1, Said::Verdict(Box::new(verdict)));
    let events = world.events();
    assert_eq!(failures(&events), [(10, FaultKind::Protocol, Retry::Never)]);
    assert_eq!(broken(&events).len(), 1);
    world.verdict(other);
    assert!(matches!(world.events()[..], [LinkEvent::Verdict { .. }]));
}

#[test]
fn parts_for_what_is_over_are_late_and_for_what_was_never_asked_a_failure() {
    let mut world = world(8, &["parts"]);
    let asked = world.asked(1);
    world.verdict(asked);
    world.events();
    world.say(1, part(1, 1));
    assert!(matches!(world.events()[..], [LinkEvent::Late { .. }]));
    world.say(1, part(2, 1));
    assert_eq!(broken(&world.events()).len(), 1);
}

#[test]
fn a_part_that_sets_more_than_lists_is_a_failure() {
    let mut world = world(8, &["parts"]);
    world.asked(1);
    world.say(1, Said::VerdictPart(Box::new(proceed(1))));
    assert!(broken(&world.events())[0].contains("decision"));
}
