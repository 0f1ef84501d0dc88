//! How often a message may have been asked about before: counted where a crash leaves it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

fn set_up(next_hop: &NextHop, endpoint: &str, event: &str, policy: &str) -> Gateway {
    Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[sink]]\nname = \"sink\"\nendpoint = \"{endpoint}\"\n\
             [[binding]]\nname = \"sink\"\nsink = \"sink\"\nevents = [\"{event}\"]\nbody = \"headers\"\n\
             may = [\"postpone\", \"hold\", \"headers:X-*\"]\non_failure = \"{policy}\"\ntimeout = \"60s\""
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

/// Ends the gateway while a question is open: by SIGKILL, or by SIGTERM and another one that stops at once.
fn end(gateway: &mut Gateway, by_kill: bool) {
    if by_kill {
        return gateway.kill();
    }
    let said = |gateway: &Gateway| {
        gateway
            .log()
            .matches("a second signal stops at once")
            .count()
    };
    let before = said(gateway);
    postern_e2e::gateway::terminate(gateway.pid());
    let until = Instant::now() + LIMIT;
    while said(gateway) == before {
        assert!(Instant::now() < until, "the first signal was not heard");
        std::thread::sleep(Duration::from_millis(10));
    }
    gateway.stop(LIMIT);
}

#[test]
fn a_question_that_a_crash_cut_short_is_asked_again_with_its_number() {
    for by_kill in [true, false] {
        let next_hop = NextHop::start();
        let hangs = Sink::start(&["submit=hang"]);
        let endpoint = hangs.endpoint();
        let mut gateway = set_up(&next_hop, &endpoint, "transport.submit", "tempfail");
        send(&gateway);
        hangs.wait_asked("submit", 1, LIMIT);
        assert_eq!(hangs.history(), ["submit"], "it was never asked before");
        // Twice: what was counted last time is not counted away.
        end(&mut gateway, by_kill);
        gateway.start();
        hangs.wait_asked("submit", 2, LIMIT);
        end(&mut gateway, by_kill);
        let history = hangs.history();
        drop(hangs);
        let well = Sink::at(&endpoint, &[]);
        gateway.start();
        next_hop.wait_for(1, LIMIT);
        // Two each time: another replica may have been asked as well before the end.
        assert_eq!(history, ["submit", "submit attempt=2"], "kill: {by_kill}");
        assert_eq!(well.history(), ["submit attempt=4"], "kill: {by_kill}");
    }
}

#[test]
fn what_was_held_is_asked_again_with_its_number_also_after_a_crash() {
    for by_kill in [true, false] {
        let next_hop = NextHop::start();
        let endpoint = format!("http://{}", free_address());
        let mut gateway = set_up(&next_hop, &endpoint, "inbound.message", "hold");
        send(&gateway);
        wait_spooled(&gateway, "held", 1);
        let hangs = Sink::at(&endpoint, &["message=hang"]);
        hangs.wait_asked("message", 1, LIMIT);
        end(&mut gateway, by_kill);
        let first = attempt(&hangs.history());
        drop(hangs);
        let well = Sink::at(&endpoint, &[]);
        gateway.start();
        next_hop.wait_for(1, LIMIT);
        let second = attempt(&well.history());
        assert!(first >= 1 && second > first, "{first}, then {second}");
    }
}

fn attempt(history: &[String]) -> u32 {
    let last = history.last().unwrap();
    let number = last.split("attempt=").nth(1);
    number.map_or(0, |number| {
        number.split(' ').next().unwrap().parse().unwrap()
    })
}

#[test]
fn what_was_postponed_is_asked_again_with_its_number_also_after_a_crash() {
    for crashes in [false, true] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&["submit=postpone:2"]);
        let mut gateway = set_up(&next_hop, &sink.endpoint(), "transport.submit", "tempfail");
        send(&gateway);
        gateway.wait_for_log("message postponed", LIMIT);
        if crashes {
            gateway.kill();
            gateway.start();
        }
        sink.wait_asked("submit", 3, LIMIT);
        let history = sink.history();
        assert_eq!(
            history.get(..3).unwrap(),
            ["submit", "submit attempt=2", "submit attempt=4"]
        );
    }
}
