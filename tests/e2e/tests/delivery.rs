//! From the 250 to the next hop: byte for byte, again when it fails, a report when it fails for good.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Setup, free_address};
use postern_e2e::next_hop::{Manners, NextHop};

const LIMIT: Duration = Duration::from_secs(20);

/// Dots at the start of lines, blanks at their ends, eight-bit octets, an empty last line.
const CONTENT: &[u8] = b"From: a@example.org\r\nTo: b@example.test\r\nSubject:  odd   spacing \r\n\
X-Folded: one\r\n\ttwo\r\n\r\n.\r\n..two dots\r\n.dot\r\ntrailing blanks  \t\r\n\
\xc3\xa9\xe2\x82\xac\r\n\r\n";

#[test]
fn content_arrives_byte_for_byte_behind_one_trace_field() {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver(
        "a@example.org",
        &["b@example.test", "c@example.test"],
        CONTENT,
    );
    assert_eq!(reply.code, 250, "{reply:?}");

    let received = next_hop.wait_for(1, LIMIT);
    let message = received.first().unwrap();
    assert!(message.sender.starts_with("<a@example.org>"), "{message:?}");
    assert_eq!(message.recipients.len(), 2, "one transaction for both");
    assert!(
        message
            .text()
            .starts_with("Received: from client.example.test")
    );
    assert_eq!(message.from_line("From: a@example.org").unwrap(), CONTENT);
    assert_eq!(message.text().matches("Received: ").count(), 1);
}

#[test]
fn a_priority_is_passed_on_to_a_hop_that_offers_it() {
    for (keyword, said) in [
        ("MT-PRIORITY", true),
        ("MT-PRIORITY STANAG4406", true),
        ("DSN", false),
    ] {
        let next_hop = NextHop::with(Manners {
            keywords: vec!["PIPELINING", keyword],
            ..Manners::default()
        });
        let gateway = Setup::default()
            .server("priority_from = [\"127.0.0.0/8\"]")
            .domain("example.test", &format!("smtp://{}", next_hop.address()))
            .start();
        let mut client = Client::ready(gateway.smtp());
        for (count, priority) in [(1, -3), (2, 9), (3, 0)] {
            client.expect(
                &format!("MAIL FROM:<a@example.org> MT-PRIORITY={priority}"),
                250,
            );
            client.expect("RCPT TO:<b@example.test>", 250);
            client.expect("DATA", 354);
            client.send("Subject: x\r\n\r\nbody\r\n");
            client.expect(".", 250);
            let received = next_hop.wait_for(count, LIMIT);
            let sender = &received.last().unwrap().sender;
            let found = sender.contains(&format!(" MT-PRIORITY={priority}"));
            assert_eq!(found, said && priority != 0, "{keyword}: {sender}");
            assert_eq!(sender.contains("MT-PRIORITY"), found, "{sender}");
        }
    }
}

#[test]
fn a_connection_is_used_again() {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    for n in 1..=10 {
        let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250);
        // One after the other, so that there is always an idle connection.
        next_hop.wait_for(n, LIMIT);
    }
    assert!(
        next_hop.connections() <= 3,
        "{} connections",
        next_hop.connections()
    );
}

#[test]
fn what_the_next_hop_puts_off_is_tried_again_also_after_a_restart() {
    let next_hop = NextHop::with(Manners {
        recipients: vec![("b@", "450 4.2.0 not now")],
        ..Manners::default()
    });
    let mut gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver(
        "a@example.org",
        &["b@example.test", "c@example.test"],
        CONTENT,
    );
    assert_eq!(reply.code, 250);
    // The other recipient is not kept waiting.
    let first = next_hop.wait_for(1, LIMIT);
    assert_eq!(first.first().unwrap().recipients, ["<c@example.test>"]);

    drop(client);
    assert!(gateway.stop(LIMIT).success());
    next_hop.behave(Manners::default());
    gateway.start();
    let received = next_hop.wait_for(2, LIMIT);
    assert_eq!(received.get(1).unwrap().recipients, ["<b@example.test>"]);
}

#[test]
fn what_fails_for_good_comes_back_as_a_report() {
    let next_hop = NextHop::with(Manners {
        recipients: vec![("nobody@", "550 5.1.1 no such user")],
        ..Manners::default()
    });
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("sender.test", &format!("smtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &["nobody@example.test"], CONTENT);
    assert_eq!(reply.code, 250);

    let received = next_hop.wait_for(1, LIMIT);
    let report = received.first().unwrap();
    assert!(report.sender.starts_with("<>"), "{report:?}");
    assert_eq!(report.recipients, ["<me@sender.test>"]);
    let text = report.text();
    for part in [
        "Content-Type: multipart/report; report-type=delivery-status",
        "Auto-Submitted: auto-replied",
        "Reporting-MTA: dns; mx.example.test",
        "Final-Recipient: rfc822; nobody@example.test",
        "Action: failed",
        "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn a_report_that_cannot_be_delivered_makes_no_other_report() {
    let next_hop = NextHop::with(Manners {
        recipients: vec![("@", "550 5.1.1 nobody here")],
        ..Manners::default()
    });
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("sender.test", &format!("smtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &["nobody@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    // The spool empties: neither the message nor its report is left.
    let until = Instant::now() + LIMIT;
    while !spool_is_empty(&gateway) {
        assert!(Instant::now() < until, "{}", gateway.http("/metrics").1);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(next_hop.count(), 0);
}

fn spool_is_empty(gateway: &postern_e2e::gateway::Gateway) -> bool {
    let metrics = gateway.http("/metrics").1;
    let mut lines = metrics
        .lines()
        .filter(|l| l.starts_with("postern_spool_messages{"))
        .peekable();
    lines.peek().is_some() && lines.all(|line| line.ends_with(" 0"))
}

#[test]
fn lmtp_has_an_answer_for_each_recipient() {
    let next_hop = NextHop::with(Manners {
        lmtp: true,
        ..Manners::default()
    });
    let gateway = Setup::default()
        .domain("example.test", &format!("lmtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver(
        "a@example.org",
        &["b@example.test", "c@example.test"],
        CONTENT,
    );
    assert_eq!(reply.code, 250);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(
        received
            .first()
            .unwrap()
            .from_line("From: a@example.org")
            .unwrap(),
        CONTENT
    );
}

#[test]
fn a_maildir_gets_the_message_with_its_return_path() {
    let setup = Setup::default();
    let maildir = setup.folder().join("mail");
    let gateway = setup
        .domain("example.test", "maildir:{dir}/mail/{user}")
        .start();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    let file = wait_for_file(&maildir.join("b/new"));
    let text = fs::read(file).unwrap();
    assert!(text.starts_with(b"Return-Path: <a@example.org>\r\nDelivered-To: b@example.test\r\n"));
    assert!(text.ends_with(CONTENT));
    assert!(
        fs::read_dir(maildir.join("b/tmp"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn a_user_name_does_not_lead_out_of_the_maildir() {
    let setup = Setup::default();
    let folder = setup.folder().to_path_buf();
    let gateway = setup
        .domain("example.test", "maildir:{dir}/mail/{user}")
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<>", 250);
    // Accepted or refused, it must not be written outside.
    let reply = client.command("RCPT TO:<\"../../escaped\"@example.test>");
    if reply.code == 250 {
        client.expect("DATA", 354);
        client.send("Subject: x\r\n\r\nx\r\n.\r\n");
        assert!(client.reply().code >= 250);
    }
    client.expect("RSET", 250);
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    wait_for_file(&folder.join("mail/b/new"));
    assert!(!folder.join("escaped").exists() && !folder.join("../escaped").exists());
}

fn wait_for_file(folder: &Path) -> std::path::PathBuf {
    let until = Instant::now() + LIMIT;
    loop {
        let found = fs::read_dir(folder)
            .ok()
            .and_then(|mut entries| entries.next()?.ok());
        if let Some(entry) = found {
            return entry.path();
        }
        assert!(Instant::now() < until, "nothing in {}", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_next_hop_that_is_away_costs_nothing_but_time() {
    let away = free_address();
    let gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{away}"))
        .start();
    let mut client = Client::ready(gateway.smtp());
    for _ in 0..20 {
        let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250);
    }
    assert!(!spool_is_empty(&gateway));
}

#[test]
fn only_served_domains_are_taken_from_strangers() {
    let gateway = Setup::default()
        .server("relay_from = []")
        .domain("example.test", "smtp://127.0.0.1:9")
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.test>", 250);
    for foreign in [
        "b@example.org",
        "b%example.org@elsewhere.test",
        "@example.test:b@example.org",
        "\"b@example.test\"@example.org",
        "b@notexample.test",
        "b@sub.example.test",
        "b@example.test.",
        "b@[127.0.0.1]",
    ] {
        let reply = client.command(&format!("RCPT TO:<{foreign}>"));
        assert!((500..600).contains(&reply.code), "{foreign}: {reply:?}");
    }
    client.expect("RCPT TO:<b@EXAMPLE.test>", 250);
}
