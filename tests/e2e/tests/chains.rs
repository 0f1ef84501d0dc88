//! Chains of sinks that work against each other: order and place decide, not who is quicker, and what one does is seen by
//! the others as far as they read it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::chain::set_up;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use postern_e2e::raw_sink::RawSink;
use postern_e2e::sink::Sink;
use postern_proto::v1;
use postern_proto::v1::attach_request::Kind as FromGateway;
use postern_proto::v1::edit::Kind as Edited;
use postern_proto::v1::header_place::Kind as Place;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] =
    b"From: a@example.org\r\nSubject: x\r\nX-A: 1\r\nTo: b@good.test\r\n\r\nbody\r\n";

fn binding(name: &str, keys: &str) -> String {
    format!(
        "[[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nevents = [\"inbound.message\"]\nbody = \"headers\"\n{keys}"
    )
}

fn send(gateway: &Gateway) -> u16 {
    let mut client = Client::ready(gateway.smtp());
    client
        .deliver("a@example.org", &["b@good.test"], CONTENT)
        .code
}

fn to_good(next_hop: &NextHop) -> Setup {
    Setup::default().domain("good.test", &format!("smtp://{}", next_hop.address()))
}

/// The field of this name in the question, with its number and value.
fn field(event: &v1::Event, name: &str) -> Option<(u32, String)> {
    let headers = event.headers.as_ref()?;
    let field = headers
        .fields
        .iter()
        .find(|f| f.name.eq_ignore_ascii_case(name.as_bytes()))?;
    let value = String::from_utf8_lossy(&field.value).trim().to_owned();
    Some((field.header_id, value))
}

/// Two sinks that set the same field: the one of the later priority wins wherever it stands in the file, and has seen
/// what the earlier one left.
#[test]
fn of_two_that_set_the_same_field_the_later_by_priority_wins_and_saw_the_earlier() {
    let setting = |text: &'static str| {
        RawSink::start(move |wire, asked| {
            wire.verdict(asked, |verdict| {
                verdict.edits.push(v1::Edit {
                    kind: Some(Edited::SetHeader(v1::SetHeader {
                        name: "Subject".into(),
                        value: text.into(),
                        ..Default::default()
                    })),
                });
            })
        })
    };
    let (early, late) = (setting("early"), setting("late"));
    let next_hop = NextHop::start();
    let keys = "may = [\"headers:Subject\"]\nreads = [\"headers:Subject\"]\npriority = ";
    let gateway = to_good(&next_hop)
        .with(&early.table("early"))
        .with(&late.table("late"))
        .with(&binding("late", &format!("{keys}200")))
        .with(&binding("early", &format!("{keys}100")))
        .start();
    assert_eq!(send(&gateway), 250);
    let text = next_hop.wait_for(1, LIMIT).first().unwrap().text();
    assert!(text.contains("Subject: late\r\n"), "{text}");
    assert_eq!(text.matches("Subject:").count(), 1, "{text}");
    let seen = late.wait(LIMIT, |frames| {
        frames.iter().find_map(|frame| match &frame.kind {
            Some(FromGateway::Event(event)) => field(event, "Subject"),
            _ => None,
        })
    });
    assert_eq!(seen.1, "early");
}

/// A place is that of the field which it names, though the next field is taken away by another at the same time.
#[test]
fn a_place_beside_a_field_holds_whatever_others_remove_around_it() {
    for removes_first in [true, false] {
        let removes = Sink::start(&["message=remove-headers:X-A"]);
        let puts = RawSink::start(|wire, asked| {
            let Some((id, _)) = asked.question().and_then(|event| field(event, "Subject")) else {
                return Ok(());
            };
            wire.verdict(asked, |verdict| {
                verdict.edits.push(v1::Edit {
                    kind: Some(Edited::InsertHeader(v1::InsertHeader {
                        place: Some(v1::HeaderPlace {
                            kind: Some(Place::AfterHeaderId(id)),
                        }),
                        name: "X-B".into(),
                        value: "2".into(),
                    })),
                });
            })
        });
        let next_hop = NextHop::start();
        let (first, second) = if removes_first { (1, 2) } else { (2, 1) };
        let gateway = to_good(&next_hop)
            .with(&removes.table("removes"))
            .with(&puts.table("puts"))
            .with(&binding(
                "removes",
                &format!("may = [\"headers:X-A\"]\nreads = [\"headers:X-A\"]\npriority = {first}"),
            ))
            .with(&binding(
                "puts",
                &format!(
                    "may = [\"headers:X-B\"]\nreads = [\"headers:Subject\"]\npriority = {second}"
                ),
            ))
            .start();
        for n in 1..=9 {
            assert_eq!(send(&gateway), 250, "{n} of 9\n{}", gateway.log());
        }
        for message in next_hop.wait_for(9, LIMIT) {
            let text = message.text();
            let placed = "Subject: x\r\nX-B: 2\r\nTo: b@good.test\r\n";
            assert!(text.contains(placed), "{text}");
        }
    }
}

/// What was passed over stays on record, however much later sinks want to store; theirs is their own failure.
#[test]
fn no_sink_can_crowd_out_the_record_of_what_was_passed_over() {
    let lies = Sink::start(&["mail=undecided"]);
    let floods = RawSink::start(|wire, asked| {
        wire.verdict(asked, |verdict| {
            verdict.properties = (0..64)
                .map(|n| v1::PropertyEdit {
                    scope: v1::PropertyScope::Message.into(),
                    key: format!("key-{n}"),
                    value: Some(v1::Value {
                        kind: Some(v1::value::Kind::Text("x".repeat(4 << 10))),
                    }),
                    ..Default::default()
                })
                .collect();
        })
    });
    let later = Sink::start(&["message=reject"]);
    let next_hop = NextHop::start();
    let gateway = to_good(&next_hop)
        .with(&lies.table("lies"))
        .with(&floods.table("floods"))
        .with(&later.table("later"))
        .with(
            "[[binding]]\nname = \"scanner\"\nsink = \"lies\"\nevents = [\"inbound.mail\"]\nmay = []\n\
             on_failure = \"continue\"\npriority = 1\n\
             [[binding]]\nname = \"floods\"\nsink = \"floods\"\nevents = [\"inbound.rcpt\"]\nmay = []\n\
             on_failure = \"continue\"\npriority = 2\n\
             [[binding]]\nname = \"later\"\nsink = \"later\"\nevents = [\"inbound.message\"]\nmay = []\n\
             body = \"headers\"\npriority = 3",
        )
        .start();
    assert_eq!(send(&gateway), 550);
    let detail = later.wait_seen("message", "skipped=scanner", LIMIT).detail;
    assert!(detail.contains("skipped=floods"), "{detail}");
    let metrics = gateway.http("/metrics").1;
    assert!(
        metrics.contains("sink=\"floods\",event=\"inbound.rcpt\",kind=\"protocol\"} 1"),
        "{metrics}"
    );
}

/// Sinks that each may take half a minute, one after the other: the reply comes in the time that it has, and those for
/// whom none is left are not asked.
#[test]
fn all_time_outs_of_a_reply_stay_within_its_budget() {
    let sinks = [(); 3].map(|()| Sink::start(&["rcpt=hang"]));
    let next_hop = NextHop::start();
    let mut setup = to_good(&next_hop).server("budgets = { command = \"1s\" }");
    for (n, sink) in sinks.iter().enumerate() {
        let name = format!("slow-{n}");
        // Each reads what the one before may touch.
        setup = setup.with(&sink.table(&name)).with(&format!(
            "[[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nevents = [\"inbound.rcpt\"]\n\
             may = [\"recipients\"]\nreads = [\"recipients\"]\ntimeout = \"30s\"\non_failure = \"continue\""
        ));
    }
    let gateway = setup.start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    let asked = Instant::now();
    client.expect("RCPT TO:<b@good.test>", 250);
    assert!(asked.elapsed() < Duration::from_secs(20));
    let metrics = gateway.http("/metrics").1;
    for n in 0..3 {
        let spent = format!("sink=\"slow-{n}\",event=\"inbound.rcpt\",kind=\"budget\"}} 1");
        assert!(metrics.contains(&spent), "{spent} is not in\n{metrics}");
    }
    sinks[0].wait_asked("rcpt", 1, LIMIT);
    assert_eq!(sinks[1].asked("rcpt") + sinks[2].asked("rcpt"), 0);
}

/// At `inbound.command` a rule selects the command, not the session that has said it before.
#[test]
fn a_rule_at_a_command_selects_that_command_alone() {
    for (rule, command) in [
        ("EHLO=*", "command EHLO client.example.test known=true"),
        (
            "MAIL FROM=*@example.org",
            "command MAIL FROM:<a@example.org> known=true",
        ),
        ("RCPT TO=b@*", "command RCPT TO:<b@example.test> known=true"),
    ] {
        let sink = Sink::start(&[]);
        let next_hop = NextHop::start();
        let keys = format!("may = []\nrule = \"{rule}\"");
        let gateway = set_up(&next_hop, &[("picks", &sink, "\"inbound.command\"", &keys)]);
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        client.expect("RCPT TO:<b@example.test>", 250);
        client.expect("RSET", 250);
        client.expect("NOOP", 250);
        client.expect("QUIT", 221);
        client.expect_closed();
        sink.wait_asked("command", 1, LIMIT);
        assert_eq!(sink.history(), [command], "{rule}");
    }
}

/// A reply to EHLO in a sink's words keeps its form: the keywords are there, and nothing stands in front of any line.
#[test]
fn a_reply_to_ehlo_in_a_sinks_words_keeps_its_keywords() {
    let sink = RawSink::start(|wire, asked| {
        let Some(v1::event::Kind::InboundResponse(response)) =
            asked.question().and_then(|event| event.kind.clone())
        else {
            return Ok(());
        };
        wire.verdict(asked, |verdict| {
            let mut reply = response.reply.clone().unwrap_or_default();
            reply.lines = vec!["mx.example.test is all yours".into()];
            reply.enhanced_code = Default::default();
            verdict.answer = Some(Box::new(v1::Answer {
                kind: Some(v1::answer::Kind::Response(v1::ResponseAnswer {
                    reply: Some(reply),
                    ..Default::default()
                })),
            }));
        })
    });
    let next_hop = NextHop::start();
    let gateway = to_good(&next_hop)
        .with(&sink.table("words"))
        .with(
            "[[binding]]\nname = \"words\"\nsink = \"words\"\nevents = [\"inbound.response\"]\nmay = []\n\
             rule = \"EHLO=*\"",
        )
        .start();
    let (mut client, _) = Client::connect(gateway.smtp());
    let reply = client.expect("EHLO client.example.test", 250);
    assert_eq!(reply.lines[0], "mx.example.test is all yours");
    assert!(reply.lines.contains(&"PIPELINING".to_owned()), "{reply:?}");
    assert!(
        reply.lines.iter().all(|line| !line.starts_with("2.")),
        "{reply:?}"
    );
}
