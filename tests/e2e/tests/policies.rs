//! Failure policies as a table by event group and kind of fault; what `continue` leaves behind; TLS
//! to sinks, both ways.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::certificate::Authority;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

fn binding(event: &str, when: &str) -> String {
    format!(
        "[[binding]]\nname = \"{event}\"\nsink = \"faulty\"\nmay = []\nbody = \"full\"\n\
         events = [\"{event}\"]\n{when}\ntimeout = {{ command = \"300ms\", message = \"300ms\" }}\n\
         [binding.on_failure]\n\
         command = {{ timeout = \"disconnect\", fault = \"continue\", protocol = \"reject\" }}\n\
         message = {{ timeout = \"reject\", fault = \"tempfail\", default = \"continue\" }}\n"
    )
}

#[test]
fn each_group_and_each_kind_has_its_own_policy() {
    let away = format!("http://{}", free_address());
    let hangs = Sink::start(&["rcpt=hang", "message=hang"]);
    let faults = Sink::start(&["rcpt=fault", "message=fault"]);
    let lies = Sink::start(&["rcpt=undecided", "message=undecided"]);
    for (endpoint, rcpt, message) in [
        (hangs.endpoint(), 421, 550),
        (faults.endpoint(), 250, 451),
        (lies.endpoint(), 550, 250),
        (away, 451, 250),
    ] {
        let next_hop = NextHop::start();
        let gateway = Setup::default()
            .domain("example.test", &format!("smtp://{}", next_hop.address()))
            .domain("second.test", &format!("smtp://{}", next_hop.address()))
            .with(&format!(
                "[[sink]]\nname = \"faulty\"\nendpoint = \"{endpoint}\"\n"
            ))
            .with(&binding(
                "inbound.rcpt",
                "when = 'recipient.domain == \"example.test\"'",
            ))
            .with(&binding("inbound.message", ""))
            .start();
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        let reply = client.command("RCPT TO:<b@example.test>");
        assert_eq!(reply.code, rcpt, "{endpoint}: {reply:?}\n{}", gateway.log());
        let mut client = Client::ready(gateway.smtp());
        let reply = client.deliver("a@example.org", &["b@second.test"], CONTENT);
        assert_eq!(reply.code, message, "{endpoint}: {reply:?}");
    }
}

#[test]
fn continue_is_visible_to_later_sinks() {
    let next_hop = NextHop::start();
    let lies = Sink::start(&["message=undecided"]);
    let later = Sink::start(&[]);
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&lies.table("lies"))
        .with(&later.table("later"))
        .with(
            "[[binding]]\nname = \"liar\"\nsink = \"lies\"\nevents = [\"inbound.message\"]\nmay = []\n\
             body = \"headers\"\non_failure = \"continue\"\n\
             [[binding]]\nname = \"later\"\nsink = \"later\"\nmay = []\nbody = \"headers\"\n\
             events = [\"inbound.message\", \"transport.submit\"]",
        )
        .start();
    send(&gateway, 250);
    let seen = later.wait_seen("submit", "skipped=", LIMIT);
    assert!(seen.detail.contains("liar"), "{seen:?}");
    next_hop.wait_for(1, LIMIT);
}

fn send(gateway: &Gateway, code: u16) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, code, "{reply:?}\n{}", gateway.log());
}

/// A sink over TLS that wants to see a certificate, and a gateway with these files.
fn over_tls(trusted: &str, own: &str) -> (NextHop, Sink, Gateway) {
    let next_hop = NextHop::start();
    let setup = Setup::default();
    let folder = setup.folder().to_path_buf();
    let (good, other) = (Authority::named("good"), Authority::named("other"));
    good.write(&folder.join("good-ca.pem"));
    other.write(&folder.join("other-ca.pem"));
    good.issue(&folder, "sink", "sink.example.test");
    good.issue(&folder, "good", "gateway.example.test");
    other.issue(&folder, "other", "gateway.example.test");
    let path = |name: &str| folder.join(name).display().to_string();
    let arguments = [
        ("--certificate", path("sink.pem")),
        ("--key", path("sink.key")),
        ("--client-ca", path("good-ca.pem")),
    ];
    let arguments: Vec<&str> = arguments
        .iter()
        .flat_map(|(k, v)| [*k, v.as_str()])
        .collect();
    let sink = Sink::with(&["message=add-header:X-Sink"], &arguments);
    let endpoint = sink.endpoint().replace("http://", "https://");
    let gateway = setup
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[sink]]\nname = \"tls\"\nendpoint = \"{endpoint}\"\n\
             tls = {{ ca = \"{trusted}-ca.pem\", server_name = \"sink.example.test\", {own} }}\n\
             [[binding]]\nname = \"tls\"\nsink = \"tls\"\nevents = [\"inbound.message\"]\n\
             may = [\"headers:X-Sink\"]\nbody = \"headers\"\non_failure = \"tempfail\""
        ))
        .start();
    (next_hop, sink, gateway)
}

#[test]
fn gateway_and_sink_know_each_other_over_tls() {
    let (next_hop, _sink, gateway) = over_tls("good", "cert = \"good.pem\", key = \"good.key\"");
    send(&gateway, 250);
    let received = next_hop.wait_for(1, LIMIT);
    assert!(received.first().unwrap().text().contains("X-Sink: seen"));
}

#[test]
fn a_sink_or_a_gateway_with_another_certificate_is_a_failure() {
    for (trusted, own) in [
        ("other", "cert = \"good.pem\", key = \"good.key\""),
        ("good", "cert = \"other.pem\", key = \"other.key\""),
    ] {
        let (next_hop, sink, gateway) = over_tls(trusted, own);
        send(&gateway, 451);
        assert_eq!(sink.asked("message"), 0);
        assert_eq!(next_hop.count(), 0);
    }
}
