//! LMTP in, Unix sockets in and out.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address, wait_for_listener};
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

fn second(setup: Setup, next_hop: &NextHop, protocol: &str, listen: &str) -> Setup {
    setup
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[server]]\nname = \"second\"\nhostname = \"mx.example.test\"\n\
             protocol = \"{protocol}\"\nlisten = [\"{listen}\"]"
        ))
}

fn transaction(client: &mut Client, recipients: &[&str]) {
    client.expect("MAIL FROM:<a@example.org>", 250);
    for recipient in recipients {
        client.expect(&format!("RCPT TO:<{recipient}>"), 250);
    }
    client.expect("DATA", 354);
    client.send(postern_e2e::client::stuffed(CONTENT));
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let next_hop = NextHop::start();
    let address = free_address();
    let setup = second(Setup::default(), &next_hop, "lmtp", &address.to_string());
    let _gateway = setup.start();
    wait_for_listener(address).unwrap();
    let (mut client, greeting) = Client::connect(address);
    assert_eq!(greeting.code, 220);
    for wrong in ["HELO client.example.test", "EHLO client.example.test"] {
        assert!(client.command(wrong).code >= 500, "{wrong}");
    }
    let lhlo = client.expect("LHLO client.example.test", 250);
    assert!(
        lhlo.lines.iter().any(|line| line == "PIPELINING"),
        "{lhlo:?}"
    );
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    assert!(client.command("RCPT TO:<nobody@[300.1.1.1>").code >= 500);
    client.expect("RCPT TO:<c@example.test>", 250);
    client.expect("DATA", 354);
    client.send(postern_e2e::client::stuffed(CONTENT));
    // Two were accepted: two replies, and then that of the next command.
    assert_eq!(client.reply().code, 250);
    assert_eq!(client.reply().code, 250);
    client.expect("QUIT", 221);
    let received = next_hop.wait_for(1, LIMIT);
    let message = received.first().unwrap();
    assert_eq!(message.recipients.len(), 2);
    assert!(message.text().contains("with LMTP"), "{}", message.text());
}

#[test]
fn a_refusal_over_lmtp_is_told_for_each_recipient() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["message=reject"]);
    let address = free_address();
    let setup = second(Setup::default(), &next_hop, "lmtp", &address.to_string());
    let _gateway = setup
        .with(&sink.table("sink"))
        .with("[[binding]]\nname = \"sink\"\nsink = \"sink\"\nevents = [\"inbound.message\"]\nmay = []")
        .start();
    wait_for_listener(address).unwrap();
    let (mut client, _) = Client::connect(address);
    client.expect("LHLO client.example.test", 250);
    transaction(&mut client, &["b@example.test", "c@example.test"]);
    assert_eq!(client.reply().code, 550);
    assert_eq!(client.reply().code, 550);
    client.expect("NOOP", 250);
}

fn wait_for_socket(path: &Path, gateway: &Gateway) {
    let until = Instant::now() + LIMIT;
    while UnixStream::connect(path).is_err() {
        assert!(Instant::now() < until, "{}", gateway.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_unix_socket_is_listened_at_also_again_after_a_crash() {
    let next_hop = NextHop::start();
    let setup = Setup::default();
    let path = setup.folder().join("smtp.sock");
    let mut gateway = second(setup, &next_hop, "smtp", "unix:{dir}/smtp.sock").start();
    for count in 1..=2 {
        wait_for_socket(&path, &gateway);
        let mut client = Client::open_unix(&path);
        assert_eq!(client.reply().code, 220);
        client.expect("EHLO client.example.test", 250);
        transaction(&mut client, &["b@example.test"]);
        assert_eq!(client.reply().code, 250);
        next_hop.wait_for(count, LIMIT);
        gateway.kill();
        gateway.start();
    }
}

#[test]
fn mail_goes_to_an_lmtp_server_at_a_unix_socket() {
    let next_hop = NextHop::with(Manners {
        lmtp: true,
        recipients: vec![("c@", "550 5.1.1 no such mailbox")],
        ..Manners::default()
    });
    let setup = Setup::default();
    forward(&setup.folder().join("lmtp.sock"), &next_hop);
    let gateway = setup
        .domain("example.test", "lmtp+unix:{dir}/lmtp.sock")
        .start();
    let mut client = Client::ready(gateway.smtp());
    transaction(&mut client, &["b@example.test", "c@example.test"]);
    assert_eq!(client.reply().code, 250);
    let received = next_hop.wait_for(1, LIMIT);
    let message = received.first().unwrap();
    assert_eq!(message.recipients, ["<b@example.test>"]);
    assert_eq!(message.from_line("From: a@").unwrap(), CONTENT);
}

/// Listens at a Unix socket and passes every connection on to the next hop.
fn forward(path: &Path, next_hop: &NextHop) {
    let listener = UnixListener::bind(path).unwrap();
    let to = next_hop.address();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = std::net::TcpStream::connect(to).unwrap();
            let (back, there) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass(client, there));
            std::thread::spawn(move || pass(server, back));
        }
    });
}

fn pass(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}
