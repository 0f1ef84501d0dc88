//! Mail that waits: its sender is told so, once and truly.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::{Manners, NextHop};

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: my own words\r\n\r\nthe body\r\n";

/// A hop whose mailboxes are full, those that are called quick excepted.
fn slow() -> NextHop {
    NextHop::with(Manners {
        recipients: vec![("slow", "450 4.2.2 mailbox full")],
        ..Manners::default()
    })
}

fn gateway(next_hop: &NextHop, senders: &NextHop, queue: &str) -> Gateway {
    Setup::default()
        .with(&format!("[queue]\nretry = [\"1s\"]\n{queue}"))
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start()
}

/// Waits until so many more attempts were put off.
fn wait_for_attempts(gateway: &Gateway, more: usize) {
    let count = || gateway.log().matches("deferred").count();
    let (before, until) = (count(), Instant::now() + LIMIT);
    while count() < before + more {
        assert!(Instant::now() < until, "{}", gateway.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_sender_is_told_once_also_over_a_restart_and_nobody_behind_a_null_path() {
    let (next_hop, senders) = (slow(), NextHop::start());
    let mut gateway = gateway(&next_hop, &senders, "warn_after = \"3s\"");
    let begun = Instant::now();
    let mut client = Client::ready(gateway.smtp());
    let both = ["slow@example.test", "quick@example.test"];
    for (sender, recipients) in [("me@sender.test", &both[..]), ("", &both[..1])] {
        let reply = client.deliver(sender, recipients, CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
    }
    let received = senders.wait_for(1, LIMIT);
    assert!(begun.elapsed() >= Duration::from_secs(3));
    let report = received.first().unwrap();
    assert!(report.sender.starts_with("<>"), "{report:?}");
    assert_eq!(report.recipients, ["<me@sender.test>"]);
    let text = report.text();
    for part in [
        "\r\nSubject: Mail is delayed\r\n",
        "\r\nAuto-Submitted: auto-replied\r\n",
        "You need not send your message again.",
        "\r\n<slow@example.test>\r\n",
        "\r\nFinal-Recipient: rfc822; slow@example.test\r\nAction: delayed\r\nStatus: 4.2.2\r\n",
        "\r\nDiagnostic-Code: smtp; 450 4.2.2 mailbox full\r\n",
        "\r\nWill-Retry-Until: ",
        "\r\nSubject: my own words\r\n",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    for part in ["quick", "failed", "the body"] {
        assert!(!text.contains(part), "{part:?} in\n{text}");
    }
    assert_eq!(gateway.metric("postern_delay_notifications_total"), 1);
    wait_for_attempts(&gateway, 4);
    gateway.kill();
    gateway.start();
    wait_for_attempts(&gateway, 4);
    next_hop.behave(Manners::default());
    next_hop.wait_for(3, LIMIT);
    assert_eq!((next_hop.count(), senders.count()), (3, 1));
    assert_eq!(gateway.metric("postern_delay_notifications_total"), 0);
}

#[test]
fn who_does_not_want_to_hear_of_delays_does_not() {
    let (next_hop, senders) = (slow(), NextHop::start());
    let gateway = gateway(&next_hop, &senders, "warn_after = \"2s\"");
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<me@sender.test> RET=FULL", 250);
    for notify in ["DELAY", "FAILURE", "NEVER", "SUCCESS,DELAY", "SUCCESS"] {
        let name = notify.replace(',', "-").to_lowercase();
        client.expect(
            &format!("RCPT TO:<slow-{name}@example.test> NOTIFY={notify}"),
            250,
        );
    }
    client.expect("DATA", 354);
    client.send(CONTENT);
    client.expect(".", 250);
    let text = senders.wait_for(1, LIMIT).first().unwrap().text();
    for (name, told) in [
        ("delay", true),
        ("failure", false),
        ("never", false),
        ("success-delay", true),
        ("success", false),
    ] {
        let field = format!("Final-Recipient: rfc822; slow-{name}@example.test\r\n");
        assert_eq!(text.contains(&field), told, "{name} in\n{text}");
    }
    assert!(
        !text.contains("the body"),
        "all of it comes back with a failure alone:\n{text}"
    );
    wait_for_attempts(&gateway, 10);
    assert_eq!(senders.count(), 1);
}

#[test]
fn where_it_is_given_up_first_there_is_no_warning() {
    let (next_hop, senders) = (slow(), NextHop::start());
    let times = "warn_after = \"3s\"\nexpire = \"3s\"";
    let gateway = gateway(&next_hop, &senders, times);
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &["slow@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
    let text = senders.wait_for(1, LIMIT).first().unwrap().text();
    assert!(text.contains("\r\nAction: failed\r\n"), "{text}");
    assert_eq!(senders.count(), 1);
    assert_eq!(gateway.metric("postern_delay_notifications_total"), 0);
}
