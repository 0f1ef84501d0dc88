//! A sink that takes its time over every message and puts a field in front of it. How long, and
//! which field, its binding's properties say.

use std::process::ExitCode;
use std::time::Duration;

use postern_sdk::{Properties, Verdict, inbound, sink};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Settings {
    field: String,
    takes_ms: u64,
}

async fn take_time(settings: Properties<Settings>) -> Verdict {
    tokio::time::sleep(Duration::from_millis(settings.takes_ms)).await;
    Verdict::proceed().prepend_header(&settings.field, "seen")
}

fn main() -> ExitCode {
    sink!()
        .may("headers:X-*")
        .on(inbound::MESSAGE.headers(), take_time)
        .run()
}
