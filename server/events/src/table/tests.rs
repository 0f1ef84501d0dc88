#![allow(clippy::unwrap_used)]
use postern_proto::rules::{AnswerKind, DecisionKind, EditKind};

use super::*;
use crate::grant::Grants;

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
            "docs/{name} is out of date; run `cargo run -p postern-events --example make-docs`"
        );
    }
}

#[test]
fn one_way_events_take_no_decision_but_the_acknowledgement() {
    for event in EventKind::ALL
        .into_iter()
        .filter(|event| event.is_one_way())
    {
        let decisions = event.rule().decisions;
        let acknowledges = event.rule().feed_group.is_some();
        assert_eq!(
            decisions == [DecisionKind::Proceed],
            acknowledges,
            "{event}"
        );
        assert_eq!(policies(event).count(), 0, "{event}");
    }
}

#[test]
fn whatever_waits_for_a_decision_can_be_refused_or_has_a_policy() {
    for event in EventKind::ALL
        .into_iter()
        .filter(|event| !event.is_one_way())
    {
        assert!(event.rule().allows(DecisionKind::Proceed), "{event}");
        assert!(policy_allowed(event, Policy::Tempfail), "{event}");
    }
}

#[test]
fn every_grant_of_the_table_is_a_word_of_may() {
    let decisions = DecisionKind::ALL
        .iter()
        .filter_map(|kind| kind.rule().grant);
    let answers = AnswerKind::ALL.iter().filter_map(|kind| kind.rule().grant);
    let also = AnswerKind::ALL.iter().flat_map(|kind| kind.rule().also);
    let edits = EditKind::ALL.iter().map(|kind| kind.rule().grant);
    let edits = edits.filter(|grant| *grant != "headers:NAME");
    for grant in decisions
        .chain(answers)
        .chain(also.map(|(_, grant)| *grant))
        .chain(edits)
    {
        assert!(Grants::parse_all(&[grant]).unwrap().has(grant), "{grant}");
    }
}
