//! A sink that looks at everything and objects to nothing: what the null milter is to Postfix.
//!
//! `POSTERN_NULL_ASK` says when it is asked: `every` event (the default), `rcpt` and the message, the `message` alone.

use std::process::ExitCode;

use postern_sdk::{Fault, Message, Sink, Verdict, inbound, sink};

async fn proceed() -> Verdict {
    Verdict::proceed()
}

async fn hear() {}

/// It takes the whole body, as the milter does.
async fn read(mut message: Message) -> Result<Verdict, Fault> {
    while message.next_chunk().await?.is_some() {}
    Ok(Verdict::proceed())
}

fn null(ask: &str) -> Option<Sink> {
    let sink = sink!().on(inbound::MESSAGE.full(), read);
    match ask {
        "every" => Some(
            sink.on(inbound::CONNECT, proceed)
                .on(inbound::HELO, proceed)
                .on(inbound::MAIL, proceed)
                .on(inbound::RCPT, proceed),
        ),
        "rcpt" => Some(
            sink.on(inbound::CONNECT.at_rcpt(), proceed)
                .on(inbound::HELO.at_rcpt(), proceed)
                .on(inbound::MAIL.at_rcpt(), proceed)
                .on(inbound::RCPT, proceed),
        ),
        "message" => Some(
            sink.on(inbound::CONNECT.told(), hear)
                .on(inbound::HELO.told(), hear)
                .on(inbound::MAIL.told(), hear)
                .on(inbound::RCPT.told(), hear),
        ),
        _ => None,
    }
}

fn main() -> ExitCode {
    let ask = std::env::var("POSTERN_NULL_ASK").unwrap_or_else(|_| "every".to_owned());
    match null(&ask) {
        Some(sink) => sink.run(),
        None => {
            eprintln!("POSTERN_NULL_ASK: {ask} is not every, rcpt or message");
            ExitCode::from(64)
        }
    }
}
