//! What verdicts order beside edits: other ways, times, priorities and classes, and messages that are put in with one.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern_e2e::admin::{id, list, wait_listed, well};
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::raw_sink::RawSink;
use postern_proto::v1;
use postern_proto::v1::decision::Kind as Decided;
use postern_proto::v1::edit::Kind as Edited;
use postern_proto::v1::event::Kind as Happened;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";
const ORDERS: &str = "may = [\"redirect\", \"expiry\", \"priority\", \"inject\", \"discard\", \"hold\", \"postpone\"]";

/// One sink with these events and keys, in front of a next hop.
fn set_up(next_hop: &NextHop, sink: &RawSink, events: &str, keys: &str) -> Gateway {
    Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with("[queue]\nretry = [\"1s\"]")
        .with(&sink.table("s"))
        .with(&format!(
            "[[binding]]\nname = \"b\"\nsink = \"s\"\nevents = [{events}]\n{keys}"
        ))
        .start()
}

fn send(gateway: &Gateway) -> u16 {
    let mut client = Client::ready(gateway.smtp());
    let recipients = ["b@example.test", "c@example.test"];
    client.deliver("a@example.org", &recipients, CONTENT).code
}

/// A sink whose verdicts on one event are made by `fill`.
fn ordering(
    event: fn(&Happened) -> bool,
    fill: impl Fn(&v1::Event, &mut v1::Verdict) + Send + Sync + 'static,
) -> RawSink {
    RawSink::answering(move |wire, asked| {
        let question = asked.question().cloned().unwrap_or_default();
        wire.verdict(asked, |verdict| {
            if question.kind.as_ref().is_some_and(event) {
                fill(&question, verdict);
            }
        })
    })
}

fn is_message(event: &Happened) -> bool {
    matches!(event, Happened::InboundMessage(_))
}

fn is_submit(event: &Happened) -> bool {
    matches!(event, Happened::TransportSubmit(_))
}

fn edit(verdict: &mut v1::Verdict, kind: Edited) {
    verdict.edits.push(v1::Edit { kind: Some(kind) });
}

fn redirect(verdict: &mut v1::Verdict, hops: &[String]) {
    let next_hops = hops.iter().map(|deliver| v1::NextHop {
        deliver: deliver.clone(),
        ..Default::default()
    });
    edit(
        verdict,
        Edited::Redirect(v1::Redirect {
            recipient_ids: Vec::new(),
            next_hops: next_hops.collect(),
        }),
    );
}

fn decide(verdict: &mut v1::Verdict, kind: Decided) {
    verdict.decision = Some(v1::Decision { kind: Some(kind) });
}

fn inject(verdict: &mut v1::Verdict, key: &str, recipient: &str, content: &[u8]) {
    edit(
        verdict,
        Edited::Inject(Box::new(v1::Inject {
            idempotency_key: key.to_owned(),
            reverse_path: "sink@example.test".into(),
            recipients: vec![v1::AddRecipient {
                address: recipient.to_owned().into(),
                ..Default::default()
            }],
            content: Some(v1::Data {
                kind: Some(v1::data::Kind::Literal(content.to_vec().into())),
            }),
            ..Default::default()
        })),
    );
}

const COPY: &[u8] = b"Subject: put in\r\n\r\nby a sink\r\n";

fn smtp(address: SocketAddr) -> String {
    format!("smtp://{address}")
}

#[test]
fn a_message_goes_the_way_that_a_verdict_names() {
    for (event, is) in [
        ("inbound.message", is_message as fn(&Happened) -> bool),
        ("transport.submit", is_submit),
    ] {
        let (usual, other) = (NextHop::start(), NextHop::start());
        // The first hop is dead: the second one has its turn at once.
        let hops = [smtp(free_address()), smtp(other.address())];
        let sink = ordering(is, move |_, verdict| redirect(verdict, &hops));
        let gateway = set_up(&usual, &sink, &format!("\"{event}\""), ORDERS);
        assert_eq!(send(&gateway), 250);
        let received = other.wait_for(1, LIMIT);
        assert_eq!(received[0].recipients.len(), 2, "{event}");
        wait_listed(&gateway, &[], 0);
        assert_eq!(usual.count(), 0, "{event}");
    }
}

#[test]
fn what_was_ordered_outlives_the_process_and_is_shown() {
    let (usual, other) = (NextHop::start(), NextHop::start());
    let away = free_address();
    let sink = ordering(is_message, move |_, verdict| {
        redirect(verdict, &[smtp(away)]);
        edit(
            verdict,
            Edited::SetPriority(v1::SetPriority { priority: -3 }),
        );
        let class = "slow".to_owned();
        edit(
            verdict,
            Edited::SetRoutingClass(v1::SetRoutingClass {
                routing_class: class,
            }),
        );
        let hours = |hours: i64| prost_types::Duration {
            seconds: hours * 3600,
            nanos: 0,
        };
        edit(
            verdict,
            Edited::SetExpiry(v1::SetExpiry {
                lifetime: Some(hours(3)),
                warn_after: Some(hours(2)),
            }),
        );
    });
    let mut gateway = set_up(&usual, &sink, "\"inbound.message\"", ORDERS);
    assert_eq!(send(&gateway), 250);
    let listed = wait_listed(&gateway, &["--attempts", "1"], 1);
    for _ in 0..2 {
        let shown = well(&gateway, &["queue", "show", "--json", id(&listed[0])]).json();
        assert_eq!(shown["priority"], -3, "{shown}");
        assert_eq!(shown["routing_class"], "slow", "{shown}");
        assert!(
            shown["expires"].is_string() && shown["warns"].is_string(),
            "{shown}"
        );
        assert_eq!(shown["to"][0]["destination"], smtp(away), "{shown}");
        let text = well(&gateway, &["queue", "show", id(&listed[0])]).out;
        assert!(
            text.contains("priority   -3\n") && text.contains("class      slow\n"),
            "{text}"
        );
        assert!(text.contains("expires    in 2h"), "{text}");
        gateway.kill();
        gateway.start();
    }
    // The way is open.
    let late = NextHop::at(away, Default::default());
    late.wait_for(1, LIMIT);
    assert_eq!(usual.count() + other.count(), 0);
}

#[test]
fn a_message_that_may_go_nowhere_comes_back_or_waits() {
    let usual = NextHop::start();
    let nowhere = |word: &'static str, seconds: i64| {
        ordering(is_message, move |_, verdict| {
            redirect(verdict, &[word.to_owned()]);
            let lifetime = prost_types::Duration { seconds, nanos: 0 };
            edit(
                verdict,
                Edited::SetExpiry(v1::SetExpiry {
                    lifetime: Some(lifetime),
                    warn_after: None,
                }),
            );
        })
    };
    let sender = |gateway: &Gateway| {
        let mut client = Client::ready(gateway.smtp());
        let reply = client.deliver("a@example.test", &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250);
    };
    let sink = nowhere("unreachable", 3600);
    let gateway = set_up(&usual, &sink, "\"inbound.message\"", ORDERS);
    sender(&gateway);
    let report = usual.wait_for(1, LIMIT)[0].text();
    assert!(
        report.contains("the destination is unreachable"),
        "{report}"
    );
    drop(gateway);
    // It expires by the time that the verdict named, long before the queue's own.
    let sink = nowhere("unreachable:later", 2);
    let gateway = set_up(&usual, &sink, "\"inbound.message\"", ORDERS);
    sender(&gateway);
    let report = usual.wait_for(2, LIMIT)[1].text();
    assert!(report.contains("unreachable for now"), "{report}");
    wait_listed(&gateway, &[], 0);
}

#[test]
fn a_verdict_puts_messages_in_and_only_once() {
    let next_hop = NextHop::start();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let sink = ordering(is_submit, move |_, verdict| {
        inject(verdict, "copy", "archive@example.test", COPY);
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            // Judged again from this binding on, which puts the same in.
            let wait = prost_types::Duration {
                seconds: 1,
                nanos: 0,
            };
            decide(
                verdict,
                Decided::Postpone(v1::Postpone { wait: Some(wait) }),
            );
        }
    });
    let gateway = set_up(&next_hop, &sink, "\"transport.submit\"", ORDERS);
    assert_eq!(send(&gateway), 250);
    let received = next_hop.wait_for(2, LIMIT);
    wait_listed(&gateway, &[], 0);
    assert_eq!(asked.load(Ordering::SeqCst), 2, "not about its own message");
    assert_eq!(next_hop.count(), 2, "{received:#?}");
    let copy = received.iter().find(|one| one.text().contains("by a sink"));
    let copy = copy.unwrap();
    assert!(copy.sender.starts_with("<sink@example.test>"), "{copy:?}");
    assert!(
        copy.text().starts_with("Received: by ") && copy.text().contains("put in by the sink s"),
        "{}",
        copy.text()
    );
    gateway.wait_for_log("message put in by a sink", LIMIT);
}

#[test]
fn what_is_put_in_goes_with_a_refusal_and_not_with_a_discard() {
    for (discards, code, count) in [(true, 250, 1), (false, 550, 0)] {
        let next_hop = NextHop::start();
        let sink = ordering(is_message, move |_, verdict| {
            inject(verdict, "instead", "archive@example.test", COPY);
            decide(
                verdict,
                match discards {
                    true => Decided::Discard(v1::Discard {}),
                    false => Decided::Reject(v1::Reject { reply: None }),
                },
            );
        });
        let gateway = set_up(&next_hop, &sink, "\"inbound.message\"", ORDERS);
        assert_eq!(send(&gateway), code);
        next_hop.wait_for(count, LIMIT);
        wait_listed(&gateway, &[], 0);
        assert_eq!(next_hop.count(), count, "discards: {discards}");
    }
}

#[test]
fn what_a_sink_puts_in_leads_no_further_than_eight_times() {
    let next_hop = NextHop::start();
    let sink = ordering(is_submit, |_, verdict| {
        inject(verdict, "again", "archive@example.test", COPY);
    });
    let keys = format!("{ORDERS}\nown_messages = \"ask\"");
    let gateway = set_up(&next_hop, &sink, "\"transport.submit\"", &keys);
    assert_eq!(send(&gateway), 250);
    // The message, and what was put in one after the other; about the eighth the sink has no more to say.
    next_hop.wait_for(8, LIMIT);
    let left = wait_listed(&gateway, &[], 1);
    let shown = well(&gateway, &["queue", "show", "--json", id(&left[0])]).json();
    assert_eq!(shown["origin"], "sink", "{shown}");
    assert_eq!(shown["put_in_by"], "s", "{shown}");
    assert!(!shown["parent"].as_str().unwrap().is_empty(), "{shown}");
    gateway.wait_for_log("8 injections led to it", LIMIT);
    assert_eq!(next_hop.count(), 8);
}

type Fill = fn(&mut v1::Verdict);

/// Orders that break a rule: the sink's failure, and nothing of them is done.
const WRONG: [(&str, Fill); 12] = [
    ("is no way to deliver", |v| {
        redirect(v, &["smtp://:25".to_owned()])
    }),
    ("does not name a Maildir", |v| {
        redirect(v, &["maildir:/etc".to_owned()])
    }),
    ("not in this version", |v| {
        redirect(v, &["smtps://far.test".to_owned()])
    }),
    ("not between -9 and 9", |v| {
        edit(v, Edited::SetPriority(v1::SetPriority { priority: 10 }));
    }),
    ("not [a-z0-9]", |v| {
        let routing_class = "No Class".to_owned();
        edit(
            v,
            Edited::SetRoutingClass(v1::SetRoutingClass { routing_class }),
        );
    }),
    ("an idempotency key has", |v| {
        inject(v, "", "x@example.test", COPY)
    }),
    ("no empty line", |v| {
        inject(v, "k", "x@example.test", b"Subject: x\r\n")
    }),
    ("an injected message", |v| {
        inject(v, "k", "x@example.test", b"A: b\n\nc\n")
    }),
    ("Received fields", |v| {
        let content = format!("{}\r\n", "Received: x\r\n".repeat(101));
        inject(v, "k", "x@example.test", content.as_bytes());
    }),
    ("17 injected messages", |v| {
        for key in 0..17 {
            inject(v, &key.to_string(), "x@example.test", COPY);
        }
    }),
    ("octets of an injected message", |v| {
        let content = [COPY, &b"0123456789abcd\r\n".repeat(8 * 1024)].concat();
        inject(v, "k", "x@example.test", &content);
    }),
    ("which the binding does not name", |v| {
        inject(v, "k", "x@example.test", COPY);
        if let Some(Edited::Inject(own)) = v.edits[0].kind.as_mut() {
            own.server = "elsewhere".to_owned();
        }
    }),
];

#[test]
fn orders_that_break_a_rule_are_the_sinks_failure() {
    let next_hop = NextHop::start();
    let place = Arc::new(AtomicUsize::new(0));
    let turn = Arc::clone(&place);
    let sink = ordering(is_message, move |_, verdict| {
        WRONG[turn.load(Ordering::SeqCst)].1(verdict);
    });
    let gateway = Setup::default()
        .server("max_message_size = \"64 KiB\"")
        .domain("example.test", &smtp(next_hop.address()))
        .with(&sink.table("s"))
        .with(&format!(
            "[[binding]]\nname = \"b\"\nsink = \"s\"\nevents = [\"inbound.message\"]\n{ORDERS}"
        ))
        .start();
    for (at, (words, _)) in WRONG.iter().enumerate() {
        place.store(at, Ordering::SeqCst);
        assert_eq!(send(&gateway), 451, "{words}");
        gateway.wait_for_log(words, LIMIT);
    }
    assert_eq!(list(&gateway, &[]).len() + next_hop.count(), 0);
    // Without the grant nothing of it goes.
    drop(gateway);
    place.store(0, Ordering::SeqCst);
    let sink = ordering(is_message, |_, verdict| {
        redirect(verdict, &["mx".to_owned()])
    });
    let gateway = set_up(&next_hop, &sink, "\"inbound.message\"", "may = []");
    assert_eq!(send(&gateway), 451);
    gateway.wait_for_log("does not grant redirect", LIMIT);
}
