#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Verdict, inbound};

#[test]
fn a_program_with_another_name_than_its_package_describes_itself_by_it() {
    let sink = Sink::named_after("Null_Sink", "1.0").on(inbound::MAIL, async || Verdict::proceed());
    assert_eq!(
        sink.describe().map(|description| description.name),
        Ok("null-sink".to_owned())
    );
}

#[test]
fn the_features_follow_from_what_handlers_take() {
    let sink = Sink::new("a", "1").on(inbound::MAIL, async |_: crate::Actions| Verdict::proceed());
    let features = sink.describe().map(|description| description.features);
    assert_eq!(
        features,
        Ok(["parts", "uploads", "cache", "actions"]
            .map(str::to_owned)
            .to_vec())
    );
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Most {
    most: usize,
}

async fn limited(_: crate::Properties<Most>) -> Verdict {
    Verdict::proceed()
}

fn binding(properties: &str) -> v1::ConfiguredBinding {
    v1::ConfiguredBinding {
        name: "few".to_owned(),
        properties_json: Bytes::copy_from_slice(properties.as_bytes()),
        ..Default::default()
    }
}

#[test]
fn properties_are_looked_at_when_the_gateway_asks() {
    let sink = || Sink::new("a", "1").on(inbound::MAIL, limited);
    assert_eq!(
        sink().problems(&binding("{\"most\":1}")),
        Vec::<String>::new()
    );
    let missing = sink().problems(&binding(""));
    assert_eq!(missing.len(), 1);
    assert!(missing[0].contains("missing field `most`"), "{missing:?}");
    let stricter = sink().check(|limits: &Most, binding| match limits.most {
        0 => vec![format!(
            "\"most\" of {} is 0; write 1 or more",
            binding.name
        )],
        _ => Vec::new(),
    });
    assert_eq!(
        stricter.problems(&binding("{\"most\":0}")),
        ["\"most\" of few is 0; write 1 or more"]
    );
    assert_eq!(
        stricter.problems(&binding("{\"most\":2}")),
        Vec::<String>::new()
    );
    let none = Sink::new("a", "1").on(inbound::MAIL, async || Verdict::proceed());
    assert_eq!(none.problems(&binding("{}")), Vec::<String>::new());
    assert_eq!(
        none.problems(&binding("{\"a\":1}")),
        ["the sink takes no properties"]
    );
}

#[test]
fn a_check_of_other_properties_than_the_handlers_take_is_found_at_the_start() {
    let other = Sink::new("a", "1")
        .on(inbound::MAIL, limited)
        .check(|_: &String, _| Vec::new());
    let error = other.describe().unwrap_err().to_string();
    assert!(
        error.contains("`check` takes the properties as alloc::string::String"),
        "{error}"
    );
    let unread = Sink::new("a", "1")
        .on(inbound::MAIL, async || Verdict::proceed())
        .check(|_: &Most, _| Vec::new());
    let error = unread.describe().unwrap_err().to_string();
    assert!(error.contains("no handler takes any"), "{error}");
    let twice = Sink::new("a", "1").on(inbound::MAIL, limited);
    let twice = twice
        .check(|_: &Most, _| Vec::new())
        .check(|_: &Most, _| Vec::new());
    assert!(
        twice
            .describe()
            .unwrap_err()
            .to_string()
            .contains("`check` is given twice")
    );
}
