//! A sink that takes its time over every message and puts a field in front of it. How long, and
//! which field, its binding's properties say.

use std::process::ExitCode;
use std::time::Duration;

use postern_sdk::{
    Body, Description, EventKind, Instance, Message, Result, Sink, Verdict, describe,
};

#[derive(serde::Deserialize)]
struct Properties {
    field: String,
    takes_ms: u64,
}

struct Slow;

impl Sink<Properties> for Slow {
    fn describe(&self) -> Description {
        describe!()
            .on_with(EventKind::InboundMessage, Body::Headers)
            .may("headers:X-*")
    }

    async fn on_message(&self, instance: &Instance<Properties>, message: &mut Message) -> Result {
        let properties = instance.properties();
        tokio::time::sleep(Duration::from_millis(properties.takes_ms)).await;
        message.headers.prepend(&properties.field, "seen");
        Ok(Verdict::proceed())
    }
}

fn main() -> ExitCode {
    postern_sdk::run(Slow)
}
