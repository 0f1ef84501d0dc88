//! How streams end, and what that is to the questions on them.

use postern_attach::{Code, Ending, LinkEvent, Refusal, Retry, StreamEnd};
use postern_events::fault::FaultKind;

use crate::world::{failures, world};

fn status(code: Code) -> StreamEnd {
    StreamEnd::Status {
        code,
        detail: "said\r\nso".into(),
    }
}

#[test]
fn c18_each_status_is_the_failure_that_it_is() {
    use FaultKind::{Fault, Overload, Timeout, Unreachable};
    let kinds = [
        (0, Fault),
        (1, Fault),
        (2, Fault),
        (3, Fault),
        (4, Timeout),
        (5, Fault),
        (6, Fault),
        (7, Unreachable),
        (8, Overload),
        (9, Fault),
        (10, Fault),
        (11, Fault),
        (12, Fault),
        (13, Fault),
        (14, Unreachable),
        (15, Fault),
        (16, Unreachable),
        (17, Fault),
        (-1, Fault),
    ];
    for (number, kind) in kinds {
        let end = status(Code::from_number(number));
        let mut world = world(8, &[]);
        let asked = world.asked(1);
        let unsent = world.ask(asked.instance, 11);
        let idle = world.open(2);
        world.link.handle_end(end.clone());
        let events = world.events();
        assert_eq!(
            failures(&events),
            [(10, kind, Retry::Harmless), (11, kind, Retry::Always)],
            "{number}"
        );
        let LinkEvent::Failed { fault, .. } = &events[0] else {
            panic!("{events:?}");
        };
        assert!(!fault.detail.contains('\n'), "{fault}");
        let lost = events
            .iter()
            .filter(|event| {
                matches!(
                    event,
                    LinkEvent::Closed {
                        ending: Ending::Lost,
                        ..
                    }
                )
            })
            .count();
        assert_eq!(lost, 2);
        assert_eq!(
            events.last(),
            Some(&LinkEvent::Ended {
                end: end.clone(),
                reset: false
            })
        );
        assert_eq!(end.counts(), kind == Unreachable, "{number}: V13");
        assert!(world.link.is_finished());
        assert_eq!(world.try_ask(idle, 1), Err(Refusal::Gone));
        assert_eq!(world.try_open(3), Err(Refusal::NoRoom));
        assert!(world.take_frame().is_none(), "nothing more is sent");
        world.link.handle_end(end);
        assert_eq!(world.events(), [], "it ends once");
        assert_eq!(unsent.event_id, 2);
    }
}

#[test]
fn a_stream_that_ends_with_a_question_open_is_never_consent() {
    let mut world = world(1, &[]);
    world.asked(1);
    world.link.handle_end(status(Code::Ok));
    let events = world.events();
    assert_eq!(failures(&events), [(10, FaultKind::Fault, Retry::Harmless)]);
    assert!(matches!(
        events.last(),
        Some(LinkEvent::Ended {
            end: StreamEnd::Status { .. },
            ..
        })
    ));
}

#[test]
fn a_stream_that_the_sink_ends_with_nothing_open_ends_in_order() {
    for end in [status(Code::Ok), StreamEnd::InOrder] {
        let mut world = world(1, &[]);
        let asked = world.asked(1);
        world.verdict(asked);
        world.events();
        world.link.handle_end(end);
        let events = world.events();
        assert_eq!(failures(&events), []);
        assert_eq!(
            events.last(),
            Some(&LinkEvent::Ended {
                end: StreamEnd::InOrder,
                reset: false
            })
        );
    }
}

#[test]
fn a_stream_ends_once_whoever_says_so_again() {
    let mut world = world(1, &[]);
    world.asked(1);
    world.link.handle_end(StreamEnd::InOrder);
    let events = world.events();
    let ends = |events: &[LinkEvent]| {
        let ends = events.iter();
        ends.filter(|event| matches!(event, LinkEvent::Ended { .. }))
            .count()
    };
    assert_eq!(ends(&events), 1);
    for again in [StreamEnd::InOrder, status(Code::Unavailable)] {
        world.link.handle_end(again);
        assert_eq!(world.events(), []);
    }
}

#[test]
fn each_end_says_what_became_of_the_open_questions() {
    let detail = || "a\r\nb".to_owned();
    for (end, kind, text) in [
        (StreamEnd::InOrder, FaultKind::Fault, "the stream has ended"),
        (
            status(Code::Ok),
            FaultKind::Fault,
            "the sink ended the stream with the question open",
        ),
        (
            StreamEnd::Refused { detail: detail() },
            FaultKind::Overload,
            "the sink takes no more streams: ab",
        ),
        (
            StreamEnd::Broken { detail: detail() },
            FaultKind::Unreachable,
            "the stream broke: ab",
        ),
        (
            StreamEnd::GivenUp { detail: detail() },
            FaultKind::Protocol,
            "ab",
        ),
    ] {
        let fault = end.fault();
        assert_eq!((fault.kind, fault.detail.as_str()), (kind, text));
    }
    let fault = status(Code::Unavailable).fault();
    assert!(
        fault
            .detail
            .starts_with("the stream ended with Unavailable: "),
        "{fault}"
    );
}

#[test]
fn c9_a_stream_that_breaks_is_unreachable_and_counts() {
    let mut world = world(8, &[]);
    world.asked(1);
    let end = StreamEnd::Broken {
        detail: "GOAWAY".into(),
    };
    world.link.handle_end(end.clone());
    let events = world.events();
    assert_eq!(
        failures(&events),
        [(10, FaultKind::Unreachable, Retry::Harmless)]
    );
    assert!(end.counts());
}

#[test]
fn v13_a_refused_stream_was_seen_by_nobody_and_does_not_count() {
    let mut world = world(8, &[]);
    world.asked(1);
    let end = StreamEnd::Refused {
        detail: "REFUSED_STREAM".into(),
    };
    world.link.handle_end(end.clone());
    let events = world.events();
    assert_eq!(
        failures(&events),
        [(10, FaultKind::Overload, Retry::Always)]
    );
    assert!(!end.counts());
}

#[test]
fn what_the_gateway_gave_up_is_no_matter_of_health() {
    let end = StreamEnd::GivenUp {
        detail: "it broke the protocol".into(),
    };
    assert!(!end.counts() && !StreamEnd::InOrder.counts());
    assert_eq!(end.fault().kind, FaultKind::Protocol);
}
