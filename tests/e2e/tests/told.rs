//! What is told of destinations and of the gateway itself, one-way: `delivery.link`, `service.start`, `service.stop`.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::{Setup, free_address};
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(60);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

fn binding(events: &str, more: &str) -> String {
    format!("[[binding]]\nname = \"told\"\nsink = \"told\"\nevents = [{events}]\nmay = []\n{more}")
}

#[test]
fn a_destination_that_goes_down_is_told_of_once_and_again_when_it_is_back() {
    let told = Sink::start(&[]);
    let address = free_address();
    let gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{address}"))
        .with(&told.table("told"))
        .with(&binding("\"delivery.link\"", ""))
        .start();
    for _ in 0..3 {
        let mut client = Client::ready(gateway.smtp());
        let reply = client.deliver("me@sender.test", &["a@example.test"], CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
        gateway.wait_for_log("deferred", LIMIT);
    }
    let down = told.wait_seen("link", "LINK_HEALTH_DOWN", LIMIT);
    assert!(
        down.detail.contains(&format!("smtp://{address}")),
        "{down:?}"
    );
    assert!(down.detail.contains("no_connection_to"), "{down:?}");
    let hop = NextHop::at(address, Manners::default());
    hop.wait_for(3, LIMIT);
    told.wait_seen("link", "LINK_HEALTH_UP", LIMIT);
    let all = told.history();
    let links = all.iter().filter(|line| line.starts_with("link "));
    assert_eq!(links.count(), 2, "{all:?}");
}

#[test]
fn the_gateway_tells_each_binding_once_that_it_starts_and_stops() {
    let told = Sink::start(&[]);
    let mut gateway = Setup::default()
        .domain("example.test", "smtp://127.0.0.1:1")
        .with(&told.table("told"))
        .with(&binding("\"service.start\", \"service.stop\"", ""))
        .start();
    let start = told.wait_seen("start", "postern ", LIMIT);
    assert!(start.detail.ends_with(" inbound"), "{start:?}");
    let status = gateway.stop(LIMIT);
    assert!(status.success(), "{status:?}");
    told.wait_seen("stop", "it was asked to", LIMIT);
    let all = told.history();
    assert_eq!(all.len(), 2, "{all:?}");
}
