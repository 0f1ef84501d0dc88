//! Ends of a chain, discards and edits: applied where they are granted, the sink's failure where not.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::chain::set_up;
use postern_e2e::client::Client;
use postern_e2e::gateway::Gateway;
use postern_e2e::next_hop::{NextHop, Received};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// One sink at one event.
fn one(next_hop: &NextHop, sink: &Sink, event: &str, may: &str) -> Gateway {
    let keys = format!("may = [{may}]\nbody = \"full\"");
    set_up(
        next_hop,
        &[("sink", sink, &format!("\"inbound.{event}\""), &keys)],
    )
}

fn send(gateway: &Gateway) -> u16 {
    let mut client = Client::ready(gateway.smtp());
    let recipients = ["b@example.test", "c@example.test"];
    client.deliver("a@example.org", &recipients, CONTENT).code
}

fn arrived(next_hop: &NextHop) -> Received {
    next_hop.wait_for(1, LIMIT).first().unwrap().clone()
}

#[test]
fn finish_ends_the_chain_where_it_is_granted() {
    for (may, code, asked) in [("\"finish\"", 250, 0), ("", 451, 0)] {
        let first = Sink::start(&["rcpt=finish"]);
        let second = Sink::start(&["rcpt=reject"]);
        let bound = "\"inbound.rcpt\"";
        let keys = format!("may = [{may}]\nreads = [\"recipients\", \"properties\"]");
        let gateway = set_up(
            &NextHop::start(),
            &[
                ("first", &first, bound, &keys),
                ("second", &second, bound, "may = []"),
            ],
        );
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        client.expect("RCPT TO:<b@example.test>", code);
        // The second one may have been asked at the same time; what it says is not reached.
        assert!(second.asked("rcpt") >= asked);
    }
}

#[test]
fn finish_for_the_message_skips_its_later_events() {
    let next_hop = NextHop::start();
    let first = Sink::start(&["mail=finish-message"]);
    let second = Sink::start(&["rcpt=reject", "message=reject"]);
    let gateway = set_up(
        &next_hop,
        &[
            ("first", &first, "\"inbound.mail\"", "may = [\"finish\"]"),
            (
                "second",
                &second,
                "\"inbound.rcpt\", \"inbound.message\"",
                "may = []\nbody = \"full\"",
            ),
        ],
    );
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    assert_eq!(second.asked("rcpt") + second.asked("message"), 0);
    next_hop.wait_for(1, LIMIT);
}

#[test]
fn what_a_sink_puts_first_stands_above_our_own_trace() {
    for event in ["headers", "message"] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("{event}=add-header:X-Seen")]);
        let gateway = one(&next_hop, &sink, event, "\"headers:X-*\"");
        assert_eq!(send(&gateway), 250);
        let received = next_hop.wait_for(1, LIMIT);
        let text = received.first().unwrap().text();
        assert!(
            text.starts_with("X-Seen: seen\r\nReceived: from "),
            "{event}: {text}"
        );
    }
}

#[test]
fn what_spares_a_message_needs_its_grant() {
    for (event, decision, word, stage) in [
        ("message", "quarantine", "quarantine", "quarantined"),
        ("headers", "quarantine", "quarantine", "quarantined"),
        ("message", "hold", "hold", "held"),
        ("message", "discard", "discard", ""),
    ] {
        for (may, code) in [(format!("\"{word}\""), 250), (String::new(), 451)] {
            let next_hop = NextHop::start();
            let first = Sink::start(&[&format!("{event}={decision}")]);
            let gateway = one(&next_hop, &first, event, &may);
            assert_eq!(send(&gateway), code, "{decision} at {event}, may = [{may}]");
            if !stage.is_empty() {
                assert_eq!(gateway.spooled(stage), u64::from(code == 250), "{decision}");
            }
            assert_eq!(next_hop.count(), 0);
        }
    }
}

#[test]
fn discard_takes_the_message_and_keeps_nothing_where_it_is_granted() {
    for (may, code) in [("\"discard\"", 250), ("", 451)] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&["message=discard"]);
        let gateway = one(&next_hop, &sink, "message", may);
        assert_eq!(send(&gateway), code, "{may}");
        for stage in ["submit", "deliver", "held", "quarantined"] {
            assert_eq!(gateway.spooled(stage), 0);
        }
        assert_eq!(next_hop.count(), 0);
    }
}

#[test]
fn edits_of_the_envelope_where_they_are_granted() {
    let both = ["<b@example.test>", "<c@example.test>"];
    let edits: [(&str, &str, &str, &str, &[&str]); 7] = [
        (
            "mail",
            "set-sender:new@example.org",
            "sender",
            "<new@example.org>",
            &both,
        ),
        (
            "message",
            "set-sender:new@example.org",
            "sender",
            "<new@example.org>",
            &both,
        ),
        ("message", "set-sender:", "sender", "<>", &both),
        (
            "rcpt:b@",
            "rewrite-recipient:z@other.test",
            "recipients",
            "<a@example.org>",
            &["<c@example.test>", "<z@other.test>"],
        ),
        (
            "message",
            "remove-recipient:b@",
            "recipients",
            "<a@example.org>",
            &["<c@example.test>"],
        ),
        (
            "message",
            "add-recipient:z@other.test",
            "recipients",
            "<a@example.org>",
            &["<b@example.test>", "<c@example.test>", "<z@other.test>"],
        ),
        (
            "message",
            "replace-recipients:z@other.test",
            "recipients",
            "<a@example.org>",
            &["<z@other.test>"],
        ),
    ];
    for (event, action, grant, sender, recipients) in edits {
        let rule = format!("{event}={action}");
        let event = event.split(':').next().unwrap();
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&rule]);
        let gateway = one(&next_hop, &sink, event, &format!("\"{grant}\""));
        assert_eq!(send(&gateway), 250, "{rule}\n{}", gateway.log());
        let message = arrived(&next_hop);
        assert!(message.sender.starts_with(sender), "{rule}: {message:?}");
        let mut found = message.recipients.clone();
        found.sort();
        assert_eq!(found, recipients, "{rule}");
        assert_eq!(message.from_line("From: a@").unwrap(), CONTENT);
    }
}

#[test]
fn edits_that_were_not_granted_are_the_failure_of_the_sink() {
    for (event, action) in [
        ("mail", "set-sender:new@example.org"),
        ("rcpt", "rewrite-recipient:z@example.test"),
        ("message", "add-recipient:z@example.test"),
        ("message", "add-header:X-Sink"),
        ("message", "splice:hello"),
    ] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("{event}={action}")]);
        // Some grant, but not the one that it takes.
        let gateway = one(&next_hop, &sink, event, "\"headers:X-Other\"");
        let mut client = Client::ready(gateway.smtp());
        let mail = client.command("MAIL FROM:<a@example.org>");
        let rcpt = client.command("RCPT TO:<b@example.test>");
        let end = if rcpt.code == 250 {
            client.expect("DATA", 354);
            client.send("Subject: x\r\n\r\nx\r\n.\r\n");
            client.reply().code
        } else {
            0
        };
        let code = match event {
            "mail" => mail.code,
            "rcpt" => rcpt.code,
            _ => end,
        };
        assert_eq!(code, 451, "{event}={action}");
        assert_eq!(next_hop.count(), 0);
    }
}

#[test]
fn a_body_is_edited_where_the_sink_says() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["message=splice:hello"]);
    let gateway = one(&next_hop, &sink, "message", "\"body\"");
    assert_eq!(send(&gateway), 250);
    let text = arrived(&next_hop).text();
    assert!(
        text.ends_with("Subject: x\r\n\r\nhello\r\nbody\r\n"),
        "{text}"
    );
}

#[test]
fn properties_reach_only_those_who_read_them() {
    let next_hop = NextHop::start();
    let writes = Sink::start(&["message=property:score=7"]);
    let reads = Sink::start(&[]);
    let blind = Sink::start(&[]);
    let event = "\"inbound.message\"";
    let gateway = set_up(
        &next_hop,
        &[
            ("writes", &writes, event, "may = []\nbody = \"headers\""),
            (
                "reads",
                &reads,
                event,
                "may = []\nbody = \"headers\"\nreads = [\"properties:writes\"]",
            ),
            (
                "blind",
                &blind,
                event,
                "may = []\nbody = \"headers\"\nreads = [\"headers\"]",
            ),
        ],
    );
    assert_eq!(send(&gateway), 250);
    reads.wait_seen("message", "writes.score=7", LIMIT);
    assert!(
        !blind
            .wait_seen("message", "", LIMIT)
            .detail
            .contains("score")
    );
}
