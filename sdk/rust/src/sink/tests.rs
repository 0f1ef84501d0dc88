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
