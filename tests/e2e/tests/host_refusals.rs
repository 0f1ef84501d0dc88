//! What a next hop says of itself, of the session or of a command fails no message: it waits, and is told why.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::{Manners, NextHop};

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

/// A gateway with mail for `next_hop`; reports to senders go to `senders`.
fn gateway(next_hop: &NextHop, senders: &NextHop, queue: &str) -> Gateway {
    Setup::default()
        .with(&format!("[queue]\n{queue}"))
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start()
}

fn send(gateway: &Gateway, recipients: &[&str]) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", recipients, CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// Next hops that want no session.
fn unfriendly() -> [Manners; 4] {
    [
        Manners {
            greeting: "521 5.3.2 no mail here",
            ..Manners::default()
        },
        Manners {
            greeting: "554 5.7.1 you are on a list",
            ..Manners::default()
        },
        Manners {
            hello: Some("550 5.7.1 who are you"),
            ..Manners::default()
        },
        Manners {
            sender: "530 5.7.0 STARTTLS first",
            keywords: vec!["PIPELINING", "STARTTLS"],
            starttls: "220 2.0.0 go on",
            ..Manners::default()
        },
    ]
}

#[test]
fn a_hop_that_wants_no_session_bounces_nothing() {
    for manners in unfriendly() {
        let what = format!("{manners:?}");
        let next_hop = NextHop::with(manners);
        let senders = NextHop::start();
        let gateway = gateway(&next_hop, &senders, "retry = [\"1s\"]");
        for _ in 0..3 {
            send(&gateway, &["b@example.test"]);
        }
        gateway.wait_for_log("deferred", LIMIT);
        // The reason is remembered now: what comes next is not even tried, and waits too.
        for _ in 0..3 {
            send(&gateway, &["b@example.test"]);
        }
        next_hop.behave(Manners::default());
        next_hop.wait_for(6, LIMIT);
        assert_eq!(next_hop.count(), 6, "{what}");
        assert_eq!(senders.count(), 0, "{what}: reported as failed");
    }
}

#[test]
fn the_report_of_what_became_too_old_names_what_the_hop_said() {
    for (manners, said) in unfriendly().into_iter().zip([
        "521 5.3.2 no mail here",
        "554 5.7.1 you are on a list",
        "550 5.7.1 who are you",
        "530 5.7.0 STARTTLS first",
    ]) {
        let next_hop = NextHop::with(manners);
        let senders = NextHop::start();
        let gateway = gateway(&next_hop, &senders, "retry = [\"1s\"]\nexpire = \"3s\"");
        send(&gateway, &["b@example.test"]);
        let received = senders.wait_for(1, LIMIT);
        let text = received.first().unwrap().text();
        for part in [
            "Action: failed",
            "Status: 5.4.7",
            &format!("Diagnostic-Code: smtp; {said}"),
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }
}

#[test]
fn recipients_beyond_what_a_transaction_takes_go_in_the_next() {
    for reply in ["552 5.5.3 enough", "452 4.5.3 enough", "552 enough"] {
        let next_hop = NextHop::with(Manners {
            most_recipients: Some((2, reply)),
            ..Manners::default()
        });
        let senders = NextHop::start();
        let gateway = gateway(&next_hop, &senders, "retry = [\"1s\"]");
        let names: Vec<String> = (0..5).map(|n| format!("r{n}@example.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        send(&gateway, &names);
        let received = next_hop.wait_for(3, LIMIT);
        let mut got: Vec<String> = received.into_iter().flat_map(|m| m.recipients).collect();
        got.sort();
        let due: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
        assert_eq!(got, due, "{reply}");
        assert_eq!(senders.count(), 0, "{reply}");
    }
}

#[test]
fn a_hop_without_the_bdat_that_it_offers_gets_data() {
    for refusal in ["500 5.5.2 what", "502 5.5.1 not here", "503 5.5.1 not now"] {
        let next_hop = NextHop::with(Manners {
            keywords: vec!["PIPELINING", "CHUNKING", "8BITMIME"],
            chunk: Some(refusal),
            ..Manners::default()
        });
        let senders = NextHop::start();
        // Tried again at once: there would be no other attempt in this test's time.
        let gateway = gateway(&next_hop, &senders, "retry = [\"1h\"]");
        send(&gateway, &["b@example.test", "c@example.test"]);
        let received = next_hop.wait_for(1, LIMIT);
        let message = received.first().unwrap();
        assert_eq!(message.from_line("From:").unwrap(), CONTENT);
        assert_eq!(message.recipients.len(), 2);
        assert!(message.connection > 0, "nothing is said behind the chunk");
        assert_eq!(senders.count(), 0, "{refusal}");
        // It is remembered: the next message does not try it first.
        let connections = next_hop.connections();
        send(&gateway, &["d@example.test"]);
        next_hop.wait_for(2, LIMIT);
        assert!(next_hop.connections() <= connections + 1, "{refusal}");
    }
}
