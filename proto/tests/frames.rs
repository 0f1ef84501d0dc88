//! Frames stay small in memory: queues hold many, and an enum is as large as its largest arm.

use std::mem::size_of;

use postern_proto::v1;

#[test]
fn frames_stay_small() {
    assert!(
        size_of::<v1::AttachRequest>() <= 96,
        "{}",
        size_of::<v1::AttachRequest>()
    );
    assert!(
        size_of::<v1::AttachResponse>() <= 88,
        "{}",
        size_of::<v1::AttachResponse>()
    );
    assert!(size_of::<v1::Event>() <= 512, "{}", size_of::<v1::Event>());
    assert!(size_of::<v1::Edit>() <= 112, "{}", size_of::<v1::Edit>());
}
