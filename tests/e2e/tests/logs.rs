//! A log that cannot be written, or that nobody reads, costs lines and nothing else.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// Messages that log more than a pipe holds.
const MESSAGES: usize = 200;

fn gateway(next_hop: &NextHop) -> Gateway {
    let mut gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start();
    gateway.kill();
    gateway
}

/// Lines that the gateway says it has lost.
fn lost(gateway: &Gateway) -> u64 {
    let metrics = gateway.http("/metrics").1;
    metrics
        .lines()
        .find_map(|line| line.strip_prefix("postern_log_lines_lost_total "))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or_else(|| panic!("no count in {metrics}"))
}

fn send(gateway: &Gateway, messages: usize) {
    let mut client = Client::ready(gateway.smtp());
    for _ in 0..messages {
        let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
    }
}

#[test]
fn a_full_device_does_not_end_the_gateway() {
    let next_hop = NextHop::start();
    let mut gateway = gateway(&next_hop);
    let full = File::options().write(true).open("/dev/full").unwrap();
    gateway.start_logging_to(full.into());
    send(&gateway, 3);
    next_hop.wait_for(3, LIMIT);
    assert!(lost(&gateway) > 0);
    assert!(gateway.stop(LIMIT).success(), "it ends as it should");
}

#[test]
fn a_closed_pipe_does_not_end_the_gateway() {
    let next_hop = NextHop::start();
    let mut gateway = gateway(&next_hop);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    gateway.start_logging_to(writer.into());
    send(&gateway, 3);
    next_hop.wait_for(3, LIMIT);
    assert!(lost(&gateway) > 0);
    assert!(gateway.stop(LIMIT).success(), "it ends as it should");
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let next_hop = NextHop::start();
    let mut gateway = gateway(&next_hop);
    let (mut reader, writer) = std::io::pipe().unwrap();
    gateway.start_logging_to(writer.into());
    let begun = Instant::now();
    send(&gateway, MESSAGES);
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    assert_eq!(gateway.http("/livez").0, 200);
    // What was logged meanwhile is still there for a reader who comes late.
    let mut seen = vec![0; 256 * 1024];
    let mut text = String::new();
    while text.matches("message accepted").count() < MESSAGES {
        let octets = reader.read(&mut seen).unwrap();
        assert!(octets > 0, "the log ended");
        text.push_str(&String::from_utf8_lossy(&seen[..octets]));
    }
    assert_eq!(lost(&gateway), 0);
}
