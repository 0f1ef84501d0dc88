#![allow(clippy::unwrap_used)]
use super::*;

fn page(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_pages_of_the_documentation_are_up_to_date() {
    for (name, text) in [
        ("decisions-table.md", render()),
        ("attributes.md", crate::attributes::render()),
    ] {
        assert!(
            page(name) == text,
            "docs/{name} is out of date; run `cargo run -p postern-dispatch --example make-docs`"
        );
    }
}

#[test]
fn one_way_events_and_those_of_later_versions_take_no_decision() {
    for event in EventKind::ALL
        .iter()
        .filter(|event| event.is_one_way() || !event.is_published())
    {
        assert!(
            !DecisionKind::ALL
                .iter()
                .any(|decision| decision_allowed(*event, *decision)),
            "{event}"
        );
    }
}

#[test]
fn refusing_is_possible_wherever_somebody_waits_for_a_decision() {
    for event in EventKind::published().filter(|event| !event.is_one_way()) {
        let refusals = [
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Disconnect,
        ];
        assert!(
            refusals
                .iter()
                .any(|decision| decision_allowed(event, *decision)),
            "{event}"
        );
        assert!(policy_allowed(event, Policy::Tempfail), "{event}");
    }
}

#[test]
fn only_commands_without_effect_can_be_answered() {
    for verb in ["NOOP", "help", "VRFY", "EXPN"] {
        assert!(can_be_answered(verb, true), "{verb}");
    }
    for verb in [
        "HELO", "EHLO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "QUIT",
        "",
    ] {
        assert!(!can_be_answered(verb, true), "{verb}");
    }
    assert!(can_be_answered("XFOO", false));
}

#[test]
fn no_typed_event_has_its_handling_skipped() {
    let events: Vec<EventKind> = EventKind::published()
        .filter(|event| decision_allowed(*event, DecisionKind::Respond))
        .collect();
    assert_eq!(
        events,
        [EventKind::InboundCommand, EventKind::InboundResponse]
    );
}

#[test]
fn whatever_spares_a_message_needs_its_grant() {
    for event in EventKind::published().filter(|event| !event.is_one_way()) {
        let free: Vec<DecisionKind> = DecisionKind::ALL
            .into_iter()
            .filter(|decision| decision_allowed(event, *decision) && !decision.needs_grant(event))
            .collect();
        for decision in free {
            let harmless = matches!(
                decision,
                DecisionKind::Proceed
                    | DecisionKind::Reject
                    | DecisionKind::Tempfail
                    | DecisionKind::Disconnect
            );
            let changes_a_reply =
                decision == DecisionKind::Respond && event == EventKind::InboundResponse;
            assert!(harmless || changes_a_reply, "{decision:?} at {event}");
        }
    }
    for decision in DecisionKind::ALL {
        let event = EventKind::InboundMessage;
        if decision.needs_grant(event) {
            let words = [decision.name()];
            let grants = crate::grant::Grants::parse(&words).unwrap();
            assert_eq!(grants.words(), words, "it has a word of its own");
        }
    }
}
