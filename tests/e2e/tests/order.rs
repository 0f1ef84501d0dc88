//! The order of the outcome is that of the priorities; waiting follows from reads and grants.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::Setup;
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::{Seen, Sink};

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// Five sinks that each take their time and put a field in front; when each was asked and when it
/// answered, and the fields of the delivered message in their order.
fn run(reads: &str) -> (Vec<(Seen, Seen)>, Vec<String>) {
    let next_hop = NextHop::start();
    let sinks: Vec<Sink> = (0..5)
        .map(|n| Sink::start(&[&format!("message=add-header:X-Sink-{n}")]))
        .collect();
    let mut setup =
        Setup::default().domain("example.test", &format!("smtp://{}", next_hop.address()));
    for (n, sink) in sinks.iter().enumerate() {
        setup = setup.with(&sink.table(&format!("sink-{n}"))).with(&format!(
            "[[binding]]\nname = \"sink-{n}\"\nsink = \"sink-{n}\"\nevents = [\"inbound.message\"]\n\
             may = [\"headers:X-Sink-*\"]\nreads = [{reads}]\nbody = \"headers\""
        ));
    }
    let gateway = setup.start();
    let mut client = Client::ready(gateway.smtp());
    assert_eq!(
        client
            .deliver("a@example.org", &["b@example.test"], CONTENT)
            .code,
        250
    );
    let received = next_hop.wait_for(1, LIMIT);
    let fields = received
        .first()
        .unwrap()
        .text()
        .lines()
        .filter(|line| line.starts_with("X-Sink-"))
        .map(str::to_owned)
        .collect();
    let times = sinks
        .iter()
        .map(|sink| {
            let seen = sink.seen();
            let of = |what| {
                seen.iter()
                    .find(|s| s.what == what && s.name == "message")
                    .unwrap()
                    .clone()
            };
            (of("asked"), of("answered"))
        })
        .collect();
    (times, fields)
}

#[test]
fn sinks_that_do_not_read_what_others_write_are_asked_at_once_with_the_same_outcome() {
    let (times, fields) = run("\"headers:Subject\"");
    let last_asked = times.iter().map(|(asked, _)| asked.at_us).max().unwrap();
    let first_answered = times
        .iter()
        .map(|(_, answered)| answered.at_us)
        .min()
        .unwrap();
    assert!(last_asked < first_answered, "{times:?}");

    let (times, in_turn) = run("\"headers\"");
    for pair in times.windows(2) {
        let [(_, before), (after, _)] = pair else {
            unreachable!()
        };
        assert!(before.at_us <= after.at_us, "{times:?}");
    }
    assert_eq!(fields, in_turn);
    assert_eq!(fields.len(), 5);
    // Each put its field before those of its predecessors.
    assert!(fields.first().unwrap().starts_with("X-Sink-4"));
}

#[test]
fn a_refusal_of_an_earlier_binding_wins_whoever_answers_first() {
    let next_hop = NextHop::start();
    let slow = Sink::start(&["rcpt=delay:200"]);
    let quick = Sink::start(&["rcpt=reject"]);
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&slow.table("slow"))
        .with(&quick.table("quick"))
        .with("[[binding]]\nname = \"slow\"\nsink = \"slow\"\nevents = [\"inbound.rcpt\"]\nmay = []\npriority = 1")
        .with("[[binding]]\nname = \"quick\"\nsink = \"quick\"\nevents = [\"inbound.rcpt\"]\nmay = []\npriority = 2")
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 550);
    slow.wait_asked("rcpt", 1, LIMIT);
    assert_eq!(
        slow.asked("rcpt"),
        1,
        "asked at the same time, though it is slower"
    );
}

#[test]
fn a_pipelined_group_of_recipients_is_asked_before_any_answer() {
    let next_hop = NextHop::start();
    let sink = Sink::with(&["rcpt=delay:200"], &["--instances", "100"]);
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("slow"))
        .with(
            "[[binding]]\nname = \"slow\"\nsink = \"slow\"\nevents = [\"inbound.rcpt\"]\nmay = []",
        )
        .start();
    let mut client = Client::ready(gateway.smtp());
    let mut group = String::from("MAIL FROM:<a@example.org>\r\n");
    for n in 0..20 {
        group.push_str(&format!("RCPT TO:<user{n}@example.test>\r\n"));
    }
    client.send(group);
    for _ in 0..21 {
        assert_eq!(client.reply().code, 250);
    }
    let seen = sink.seen();
    let last_asked = seen
        .iter()
        .rposition(|s| s.what == "asked" && s.name == "rcpt")
        .unwrap();
    let first_answered = seen
        .iter()
        .position(|s| s.what == "answered" && s.name == "rcpt")
        .unwrap();
    assert!(last_asked < first_answered, "{seen:?}");
}

#[test]
fn a_rule_that_does_not_match_costs_no_question() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["rcpt=reject"]);
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("picky"))
        .with(
            "[[binding]]\nname = \"picky\"\nsink = \"picky\"\nevents = [\"inbound.rcpt\"]\nmay = []\n\
             rule = \"RCPT TO=refused*\"",
        )
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("RCPT TO:<REFUSED-one@example.test>", 550);
    // What a sink prints is read behind its answer.
    sink.wait_asked("rcpt", 1, LIMIT);
    assert_eq!(sink.asked("rcpt"), 1);
}
