//! Sinks that hang, break off, lie, or are not there: each failure policy does what it says, and
//! other sessions do not notice.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::client::{Client, Reply};
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_millis(300);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// Ways to fail that a sink chooses; each is the sink's failure, never consent.
const FAULTS: [&str; 7] = [
    "hang",
    "close",
    "undecided",
    "other-event",
    "contradiction",
    "injection",
    "flood",
];

fn gateway(next_hop: &NextHop, endpoint: &str, event: &str, policy: &str) -> Gateway {
    Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[sink]]\nname = \"faulty\"\nendpoint = \"{endpoint}\"\n\
             [[binding]]\nname = \"faulty\"\nsink = \"faulty\"\nmay = [\"quarantine\"]\nbody = \"full\"\n\
             events = [\"inbound.{event}\"]\ntimeout = \"300ms\"\non_failure = \"{policy}\""
        ))
        .start()
}

fn rcpt(gateway: &Gateway) -> (Reply, Client, Duration) {
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    let asked = Instant::now();
    let reply = client.command("RCPT TO:<b@example.test>");
    (reply, client, asked.elapsed())
}

fn message(gateway: &Gateway) -> (Reply, Client) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    (reply, client)
}

#[test]
fn every_fault_at_a_command_is_answered_by_the_policy() {
    for fault in FAULTS {
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("rcpt={fault}")]);
        let gateway = gateway(&next_hop, &sink.endpoint(), "rcpt", "tempfail");
        let (reply, mut client, took) = rcpt(&gateway);
        if fault == "flood" {
            // The first verdict may have counted before the others came; later ones never do.
            assert!([250, 451].contains(&reply.code), "{fault}: {reply:?}");
        } else {
            assert_eq!(reply.code, 451, "{fault}: {reply:?}");
            assert!(
                reply
                    .text()
                    .starts_with("4.7.1 Service unavailable, try again later ("),
                "{reply:?}"
            );
            let id = reply.text().split(['(', ')']).nth(1).unwrap().to_owned();
            // The operator finds it.
            gateway.wait_for_log(&id, LIMIT);
        }
        if fault == "hang" {
            assert!(took >= TIMEOUT, "{took:?}");
        }
        client.expect("NOOP", 250);
    }
}

#[test]
fn each_policy_at_a_command() {
    for (policy, code) in [
        ("continue", 250),
        ("tempfail", 451),
        ("reject", 550),
        ("disconnect", 421),
    ] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&["rcpt=hang"]);
        let gateway = gateway(&next_hop, &sink.endpoint(), "rcpt", policy);
        let (reply, mut client, _) = rcpt(&gateway);
        assert_eq!(reply.code, code, "{policy}: {reply:?}");
        if policy == "disconnect" {
            client.expect_closed();
        } else {
            client.expect("NOOP", 250);
        }
    }
}

#[test]
fn every_fault_at_a_message_is_answered_by_the_policy() {
    for fault in FAULTS {
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("message={fault}")]);
        let gateway = gateway(&next_hop, &sink.endpoint(), "message", "reject");
        let (reply, mut client) = message(&gateway);
        if fault == "flood" {
            assert!([250, 550].contains(&reply.code), "{fault}: {reply:?}");
        } else {
            assert_eq!(reply.code, 550, "{fault}: {reply:?}");
        }
        client.expect("NOOP", 250);
    }
}

#[test]
fn continue_lets_the_message_pass() {
    let next_hop = NextHop::start();
    let gateway = gateway(
        &next_hop,
        &format!("http://{}", free_address()),
        "message",
        "continue",
    );
    assert_eq!(message(&gateway).0.code, 250);
    next_hop.wait_for(1, LIMIT);
}

#[test]
fn hold_accepts_and_asks_again_when_the_sink_is_back() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["message=undecided"]);
    let gateway = gateway(&next_hop, &sink.endpoint(), "message", "hold");
    assert_eq!(message(&gateway).0.code, 250);
    // It is asked again by itself, and held again.
    sink.wait_asked("message", 2, LIMIT);
    assert_eq!(next_hop.count(), 0);
    let address = sink.endpoint();
    drop(sink);
    let _healthy = Sink::at(&address, &[]);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(
        received.first().unwrap().from_line("From:").unwrap(),
        CONTENT
    );
}

#[test]
fn a_held_message_outlives_a_crash() {
    let next_hop = NextHop::start();
    let endpoint = format!("http://{}", free_address());
    let mut gateway = gateway(&next_hop, &endpoint, "message", "hold");
    assert_eq!(message(&gateway).0.code, 250);
    gateway.kill();
    let _healthy = Sink::at(&endpoint, &[]);
    gateway.start();
    next_hop.wait_for(1, LIMIT);
}

#[test]
fn quarantine_accepts_and_keeps() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["message=undecided"]);
    let mut gateway = gateway(&next_hop, &sink.endpoint(), "message", "quarantine");
    assert_eq!(message(&gateway).0.code, 250);
    gateway.kill();
    gateway.start();
    let metrics = gateway.http("/metrics").1;
    let kept = metrics
        .lines()
        .find(|line| line.starts_with("postern_spool_messages{") && line.contains("quarantine"))
        .unwrap_or_else(|| panic!("{metrics}"));
    assert!(kept.ends_with(" 1"), "{kept}");
    assert_eq!(next_hop.count(), 0);
}

#[test]
fn a_sink_that_is_away_is_found_out_once_and_not_waited_for_each_time() {
    let next_hop = NextHop::start();
    let gateway = gateway(
        &next_hop,
        &format!("http://{}", free_address()),
        "rcpt",
        "tempfail",
    );
    for _ in 0..50 {
        assert_eq!(rcpt(&gateway).0.code, 451);
    }
}

#[test]
fn a_crashing_sink_takes_nothing_with_it() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["message=crash"]);
    let gateway = gateway(&next_hop, &sink.endpoint(), "message", "tempfail");
    assert_eq!(message(&gateway).0.code, 451);
    assert_eq!(message(&gateway).0.code, 451);
    let _back = Sink::at(&sink.endpoint(), &[]);
    let until = Instant::now() + LIMIT;
    // The gateway finds the way back by itself.
    while message(&gateway).0.code != 250 {
        assert!(Instant::now() < until, "{}", gateway.log());
    }
    next_hop.wait_for(1, LIMIT);
}

#[test]
fn a_client_that_leaves_in_mid_message_is_not_waited_for() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[]);
    let gateway = gateway(&next_hop, &sink.endpoint(), "message", "tempfail");
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("DATA", 354);
    client.send("Subject: half\r\n\r\nhalf a mess");
    sink.wait_asked("message", 1, LIMIT);
    drop(client);
    assert_eq!(message(&gateway).0.code, 250);
    assert_eq!(next_hop.wait_for(1, LIMIT).len(), 1);
}

#[test]
fn verdicts_of_a_sink_decide() {
    for (action, code, delivered) in [
        ("reject", 550, false),
        ("tempfail", 451, false),
        ("quarantine", 250, false),
        ("disconnect", 421, false),
        ("proceed", 250, true),
    ] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("message={action}")]);
        let gateway = gateway(&next_hop, &sink.endpoint(), "message", "tempfail");
        let (reply, _) = message(&gateway);
        assert_eq!(reply.code, code, "{action}: {reply:?}");
        if delivered {
            next_hop.wait_for(1, LIMIT);
        } else {
            assert_eq!(next_hop.count(), 0, "{action}");
        }
    }
}
