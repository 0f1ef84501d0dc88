//! A sink that answers in place of the service gets past none of the service's own checks.

#![allow(clippy::unwrap_used, missing_docs)]

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

/// A gateway that relays for nobody, with one sink at `events`.
fn gateway(next_hop: &NextHop, sink: &Sink, events: &str, may: &str) -> Gateway {
    Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("sink"))
        .with(&format!(
            "[[binding]]\nname = \"sink\"\nsink = \"sink\"\nevents = [{events}]\nmay = [{may}]\nbody = \"none\""
        ))
        .start()
}

#[test]
fn a_positive_answer_to_rcpt_makes_no_open_relay() {
    for (events, rule) in [
        ("\"inbound.rcpt\"", "rcpt=respond:250 welcome"),
        ("\"inbound.command\"", "command:RCPT=respond:250 welcome"),
    ] {
        for may in ["", "\"respond\"", "\"respond\", \"finish\", \"recipients\""] {
            let next_hop = NextHop::start();
            let sink = Sink::start(&[rule]);
            let gateway = gateway(&next_hop, &sink, events, may);
            let mut client = Client::ready(gateway.smtp());
            client.expect("MAIL FROM:<a@example.org>", 250);
            let reply = client.command("RCPT TO:<victim@foreign.example>");
            assert_eq!(reply.code, 451, "{rule}, may = [{may}]: {reply:?}");
            assert_eq!(client.command("DATA").code, 554, "nobody is left to get it");
            assert_eq!(next_hop.count(), 0);
        }
    }
}

#[test]
fn no_event_lets_a_sink_skip_what_the_service_does() {
    let dialogue = [
        ("helo", "EHLO client.example.test"),
        ("mail", "MAIL FROM:<a@example.org>"),
        ("rcpt", "RCPT TO:<b@example.test>"),
        ("data", "DATA"),
    ];
    for (event, _) in dialogue {
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("{event}=respond:250 done")]);
        let events = format!("\"inbound.{event}\"");
        let gateway = gateway(&next_hop, &sink, &events, "\"respond\"");
        let (mut client, _) = Client::connect(gateway.smtp());
        for (at, line) in dialogue {
            let reply = client.command(line);
            // The verdict is the sink's failure: the failure policy speaks, not the sink.
            let due = if at == event { 451 } else { 250 };
            assert_eq!(reply.code, due, "{event}: {line}: {reply:?}");
            if at == event {
                break;
            }
        }
    }
}
