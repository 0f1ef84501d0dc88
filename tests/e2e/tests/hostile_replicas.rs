//! Sinks that die of a message: how many replicas it may cost, how often it is asked, and what becomes of it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use postern_e2e::raw_sink::{RawSink, proceed};
use postern_e2e::sink::Sink;
use postern_proto::v1;
use postern_proto::v1::attach_request::Kind as FromGateway;
use postern_proto::v1::attach_response::Kind as FromSink;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

fn set_up(
    next_hop: &NextHop,
    endpoints: &[String],
    (event, keys): (&str, &str),
    expire: &str,
) -> Gateway {
    let body = if keys.contains("body =") {
        ""
    } else {
        "body = \"headers\""
    };
    Setup::default()
        .with(&format!("[queue]\nretry = [\"500ms\"]\nexpire = \"{expire}\""))
        .domain("good.test", &format!("smtp://{}", next_hop.address()))
        .domain("example.org", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[sink]]\nname = \"frail\"\nendpoint = {endpoints:?}\n\
             [[binding]]\nname = \"frail\"\nsink = \"frail\"\nevents = [\"{event}\"]\nmay = []\n{body}\n{keys}"
        ))
        .start()
}

fn send(gateway: &Gateway) -> u16 {
    let mut client = Client::ready(gateway.smtp());
    client
        .deliver("a@example.org", &["b@good.test"], CONTENT)
        .code
}

/// A sink that dies of whatever it is asked.
fn frail() -> RawSink {
    RawSink::start(|_, asked| match asked.question() {
        Some(_) => Err(io::Error::other("as the test says")),
        None => Ok(()),
    })
}

#[test]
fn a_message_that_kills_its_sink_kills_two_replicas_at_most() {
    let replicas: Vec<RawSink> = (0..4).map(|_| frail()).collect();
    let endpoints: Vec<String> = replicas.iter().map(RawSink::endpoint).collect();
    let next_hop = NextHop::start();
    let gateway = set_up(&next_hop, &endpoints, ("inbound.message", ""), "5d");
    assert_eq!(send(&gateway), 451);
    let asked: usize = replicas.iter().map(RawSink::asked).sum();
    assert_eq!(asked, 2, "once, and once more elsewhere");
    assert_eq!(next_hop.count(), 0);
}

/// Whether it has side effects is said by the binding, whatever the sink says of itself.
#[test]
fn what_has_side_effects_is_asked_of_one_replica_alone() {
    let replicas: Vec<RawSink> = (0..4).map(|_| frail()).collect();
    let endpoints: Vec<String> = replicas.iter().map(RawSink::endpoint).collect();
    let next_hop = NextHop::start();
    let gateway = set_up(
        &next_hop,
        &endpoints,
        ("inbound.message", "side_effects = true"),
        "5d",
    );
    assert_eq!(send(&gateway), 451);
    let asked: usize = replicas.iter().map(RawSink::asked).sum();
    assert_eq!(asked, 1, "it may have acted before it died");
}

/// Where one replica dies in mid-body another one judges the message, within the same deadline.
#[test]
fn another_replica_judges_what_the_first_died_of() {
    let (dies, lives) = (frail(), RawSink::start(proceed));
    let endpoints = [dies.endpoint(), lives.endpoint()];
    let next_hop = NextHop::start();
    let gateway = set_up(&next_hop, &endpoints, ("inbound.message", ""), "5d");
    // Whichever is asked first: no client sees that one of them dies.
    for n in 1..=6 {
        assert_eq!(send(&gateway), 250, "{n}");
    }
    assert_eq!(next_hop.wait_for(6, LIMIT).len(), 6);
}

fn agreed(event_id: u64) -> FromSink {
    FromSink::Verdict(Box::new(v1::Verdict {
        event_id,
        decision: Some(v1::Decision {
            kind: Some(v1::decision::Kind::Proceed(v1::Proceed {})),
        }),
        ..Default::default()
    }))
}

/// The connection dies while the body comes: the replica that takes over is shown it from its first octet on.
#[test]
fn the_replica_that_takes_over_in_mid_body_is_shown_all_of_it() {
    let dies = RawSink::start(|_, asked| match &asked.frame.kind {
        Some(FromGateway::Content(_)) => Err(io::Error::other("as the test says")),
        _ => Ok(()),
    });
    // Judges what it has seen whole.
    let lives = RawSink::start(|wire, asked| match &asked.frame.kind {
        Some(FromGateway::Content(content)) if content.ended.is_some() => {
            wire.say(asked, agreed(content.event_id))
        }
        _ => Ok(()),
    });
    let endpoints = [dies.endpoint(), lives.endpoint()];
    let next_hop = NextHop::start();
    let keys = "body = \"full\"\ntimeout = \"20s\"";
    let gateway = set_up(&next_hop, &endpoints, ("inbound.message", keys), "5d");
    let body = "0123456789abcdef\r\n".repeat(40_000);
    let content = format!("Subject: x\r\n\r\n{body}");
    // Until the one that dies was the first to be asked.
    let mut sent = 0;
    while dies.asked() == 0 {
        sent += 1;
        assert!(sent < 20, "it was never asked");
        let mut client = Client::ready(gateway.smtp());
        let reply = client.deliver("a@example.org", &["b@good.test"], content.as_bytes());
        assert_eq!(reply.code, 250, "{reply:?}\n{}", gateway.log());
    }
    for message in next_hop.wait_for(sent, LIMIT) {
        assert!(message.text().ends_with(&body));
    }
    // What the last message's judge was shown: all octets in their order, behind the last question.
    let shown: Vec<u8> = lives
        .frames()
        .iter()
        .rev()
        .take_while(|frame| !matches!(frame.kind, Some(FromGateway::Event(_))))
        .filter_map(|frame| match &frame.kind {
            Some(FromGateway::Content(content)) => Some(content.octets.to_vec()),
            _ => None,
        })
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .flatten()
        .collect();
    assert!(
        shown == body.as_bytes(),
        "{} of {} octets",
        shown.len(),
        body.len()
    );
}

#[test]
fn a_message_that_kills_its_sink_is_asked_a_bounded_number_of_times_and_comes_back() {
    let sink = frail();
    let next_hop = NextHop::start();
    // The report about it is not asked about. What is too old is given back.
    let keys = "rule = \"MAIL FROM=*@example.org\"";
    let gateway = set_up(
        &next_hop,
        &[sink.endpoint()],
        ("transport.submit", keys),
        "4s",
    );
    assert_eq!(send(&gateway), 250);
    let received = next_hop.wait_for(1, LIMIT);
    let report = received.first().unwrap();
    assert!(report.sender.starts_with("<>"), "{report:?}");
    assert_eq!(report.recipients, ["<a@example.org>"]);
    let attempts: Vec<u32> = sink
        .frames()
        .iter()
        .filter_map(|frame| match &frame.kind {
            Some(FromGateway::Event(event)) => Some(event.attempt),
            _ => None,
        })
        .collect();
    let rises = attempts.windows(2).all(|pair| pair[0] <= pair[1]);
    assert!(
        attempts.len() > 2 && rises && attempts.last() > Some(&1),
        "each attempt has its number: {attempts:?}"
    );
    assert_eq!(attempts.first(), Some(&0));
    let asked = sink.asked();
    let until = Instant::now() + LIMIT;
    while gateway.spooled("submit") > 0 {
        assert!(Instant::now() < until, "it is not over\n{}", gateway.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(asked, sink.asked(), "nobody asks any more");
    assert!(asked <= 20, "{asked}");
}

/// Replicas that die of every second question: what one died of is asked of another, which is an asking like any other.
#[test]
fn no_asking_has_a_lower_number_than_there_were_askings_before_it() {
    let askings = Arc::new(Mutex::new(Vec::new()));
    let replicas: Vec<RawSink> = (0..3)
        .map(|_| {
            let askings = Arc::clone(&askings);
            RawSink::start(move |wire, asked| {
                let Some(event) = asked.question() else {
                    return Ok(());
                };
                let number = {
                    let mut askings = askings.lock().unwrap();
                    askings.push((event.attempt, event.ask_reason()));
                    askings.len()
                };
                match number {
                    1 | 3 => Err(io::Error::other("as the test says")),
                    2 => wire.decide(asked, v1::decision::Kind::Tempfail(v1::Tempfail::default())),
                    _ => proceed(wire, asked),
                }
            })
        })
        .collect();
    let endpoints: Vec<String> = replicas.iter().map(RawSink::endpoint).collect();
    let next_hop = NextHop::start();
    let gateway = set_up(&next_hop, &endpoints, ("transport.submit", ""), "5d");
    assert_eq!(send(&gateway), 250);
    next_hop.wait_for(1, LIMIT);
    let askings = askings.lock().unwrap().clone();
    assert_eq!(askings.len(), 4, "{askings:?}");
    for (before, (attempt, _)) in askings.iter().enumerate() {
        assert!(*attempt as usize >= before, "{askings:?}");
    }
    assert_eq!(askings.first(), Some(&(0, v1::AskReason::Happened)));
    for again in [1, 3] {
        assert_eq!(askings[again].1, v1::AskReason::FailOver, "{askings:?}");
    }
}

/// A sink that crashes for real takes its process with it, and only that.
#[test]
fn a_crash_in_transport_leaves_the_message_to_the_sink_that_comes_back() {
    let sink = Sink::start(&["submit=crash"]);
    let next_hop = NextHop::start();
    let gateway = set_up(
        &next_hop,
        &[sink.endpoint()],
        ("transport.submit", ""),
        "5d",
    );
    assert_eq!(send(&gateway), 250);
    sink.wait_asked("submit", 1, LIMIT);
    let endpoint = sink.endpoint();
    drop(sink);
    let back = Sink::at(&endpoint, &[]);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(
        received.first().unwrap().from_line("From:").unwrap(),
        CONTENT
    );
    back.wait_asked("submit", 1, LIMIT);
    assert!(back.seen().iter().any(|s| s.detail.contains("attempt=")));
}
