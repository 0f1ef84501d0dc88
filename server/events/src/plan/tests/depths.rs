//! What a binding is shown at its events, and when it is asked: by itself, else as accepted.

use super::*;

const MESSAGE: EventKind = EventKind::InboundMessage;
const HEADERS: EventKind = EventKind::InboundHeaders;

fn pinned(event: &str, body: BodyDepth, ask: Ask) -> PinnedEvent {
    PinnedEvent {
        event: event.to_owned(),
        body,
        ask,
    }
}

fn pin(events: Vec<PinnedEvent>) -> Pin {
    Pin {
        events,
        ..Pin::default()
    }
}

fn plan(spec: BindingSpec, pin: Option<Pin>) -> Result<Plan, Vec<PlanError>> {
    let pins = pin
        .map(|pin| (spec.name.clone(), pin))
        .into_iter()
        .collect();
    Plan::build(super::spec(vec![spec]), &pins)
}

fn bound(spec: BindingSpec, pin: Option<Pin>) -> Vec<(EventKind, BodyDepth, Ask)> {
    let plan = plan(spec, pin).unwrap();
    let events = plan.bindings()[0].events.iter();
    events.map(|own| (own.event, own.depth, own.ask)).collect()
}

#[test]
fn each_event_has_the_depth_that_was_accepted_for_it() {
    let accepted = || {
        pin(vec![
            pinned("inbound.message", BodyDepth::Full, Ask::AtOnce),
            pinned("inbound.headers", BodyDepth::Prefix(10), Ask::AtOnce),
            pinned("transport.submit", BodyDepth::Headers, Ask::AtOnce),
            pinned("inbound.rcpt", BodyDepth::Full, Ask::Told),
        ])
    };
    let bare = || BindingSpec {
        reads: None,
        ..BindingSpec::new("a", "a")
    };
    let submit = EventKind::TransportSubmit;
    let rcpt = EventKind::InboundRcpt;
    let told = (rcpt, BodyDepth::None, Ask::Told);
    assert_eq!(
        bound(bare(), Some(accepted())),
        [
            told,
            // The body is not there yet.
            (HEADERS, BodyDepth::Headers, Ask::AtOnce),
            (MESSAGE, BodyDepth::Full, Ask::AtOnce),
            (submit, BodyDepth::Headers, Ask::AtOnce),
        ]
    );
    // What the operator says counts for all of them.
    let body = |body| BindingSpec {
        body: Some(body),
        ..bare()
    };
    for (depth, of_headers) in [
        (BodyDepth::None, BodyDepth::None),
        (BodyDepth::Headers, BodyDepth::Headers),
        (BodyDepth::OnDemand, BodyDepth::Headers),
    ] {
        assert_eq!(
            bound(body(depth), Some(accepted())),
            [
                told,
                (HEADERS, of_headers, Ask::AtOnce),
                (MESSAGE, depth, Ask::AtOnce),
                (submit, depth, Ask::AtOnce),
            ]
        );
    }
    // An event that was not accepted has what `reads` asks for.
    let other = BindingSpec {
        events: words(&["transport.submit", "inbound.message"]),
        may: words(&[]),
        reads: words(&["headers"]),
        ..bare()
    };
    let accepted = pin(vec![pinned(
        "inbound.message",
        BodyDepth::Prefix(9),
        Ask::AtOnce,
    )]);
    assert_eq!(
        bound(other, Some(accepted)),
        [
            (MESSAGE, BodyDepth::Prefix(9), Ask::AtOnce),
            (submit, BodyDepth::Headers, Ask::AtOnce),
        ]
    );
}

#[test]
fn without_a_depth_it_is_what_reads_needs() {
    for (reads, depth) in [
        (&[][..], BodyDepth::None),
        (&["sender"], BodyDepth::None),
        (&["headers"], BodyDepth::Headers),
        (&["headers:Subject"], BodyDepth::Headers),
        (&["body"], BodyDepth::Full),
        (&["headers", "body"], BodyDepth::Full),
    ] {
        let spec = BindingSpec {
            reads: words(reads),
            ..binding("a", &[])
        };
        assert_eq!(
            bound(spec, None),
            [(MESSAGE, depth, Ask::AtOnce)],
            "{reads:?}"
        );
    }
    let silent = BindingSpec {
        reads: None,
        ..binding("a", &[])
    };
    assert_eq!(
        bound(silent, None),
        [(MESSAGE, BodyDepth::None, Ask::AtOnce)]
    );
}

#[test]
fn an_event_that_is_named_twice_is_bound_once_and_events_come_in_their_order() {
    let spec = BindingSpec {
        events: words(&["transport.submit", "inbound.rcpt", "transport.submit"]),
        ..binding("a", &[])
    };
    let kinds: Vec<_> = bound(spec, None).iter().map(|own| own.0).collect();
    assert_eq!(kinds, [EventKind::InboundRcpt, EventKind::TransportSubmit]);
    let none = BindingSpec {
        events: words(&[]),
        ..binding("a", &[])
    };
    let errors = plan(none, None).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| error.problem == Problem::NoEvents)
    );
}

#[test]
fn an_event_of_a_later_version_is_refused_by_name() {
    for event in EventKind::ALL {
        let spec = BindingSpec {
            events: words(&[event.name()]),
            ..binding("a", &[])
        };
        match plan(spec, None) {
            Ok(_) => assert!(event.is_published(), "{event}"),
            Err(errors) => {
                let problem = errors.into_iter().map(|error| error.problem).next();
                assert_eq!(problem, Some(Problem::NotPublished { event }));
                assert!(!event.is_published(), "{event}");
            }
        }
    }
}

#[test]
fn a_binding_is_asked_as_it_says_else_as_was_accepted_if_the_event_can() {
    let mail = "inbound.mail";
    let own = |ask: &[(Option<&str>, Ask)], events: &[&str]| BindingSpec {
        events: words(events),
        ask: ask
            .iter()
            .map(|(name, ask)| (name.map(str::to_owned), *ask))
            .collect(),
        ..binding("a", &[])
    };
    let accepted = |event: &str, ask| Some(pin(vec![pinned(event, BodyDepth::None, ask)]));
    use Ask as A;
    for (event, said, was, expected) in [
        (mail, &[][..], A::AtOnce, A::AtOnce),
        (mail, &[], A::AtRcpt, A::AtRcpt),
        (mail, &[], A::Told, A::Told),
        // Its own word counts, but what is only told stays told.
        (mail, &[(Some(mail), A::AtRcpt)], A::AtOnce, A::AtRcpt),
        (mail, &[(Some(mail), A::AtOnce)], A::AtRcpt, A::AtOnce),
        (mail, &[(Some(mail), A::AtOnce)], A::Told, A::Told),
        (mail, &[(Some(mail), A::Told)], A::AtOnce, A::Told),
        (mail, &[(None, A::AtRcpt)], A::AtOnce, A::AtRcpt),
        (
            mail,
            &[(None, A::AtRcpt), (Some(mail), A::AtOnce)],
            A::AtRcpt,
            A::AtOnce,
        ),
        // RCPT cannot wait for itself: what is said of all events leaves it out.
        ("inbound.rcpt", &[(None, A::AtRcpt)], A::AtOnce, A::AtOnce),
        ("inbound.rcpt", &[], A::AtRcpt, A::AtOnce),
        // In transport nobody can only be told.
        ("transport.submit", &[], A::Told, A::AtOnce),
        ("transport.submit", &[(None, A::Told)], A::Told, A::AtOnce),
        // What is one-way is told in its own manner.
        ("inbound.disconnect", &[], A::Told, A::AtOnce),
    ] {
        let spec = own(said, &[event]);
        let kind: EventKind = event.parse().unwrap();
        let seen = bound(spec, accepted(event, was));
        assert_eq!(
            seen,
            [(kind, BodyDepth::None, expected)],
            "{event} {said:?} {was:?}"
        );
    }
    // What was accepted of another event is not of this one.
    let spec = own(&[], &[mail]);
    let other = accepted("inbound.helo", A::AtRcpt);
    assert_eq!(bound(spec, other)[0].2, A::AtOnce);
    // Of an event that the binding does not have nothing can be said.
    let spec = own(&[(Some("inbound.helo"), A::AtOnce)], &[mail]);
    let errors = plan(spec, None).unwrap_err();
    assert_eq!((errors.len(), errors[0].key), (1, "ask"));
    assert!(errors[0].to_string().contains("event of this binding"));
    // What the event cannot be is refused where it is said of it by name.
    let spec = own(
        &[(Some("transport.submit"), A::Told)],
        &["transport.submit"],
    );
    let errors = plan(spec, None).unwrap_err();
    assert_eq!(errors[0].to_string().contains("cannot be asked told"), true);
}

fn reads_of(spec: BindingSpec, pin: Option<Pin>) -> Vec<String> {
    plan(spec, pin).unwrap().bindings()[0].reads.words()
}

#[test]
fn what_is_read_is_what_was_said_else_all_that_is_shown() {
    let said = |reads: Option<&[&str]>, body: Option<BodyDepth>| BindingSpec {
        reads: reads.and_then(words),
        body,
        ..binding("a", &[])
    };
    const REST: [&str; 3] = ["session", "sender", "recipients"];
    for (reads, body, expected) in [
        // Nobody says: all that the depth shows.
        (None, None, &REST[..]),
        (None, Some(BodyDepth::None), &REST),
        (
            None,
            Some(BodyDepth::Headers),
            &["session", "headers", "sender", "recipients"],
        ),
        (
            None,
            Some(BodyDepth::Prefix(1)),
            &["session", "headers", "body", "sender", "recipients"],
        ),
        (Some(&["sender"][..]), None, &["sender"]),
        (Some(&["sender"]), Some(BodyDepth::Headers), &["sender"]),
        // Whoever is shown the body reads it.
        (
            Some(&["sender"]),
            Some(BodyDepth::Full),
            &["body", "sender"],
        ),
        (Some(&["headers"]), Some(BodyDepth::Headers), &["headers"]),
    ] {
        assert_eq!(
            reads_of(said(reads, body), None),
            expected,
            "{reads:?} {body:?}"
        );
    }
    let accepted = |reads: &[&str]| {
        Some(Pin {
            reads: reads.iter().map(|word| (*word).to_owned()).collect(),
            ..Pin::default()
        })
    };
    assert_eq!(
        reads_of(said(None, None), accepted(&["digest"])),
        ["digest"]
    );
    assert_eq!(
        reads_of(said(Some(&["sender"]), None), accepted(&["digest"])),
        ["sender"]
    );
    assert_eq!(reads_of(said(None, None), accepted(&[])), REST);
    // What was accepted need not be shown; what is said must be.
    let body = Some(BodyDepth::None);
    assert_eq!(
        reads_of(said(None, body), accepted(&["headers"])),
        ["headers"]
    );
    for (reads, body, what) in [
        (&["headers"][..], BodyDepth::None, "header fields"),
        (&["headers:X-A"], BodyDepth::None, "header fields"),
        (&["body"], BodyDepth::Headers, "the body"),
        (&["body"], BodyDepth::None, "the body"),
    ] {
        let errors = plan(said(Some(reads), Some(body)), None).unwrap_err();
        let expected = Problem::NotShown {
            what,
            body: body.name(),
        };
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!((errors[0].key, &errors[0].problem), ("reads", &expected));
    }
}
