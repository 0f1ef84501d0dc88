//! Mail from printers, telephones and old programs: names that are none, addresses beside the grammar.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::Setup;
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

const NAMES: [&[u8]; 7] = [
    b"my_pc",
    b"host.",
    b"reception pc",
    b"[::1]",
    b"[IPv6:fe80::1%eth0]",
    "M\u{dc}LLER-PC".as_bytes(),
    b"M\xdcLLER-PC",
];

#[test]
fn no_name_keeps_a_device_from_sending() {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start();
    for (sent, name) in NAMES.iter().enumerate() {
        let (mut client, _) = Client::connect(gateway.smtp());
        client.send([b"EHLO ", *name, b"\r\n"].concat());
        let reply = client.reply();
        assert_eq!(reply.code, 250, "{}: {reply:?}", name.escape_ascii());
        let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
        let received = next_hop.wait_for(sent + 1, LIMIT);
        let text = received.last().unwrap().text();
        assert!(text.starts_with("Received: from "), "{text}");
        assert!(text.split("\r\n\r\n").next().unwrap().is_ascii(), "{text}");
    }
}

#[test]
fn a_condition_can_ask_whether_the_name_is_one() {
    let sink = Sink::start(&["helo=reject"]);
    let gateway = Setup::default()
        .domain("example.test", "smtp://127.0.0.1:1")
        .with(&sink.table("sink"))
        .with(
            "[[binding]]\nname = \"names\"\nsink = \"sink\"\nevents = [\"inbound.helo\"]\nmay = []\n\
             when = '!session.helo_valid'",
        )
        .start();
    for (name, code) in [
        ("client.example.test", 250),
        ("[192.0.2.1]", 250),
        ("my_pc", 550),
        ("two words", 550),
    ] {
        let (mut client, _) = Client::connect(gateway.smtp());
        client.expect(&format!("EHLO {name}"), code);
    }
}

#[test]
fn addresses_beside_the_grammar_travel_on_as_they_are() {
    let busy = Manners {
        final_reply: "450 4.2.0 not now",
        ..Manners::default()
    };
    let next_hop = NextHop::with(busy);
    let mut gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("my_pc.test", &format!("smtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM: me..and.you.@phone.example", 250);
    client.expect("RCPT TO: <b@example.test>", 250);
    client.expect("RCPT TO:c@my_pc.test", 250);
    client.expect("DATA", 354);
    client.send([CONTENT, b".\r\n"].concat());
    assert_eq!(client.reply().code, 250);
    gateway.wait_for_log("deferred", LIMIT);
    // They are read out of the spool as well.
    gateway.kill();
    next_hop.behave(Manners::default());
    gateway.start();
    let received = next_hop.wait_for(1, LIMIT);
    let message = received.first().unwrap();
    assert!(
        message.sender.starts_with("<me..and.you.@phone.example>"),
        "{message:?}"
    );
    let mut recipients = message.recipients.clone();
    recipients.sort();
    assert_eq!(recipients, ["<b@example.test>", "<c@my_pc.test>"]);
}

#[test]
fn a_server_can_be_strict() {
    let gateway = Setup::default()
        .server("hello = \"strict\"\naddress_syntax = \"strict\"")
        .domain("example.test", "smtp://127.0.0.1:1")
        .start();
    let (mut client, _) = Client::connect(gateway.smtp());
    client.expect("EHLO my_pc", 501);
    client.expect("EHLO client.example.test", 250);
    client.expect("MAIL FROM: <a@example.org>", 501);
    client.expect("MAIL FROM:<a..b@example.org>", 501);
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:b@example.test", 501);
}
