//! SIGKILL while reports to senders are made and delivered: none is lost, and few come twice.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::{Manners, NextHop};

const MESSAGES: usize = 150;
const KILLS: usize = 4;
const LIMIT: Duration = Duration::from_secs(60);

fn content(id: usize) -> Vec<u8> {
    format!("From: me@sender.test\r\nSubject: x\r\nX-Id: {id}\r\n\r\nbody\r\n").into_bytes()
}

/// How often each message was reported, by the `X-Id` of what is returned.
fn reported(senders: &NextHop) -> HashMap<usize, usize> {
    let mut reports = HashMap::new();
    for report in senders.received() {
        let text = report.text();
        let line = text.lines().find_map(|line| line.strip_prefix("X-Id: "));
        let id = line.unwrap_or_else(|| panic!("a report of what?\n{text}"));
        *reports.entry(id.parse().unwrap()).or_default() += 1;
    }
    reports
}

/// Accepts the messages while nothing can be delivered, so that all that follows happens between kills.
fn accept(gateway: &Gateway, address: &str) {
    let mut client = Client::ready(gateway.smtp());
    for id in 0..MESSAGES {
        let reply = client.deliver("me@sender.test", &[address], &content(id));
        assert_eq!(reply.code, 250, "{reply:?}");
    }
}

/// Kills the gateway again and again while reports arrive, then waits for all of them.
fn kill_while_reports_arrive(gateway: &mut Gateway, senders: &NextHop) -> HashMap<usize, usize> {
    for kill in 1..=KILLS {
        senders.wait_for(kill * MESSAGES / (KILLS + 2), LIMIT);
        gateway.kill();
        gateway.start();
    }
    let until = Instant::now() + LIMIT;
    loop {
        let reports = reported(senders);
        if reports.len() == MESSAGES {
            return reports;
        }
        assert!(Instant::now() < until, "{} reported", reports.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn assert_few_twice(reports: &HashMap<usize, usize>) {
    let twice: usize = reports.values().map(|count| count - 1).sum();
    println!("reported more than once: {twice}");
    // At each kill no more can be in flight than there are connections to the senders' host.
    assert!(twice <= KILLS * 20, "{twice} reported more than once");
}

fn emptied(gateway: &Gateway) {
    let until = Instant::now() + LIMIT;
    while gateway.spooled("deliver") > 0 || gateway.spooled("submit") > 0 {
        assert!(Instant::now() < until, "{}", gateway.http("/metrics").1);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_bounce_is_lost_when_the_gateway_is_killed_among_them() {
    let senders = NextHop::start();
    let next_hop = NextHop::with(Manners {
        recipients: vec![("nobody", "550 5.1.1 no such user")],
        ..Manners::default()
    });
    let mut gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start();
    accept(&gateway, "nobody@example.test");
    let reports = kill_while_reports_arrive(&mut gateway, &senders);
    emptied(&gateway);
    assert_few_twice(&reports);
    assert_eq!(next_hop.count(), 0);
}

#[test]
fn mail_that_became_too_old_is_reported_however_often_the_gateway_is_killed() {
    let senders = NextHop::start();
    let next_hop = NextHop::with(Manners {
        recipients: vec![("later", "450 4.2.1 not now")],
        ..Manners::default()
    });
    let mut gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]\nexpire = \"3s\"")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start();
    accept(&gateway, "later@example.test");
    let reports = kill_while_reports_arrive(&mut gateway, &senders);
    emptied(&gateway);
    assert_few_twice(&reports);
    for report in senders.received() {
        let text = report.text();
        assert!(text.contains("Status: 5.4.7"), "{text}");
        assert!(text.contains("not now"), "the cause is told\n{text}");
    }
    assert_eq!(next_hop.count(), 0);
}
