//! Messages that a failure policy held: whoever is asked again, or asked later, sees the session that brought them.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

/// A gateway with one binding whose sink is away, so that messages are held.
fn set_up(next_hop: &NextHop, endpoint: &str, event: &str, fires: &str) -> Gateway {
    Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[sink]]\nname = \"scanner\"\nendpoint = \"{endpoint}\"\n\
             [[binding]]\nname = \"scan\"\nsink = \"scanner\"\nevents = [\"{event}\"]\nmay = []\n\
             body = \"headers\"\non_failure = \"hold\"\n{fires}"
        ))
        .start()
}

fn send(gateway: &Gateway) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn wait_spooled(gateway: &Gateway, stage: &str, count: u64) {
    let until = Instant::now() + LIMIT;
    while gateway.spooled(stage) != count {
        assert!(Instant::now() < until, "{}", gateway.http("/metrics").1);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What every condition below asks of the session, each of which is true of the client of `send`.
const CONDITIONS: [&str; 4] = [
    "session.listener.startsWith(\"127.0.0.1:\")",
    "session.command_count > 2",
    "session.client_address == \"127.0.0.1\" && session.client_port > 0",
    "session.helo != \"\" && !session.talked_early && session.error_count == 0",
];

#[test]
fn what_was_held_on_its_way_in_is_judged_before_it_is_delivered() {
    for event in ["inbound.message", "inbound.headers"] {
        for condition in CONDITIONS {
            let next_hop = NextHop::start();
            let away = format!("http://{}", free_address());
            let gateway = set_up(&next_hop, &away, event, &format!("when = '{condition}'"));
            send(&gateway);
            wait_spooled(&gateway, "held", 1);
            let name = event.trim_start_matches("inbound.");
            let sink = Sink::at(&away, &[&format!("{name}=reject")]);
            sink.wait_asked(name, 1, LIMIT);
            wait_spooled(&gateway, "quarantined", 1);
            assert_eq!(next_hop.count(), 0, "{event} {condition}");
        }
    }
}

#[test]
fn the_session_outlives_the_process() {
    for (event, name) in [
        ("inbound.message", "message"),
        ("transport.submit", "submit"),
    ] {
        let next_hop = NextHop::start();
        let away = format!("http://{}", free_address());
        let condition = CONDITIONS.join(" && ");
        let fires = format!("when = '{condition}'\nrule = \"EHLO=client.example.test\"");
        let mut gateway = set_up(&next_hop, &away, event, &fires);
        send(&gateway);
        wait_spooled(&gateway, "held", 1);
        gateway.kill();
        let sink = Sink::at(&away, &[&format!("{name}=proceed")]);
        gateway.start();
        next_hop.wait_for(1, LIMIT);
        sink.wait_asked(name, 1, LIMIT);
        assert_eq!(sink.asked(name), 1, "{event}");
    }
}

#[test]
fn a_binding_behind_the_one_that_held_sees_the_session_too() {
    let next_hop = NextHop::start();
    let away = format!("http://{}", free_address());
    let second = Sink::start(&["message=reject"]);
    let gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[sink]]\nname = \"first\"\nendpoint = \"{away}\"\n\
             [[binding]]\nname = \"first\"\nsink = \"first\"\nevents = [\"inbound.message\"]\nmay = []\n\
             body = \"headers\"\non_failure = \"hold\""
        ))
        .with(&second.table("second"))
        .with(&format!(
            "[[binding]]\nname = \"second\"\nsink = \"second\"\nevents = [\"inbound.message\"]\nmay = []\n\
             body = \"headers\"\nwhen = '{}'",
            CONDITIONS.join(" && ")
        ))
        .start();
    send(&gateway);
    wait_spooled(&gateway, "held", 1);
    let asked = second.asked("message");
    let first = Sink::at(&away, &[]);
    first.wait_asked("message", 1, LIMIT);
    second.wait_asked("message", asked + 1, LIMIT);
    wait_spooled(&gateway, "quarantined", 1);
    assert_eq!(next_hop.count(), 0);
}
