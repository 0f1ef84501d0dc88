//! A sink that looks at everything and objects to nothing: what the null milter is to Postfix.

use std::process::ExitCode;

use postern_sdk::{
    Body, Description, EventKind, Instance, Message, Result, Sink, Verdict, describe,
};

struct Null;

impl Sink for Null {
    fn describe(&self) -> Description {
        describe!()
            .on(EventKind::InboundConnect)
            .on(EventKind::InboundHelo)
            .on(EventKind::InboundMail)
            .on(EventKind::InboundRcpt)
            .on_with(EventKind::InboundMessage, Body::Full)
    }

    async fn on_message(&self, _: &Instance, message: &mut Message) -> Result {
        // It takes the whole body, as the milter does.
        while message.next_chunk().await?.is_some() {}
        Ok(Verdict::proceed())
    }
}

fn main() -> ExitCode {
    postern_sdk::run(Null)
}
