//! Verdicts that contradict themselves, break out of their place, or bring in what no message may hold.

#![allow(clippy::unwrap_used, missing_docs)]

use std::thread;
use std::time::Duration;

use postern_e2e::gateway::Setup;
use postern_e2e::hostile::Hostile;
use postern_e2e::raw_sink::{RawSink, proceed};
use postern_proto::v1;
use postern_proto::v1::decision::Kind as Decided;
use postern_proto::v1::edit::Kind as Edited;

const LIMIT: Duration = Duration::from_secs(20);
const ALL: &str = "may = [\"headers\", \"body\", \"recipients\", \"sender\", \"quarantine\", \"discard\"]\nbody = \"full\"";

type Fill = fn(&mut v1::Verdict);

fn reply(code: u32, enhanced: &'static str, line: &'static str) -> Option<v1::Reply> {
    Some(v1::Reply {
        code,
        enhanced_code: enhanced.into(),
        lines: vec![line.into()],
        without_enhanced_code: false,
    })
}

fn reject(verdict: &mut v1::Verdict, reply: Option<v1::Reply>) {
    verdict.decision = Some(v1::Decision {
        kind: Some(Decided::Reject(v1::Reject { reply })),
    });
}

fn edit(verdict: &mut v1::Verdict, kind: Edited) {
    verdict.edits.push(v1::Edit { kind: Some(kind) });
}

fn insert(verdict: &mut v1::Verdict, name: &[u8], value: &[u8]) {
    let first = v1::header_place::Kind::First(v1::FirstPlace {});
    edit(
        verdict,
        Edited::InsertHeader(v1::InsertHeader {
            place: Some(v1::HeaderPlace { kind: Some(first) }),
            name: name.to_vec().into(),
            value: value.to_vec().into(),
        }),
    );
}

fn splice(verdict: &mut v1::Verdict, offset: u64, remove_bytes: u64, octets: &[u8]) {
    let literal = v1::data::Kind::Literal(octets.to_vec().into());
    edit(
        verdict,
        Edited::SpliceBody(v1::SpliceBody {
            offset,
            remove_bytes,
            insert: Some(v1::Data {
                kind: Some(literal),
            }),
        }),
    );
}

fn add_recipient(verdict: &mut v1::Verdict, address: &[u8]) {
    edit(
        verdict,
        Edited::AddRecipient(Box::new(v1::AddRecipient {
            address: address.to_vec().into(),
            ..Default::default()
        })),
    );
}

/// Verdicts on a message that are the sink's failure.
const OF_MESSAGES: [(&str, Fill); 44] = [
    ("no-decision", |v| v.decision = None),
    ("unknown-decision", |v| {
        v.decision = Some(v1::Decision { kind: None })
    }),
    ("refusal-with-250", |v| {
        reject(v, reply(250, "2.0.0", "yes and no"))
    }),
    ("refusal-for-good-with-451", |v| {
        reject(v, reply(451, "4.0.0", "later"))
    }),
    ("code-999", |v| reject(v, reply(999, "5.0.0", "beyond"))),
    ("code-0", |v| reject(v, reply(0, "5.0.0", "nothing"))),
    ("enhanced-code-of-another-class", |v| {
        reject(v, reply(550, "4.7.1", "torn"))
    }),
    ("enhanced-code-of-words", |v| {
        reject(v, reply(550, "five", "no"))
    }),
    ("two-replies-in-one", |v| {
        reject(v, reply(550, "5.7.1", "no\r\n250 2.0.0 yes"))
    }),
    ("reply-with-nul", |v| reject(v, reply(550, "5.7.1", "no\0"))),
    ("reply-with-a-bare-lf", |v| {
        reject(v, reply(550, "5.7.1", "no\n250 yes"))
    }),
    ("edit-of-nothing", |v| v.edits.push(v1::Edit { kind: None })),
    ("field-without-a-place", |v| {
        edit(
            v,
            Edited::InsertHeader(v1::InsertHeader {
                place: None,
                name: "X-Some".into(),
                value: "one".into(),
            }),
        );
    }),
    ("field-with-a-colon-in-its-name", |v| {
        insert(v, b"X-Some: one\r\nX-Other", b"two")
    }),
    ("field-with-a-name-of-8-bits", |v| {
        insert(v, "X-Größe".as_bytes(), b"one")
    }),
    ("field-without-a-name", |v| insert(v, b"", b"one")),
    ("field-with-a-blank-in-its-name", |v| {
        insert(v, b"X Some", b"one")
    }),
    ("value-that-is-two-fields", |v| {
        insert(v, b"X-Some", b"one\r\nX-Evil: two")
    }),
    ("value-that-ends-the-header", |v| {
        insert(v, b"X-Some", b"one\r\n\r\nbody")
    }),
    ("value-with-a-bare-lf", |v| {
        insert(v, b"X-Some", b"one\ntwo")
    }),
    ("value-with-a-bare-cr", |v| {
        insert(v, b"X-Some", b"one\rtwo")
    }),
    ("value-with-nul", |v| insert(v, b"X-Some", b"one\0two")),
    ("our-own-trace", |v| {
        insert(v, b"Received", b"from nowhere by nobody; today")
    }),
    ("a-return-path", |v| {
        insert(v, b"Return-Path", b"<evil@example.org>")
    }),
    ("body-with-a-bare-lf", |v| splice(v, 0, 0, b"one\ntwo\r\n")),
    ("body-with-a-bare-cr", |v| splice(v, 0, 0, b"one\rtwo\r\n")),
    ("body-that-ends-the-message", |v| {
        splice(v, 0, 0, b"one\n.\nMAIL FROM:<evil@example.org>\r\n")
    }),
    ("splice-behind-the-end", |v| splice(v, 1000, 0, b"one\r\n")),
    ("splice-of-too-much", |v| splice(v, 0, 1000, b"one\r\n")),
    ("splice-around-the-end-of-numbers", |v| {
        splice(v, u64::MAX, u64::MAX, b"one\r\n")
    }),
    ("splices-that-overlap", |v| {
        splice(v, 0, 4, b"one\r\n");
        splice(v, 2, 4, b"two\r\n");
    }),
    ("splices-backwards", |v| {
        splice(v, 4, 0, b"one\r\n");
        splice(v, 0, 0, b"two\r\n");
    }),
    ("field-that-is-not-there", |v| {
        edit(
            v,
            Edited::RemoveHeader(v1::RemoveHeader { header_id: 4711 }),
        );
    }),
    ("recipient-of-another-message", |v| {
        edit(
            v,
            Edited::RemoveRecipient(v1::RemoveRecipient {
                recipient_id: vec![7; 16].into(),
            }),
        );
    }),
    ("nobody-left", |v| {
        edit(v, Edited::RetainRecipients(v1::RetainRecipients::default()));
    }),
    ("recipient-that-is-two-commands", |v| {
        add_recipient(v, b"b@good.test>\r\nRCPT TO:<evil@good.test");
    }),
    ("recipient-without-a-domain", |v| {
        add_recipient(v, b"nobody")
    }),
    ("recipient-of-nothing", |v| add_recipient(v, b"")),
    ("sender-that-is-two-commands", |v| {
        edit(
            v,
            Edited::SetSender(v1::SetSender {
                reverse_path: "a@example.org>\r\nRSET".into(),
            }),
        );
    }),
    ("ten-thousand-and-one-edits", |v| {
        (0..10_001).for_each(|_| insert(v, b"X", b"y"));
    }),
    ("a-thousand-and-one-fields", |v| {
        (0..1001).for_each(|_| insert(v, b"X-Some", b"one"));
    }),
    ("a-thousand-recipients-more", |v| {
        (0..1000).for_each(|n| add_recipient(v, format!("u{n}@good.test").as_bytes()));
    }),
    ("half-a-mebibyte-and-one-line", |v| {
        splice(v, 0, 0, &b"0123456\r\n".repeat(60_000))
    }),
    ("answer-to-another-event", |v| {
        v.answer = Some(Box::new(v1::Answer {
            kind: Some(v1::answer::Kind::Rcpt(v1::RcptAnswer {
                recipient_kind: v1::RecipientKind::Hosted.into(),
                ..Default::default()
            })),
        }));
    }),
];

#[test]
fn what_no_verdict_on_a_message_may_say_is_the_failure_of_the_sink() {
    all_fail("inbound.message", &OF_MESSAGES, |hostile, name| {
        hostile.message(name)
    });
}

/// Verdicts on a recipient that are the sink's failure.
const OF_RECIPIENTS: [(&str, Fill); 6] = [
    ("no-decision", |v| v.decision = None),
    ("decision-of-a-later-event", |v| {
        v.decision = Some(v1::Decision {
            kind: Some(Decided::Quarantine(v1::Quarantine::default())),
        });
    }),
    ("body-before-there-is-one", |v| splice(v, 0, 0, b"one\r\n")),
    ("event-of-nobody", |v| v.event_id += 1000),
    ("event-0", |v| v.event_id = 0),
    ("recipient-of-another-message", |v| {
        edit(
            v,
            Edited::RewriteRecipient(v1::RewriteRecipient {
                recipient_id: vec![7; 16].into(),
                address: "b@good.test".into(),
            }),
        );
    }),
];

#[test]
fn what_no_verdict_on_a_recipient_may_say_is_the_failure_of_the_sink() {
    all_fail("inbound.rcpt", &OF_RECIPIENTS, |hostile, name| {
        hostile.rcpt(name)
    });
}

fn all_fail(
    event: &str,
    verdicts: &[(&str, Fill)],
    ask: impl Fn(&Hostile, &str) -> postern_e2e::client::Reply + Sync,
) {
    let sinks: Vec<RawSink> = verdicts
        .iter()
        .map(|(_, fill)| {
            let fill = *fill;
            RawSink::start(move |wire, asked| wire.verdict(asked, fill))
        })
        .collect();
    let keys = if event.ends_with("message") {
        ALL
    } else {
        "may = [\"recipients\", \"body\", \"quarantine\"]"
    };
    let tables: Vec<_> = verdicts
        .iter()
        .zip(&sinks)
        .map(|((name, _), sink)| (*name, sink.table(name), keys))
        .collect();
    let hostile = Hostile::start(event, &tables);
    thread::scope(|scope| {
        for (name, _) in verdicts {
            let (hostile, ask) = (&hostile, &ask);
            scope.spawn(move || {
                hostile.is_failure(&ask(hostile, name), name, &["protocol", "size"])
            });
        }
    });
    for ((name, _), sink) in verdicts.iter().zip(&sinks) {
        assert_eq!(
            sink.asked(),
            1,
            "{name} is asked once: what it said is known"
        );
    }
    // Nothing of what they said has reached a message.
    assert_eq!(hostile.next_hop.count(), 0);
    hostile.stands();
}

/// What looks odd and is allowed arrives so that it cannot be taken for anything else.
#[test]
fn odd_text_in_its_place_arrives_as_it_is() {
    let sink = RawSink::start(|wire, asked| {
        wire.verdict(asked, |verdict| {
            insert(
                verdict,
                b"X-Long",
                "word ".repeat(500).trim_end().as_bytes(),
            );
            splice(verdict, 0, 0, b".\r\n..\r\n.dots\r\n");
        })
    });
    let hostile = Hostile::start("inbound.message", &[("odd", sink.table("odd"), ALL)]);
    assert_eq!(hostile.message("odd").code, 250);
    let received = hostile.next_hop.wait_for(1, LIMIT);
    let text = received.first().unwrap().text();
    assert!(
        text.contains("\r\n\r\n.\r\n..\r\n.dots\r\nbody\r\n"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() <= 998), "{text}");
    let unfolded = text.replace("\r\n ", " ");
    assert!(unfolded.contains(&"word ".repeat(499)), "{text}");
}

/// The limits are those of the virtual server that takes the message, and the sink is told them.
#[test]
fn edits_are_held_to_the_limits_of_the_server_and_the_sink_is_told_them() {
    let edits: [(&str, Fill); 3] = [
        ("too-large", |v| {
            splice(v, 0, 0, &b"0123456\r\n".repeat(40_000))
        }),
        ("too-many-recipients", |v| {
            (0..100).for_each(|n| add_recipient(v, format!("u{n}@good.test").as_bytes()));
        }),
        ("too-many-fields", |v| {
            (0..60).for_each(|_| insert(v, b"X-Some", b"one"))
        }),
    ];
    let sinks = edits.map(|(_, fill)| RawSink::start(move |wire, asked| wire.verdict(asked, fill)));
    let within = RawSink::start(|wire, asked| {
        wire.verdict(asked, |v| splice(v, 0, 0, &b"0123456\r\n".repeat(10_000)))
    });
    let mut tables: Vec<_> = edits
        .iter()
        .zip(&sinks)
        .map(|((name, _), sink)| (*name, sink.table(name), ALL))
        .collect();
    tables.push(("within", within.table("within"), ALL));
    let setup = Setup::default()
        .server("max_message_size = \"100 KiB\"\nlimits = { recipients = 100, header_count = 50, header_size = \"8 KiB\" }");
    let hostile = Hostile::with(setup, "inbound.message", &tables);
    for (name, _) in edits {
        hostile.is_failure(&hostile.message(name), name, &["protocol", "size"]);
    }
    assert_eq!(hostile.next_hop.count(), 0);
    assert_eq!(hostile.message("within").code, 250);
    hostile.next_hop.wait_for(1, LIMIT);
    let limits = within.wait(LIMIT, |frames| {
        frames.iter().find_map(|frame| match &frame.kind {
            Some(v1::attach_request::Kind::OpenInstance(open)) => open.limits.clone(),
            _ => None,
        })
    });
    assert_eq!(limits.message_bytes, 100 << 10);
    assert_eq!((limits.recipient_count, limits.header_count), (100, 50));
    assert_eq!(limits.header_bytes, 8 << 10);
}

/// A verdict in parts that never ends is given up at its bound, and kept no further.
#[test]
fn a_verdict_without_end_is_given_up_at_its_bound() {
    let manners = postern_e2e::raw_sink::Manners {
        description: Some(v1::DescribeResponse {
            features: vec!["parts".to_owned()],
            ..postern_e2e::raw_sink::description(1)
        }),
        ..Default::default()
    };
    let sink = RawSink::with(manners, |wire, asked| {
        if asked.question().is_none() {
            return Ok(());
        }
        let mut part = v1::Verdict {
            event_id: asked.event_id(),
            ..Default::default()
        };
        (0..90).for_each(|_| insert(&mut part, b"X-Some", &b"long ".repeat(2000)));
        for _ in 0..100 {
            let part = v1::attach_response::Kind::VerdictPart(Box::new(part.clone()));
            wire.say(asked, part)?;
        }
        proceed(wire, asked)
    });
    let hostile = Hostile::start(
        "inbound.message",
        &[("endless", sink.table("endless"), ALL)],
    );
    hostile.stands();
    let before = hostile.gateway.peak_memory_kib();
    hostile.is_failure(&hostile.message("endless"), "endless", &["protocol"]);
    let more = hostile.gateway.peak_memory_kib() - before;
    assert!(more < 48 << 10, "{more} KiB more for 90 MB");
    hostile.stands();
}
