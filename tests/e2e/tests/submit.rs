//! `transport.submit` on the running gateway: verdicts on a message that is accepted already.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

/// One binding for each sink, in order, at `transport.submit`; each may do everything that it needs.
fn set_up(next_hop: &NextHop, sinks: &[(&str, &Sink)]) -> Gateway {
    let target = format!("smtp://{}", next_hop.address());
    let mut setup = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &target)
        .domain("sender.test", &target);
    for (name, sink) in sinks {
        setup = setup.with(&sink.table(name)).with(&format!(
            "[[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nevents = [\"transport.submit\"]\n\
             may = [\"headers:X-*\", \"recipients\", \"discard\", \"quarantine\", \"hold\"]\nbody = \"headers\"\n\
             when = 'message.origin == \"smtp\"'"
        ));
    }
    setup.start()
}

fn send(gateway: &Gateway) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn wait_spooled(gateway: &Gateway, stage: &str, count: u64) {
    let until = Instant::now() + LIMIT;
    while gateway.spooled(stage) != count {
        assert!(Instant::now() < until, "{}", gateway.http("/metrics").1);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_refusal_makes_a_report_to_the_sender() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["submit=reject"]);
    let gateway = set_up(&next_hop, &[("sink", &sink)]);
    send(&gateway);
    let received = next_hop.wait_for(1, LIMIT);
    let report = received.first().unwrap();
    assert!(report.sender.starts_with("<>"), "{report:?}");
    assert_eq!(report.recipients, ["<me@sender.test>"]);
    let text = report.text();
    for part in [
        "Final-Recipient: rfc822; b@example.test",
        "Action: failed",
        "Status: 5.7.1",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn what_is_put_off_is_asked_again_with_the_number_of_the_attempt() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["submit=tempfail-before:4"]);
    let gateway = set_up(&next_hop, &[("sink", &sink)]);
    send(&gateway);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(
        received.first().unwrap().from_line("From:").unwrap(),
        CONTENT
    );
    let history = sink.history();
    assert_eq!(history, ["submit", "submit attempt=2", "submit attempt=4"]);
}

#[test]
fn a_held_message_goes_on_from_the_binding_that_held_it() {
    let next_hop = NextHop::start();
    let first = Sink::start(&["submit=add-header:X-First"]);
    let second = Sink::start(&["submit=hold"]);
    let gateway = set_up(&next_hop, &[("first", &first), ("second", &second)]);
    send(&gateway);
    // Asked again by itself, and held again.
    second.wait_asked("submit", 2, LIMIT);
    assert_eq!(next_hop.count(), 0);
    let endpoint = second.endpoint();
    drop(second);
    let again = Sink::at(&endpoint, &["submit=add-header:X-Second"]);
    let received = next_hop.wait_for(1, LIMIT);
    let text = received.first().unwrap().text();
    assert_eq!(text.matches("X-First: seen").count(), 1, "{text}");
    assert_eq!(text.matches("X-Second: seen").count(), 1, "{text}");
    assert_eq!(first.asked("submit"), 1, "what was decided stays decided");
    again.wait_asked("submit", 1, LIMIT);
}

#[test]
fn quarantine_keeps_and_discard_drops_on_record() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["submit=quarantine"]);
    let mut gateway = set_up(&next_hop, &[("sink", &sink)]);
    send(&gateway);
    wait_spooled(&gateway, "quarantined", 1);
    gateway.kill();
    gateway.start();
    assert_eq!(gateway.spooled("quarantined"), 1);
    assert_eq!(next_hop.count(), 0);

    let sink = Sink::start(&["submit=discard"]);
    let gateway = set_up(&next_hop, &[("sink", &sink)]);
    send(&gateway);
    sink.wait_asked("submit", 1, LIMIT);
    for stage in ["submit", "deliver", "held", "quarantined"] {
        wait_spooled(&gateway, stage, 0);
    }
    assert_eq!(next_hop.count(), 0);
}

#[test]
fn recipients_are_changed_once_also_when_a_later_sink_puts_off() {
    let next_hop = NextHop::start();
    let adds = Sink::start(&["submit=add-recipient:z@example.test"]);
    let waits = Sink::start(&["submit=tempfail-before:4"]);
    let gateway = set_up(&next_hop, &[("adds", &adds), ("waits", &waits)]);
    send(&gateway);
    let received = next_hop.wait_for(1, LIMIT);
    let mut recipients = received.first().unwrap().recipients.clone();
    recipients.sort();
    assert_eq!(recipients, ["<b@example.test>", "<z@example.test>"]);
}
