//! Sinks that come back: what waited for them is asked about at once, in its order, and once.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
/// The longest wait between two probes, and what the rest takes on a busy machine.
const SOON: Duration = Duration::from_secs(5);
const CONTENT: &[u8] = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n";
const MESSAGES: usize = 12;

/// Bindings whose sinks are away, by name: sink's endpoint, event, failure policy. The retry schedule is far too slow for
/// the tests: what goes goes for another reason.
fn set_up(next_hop: &NextHop, bindings: &[(&str, &str, &str, &str)]) -> Gateway {
    let mut setup = Setup::default()
        .with("[queue]\nretry = [\"10m\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()));
    for (name, endpoint, event, policy) in bindings {
        setup = setup.with(&format!(
            "[[sink]]\nname = \"{name}\"\nendpoint = \"{endpoint}\"\n\
             [[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nevents = [\"{event}\"]\nmay = []\n\
             body = \"headers\"\non_failure = \"{policy}\"\n\
             when = 'message.sender.startsWith(\"{name}\")'"
        ));
    }
    setup.start()
}

fn away() -> String {
    format!("http://{}", free_address())
}

/// Messages that `binding` is asked about, numbered from `first` on.
fn send(gateway: &Gateway, binding: &str, first: usize, count: usize) {
    let mut client = Client::ready(gateway.smtp());
    for number in first..first + count {
        let sender = format!("{binding}{number:02}@sender.test");
        let reply = client.deliver(&sender, &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
    }
}

fn wait_spooled(gateway: &Gateway, stage: &str, count: u64) {
    let until = Instant::now() + LIMIT;
    while gateway.spooled(stage) != count {
        assert!(Instant::now() < until, "{}", gateway.http("/metrics").1);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The senders of what the sink was asked about, in order.
fn senders(sink: &Sink) -> Vec<String> {
    let seen = sink.seen().into_iter().filter(|seen| seen.what == "asked");
    let senders = seen.map(|seen| {
        let mut words = seen.detail.split(['=', '@', ' ']);
        words.nth(1).unwrap().to_owned()
    });
    senders.collect()
}

fn in_order(binding: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{binding}{n:02}")).collect()
}

#[test]
fn what_was_held_goes_at_once_in_its_order_and_what_waits_for_another_stays() {
    for (event, policy, stage) in [
        ("inbound.message", "hold", "held"),
        ("transport.submit", "hold", "held"),
        ("transport.submit", "tempfail", "submit"),
    ] {
        let next_hop = NextHop::start();
        let (one, other) = (away(), away());
        let gateway = set_up(
            &next_hop,
            &[
                ("one", &one, event, policy),
                ("other", &other, event, policy),
            ],
        );
        send(&gateway, "one", 0, MESSAGES / 2);
        send(&gateway, "other", 0, 3);
        send(&gateway, "one", MESSAGES / 2, MESSAGES / 2);
        wait_spooled(&gateway, stage, MESSAGES as u64 + 3);
        let back = Sink::at_with(&one, &[], &["--verbose", "--instances", "8"]);
        let began = Instant::now();
        next_hop.wait_for(MESSAGES, LIMIT);
        let took = began.elapsed();
        println!("{event} {policy}: {took:?}");
        assert!(took < SOON, "{event} {policy}: {took:?}");
        assert_eq!(
            senders(&back),
            in_order("one", MESSAGES),
            "{event} {policy}"
        );
        wait_spooled(&gateway, stage, 3);
        let later = Sink::at_with(&other, &[], &["--verbose", "--instances", "8"]);
        next_hop.wait_for(MESSAGES + 3, LIMIT);
        assert_eq!(senders(&later), in_order("other", 3));
        assert_eq!(back.asked("message") + back.asked("submit"), MESSAGES);
        assert_eq!(next_hop.count(), MESSAGES + 3, "nothing went twice");
    }
}

#[test]
fn a_backlog_outlives_the_gateway_and_goes_when_the_sink_comes_or_is_there() {
    for is_there in [true, false] {
        let next_hop = NextHop::start();
        let endpoint = away();
        let mut gateway = set_up(&next_hop, &[("one", &endpoint, "inbound.message", "hold")]);
        send(&gateway, "one", 0, MESSAGES);
        wait_spooled(&gateway, "held", MESSAGES as u64);
        gateway.kill();
        let start = || Sink::at_with(&endpoint, &[], &["--verbose", "--instances", "8"]);
        let early = is_there.then(start);
        gateway.start();
        let sink = early.unwrap_or_else(|| {
            gateway.wait_for_log("sink is not reachable", LIMIT);
            start()
        });
        let began = Instant::now();
        next_hop.wait_for(MESSAGES, LIMIT);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        assert_eq!(senders(&sink), in_order("one", MESSAGES));
    }
}

#[test]
fn what_a_verdict_holds_is_not_let_go_by_a_sink_that_comes_back() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["message=hold"]);
    let endpoint = sink.endpoint();
    let gateway = Setup::default()
        .with("[queue]\nretry = [\"10m\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("one"))
        .with(
            "[[binding]]\nname = \"one\"\nsink = \"one\"\nevents = [\"inbound.message\"]\nmay = [\"hold\"]\n\
             body = \"headers\"\non_failure = \"hold\"",
        )
        .start();
    send(&gateway, "one", 0, 1);
    wait_spooled(&gateway, "held", 1);
    drop(sink);
    send(&gateway, "one", 1, 1);
    wait_spooled(&gateway, "held", 2);
    let back = Sink::at_with(&endpoint, &[], &["--verbose"]);
    next_hop.wait_for(1, LIMIT);
    send(&gateway, "two", 2, 1);
    next_hop.wait_for(2, LIMIT);
    assert_eq!(senders(&back), ["one01", "two02"]);
    assert_eq!(gateway.spooled("held"), 1);
}

/// A message that brings the sink down each time does not keep the others: they go, and it waits for its time.
#[test]
fn a_message_that_brings_its_sink_down_does_not_keep_the_others() {
    let next_hop = NextHop::start();
    let endpoint = away();
    let gateway = set_up(&next_hop, &[("one", &endpoint, "inbound.message", "hold")]);
    send(&gateway, "one", 0, MESSAGES);
    wait_spooled(&gateway, "held", MESSAGES as u64);
    let until = Instant::now() + 3 * LIMIT;
    let mut falls = 0;
    while next_hop.count() < MESSAGES - 1 {
        assert!(
            Instant::now() < until,
            "{} fell {falls} times",
            next_hop.count()
        );
        let sink = Sink::at_with(
            &endpoint,
            &["message:one00=crash"],
            &["--verbose", "--instances", "8"],
        );
        let asked = |sink: &Sink| senders(sink).contains(&"one00".to_owned());
        while !asked(&sink) && next_hop.count() < MESSAGES - 1 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        falls += 1;
    }
    assert!(falls <= 5, "it fell {falls} times");
    wait_spooled(&gateway, "held", 1);
}

/// Questions that were open at the same time, at most.
fn most_at_once(sink: &Sink) -> usize {
    let mut open = 0;
    let counts = sink.seen().into_iter().map(|seen| {
        match seen.what.as_str() {
            "asked" => open += 1,
            "answered" => open -= 1,
            _ => {}
        }
        open
    });
    counts.max().unwrap_or(0)
}

#[test]
fn a_backlog_comes_as_a_trickle_that_grows_and_other_mail_is_not_kept() {
    let next_hop = NextHop::start();
    let endpoint = away();
    let gateway = set_up(&next_hop, &[("one", &endpoint, "inbound.message", "hold")]);
    let backlog = 40;
    send(&gateway, "one", 0, backlog);
    wait_spooled(&gateway, "held", backlog as u64);
    let rules = ["message=delay:200"];
    let sink = Sink::at_with(&endpoint, &rules, &["--verbose", "--instances", "100"]);
    sink.wait_asked("message", 3, LIMIT);
    assert!(most_at_once(&sink) <= 3, "it begins with one");
    let began = Instant::now();
    send(&gateway, "one", 90, 1);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(next_hop.count() < backlog, "the backlog is not through yet");
    next_hop.wait_for(backlog + 1, LIMIT);
    let most = most_at_once(&sink);
    assert!((4..=17).contains(&most), "{most} at once");
    let mut asked = senders(&sink);
    asked.retain(|sender| sender != "one90");
    assert_eq!(asked, in_order("one", backlog));
}
