//! Answers at the wrong time, twice, or about something else; and frames that the protocol does not have there.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::Setup;
use postern_e2e::hostile::Hostile;
use postern_e2e::next_hop::NextHop;
use postern_e2e::raw_sink::{Asked, Manners, RawSink, Wire, description, message, proceed};
use postern_proto::v1;
use postern_proto::v1::attach_request::Kind as FromGateway;
use postern_proto::v1::attach_response::Kind as FromSink;
use postern_proto::v1::decision::Kind as Decided;
use prost::Message;

const LIMIT: Duration = Duration::from_secs(20);

type Trick = fn(&mut Wire, &Asked) -> io::Result<()>;

fn refuse(event_id: u64) -> FromSink {
    let reply = v1::Reply {
        code: 550,
        enhanced_code: "5.7.1".into(),
        lines: vec!["too late".into()],
        without_enhanced_code: false,
    };
    FromSink::Verdict(Box::new(v1::Verdict {
        event_id,
        decision: Some(v1::Decision {
            kind: Some(Decided::Reject(v1::Reject { reply: Some(reply) })),
        }),
        ..Default::default()
    }))
}

/// Many sessions on each stream.
fn shared() -> Manners {
    Manners {
        description: Some(description(100)),
        ..Manners::default()
    }
}

#[test]
fn a_verdict_behind_its_deadline_changes_nothing_and_is_counted() {
    let waiting: Mutex<Option<u64>> = Mutex::new(None);
    let sink = RawSink::with(shared(), move |wire, asked| {
        let mut waiting = waiting.lock().unwrap();
        match (&asked.frame.kind, *waiting) {
            // The first recipient is left waiting until nobody wants the answer any more.
            (Some(FromGateway::Event(event)), None) => {
                *waiting = Some(event.event_id);
                Ok(())
            }
            (Some(FromGateway::Cancel(_) | FromGateway::CloseInstance(_)), Some(event @ 1..)) => {
                *waiting = Some(0);
                wire.say(asked, refuse(event))
            }
            _ => proceed(wire, asked),
        }
    });
    let table = sink.table("late");
    let keys = "timeout = \"300ms\"\non_failure = \"continue\"";
    let hostile = Hostile::start("inbound.rcpt", &[("late", table, keys)]);
    let mut client = hostile.session("late");
    client.expect("MAIL FROM:<a@example.org>", 250);
    // The policy lets it pass; the refusal comes behind it, and is none.
    client.expect("RCPT TO:<b@good.test>", 250);
    hostile.failed("late", &["timeout"]);
    client.expect("RCPT TO:<c@good.test>", 250);
    client.expect("DATA", 354);
    client.send("Subject: x\r\n\r\nx\r\n.\r\n");
    assert_eq!(client.reply().code, 250);
    let received = hostile.next_hop.wait_for(1, LIMIT);
    assert_eq!(received.first().unwrap().recipients.len(), 2);
    hostile.stands();
    let until = Instant::now() + LIMIT;
    while hostile.count("postern_sink_late_total", "late") != 1 {
        assert!(
            Instant::now() < until,
            "{}",
            hostile.gateway.http("/metrics").1
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Frames of the sink that break the contract in place of an answer; all but those behind a verdict fail the question.
const BREACHES: [(&str, u16, Trick); 13] = [
    ("second-verdict", 250, |wire, asked| {
        proceed(wire, asked)?;
        wire.say(asked, refuse(asked.event_id()))
    }),
    ("fault-behind-a-verdict", 250, |wire, asked| {
        proceed(wire, asked)?;
        wire.say(
            asked,
            FromSink::Fault(v1::Fault {
                event_id: asked.event_id(),
                ..Default::default()
            }),
        )
    }),
    ("ready-behind-a-verdict", 250, |wire, asked| {
        proceed(wire, asked)?;
        wire.say(asked, FromSink::Ready(v1::Ready::default()))
    }),
    ("ready-for-another-event", 451, |wire, asked| {
        let event = v1::EventInterest {
            event: v1::EventKind::DeliveryTrack.into(),
            ..Default::default()
        };
        wire.say(
            asked,
            FromSink::Ready(v1::Ready {
                events: vec![event],
            }),
        )
    }),
    ("ready-for-event-999", 451, |wire, asked| {
        let event = v1::EventInterest {
            event: 999,
            ..Default::default()
        };
        wire.say(
            asked,
            FromSink::Ready(v1::Ready {
                events: vec![event],
            }),
        )
    }),
    ("done-with-another-message", 451, |wire, asked| {
        let other = v1::done::Kind::MessageId(vec![7; 16].into());
        wire.say(asked, FromSink::Done(v1::Done { kind: Some(other) }))
    }),
    ("done-with-nothing", 451, |wire, asked| {
        wire.say(asked, FromSink::Done(v1::Done { kind: None }))
    }),
    ("verdict-of-another-instance", 451, |wire, asked| {
        let mut other = asked.clone();
        other.frame.instance_id += 1000;
        proceed(wire, &other)
    }),
    ("verdict-of-instance-0", 451, |wire, asked| {
        let mut other = asked.clone();
        other.frame.instance_id = 0;
        proceed(wire, &other)
    }),
    ("verdict-of-an-event-to-come", 451, |wire, asked| {
        wire.say(asked, refuse(asked.event_id() + 1))
    }),
    ("nothing", 451, |wire, asked| {
        let frame = v1::AttachResponse {
            instance_id: asked.frame.instance_id,
            kind: None,
        };
        wire.headers(asked.stream)?;
        wire.data(asked.stream, &message(0, &frame.encode_to_vec()))
    }),
    ("empty-message", 451, |wire, asked| {
        wire.headers(asked.stream)?;
        wire.data(asked.stream, &message(0, &[]))
    }),
    ("read-0", 451, |wire, asked| {
        wire.say(
            asked,
            FromSink::ReadContent(v1::ReadContent {
                event_id: asked.event_id(),
                ..Default::default()
            }),
        )
    }),
];

#[test]
fn frames_that_break_the_contract_fail_their_question_and_the_log_says_whose() {
    let sinks: Vec<RawSink> = BREACHES
        .iter()
        .map(|(_, _, trick)| RawSink::answering(*trick))
        .collect();
    let tables: Vec<_> = BREACHES
        .iter()
        .zip(&sinks)
        .map(|((name, _, _), sink)| (*name, sink.table(name), "timeout = \"10s\""))
        .collect();
    let hostile = Hostile::start("inbound.rcpt", &tables);
    thread::scope(|scope| {
        for (name, code, _) in &BREACHES {
            let hostile = &hostile;
            scope.spawn(move || {
                let mut client = hostile.session(name);
                client.expect("MAIL FROM:<a@example.org>", 250);
                let reply = client.command("RCPT TO:<b@good.test>");
                assert_eq!(reply.code, *code, "{name}: {reply:?}");
                if *code == 451 {
                    hostile.failed(name, &["protocol"]);
                }
                // The log says what it broke, in whose session; what names no instance is about the stream.
                hostile.gateway.wait_for_line(LIMIT, |line| {
                    let whose = line.contains("about=\"session 0")
                        && line.contains(&format!("binding=\"{name}\""));
                    line.contains("a sink broke the protocol")
                        && line.contains(&format!("sink=\"{name}\""))
                        && line.contains("replica=\"http://")
                        && (whose || name.contains("instance") || *name == "empty-message")
                });
                // As for the failure, it names the replica that was asked and the time since.
                if *code == 451 {
                    hostile.gateway.wait_for_line(LIMIT, |line| {
                        line.contains("sink failed")
                            && line.contains(&format!("sink=\"{name}\""))
                            && line.contains("event=\"inbound.rcpt\"")
                            && line.contains("replica=\"http://")
                    });
                }
                // The session goes on, and asks it again.
                client.expect("NOOP", 250);
            });
        }
    });
    hostile.stands();
}

/// The answer to the first time that a message was asked about, given while it is asked about again: in its old instance
/// where the connection is the same, else on a stream that has never had that instance.
#[test]
fn a_verdict_on_the_first_attempt_is_never_taken_for_one_on_the_second() {
    let attempts: Mutex<Vec<Asked>> = Mutex::new(Vec::new());
    let sink = RawSink::with(shared(), move |wire, asked| {
        if asked.question().is_none() {
            return Ok(());
        }
        let mut attempts = attempts.lock().unwrap();
        attempts.push(asked.clone());
        match attempts.as_slice() {
            // Never answered in its time.
            [_] => Ok(()),
            [first, second] => {
                let mut misplaced = first.clone();
                misplaced.stream = second.stream;
                wire.say(&misplaced, refuse(first.event_id()))?;
                proceed(wire, asked)
            }
            _ => proceed(wire, asked),
        }
    });
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("good.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("again"))
        .with(
            "[[binding]]\nname = \"again\"\nsink = \"again\"\nevents = [\"transport.submit\"]\nmay = []\n\
             body = \"headers\"\ntimeout = \"500ms\"",
        )
        .start();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver(
        "a@example.org",
        &["b@good.test"],
        b"Subject: x\r\n\r\nx\r\n",
    );
    assert_eq!(reply.code, 250);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(received.first().unwrap().recipients, ["<b@good.test>"]);
    let attempts = sink.wait(LIMIT, |frames| {
        let attempts: Vec<(u64, u32)> = frames
            .iter()
            .filter_map(|frame| match &frame.kind {
                Some(FromGateway::Event(event)) => Some((frame.instance_id, event.attempt)),
                _ => None,
            })
            .collect();
        (attempts.len() >= 2).then_some(attempts)
    });
    let (first, again) = (attempts[0], attempts[1]);
    assert!(first.0 != again.0 && first.1 < again.1, "{attempts:?}");
}

/// Whoever thinks about a client that has left is told at once.
#[test]
fn a_sink_that_thinks_about_a_client_that_has_left_is_told_to_stop() {
    let sink = RawSink::start(|_, _| Ok(()));
    let keys = "body = \"full\"\ntimeout = \"30s\"";
    let hostile = Hostile::start("inbound.message", &[("thinks", sink.table("thinks"), keys)]);
    let mut client = hostile.session("thinks");
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@good.test>", 250);
    client.expect("DATA", 354);
    client.send("Subject: half\r\n\r\nhalf a mess");
    sink.wait(LIMIT, |frames| {
        let asked = |f: &&v1::AttachRequest| matches!(f.kind, Some(FromGateway::Event(_)));
        frames.iter().find(asked).map(drop)
    });
    drop(client);
    let reason = sink.wait(LIMIT, |frames| {
        frames.iter().find_map(|frame| match &frame.kind {
            Some(FromGateway::Cancel(cancel)) => Some(cancel.reason()),
            _ => None,
        })
    });
    assert_eq!(reason, v1::CancelReason::ClientGone);
    // And it never hears that the content had come to an end.
    let ended = sink.frames().iter().any(|frame| match &frame.kind {
        Some(FromGateway::Content(content)) => content.ended.is_some(),
        _ => false,
    });
    assert!(!ended);
    hostile.stands();
    assert_eq!(hostile.next_hop.wait_for(1, LIMIT).len(), 1);
}
