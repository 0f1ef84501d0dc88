//! What a message needs of its way, and what a way cannot take: converted, or back to its sender.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use postern_e2e::chain::set_up;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::{Manners, NextHop, Received};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const EIGHT_BIT: &[u8] = "From: a\r\nTo: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n.\r\n".as_bytes();
const SMALL: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// A gateway that sends everything to one next hop.
fn to(next_hop: &NextHop, more: &str) -> Gateway {
    Setup::default()
        .with(&format!(
            "[outbound]\ndeliver = \"smtp://{}\"\n{more}",
            next_hop.address()
        ))
        .server("relay_from = [\"127.0.0.0/8\"]")
        .start()
}

fn seven_bits(recipients: Vec<(&'static str, &'static str)>) -> NextHop {
    NextHop::with(Manners {
        keywords: vec!["PIPELINING", "SIZE 104857600"],
        recipients,
        ..Manners::default()
    })
}

fn send(gateway: &Gateway, recipients: &[&str], content: &[u8]) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", recipients, content);
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn arrived(next_hop: &NextHop) -> Received {
    next_hop.wait_for(1, LIMIT).first().unwrap().clone()
}

#[test]
fn eight_bits_go_encoded_to_who_takes_seven() {
    let next_hop = seven_bits(Vec::new());
    let gateway = to(&next_hop, "");
    send(&gateway, &["b@x.test"], EIGHT_BIT);
    let message = arrived(&next_hop);
    assert!(message.sender.starts_with("<me@sender.test>") && !message.sender.contains("BODY"));
    assert!(message.content.is_ascii());
    let text = message.text();
    assert!(
        text.contains("\r\nContent-Transfer-Encoding: quoted-printable\r\n"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nGr=C3=BC=C3=9Fe\r\n.\r\n"), "{text}");
}

#[test]
fn no_line_over_998_octets_leaves_and_all_of_them_arrive() {
    let content = format!(
        "From: a\r\nX-Words: {}\r\n\r\n{}\r\n",
        "word ".repeat(500),
        "z".repeat(60_000)
    );
    for keywords in [
        vec!["PIPELINING", "8BITMIME"],
        vec!["PIPELINING", "8BITMIME", "CHUNKING"],
    ] {
        let next_hop = NextHop::with(Manners {
            keywords,
            ..Manners::default()
        });
        let gateway = to(&next_hop, "");
        send(&gateway, &["b@x.test"], content.as_bytes());
        let text = arrived(&next_hop).text();
        assert!(text.split("\r\n").all(|line| line.len() <= 998));
        assert!(text.replace("=\r\n", "").contains(&"z".repeat(60_000)));
        assert!(
            text.replace("\r\n ", " ")
                .contains(&"word ".repeat(500).trim_end().to_owned())
        );
    }
}

#[test]
fn who_does_not_want_conversion_gets_the_message_back() {
    let next_hop = seven_bits(Vec::new());
    let gateway = to(&next_hop, "convert = false");
    send(&gateway, &["b@x.test"], EIGHT_BIT);
    let report = arrived(&next_hop);
    assert_eq!(report.recipients, ["<me@sender.test>"]);
    assert!(
        report.text().contains("Status: 5.6.2\r\n") && report.content.is_ascii(),
        "{report:?}"
    );
}

#[test]
fn what_is_signed_comes_back_over_the_way_that_did_not_take_it() {
    let next_hop = seven_bits(Vec::new());
    let gateway = to(&next_hop, "");
    let signed = "From: a\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nGr\u{fc}\u{df}e\r\n--s--\r\n";
    send(&gateway, &["b@x.test"], signed.as_bytes());
    let report = arrived(&next_hop);
    assert_eq!(report.recipients, ["<me@sender.test>"]);
    let text = report.text();
    assert!(
        text.contains("Status: 5.6.3\r\n") && text.contains("signed or encrypted"),
        "{text}"
    );
}

/// The address that a sink has made of it is in no part of the report, not even in the reply of the host that refused it.
#[test]
fn a_report_names_the_address_that_the_sender_used() {
    let refusal = vec![("secret", "550 5.1.1 <secret.person@other.test> unknown")];
    let sink = Sink::start(&["rcpt:b@=rewrite-recipient:secret.person@other.test"]);
    let next_hop = seven_bits(refusal.clone());
    let gateway = bound(&next_hop, &sink, "inbound.rcpt");
    send(&gateway, &["b@example.test"], SMALL);
    let text = arrived(&next_hop).text();
    assert!(!text.contains("secret"), "{text}");
    assert!(
        text.contains("Final-Recipient: rfc822; b@example.test\r\n"),
        "{text}"
    );

    // Neither where it was replaced; and who wanted to hear nothing hears nothing.
    let sink = Sink::start(&["message=replace-recipients:secret.person@other.test"]);
    let next_hop = seven_bits(refusal);
    let gateway = bound(&next_hop, &sink, "inbound.message");
    let mut client = Client::ready(gateway.smtp());
    for (parameters, told) in [
        (" NOTIFY=NEVER", false),
        (" ORCPT=rfc822;first@example.test", true),
    ] {
        client.expect("MAIL FROM:<me@sender.test>", 250);
        client.expect(&format!("RCPT TO:<b@example.test>{parameters}"), 250);
        client.expect("DATA", 354);
        client.send("Subject: x\r\n\r\nx\r\n.\r\n");
        assert_eq!(client.reply().code, 250);
        gateway.wait_for_line(LIMIT, |line| {
            line.contains("failed") && line.contains("secret")
        });
        if told {
            let text = arrived(&next_hop).text();
            assert!(!text.contains("secret"), "{text}");
            assert!(
                text.contains("Original-Recipient: rfc822;first@example.test\r\n"),
                "{text}"
            );
            assert!(
                text.contains("Final-Recipient: rfc822; b@example.test\r\n"),
                "{text}"
            );
        } else {
            let until = Instant::now() + LIMIT;
            while gateway.spooled("deliver") + gateway.spooled("submit") > 0 {
                assert!(Instant::now() < until);
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(next_hop.count(), 0);
        }
    }
}

fn bound(next_hop: &NextHop, sink: &Sink, event: &str) -> Gateway {
    let to = format!("smtp://{}", next_hop.address());
    Setup::default()
        .domain("example.test", &to)
        .domain("other.test", &to)
        .domain("sender.test", &to)
        .with(&sink.table("sink"))
        .with(&format!(
            "[[binding]]\nname = \"sink\"\nsink = \"sink\"\nevents = [\"{event}\"]\nmay = [\"recipients\"]\nbody = \"full\""
        ))
        .start()
}

#[test]
fn a_report_of_many_recipients_is_smaller_than_the_message() {
    let next_hop = NextHop::with(Manners {
        recipients: vec![(
            "@x.test",
            "550 5.1.1 this is what the host has to say to each and every one of them",
        )],
        ..Manners::default()
    });
    let gateway = to(&next_hop, "");
    let names: Vec<_> = (0..900)
        .map(|n| format!("somebody.with.a.name.{n}@x.test"))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    send(&gateway, &names, SMALL);
    let report = arrived(&next_hop);
    assert!(report.content.len() < 64 * 1024, "{}", report.content.len());
    assert!(report.text().contains("more.\r\n"), "{}", report.text());
}

fn maildir(keys: &str) -> (Gateway, std::path::PathBuf) {
    let setup = Setup::default();
    let folder = setup.folder().join("mail");
    fs::create_dir_all(folder.join("joe")).unwrap();
    let gateway = setup
        .with(&format!("[[domain]]\nname = \"example.test\"\ndeliver = \"maildir:{{dir}}/mail/{{user}}\"\nline_ends = \"lf\"\n{keys}"))
        .start();
    (gateway, folder)
}

fn delivered(folder: &Path, count: usize) -> Vec<Vec<u8>> {
    let until = Instant::now() + LIMIT;
    loop {
        let entries = fs::read_dir(folder.join("new"))
            .into_iter()
            .flatten()
            .flatten();
        let files: Vec<_> = entries
            .map(|entry| fs::read(entry.path()).unwrap())
            .collect();
        if files.len() >= count {
            return files;
        }
        assert!(
            Instant::now() < until,
            "{} of {count} in {}",
            files.len(),
            folder.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn unknown_names_get_no_mailbox_unless_that_was_said() {
    let (gateway, folder) = maildir("recipients = \"any\"");
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<me@sender.test>", 250);
    for absent in [
        "bob@example.test",
        "a/b@example.test",
        "\".\"@example.test",
        "\"..\"@example.test",
    ] {
        let reply = client.expect(&format!("RCPT TO:<{absent}>"), 550);
        assert!(reply.text().starts_with("5.1.1"), "{reply:?}");
    }
    client.expect("RSET", 250);
    send(
        &gateway,
        &["JOE@example.test", "postmaster@example.test"],
        SMALL,
    );
    for (user, named) in [("joe", "JOE"), ("postmaster", "postmaster")] {
        let text = String::from_utf8(delivered(&folder.join(user), 1).remove(0)).unwrap();
        let lines = format!(
            "Return-Path: <me@sender.test>\nDelivered-To: {named}@example.test\nReceived: "
        );
        assert!(text.starts_with(&lines) && !text.contains('\r'), "{text:?}");
        assert!(
            text.ends_with("\nFrom: a@example.org\nSubject: x\n\nbody\n"),
            "{text:?}"
        );
    }
    assert!(!folder.join("bob").exists());
    // A mailbox that the operator makes is found.
    fs::create_dir(folder.join("bob")).unwrap();
    let until = Instant::now() + LIMIT;
    loop {
        // A session of its own: too many errors end one.
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<me@sender.test>", 250);
        if client.command("RCPT TO:<bob@example.test>").code == 250 {
            break;
        }
        assert!(Instant::now() < until, "bob is not found");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn addresses_that_no_mailbox_can_hold_are_refused_whoever_is_accepted() {
    for keys in [
        "recipients = \"any\"\ncreate = true",
        "recipients = { file = \"{dir}/who\" }",
    ] {
        let setup = Setup::default();
        fs::write(setup.folder().join("who"), "a/b\n\".\"\njoe\n").unwrap();
        let gateway = setup
            .with(&format!("[[domain]]\nname = \"example.test\"\ndeliver = \"maildir:{{dir}}/mail/{{user}}\"\n{keys}"))
            .start();
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<me@sender.test>", 250);
        for odd in ["a/b@example.test", "\".\"@example.test"] {
            let reply = client.expect(&format!("RCPT TO:<{odd}>"), 550);
            assert!(reply.text().starts_with("5.1.1"), "{reply:?}");
        }
        client.expect("RCPT TO:<joe@example.test>", 250);
    }
}

/// One mailbox by whatever spelling gets a message once; of other domains each spelling may be a mailbox of its own.
#[test]
fn spellings_of_one_address_are_one_recipient() {
    let next_hop = NextHop::start();
    let setup = Setup::default();
    let folder = setup.folder().join("mail");
    let gateway = setup
        .server("relay_from = [\"127.0.0.0/8\"]")
        .with("[[domain]]\nname = \"example.test\"\nrecipients = \"any\"\ncreate = true\ndeliver = \"maildir:{dir}/mail/{user}\"")
        .domain("hop.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!("[outbound]\ndeliver = \"smtp://{}\"", next_hop.address()))
        .start();
    send(
        &gateway,
        &[
            "Joe@example.test",
            "joe@EXAMPLE.test",
            "\"joe\"@example.test",
            "ann@example.test",
        ],
        SMALL,
    );
    delivered(&folder.join("ann"), 1);
    assert_eq!(delivered(&folder.join("joe"), 1).len(), 1);
    send(
        &gateway,
        &["Joe@hop.test", "joe@hop.test", "\"joe\"@HOP.test"],
        SMALL,
    );
    let ours = arrived(&next_hop);
    assert_eq!(
        ours.recipients,
        ["<Joe@hop.test>"],
        "the spelling that came first is kept"
    );
    send(
        &gateway,
        &["Joe@other.test", "joe@other.test", "joe@Other.test"],
        SMALL,
    );
    let received = next_hop.wait_for(2, LIMIT);
    assert_eq!(
        received.get(1).unwrap().recipients,
        ["<Joe@other.test>", "<joe@other.test>"]
    );
}

/// A sink that rewrites two recipients to one address makes one of them.
#[test]
fn recipients_that_a_sink_makes_equal_are_one() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[
        "rcpt=rewrite-recipient:Z@example.test",
        "submit=add-recipient:z@EXAMPLE.test",
    ]);
    let keys = "may = [\"recipients\"]\nbody = \"full\"";
    let gateway = set_up(
        &next_hop,
        &[(
            "sink",
            &sink,
            "\"inbound.rcpt\", \"transport.submit\"",
            keys,
        )],
    );
    send(&gateway, &["b@example.test", "c@example.test"], SMALL);
    assert_eq!(arrived(&next_hop).recipients, ["<Z@example.test>"]);
}
