//! Clients of the admin socket that misbehave (C6): mail goes on, and an operator comes in.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use postern_e2e::admin::{command, list, run, socket, wait_listed, well};
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;

const LIMIT: Duration = Duration::from_secs(60);
const CONTENT: &[u8] = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

fn send(gateway: &Gateway, recipient: &str) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &[recipient], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn open(gateway: &Gateway) -> UnixStream {
    let stream = UnixStream::connect(socket(gateway)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// A frame with this header and content.
fn frame(length: usize, kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let mut frame = (length as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(content);
    frame
}

/// HEADERS of a request, without Huffman coding or a table.
fn request(stream: u32, method: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: &str, value: &str| {
        block.push(0);
        block.push(u8::try_from(name.len()).unwrap());
        block.extend(name.as_bytes());
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    };
    literal(":path", &format!("/postern.admin.v1.AdminService/{method}"));
    literal(":authority", "x");
    literal("content-type", "application/grpc");
    literal("te", "trailers");
    frame(block.len(), 1, 4, stream, &block)
}

/// Reads until the gateway ends the connection.
fn ends(stream: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).ok();
    all
}

#[test]
fn c6_hostile_clients_harm_neither_mail_nor_the_operator() {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start();
    // No HTTP/2 at all.
    let mut stream = open(&gateway);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").ok();
    stream.write_all(&[0xa5; 4096]).ok();
    ends(&mut stream);
    // A frame larger than any may be.
    let mut stream = open(&gateway);
    stream.write_all(PREFACE).unwrap();
    stream.write_all(SETTINGS).unwrap();
    stream.write_all(&frame(0xff_ffff, 0, 0, 1, &[0; 100])).ok();
    ends(&mut stream);
    // A request larger than any may be: it is refused before it is there.
    let mut stream = open(&gateway);
    stream.write_all(PREFACE).unwrap();
    stream.write_all(SETTINGS).unwrap();
    stream.write_all(&request(1, "ListMessages")).unwrap();
    let length = 0x7fff_ffff_u32.to_be_bytes();
    let data = [&[0][..], &length].concat();
    stream
        .write_all(&frame(data.len(), 0, 0, 1, &data))
        .unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    let until = Instant::now() + LIMIT;
    while !String::from_utf8_lossy(&answer).contains("grpc-status") && Instant::now() < until {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
        }
        // Headers may be compressed: an answer at all is what counts.
        if answer.len() > 60 {
            break;
        }
    }
    assert!(!answer.is_empty());
    drop(stream);
    // Requests that are reset at once, again and again.
    let mut stream = open(&gateway);
    stream.write_all(PREFACE).unwrap();
    stream.write_all(SETTINGS).unwrap();
    let mut flood = Vec::new();
    for number in 0..5000 {
        flood.extend(request(2 * number + 1, "GetStatus"));
        flood.extend(frame(4, 3, 0, 2 * number + 1, &[0, 0, 0, 8]));
    }
    stream.write_all(&flood).ok();
    ends(&mut stream);
    // More connections than there may be, which say nothing.
    let silent: Vec<_> = (0..64).map(|_| open(&gateway)).collect();
    let asked = Instant::now();
    let status = well(&gateway, &["status", "--json"]).json();
    assert_eq!(status["ready"], true);
    assert!(asked.elapsed() < LIMIT);
    for number in 0..5 {
        send(&gateway, &format!("u{number}@example.test"));
    }
    next_hop.wait_for(5, LIMIT);
    drop(silent);
    wait_listed(&gateway, &[], 0);
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

#[test]
fn c6_whoever_asks_and_never_reads_costs_nothing() {
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", free_address()))
        .start();
    for number in 0..400 {
        send(&gateway, &format!("u{number}@example.test"));
    }
    // Their pipes are full soon, and they read no more of what they asked for.
    let mut deaf: Vec<_> = (0..12)
        .map(|_| {
            command(&gateway, &["queue", "list", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let before = gateway.memory_kib();
    assert_eq!(list(&gateway, &["--sender", "me@sender.test"]).len(), 400);
    well(
        &gateway,
        &["queue", "hold", "--recipient", "u1@example.test"],
    );
    let removed = run(
        &gateway,
        &["queue", "remove", "--recipient", "u7@example.test"],
    );
    assert!(matches!(removed.code, 0 | 75), "{removed:?}");
    send(&gateway, "last@example.test");
    let grown = gateway.memory_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB");
    for one in &mut deaf {
        one.kill().unwrap();
        one.wait().unwrap();
    }
    well(&gateway, &["status"]);
}
