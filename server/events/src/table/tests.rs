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
fn commands_that_change_the_stream_can_only_be_refused() {
    assert!(refusal_only(EventKind::InboundCommand, Some("starttls")));
    assert!(!refusal_only(EventKind::InboundCommand, Some("NOOP")));
    assert!(refusal_only(EventKind::InboundData, None));
}
