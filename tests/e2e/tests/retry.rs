//! Delivery that does not succeed: given back when it is too old, in plain text where TLS fails.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::{Manners, NextHop};

const LIMIT: Duration = Duration::from_secs(25);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

fn send(gateway: &Gateway) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
}

#[test]
fn what_is_too_old_comes_back_as_a_report() {
    let next_hop = NextHop::with(Manners {
        recipients: vec![("b@", "450 4.2.2 mailbox full")],
        ..Manners::default()
    });
    let target = format!("smtp://{}", next_hop.address());
    let gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]\nexpire = \"3s\"")
        .domain("example.test", &target)
        .domain("sender.test", &target)
        .start();
    send(&gateway);
    let received = next_hop.wait_for(1, LIMIT);
    let report = received.first().unwrap();
    assert!(report.sender.starts_with("<>"), "{report:?}");
    assert_eq!(report.recipients, ["<me@sender.test>"]);
    let text = report.text();
    for part in [
        "Final-Recipient: rfc822; b@example.test",
        "Action: failed",
        "Diagnostic-Code: smtp; 450 4.2.2 mailbox full",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(
        text.contains("Status: 4.4.7") || text.contains("Status: 5.4.7"),
        "{text}"
    );
}

#[test]
fn a_handshake_that_fails_is_followed_by_plain_text_on_another_connection() {
    for starttls in ["220 2.0.0 go on", "454 4.7.0 not now"] {
        let next_hop = NextHop::with(Manners {
            keywords: vec!["PIPELINING", "8BITMIME", "STARTTLS"],
            starttls,
            ..Manners::default()
        });
        let gateway = Setup::default()
            .domain("example.test", &format!("smtp://{}", next_hop.address()))
            .start();
        send(&gateway);
        let received = next_hop.wait_for(1, LIMIT);
        let message = received.first().unwrap();
        assert_eq!(message.from_line("From:").unwrap(), CONTENT);
        if starttls.starts_with("220") {
            assert!(
                message.connection > 0,
                "nothing is said in plain text behind a handshake"
            );
        }
    }
}
